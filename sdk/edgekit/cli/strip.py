"""``edgekit strip``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.bundle_options import BundlePath, Json
from edgekit.cli.terminal import Terminal, megabytes, print_json, print_result
from edgekit_converters.stripping import strip_bundle


def command(
    bundle: BundlePath,
    out: Annotated[Path | None, typer.Option("--out", help="The stripped bundle; default: in BUNDLE's place.")] = None,
    keep_texts: Annotated[bool, typer.Option("--keep-texts", help="Keep the words of the golden texts.")] = False,
    keep_history: Annotated[
        bool, typer.Option("--keep-history", help="Keep the settings and the names of files that made it.")
    ] = False,
    json: Json = False,
) -> None:
    """Take out of a bundle what tells of its making: the words of its golden texts, and its history. Runs no model.

    \b
    Example:
      $ edgekit strip model.edgekit
      $ edgekit strip model.edgekit --out public.edgekit --keep-texts
    """
    made = strip_bundle(bundle, out, texts=not keep_texts, history=not keep_history)
    with Terminal() as terminal:
        terminal.print(
            f"{made.texts} golden texts and {made.steps} steps of history taken out, {megabytes(made.bytes)}"
        )
        if made.signature_dropped:
            terminal.say("the bundle was signed, and its signatures went: sign it anew with edgekit sign")
    if json:
        print_json(made)
    else:
        print_result(made.bundle)
