"""The pages that ``profile`` and ``compare`` write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from edgekit.report import check_packages
from edgekit_runtime.bundle import replacing, writable_file
from edgekit_runtime.errors import OptionError

Html = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write a page with pictures, all in one file.")
]
Markdown = Annotated[Path | None, typer.Option("--markdown", metavar="FILE", help="Write the same as Markdown tables.")]

Measured = TypeVar("Measured")


class Reports:
    """Where the reports go. Asked before long work whether they can be written there.

    Args:
        html: File for the page; None for none.
        markdown: File for the tables; None for none.
        inputs: What is read, and so must not be replaced.

    Raises:
        MissingExtraError: The packages that draw pages are not installed.
        FileError, OptionError: A file cannot be written, or is an input.
    """

    def __init__(self, html: Path | None, markdown: Path | None, *inputs: str | Path | None) -> None:
        if html is not None:
            check_packages("--html")
        if html is not None and markdown is not None and html.resolve() == markdown.resolve():
            raise OptionError(f"--html and --markdown would both be written to {html}: give two files")
        self._html = None if html is None else writable_file(html, *inputs, option="--html")
        self._markdown = None if markdown is None else writable_file(markdown, *inputs, option="--markdown")

    def write(
        self, measured: Measured, to_html: Callable[[Measured], str], to_markdown: Callable[[Measured], str]
    ) -> None:
        """Writes what was asked for."""
        for path, render in ((self._html, to_html), (self._markdown, to_markdown)):
            if path is not None:
                text = render(measured)
                with replacing(path) as file:
                    file.write(text.encode())
