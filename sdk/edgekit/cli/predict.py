"""``edgekit predict``."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from edgekit.cli.bundle_options import BundlePath, EngineName, Json, KeyFile, Threads, TrustedKeys, use_key_file
from edgekit.cli.terminal import open_classifier, print_json, print_result, print_styled
from edgekit_runtime import WordWeight
from edgekit_runtime.text import well_formed

if TYPE_CHECKING:
    from rich.text import Text

COLOURED, BOLD = 0.01, 0.1
"""Weights from which on a word is coloured, and its number stands out."""


def command(
    bundle: BundlePath,
    texts: Annotated[list[str], typer.Argument(metavar="TEXT…", help="Texts, or - for the lines of stdin.")],
    explain: Annotated[
        bool, typer.Option("--explain", help="Show each word's weight: what its absence costs the label.")
    ] = False,
    engine: EngineName = None,
    threads: Threads = None,
    trusted_key: TrustedKeys = None,
    key_file: KeyFile = None,
    json: Json = False,
) -> None:
    """Classify texts. Where the bundle has several models, the answer also says which of them gave it.

    \b
    Example:
      $ edgekit predict model.edgekit "what a film" "never again"
      $ edgekit predict model.edgekit --explain "not a bad film"
      $ edgekit predict model.edgekit --json -
      $ edgekit predict model.edgekit --trusted-key release.pub --key-file seal.key "what a film"
    """
    use_key_file(key_file)
    with open_classifier(bundle, engine=engine, threads=threads, trusted_keys=trusted_key) as classify:
        alone = len(classify.members) == 1
        for text in _lines() if texts == ["-"] else map(well_formed, texts):
            explanation = classify.explain(text) if explain else None
            prediction = explanation.prediction if explanation else classify(text)
            if json:
                answer = asdict(prediction)
                if alone:  # then there is nothing to say of who answered
                    del answer["model"]
                words = {"words": explanation.words} if explanation else {}
                print_json({"text": text, **answer, **words}, one_line=True)
                continue
            who = "" if alone else f"{prediction.model}\t"
            print_result(f"{prediction.label}\t{prediction.score:.4f}\t{who}{text}")
            if explanation and explanation.words:
                print_styled(_weights(explanation.words))


def _weights(words: tuple[WordWeight, ...]) -> Text:
    """The words with their signed weights; in colour, green speaks for the label and red against it."""
    from rich.text import Text

    line = Text()
    for word in words:
        style = "green" if word.weight > 0 else "red"
        line.append("  " if line else "    ")
        line.append(word.text, style=style if abs(word.weight) >= COLOURED else "")
        line.append(f" {word.weight:+.4f}", style="bold" if abs(word.weight) >= BOLD else "dim")
    return line


def _lines() -> Iterator[str]:
    """The lines of stdin as they come, UTF-8; bytes that are none become U+FFFD."""
    stream = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", errors="replace", newline="\n")
    for line in stream:
        yield line.rstrip("\r\n")
