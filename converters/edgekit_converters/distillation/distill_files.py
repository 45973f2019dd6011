"""Distilling from files to a file: what ``edgekit distill`` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgekit_converters.checkpoint import ReadOptions, read_checkpoint, save_checkpoint
from edgekit_converters.data import DataOptions, read_training_texts
from edgekit_converters.distillation.distill import DistillSettings, distill
from edgekit_converters.distillation.students import find_student
from edgekit_converters.training import processes
from edgekit_converters.training.curves import check_picture, draw_curves
from edgekit_converters.training.loop import Epoch
from edgekit_runtime.bundle import writable_file
from edgekit_runtime.errors import require
from edgekit_runtime.progress import Listener, LogListener


@dataclass(frozen=True)
class DistillReport:
    """What distilling made; its JSON is what ``edgekit distill --json`` prints.

    Attributes:
        checkpoint: Path of the student.
        student: Its name, or its TOML file.
        labels: Its classes.
        parameters: How many numbers it has learned.
        teacher_parameters: How many the teacher has.
        accuracy: Share of the held-out texts whose label it finds.
        teacher_accuracy: The teacher's.
        agreement: Share of the held-out texts on which both give the same label.
        best_epoch: Number of the epoch that was kept, from 1.
        curve: What was measured after each epoch.
        train_examples: Labelled texts that it learned from.
        augmented_examples: Texts made from those.
        unlabelled_examples: Texts given without labels.
        held_out_examples: Texts that chose the best epoch.
        curves: Path of the picture of the learning curves, if one was drawn.
        processes: How many processes trained it.
    """

    checkpoint: str
    student: str
    labels: tuple[str, ...]
    parameters: int
    teacher_parameters: int
    accuracy: float
    teacher_accuracy: float
    agreement: float
    best_epoch: int
    curve: tuple[Epoch, ...]
    train_examples: int
    augmented_examples: int
    unlabelled_examples: int
    held_out_examples: int
    curves: str | None
    processes: int


def distill_files(
    teacher: str | Path,
    data: str | Path,
    out: str | Path,
    settings: DistillSettings,
    *,
    unlabelled: Sequence[str | Path] = (),
    read: ReadOptions | None = None,
    data_options: DataOptions | None = None,
    cache: Path | None = None,
    checkpoints: Path | None = None,
    curves: Path | None = None,
    listener: Listener | None = None,
) -> DistillReport:
    """Distils a checkpoint and saves the student as a one-file checkpoint.

    Under torchrun every process calls this; the first one writes the files.

    Args:
        teacher: Any checkpoint that can be converted.
        data: Labelled text.
        out: Where the student goes; an existing file is replaced.
        settings: The student, and how to train it.
        unlabelled: Files with more texts; labels in them are not read.
        read: What the teacher's checkpoint does not say.
        data_options: What the data files do not say.
        cache: Folder that keeps the teacher's answers.
        checkpoints: Folder that keeps the last epoch, from which the same call goes on.
        curves: Where a picture of the learning curves goes; None draws none.
        listener: Told of progress.

    Raises:
        EdgekitError: Something is wrong with the input; nothing was written.
    """
    listener, out = listener or LogListener(), Path(out)
    tokenizer = None if read is None else read.tokenizer
    writable_file(out, teacher, data, *unlabelled, settings.student, tokenizer)
    require("transformers", extra="train", purpose="distilling")
    require("accelerate", extra="train", purpose="distilling")
    if curves is not None:
        check_picture(curves)
    find_student(settings.student)
    listener.stage(f"Reading {teacher}")
    big = read_checkpoint(teacher, read or ReadOptions(), listener.say)
    texts = read_training_texts(big.labels, data, unlabelled, data_options, listener)
    made = distill(
        big,
        texts.labelled,
        settings,
        unlabelled=texts.unlabelled,
        cache=cache,
        checkpoints=checkpoints,
        listener=listener,
    )
    if processes.is_main():
        save_checkpoint(replace(made.model, name=out.stem), out)
        if curves is not None:
            draw_curves(made.training, curves, title=out.stem)
    return DistillReport(
        checkpoint=str(out),
        student=settings.student,
        labels=made.model.labels,
        parameters=made.model.parameters,
        teacher_parameters=big.parameters,
        accuracy=made.accuracy,
        teacher_accuracy=made.teacher_accuracy,
        agreement=made.agreement,
        best_epoch=made.best_epoch,
        curve=made.curve,
        train_examples=made.train_examples,
        augmented_examples=made.augmented_examples,
        unlabelled_examples=made.unlabelled_examples,
        held_out_examples=made.held_out_examples,
        curves=None if curves is None else str(curves),
        processes=processes.world_size(),
    )
