"""``edgekit prune``."""

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
@with_training_options(epochs=1)
def command(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Checkpoint file or Hugging Face folder.")],
    data: DataPath,
    out: Annotated[Path, typer.Option("--out", help="The pruned checkpoint to write, such as small.pt.")],
    ratio: Annotated[
        float, typer.Option("--ratio", metavar="R", help="Share of heads and neurons, or of filters, that goes.")
    ] = 0.5,
    importance: Annotated[
        str, typer.Option("--importance", help="What decides which: taylor or magnitude.")
    ] = "taylor",
    scope: Annotated[
        str, typer.Option("--scope", help="layer: each loses the same share; model: the layers compete.")
    ] = "layer",
    steps: Annotated[int, typer.Option("--steps", help="Cuts, each with --epochs of recovery.")] = 1,
    sample: Annotated[int, typer.Option("--sample", help="Texts on which taylor measures, at most.")] = 2048,
    recover: Annotated[
        bool, typer.Option("--recover/--no-recover", help="Let what is left learn from the unpruned model.")
    ] = True,
    unlabelled: Annotated[
        list[Path] | None,
        typer.Option("--unlabelled", metavar="FILE", help="More texts for the recovery; repeatable."),
    ] = None,
    loss: Annotated[str, typer.Option("--loss", help="Distance from the unpruned answers: mse or kl.")] = "mse",
    temperature: Annotated[float, typer.Option("--temperature", help="Of kl.")] = 2.0,
    hidden: Annotated[
        float, typer.Option("--hidden", metavar="W", help="Weight of hidden states and attention; for BERTs.")
    ] = 0.0,
    copies: Annotated[int, typer.Option("--copies", help="Texts made from each text for the recovery.")] = 0,
    cache: Annotated[
        Path | None,
        typer.Option("--cache", metavar="DIR", help="Keep the unpruned model's answers there; a later run takes them."),
    ] = None,
    training: TrainingOptions = UNTOLD,
    read: Mapping[str, Any] = UNREAD,
    data_options: DataOptions = UNSAID,
    json: Json = False,
) -> None:
    """Take the least important part of a model away, and save what is left as a checkpoint for convert.

    Attention heads and feed-forward neurons of a BERT go, filters of a CNN. What is left learns from the unpruned model.

    \b
    Example:
      $ edgekit prune model.pt train.tsv --ratio 0.5 --out small.pt
      $ edgekit prune model.pt train.tsv --ratio 0.6 --steps 2 --epochs 2 --cache answers --out small.pt
      $ edgekit prune cnn.pt train.tsv --ratio 0.25 --importance magnitude --no-recover --out small.pt
    """
    require("torch", extra="train", purpose="edgekit prune")
    from edgekit_converters.checkpoint import ReadOptions
    from edgekit_converters.pruning.prune import PruneSettings
    from edgekit_converters.pruning.prune_files import prune_files

    settings = PruneSettings(
        ratio=ratio,
        importance=importance,
        scope=scope,
        sample=sample,
        steps=steps,
        recover=recover,
        loss=loss,
        temperature=temperature,
        hidden=hidden,
        copies=copies,
        **training.settings,
    )
    with training_terminal() as terminal:
        made = prune_files(
            model,
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
            f"{made.parameters:,} of {made.parameters_before:,} parameters are left: accuracy {percent(made.accuracy)}, after "
            f"the cut {percent(made.accuracy_cut)}, before {percent(made.accuracy_before)} on {made.held_out_examples} "
            "held-out texts"
        )
    print_trained(made, made.checkpoint, json=json)
