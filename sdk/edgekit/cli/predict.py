"""``edgekit predict``."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from edgekit.cli.options import BundlePath, EngineName, Json, Threads
from edgekit.cli.terminal import native_output_hidden, print_json, print_result
from edgekit_runtime import load
from edgekit_runtime.text import well_formed


def command(
    bundle: BundlePath,
    texts: Annotated[list[str], typer.Argument(metavar="TEXT…", help="Texts, or - for the lines of stdin.")],
    engine: EngineName = None,
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Classify texts.

    \b
    Example:
      $ edgekit predict model.edgekit "what a film" "never again"
      $ edgekit predict model.edgekit --json -
    """
    with native_output_hidden():
        classify = load(bundle, engine=engine, threads=threads)
    with classify:
        for text in _lines() if texts == ["-"] else map(well_formed, texts):
            prediction = classify(text)
            if json:
                print_json({"text": text, **asdict(prediction)}, one_line=True)
            else:
                print_result(f"{prediction.label}\t{prediction.score:.4f}\t{text}")


def _lines() -> Iterator[str]:
    """The lines of stdin as they come, UTF-8; bytes that are none become U+FFFD."""
    stream = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", errors="replace", newline="\n")
    for line in stream:
        yield line.rstrip("\r\n")
