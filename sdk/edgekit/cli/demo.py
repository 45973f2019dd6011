"""``edgekit demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.bundle_options import Json
from edgekit.cli.terminal import Terminal, print_json, print_result
from edgekit_runtime.errors import require


def command(
    out: Annotated[Path, typer.Option("--out", help="Folder for the models that the tour makes.")] = Path("demo-out"),
    quick: Annotated[bool, typer.Option("--quick", help="A small CNN instead of a BERT; under a minute.")] = False,
    students: Annotated[
        bool, typer.Option("--students", help="Go on to smaller models: distilled, pruned, in a cascade; minutes more.")
    ] = False,
    json: Json = False,
) -> None:
    """Take the tour: fine-tune a model on film reviews, convert it, classify, compare, profile.

    Nothing is downloaded: the pretrained model and the reviews come with the packages of the demo extra.

    \b
    Example:
      $ edgekit demo --quick
      $ edgekit demo --students
    """
    require("torch", extra="demo", purpose="edgekit demo")
    from edgekit.demo import run_demo

    with Terminal() as terminal:
        result = run_demo(out, quick=quick, students=students, listener=terminal)
        terminal.print()
    if json:
        print_json(result)
        return
    for prediction in result.predictions:
        print_result(f"{prediction.label:>8}  {prediction.score:.2f}  {prediction.text}")
    with Terminal() as terminal:
        terminal.print()
        terminal.table(result.COLUMNS, result.rows())
        terminal.print()
        terminal.print(f"what it costs here, as a page: {result.profile}")
    print_result(result.bundle)
