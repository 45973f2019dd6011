"""The options of every command that trains."""

from __future__ import annotations

import contextlib
import copy
import functools
import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from edgekit.cli.options import with_options
from edgekit.cli.terminal import Terminal, print_json, print_result

TRAINING_OPTIONS: dict[str, tuple[Any, Any]] = {
    "epochs": (Annotated[int, typer.Option("--epochs", help="Passes over the data, at most.")], 3),
    "batch_size": (Annotated[int, typer.Option("--batch-size", help="Texts a step, in each process.")], 32),
    "learning_rate": (
        Annotated[
            float | None,
            typer.Option("--learning-rate", help="Peak; default with adamw: 5e-5 for a BERT, 4e-3 for a CNN."),
        ],
        None,
    ),
    "schedule": (
        Annotated[
            str, typer.Option("--schedule", help="After the warm-up: linear, cosine, step, plateau or constant.")
        ],
        "linear",
    ),
    "warmup": (
        Annotated[float, typer.Option("--warmup", help="Share of the steps in which the learning rate rises.")],
        0.1,
    ),
    "optimizer": (
        Annotated[str, typer.Option("--optimizer", help="adamw, sgd, rmsprop, adagrad or adadelta.")],
        "adamw",
    ),
    "momentum": (Annotated[float, typer.Option("--momentum", help="Of sgd and rmsprop.")], 0.9),
    "weight_decay": (Annotated[float, typer.Option("--weight-decay", help="Pulls weights towards 0.")], 0.01),
    "l1": (Annotated[float, typer.Option("--l1", help="The same, by the sum of absolute weights.")], 0.0),
    "dropout": (
        Annotated[float | None, typer.Option("--dropout", help="Default: 0.1 for a BERT, 0.5 for a CNN.")],
        None,
    ),
    "label_smoothing": (
        Annotated[float, typer.Option("--label-smoothing", help="Share of the truth spread over all classes.")],
        0.0,
    ),
    "clip": (Annotated[float, typer.Option("--clip", help="Longest norm of a gradient; 0 does not clip.")], 1.0),
    "accumulate": (Annotated[int, typer.Option("--accumulate", help="Batches that make one step.")], 1),
    "patience": (
        Annotated[int | None, typer.Option("--patience", help="Stop after this many epochs without a better one.")],
        None,
    ),
    "bf16": (
        Annotated[
            bool | None, typer.Option("--bf16/--no-bf16", help="Compute in bfloat16; default: where that is faster.")
        ],
        None,
    ),
    "seed": (
        Annotated[int, typer.Option("--seed", help="Of the split, the order and the initial weights.")],
        42,
    ),
    "max_length": (
        Annotated[
            int | None, typer.Option("--max-length", help="Longest text in tokens; default 128, or the model's.")
        ],
        None,
    ),
    "limit": (Annotated[int | None, typer.Option("--limit", help="Use this many examples at most.")], None),
    "checkpoints": (
        Annotated[
            Path | None,
            typer.Option(
                "--checkpoints", metavar="DIR", help="Keep the last epoch there; the same command goes on from it."
            ),
        ],
        None,
    ),
    "curves": (
        Annotated[
            Path | None, typer.Option("--curves", metavar="FILE", help="Draw the learning curves: .svg, .png or .pdf.")
        ],
        None,
    ),
}
"""Annotation and default of each; all but checkpoints and curves are fields of TrainSettings."""


@dataclass(frozen=True)
class TrainingOptions:
    """What the user says of the training.

    Attributes:
        settings: Keyword arguments of a TrainSettings.
        checkpoints: Where checkpoints are kept; None keeps none.
        curves: Where the picture goes; None draws none.
    """

    settings: dict[str, Any]
    checkpoints: Path | None = None
    curves: Path | None = None


UNTOLD = TrainingOptions({})
"""What a command's parameter has as its default; the command line always fills it in."""


def with_training_options(**defaults: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command the options that make up TrainingOptions in place of its parameter ``training``.

    Args:
        defaults: Defaults that differ for this command, such as ``batch_size=256``; None lets the command choose.
    """
    assert defaults.keys() <= TRAINING_OPTIONS.keys(), "a default of an option that there is not"
    return functools.partial(_with_training_options, defaults)


def _with_training_options(defaults: Mapping[str, Any], command: Callable[..., None]) -> Callable[..., None]:
    options = {}
    for name, (annotation, custom) in TRAINING_OPTIONS.items():
        default = defaults.get(name, custom)
        options[name] = (_chosen(annotation) if default is None is not custom else annotation, default)
    return with_options(command, "training", options, _training)


def _training(*, checkpoints: Path | None, curves: Path | None, **settings: Any) -> TrainingOptions:
    return TrainingOptions(settings, checkpoints, curves)


def _chosen(annotation: Any) -> Any:
    """The option, with a help that says that the command chooses where nothing is said."""
    option = copy.copy(annotation.__metadata__[0])
    option.help = (
        re.split(r"[;.:]", option.help)[0].replace("Default", "Share dropped in training") + "; default: as it suits."
    )
    return Annotated[annotation.__origin__, option]


@contextlib.contextmanager
def training_terminal() -> Iterator[Terminal]:
    """The terminal of a command that trains: silent in all processes but the first.

    Meanwhile a request to end, such as torchrun sends to all when one process has died, ends in order, so that nothing
    half-written stays behind.
    """
    from edgekit_converters.training.processes import is_main

    before = signal.signal(signal.SIGTERM, _end)
    try:
        with Terminal() as terminal:
            terminal.console.quiet = not is_main()
            yield terminal
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(number: int, frame: object) -> None:
    sys.exit(128 + number)


def print_trained(result: Any, checkpoint: str, *, json: bool) -> None:
    """Prints what training made on stdout, by the first process alone: its JSON, or the path of the checkpoint."""
    from edgekit_converters.training.processes import is_main

    if not is_main():
        return
    if json:
        print_json(result)
    else:
        print_result(checkpoint)
