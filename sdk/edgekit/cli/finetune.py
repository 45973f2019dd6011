"""``edgekit finetune``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.options import UNSAID, Clean, DataPath, Json, Labels, StopWords, names, with_data_options, words_of
from edgekit.cli.terminal import Terminal, percent, print_json, print_result
from edgekit_converters.data import DataOptions
from edgekit_runtime.errors import require


@with_data_options
def command(
    data: DataPath,
    out: Annotated[Path, typer.Option("--out", help="The checkpoint to write, such as model.pt.")],
    arch: Annotated[str, typer.Option("--arch", help="bert or cnn.")] = "bert",
    base: Annotated[Path | None, typer.Option("--base", help="Hugging Face folder of a pretrained BERT.")] = None,
    epochs: Annotated[int, typer.Option("--epochs", help="Passes over the data.")] = 3,
    batch_size: Annotated[int, typer.Option("--batch-size", help="Texts a step.")] = 32,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help="Peak; default 5e-5 for a BERT, 4e-3 for a CNN.")
    ] = None,
    max_length: Annotated[int, typer.Option("--max-length", help="Longest text in tokens.")] = 128,
    limit: Annotated[int | None, typer.Option("--limit", help="Use this many examples at most.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the split, the order and the initial weights.")] = 42,
    clean: Clean = None,
    stop_words: StopWords = None,
    labels: Labels = None,
    data_options: DataOptions = UNSAID,
    json: Json = False,
) -> None:
    """Fine-tune a BERT, or train a small CNN, and save the best epoch as a checkpoint for convert.

    \b
    Example:
      $ edgekit finetune reviews.csv --base bert-folder --out model.pt
      $ edgekit finetune reviews.csv --arch cnn --epochs 5 --out cnn.pt
    """
    require("torch", extra="train", purpose="edgekit finetune")
    from edgekit_converters.training.finetune import FinetuneSettings, finetune

    settings = FinetuneSettings(
        arch=arch,
        base=base,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        max_length=max_length,
        limit=limit,
        seed=seed,
        clean=names(clean, "--clean") or (),
        stop_words=words_of(stop_words) or (),
    )
    with Terminal() as terminal:
        result = finetune(
            data,
            out,
            settings,
            labels=names(labels, "--labels"),
            data_options=data_options,
            listener=terminal,
        )
        terminal.print(
            f"best epoch {result.best_epoch} of {len(result.accuracy_by_epoch)}: accuracy {percent(result.accuracy)} on "
            f"{result.held_out_examples} held-out texts"
        )
    if json:
        print_json(result)
    else:
        print_result(result.checkpoint)
