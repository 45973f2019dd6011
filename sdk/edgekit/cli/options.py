"""Options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekit_runtime.errors import OptionError

BundlePath = Annotated[Path, typer.Argument(metavar="BUNDLE", help="The .edgekit file.", show_default=False)]
DataPath = Annotated[Path, typer.Argument(metavar="DATA", help="Labelled text, csv or tsv.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]
EngineName = Annotated[str | None, typer.Option("--engine", help="Engine to use; default: the first that works here.")]
Threads = Annotated[int | None, typer.Option("--threads", help="Most threads a text may use; default: up to 4.")]
TextColumn = Annotated[
    str | None, typer.Option("--text-column", help="Column with the text, by name or by number from 1.")
]
LabelColumn = Annotated[
    str | None, typer.Option("--label-column", help="Column with the label, by name or by number from 1.")
]
Labels = Annotated[
    str | None, typer.Option("--labels", metavar="A,B,…", help="Names of the classes, in the order of the head.")
]


def names(value: str | None, option: str) -> tuple[str, ...] | None:
    """Splits "a,b" at the commas; None stays None."""
    if value is None:
        return None
    parts = tuple(part.strip() for part in value.split(","))
    if not all(parts):
        raise OptionError(f"{option} {value!r} has an empty part; separate by single commas")
    return parts


def numbers(value: str | None, option: str) -> tuple[int, ...] | None:
    """Splits "16,32" into whole numbers; None stays None."""
    parts = names(value, option)
    if parts is None:
        return None
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise OptionError(f"{option} takes whole numbers separated by commas, such as 16,32,64,128, not {value!r}")
    return tuple(int(part) for part in parts)
