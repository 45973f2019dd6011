"""``edgekit distill``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from edgekit.cli.bundle_options import Json
from edgekit.cli.options import UNREAD, UNSAID, DataPath, with_data_options, with_read_options
from edgekit.cli.terminal import percent
from edgekit.cli.training_options import (
    UNTOLD,
    TrainingOptions,
    print_trained,
    training_terminal,
    with_training_options,
)
from edgekit_converters.data import DataOptions
from edgekit_runtime.errors import require


@with_data_options
@with_read_options
@with_training_options(epochs=None, batch_size=None, learning_rate=None, warmup=None, dropout=None, clip=None)
def command(
    teacher: Annotated[Path, typer.Argument(metavar="TEACHER", help="Checkpoint file or Hugging Face folder.")],
    data: DataPath,
    out: Annotated[Path, typer.Option("--out", help="The student's checkpoint to write, such as small.pt.")],
    student: Annotated[
        str, typer.Option("--student", metavar="NAME", help="cnn, cnn-small, bert-3x384, bert-2x128 or a FILE.toml.")
    ] = "cnn",
    unlabelled: Annotated[
        list[Path] | None,
        typer.Option("--unlabelled", metavar="FILE", help="More texts, for the teacher to label; repeatable."),
    ] = None,
    trim_vocab: Annotated[
        bool | None,
        typer.Option(
            "--trim-vocab/--no-trim-vocab", help="Drop pieces that DATA hardly uses; default: for CNNs, not for BERTs."
        ),
    ] = None,
    loss: Annotated[str, typer.Option("--loss", help="Distance from the teacher's answers: mse or kl.")] = "mse",
    temperature: Annotated[float, typer.Option("--temperature", help="Of kl.")] = 2.0,
    alpha: Annotated[float, typer.Option("--alpha", help="Share of the true labels in the loss.")] = 0.0,
    hidden: Annotated[
        float | None,
        typer.Option(
            "--hidden", metavar="W", help="Weight of hidden states and attention; default: 1 for BERTs, 0 for CNNs."
        ),
    ] = None,
    copies: Annotated[
        int | None, typer.Option("--copies", help="Texts made from each text; default: 4 for CNNs, 1 for BERTs.")
    ] = None,
    mask: Annotated[float, typer.Option("--mask", help="Share of words that are masked in those.")] = 0.1,
    swap: Annotated[float, typer.Option("--swap", help="Share of words that others of their kind replace.")] = 0.1,
    ngram: Annotated[float, typer.Option("--ngram", help="Share of them that are cut to a few words.")] = 0.25,
    cache: Annotated[
        Path | None,
        typer.Option("--cache", metavar="DIR", help="Keep the teacher's answers there; a later run takes them."),
    ] = None,
    training: TrainingOptions = UNTOLD,
    read: Mapping[str, Any] = UNREAD,
    data_options: DataOptions = UNSAID,
    json: Json = False,
) -> None:
    """Train a small model to answer as a big one, and save its best epoch as a checkpoint for convert.

    It learns from DATA, from texts that are made from it, and from --unlabelled ones; the teacher labels them all. What is
    not said of the training is as it suits the kind of student (docs/students.md).

    \b
    Example:
      $ edgekit distill model.pt train.tsv --student cnn --out small.pt
      $ edgekit distill model.pt train.tsv --student bert-3x384 --trim-vocab --cache answers --out small.pt
      $ edgekit distill model.pt train.tsv --student my.toml --unlabelled more.txt --epochs 8 --out small.pt
    """
    require("torch", extra="train", purpose="edgekit distill")
    from edgekit_converters.checkpoint import ReadOptions
    from edgekit_converters.distillation.customs import distill_settings
    from edgekit_converters.distillation.distill_files import distill_files

    settings = distill_settings(
        student,
        copies=copies,
        augment={"mask": mask, "swap": swap, "ngram": ngram},
        loss=loss,
        temperature=temperature,
        alpha=alpha,
        hidden=hidden,
        trim_vocab=trim_vocab,
        **training.settings,
    )
    with training_terminal() as terminal:
        made = distill_files(
            teacher,
            data,
            out,
            settings,
            unlabelled=unlabelled or (),
            read=ReadOptions(**read),
            data_options=data_options,
            cache=cache,
            checkpoints=training.checkpoints,
            curves=training.curves,
            listener=terminal,
        )
        terminal.print(
            f"best epoch {made.best_epoch} of {len(made.curve)}: accuracy {percent(made.accuracy)}, the teacher's "
            f"{percent(made.teacher_accuracy)}, agreement {percent(made.agreement)} on {made.held_out_examples} held-out texts; "
            f"{made.parameters:,} parameters, the teacher's {made.teacher_parameters:,}"
        )
    print_trained(made, made.checkpoint, json=json)
