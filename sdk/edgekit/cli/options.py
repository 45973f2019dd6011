"""Options of models, data and measuring that several commands take."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

import typer

from edgekit_converters.data import DataOptions
from edgekit_converters.stop_words import read_stop_words
from edgekit_runtime.errors import OptionError
from edgekit_runtime.profiling.energy.settings import EnergySettings

DataPath = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="Labelled text: csv, tsv, jsonl, parquet, a dataset's folder, hf:OWNER/NAME, or - for stdin.",
        show_default=False,
    ),
]
Labels = Annotated[
    str | None, typer.Option("--labels", metavar="A,B,…", help="Names of the classes, in the order of the head.")
]
Clean = Annotated[
    str | None,
    typer.Option(
        "--clean",
        metavar="A,B,…",
        help="Steps before the tokenizer, in order: html, urls, handles, full-width, simplified, stop-words.",
    ),
]
StopWords = Annotated[
    Path | None,
    typer.Option("--stop-words", metavar="FILE", help="One word a line, for the step stop-words of --clean."),
]
UNSAID = DataOptions()
"""What a command gets whose user says nothing of the data."""

BEST_SENSOR = EnergySettings()
"""What a command gets whose user says nothing of energy."""

DATA_OPTIONS: dict[str, Any] = {
    "text_column": Annotated[
        str | None, typer.Option("--text-column", help="Column with the text, by name or by number from 1.")
    ],
    "label_column": Annotated[
        str | None, typer.Option("--label-column", help="Column with the label, by name or by number from 1.")
    ],
    "label_map": Annotated[
        str | None,
        typer.Option(
            "--label-map",
            metavar="MAP",
            help="What the labels mean: stars, or such as 1-2=negative,4-5=positive,3= (no class leaves out).",
        ),
    ],
    "encoding": Annotated[
        str | None, typer.Option("--encoding", help="Of a text file, such as gb18030; default: UTF-8 or by its mark.")
    ],
    "split": Annotated[str | None, typer.Option("--split", help="Which split of a dataset.")],
    "header": Annotated[
        bool | None,
        typer.Option("--header/--no-header", help="Whether the first line of a csv names the columns; default: look."),
    ],
    "skip_bad": Annotated[bool, typer.Option("--skip-bad", help="Leave out rows that cannot be used, and count them.")],
}
"""The option for each field of DataOptions."""


UNREAD: Mapping[str, Any] = MappingProxyType({})
"""What a command gets whose user says nothing of the checkpoint."""

READ_OPTIONS: dict[str, tuple[Any, Any]] = {
    "tokenizer": (
        Annotated[
            Path | None,
            typer.Option(
                "--tokenizer",
                help="vocab.txt, tokenizer.json, a word list or a folder; default: beside the checkpoint.",
            ),
        ],
        None,
    ),
    "labels": (Labels, None),
    "heads": (
        Annotated[int | None, typer.Option("--heads", help="Attention heads, where no config.json says so.")],
        None,
    ),
    "pad_to": (
        Annotated[int | None, typer.Option("--pad-to", help="Length to which a CNN's training padded short texts.")],
        None,
    ),
    "clean": (Clean, None),
    "stop_words": (StopWords, None),
    "trust_checkpoint": (
        Annotated[
            bool,
            typer.Option(
                "--trust-checkpoint", help="Let the checkpoint run code of its own while it is read, with your rights."
            ),
        ],
        False,
    ),
}
"""Annotation and default of each option that makes up a ReadOptions."""


ENERGY_OPTIONS: dict[str, tuple[Any, Any]] = {
    "sensor": (
        Annotated[
            str | None,
            typer.Option(
                "--sensor", help="Energy sensor, such as rapl or hwmon:ina3221:VDD_SOC; default: the best one."
            ),
        ],
        None,
    ),
    "watts": (
        Annotated[
            float | None,
            typer.Option("--watts", metavar="W", help="Model the energy: processor time times W watts a busy core."),
        ],
        None,
    ),
    "window_s": (
        Annotated[
            float | None,
            typer.Option("--window", metavar="S", help="Seconds of an energy window; default: what suits the sensor."),
        ],
        None,
    ),
}
"""Annotation and default of each option that makes up an EnergySettings."""


def with_options(
    command: Callable[..., None], parameter: str, options: Mapping[str, tuple[Any, Any]], build: Callable[..., Any]
) -> Callable[..., None]:
    """Gives a command some options in place of one parameter.

    Args:
        command: The command.
        parameter: Name of the parameter, in whose place among the others the options stand.
        options: Name to annotation and default of each.
        build: Makes the parameter's value; its keyword arguments are the options.
    """
    signature = inspect.signature(command, eval_str=True)
    replaced = signature.parameters[parameter]
    parameters: list[inspect.Parameter] = []
    for each in signature.parameters.values():
        if each is not replaced:
            parameters.append(each)
            continue
        parameters += (
            each.replace(name=name, default=default, annotation=annotation)
            for name, (annotation, default) in options.items()
        )

    @functools.wraps(command)
    def run(**arguments: Any) -> None:
        said = {name: arguments.pop(name) for name in options}
        command(**arguments, **{parameter: build(**said)})

    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return run


def with_data_options(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options that make up DataOptions in place of its parameter ``data_options``."""
    options = {each.name: (DATA_OPTIONS[each.name], each.default) for each in dataclasses.fields(DataOptions)}
    return with_options(command, "data_options", options, DataOptions)


def with_energy_options(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options that make up an EnergySettings in place of its parameter ``energy``."""
    return with_options(command, "energy", ENERGY_OPTIONS, EnergySettings)


def with_read_options(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options that make up a ReadOptions in place of its parameter ``read``.

    The command gets those fields of ReadOptions that were said, by name: the class itself needs torch.
    """
    return with_options(command, "read", READ_OPTIONS, _read)


def _read(
    *, labels: str | None, clean: str | None, stop_words: Path | None, trust_checkpoint: bool, **said: Any
) -> dict[str, Any]:
    said |= {
        "labels": names(labels, "--labels"),
        "clean": names(clean, "--clean"),
        "stop_words": words_of(stop_words),
        "trust": trust_checkpoint or None,
    }
    return {name: value for name, value in said.items() if value is not None}


def names(value: str | None, option: str) -> tuple[str, ...] | None:
    """Splits "a,b" at the commas; None stays None."""
    if value is None:
        return None
    parts = tuple(part.strip() for part in value.split(","))
    if not all(parts):
        raise OptionError(f"{option} {value!r} has an empty part; separate by single commas")
    return parts


def lengths(value: str | None, option: str) -> tuple[int, ...] | Literal["auto"] | None:
    """Splits "16,32" into whole numbers; auto and None stay what they are."""
    parts = names(value, option)
    if parts is None:
        return None
    if parts == ("auto",):
        return "auto"
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise OptionError(
            f"{option} takes auto, or whole numbers separated by commas, such as 16,32,64,128, not {value!r}"
        )
    return tuple(int(part) for part in parts)


def words_of(stop_words: Path | None) -> tuple[str, ...] | None:
    """The words in the file of --stop-words; None stays None."""
    return None if stop_words is None else read_stop_words(stop_words)
