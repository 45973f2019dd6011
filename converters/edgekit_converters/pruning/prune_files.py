"""Pruning from files to a file: what ``edgekit prune`` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgekit_converters.checkpoint import ReadOptions, read_checkpoint, save_checkpoint
from edgekit_converters.data import DataOptions, read_training_texts
from edgekit_converters.pruning.prune import PruneSettings, prune
from edgekit_converters.training import processes
from edgekit_converters.training.curves import check_picture, draw_curves
from edgekit_converters.training.loop import Epoch
from edgekit_runtime.bundle import writable_file
from edgekit_runtime.errors import OptionError, require
from edgekit_runtime.progress import Listener, LogListener


@dataclass(frozen=True)
class PruneReport:
    """What pruning made; its JSON is what ``edgekit prune --json`` prints.

    Attributes:
        checkpoint: Path of the pruned model.
        labels: Its classes.
        parameters_before: How many numbers the model had learned.
        parameters: How many are left.
        heads: Left in each layer of a BERT.
        neurons: Left in each feed-forward layer of a BERT.
        filters: Left of each kernel width of a CNN.
        accuracy_before: Share of right labels on the held-out texts before.
        accuracy_cut: The same after the last cut, not yet recovered.
        accuracy: The same in the end.
        curve: What was measured after each epoch of recovery, cut by cut.
        train_examples: Labelled texts that were learned from.
        augmented_examples: Texts made from those.
        unlabelled_examples: Texts given without labels.
        held_out_examples: Texts that chose the best epoch.
        curves: Path of the picture of the last recovery, if one was drawn.
        processes: How many processes trained it.
    """

    checkpoint: str
    labels: tuple[str, ...]
    parameters_before: int
    parameters: int
    heads: tuple[int, ...]
    neurons: tuple[int, ...]
    filters: tuple[int, ...]
    accuracy_before: float
    accuracy_cut: float
    accuracy: float
    curve: tuple[Epoch, ...]
    train_examples: int
    augmented_examples: int
    unlabelled_examples: int
    held_out_examples: int
    curves: str | None
    processes: int


def prune_files(
    model: str | Path,
    data: str | Path,
    out: str | Path,
    settings: PruneSettings,
    *,
    unlabelled: Sequence[str | Path] = (),
    read: ReadOptions | None = None,
    data_options: DataOptions | None = None,
    cache: Path | None = None,
    checkpoints: Path | None = None,
    curves: Path | None = None,
    listener: Listener | None = None,
) -> PruneReport:
    """Prunes a checkpoint and saves what is left as a one-file checkpoint.

    Under torchrun every process calls this; the first one writes the files.

    Args:
        model: Any checkpoint that can be converted.
        data: Labelled text.
        out: Where the pruned model goes; an existing file is replaced.
        settings: What goes, and how the rest recovers.
        unlabelled: Files with more texts; labels in them are not read.
        read: What the checkpoint does not say.
        data_options: What the data files do not say.
        cache: Folder that keeps the unpruned model's answers.
        checkpoints: Folder that keeps the last epoch, from which the same call goes on.
        curves: Where a picture of the last recovery goes; None draws none.
        listener: Told of progress.

    Raises:
        EdgekitError: Something is wrong with the input; nothing was written.
    """
    listener, out = listener or LogListener(), Path(out)
    writable_file(out, model, data, *unlabelled, None if read is None else read.tokenizer)
    require("transformers", extra="train", purpose="pruning")
    require("accelerate", extra="train", purpose="pruning")
    if curves is not None:
        if not settings.recover:
            raise OptionError("--curves draws the recovery, which --no-recover leaves out: drop one of them")
        check_picture(curves)
    listener.stage(f"Reading {model}")
    big = read_checkpoint(model, read or ReadOptions(), listener.say)
    texts = read_training_texts(big.labels, data, unlabelled, data_options, listener)
    made = prune(
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
            draw_curves(made.trainings[-1], curves, title=out.stem)
    return PruneReport(
        checkpoint=str(out),
        labels=made.model.labels,
        parameters_before=made.parameters_before,
        parameters=made.parameters,
        heads=made.heads,
        neurons=made.neurons,
        filters=made.filters,
        accuracy_before=made.accuracy_before,
        accuracy_cut=made.accuracy_cut,
        accuracy=made.accuracy,
        curve=made.curve,
        train_examples=made.train_examples,
        augmented_examples=made.augmented_examples,
        unlabelled_examples=made.unlabelled_examples,
        held_out_examples=made.held_out_examples,
        curves=None if curves is None else str(curves),
        processes=processes.world_size(),
    )
