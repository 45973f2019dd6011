"""``edgekit finetune``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.bundle_options import Json
from edgekit.cli.options import UNSAID, Clean, DataPath, Labels, StopWords, names, with_data_options, words_of
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
@with_training_options()
def command(
    data: DataPath,
    out: Annotated[Path, typer.Option("--out", help="The checkpoint to write, such as model.pt.")],
    arch: Annotated[str | None, typer.Option("--arch", help="bert or cnn; default: the base's.")] = None,
    base: Annotated[
        Path | None,
        typer.Option(
            "--base", help="Where to start: folder of a BERT, DistilBERT or ELECTRA, or any checkpoint to train on."
        ),
    ] = None,
    freeze: Annotated[
        int | None,
        typer.Option("--freeze", metavar="N", help="Keep a BERT's embeddings and first N layers as they are."),
    ] = None,
    unfreeze: Annotated[
        str | None, typer.Option("--unfreeze", help="gradual: from the top, a layer of the BERT an epoch.")
    ] = None,
    test: Annotated[
        float, typer.Option("--test", help="Share of the examples to measure the finished model on; 0 for none.")
    ] = 0.1,
    training: TrainingOptions = UNTOLD,
    clean: Clean = None,
    stop_words: StopWords = None,
    labels: Labels = None,
    data_options: DataOptions = UNSAID,
    json: Json = False,
) -> None:
    """Fine-tune a BERT, or train a small CNN, and save the best epoch as a checkpoint for convert.

    Eight tenths of the examples are learnt from, one chooses the best epoch, and one measures it at the end.

    \b
    Example:
      $ edgekit finetune reviews.csv --base bert-folder --out model.pt
      $ edgekit finetune reviews.csv --arch cnn --epochs 5 --curves cnn.svg --out cnn.pt
    """
    require("torch", extra="train", purpose="edgekit finetune")
    from edgekit_converters.training.finetune import FinetuneSettings, finetune

    settings = FinetuneSettings(
        arch=arch,
        base=base,
        freeze=freeze,
        unfreeze=unfreeze,
        test=test,
        clean=names(clean, "--clean") or (),
        stop_words=words_of(stop_words) or (),
        **training.settings,
    )
    with training_terminal() as terminal:
        result = finetune(
            data,
            out,
            settings,
            labels=names(labels, "--labels"),
            data_options=data_options,
            checkpoints=training.checkpoints,
            curves=training.curves,
            listener=terminal,
        )
        terminal.print(
            f"best epoch {result.best_epoch} of {len(result.curve)}: accuracy {percent(result.accuracy)} on "
            f"{result.held_out_examples} held-out texts"
        )
        if result.test is not None:
            terminal.print(
                f"on {result.test.examples} test texts: accuracy {percent(result.test.accuracy)}, "
                f"F1 {percent(result.test.f1)}"
            )
            terminal.table(
                ["true, in rows", *result.labels],
                [[name, *map(str, counts)] for name, counts in zip(result.labels, result.test.confusion, strict=True)],
            )
    print_trained(result, result.checkpoint, json=json)
