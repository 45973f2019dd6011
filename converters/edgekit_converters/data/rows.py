"""What every form of file is taken apart into: rows, good and bad."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

Say = Callable[[str], None]
"""Told of what was recognised, so that nothing is done silently."""

HEAD_ROWS = 1000
"""So many rows are looked at before it is decided what the columns and the labels are."""


@dataclass(frozen=True)
class Row:
    """One example: its text, its label as written or "" where only texts are read, and the line on which it ends."""

    text: str
    label: str
    line: int


@dataclass(frozen=True)
class BadRow:
    """One that cannot be used, and why."""

    line: int
    reason: str


@dataclass(frozen=True)
class Table:
    """An open file of whatever form.

    Attributes:
        rows: Its rows, each read when it is asked for.
        unit: What ``line`` counts: ``line``, or ``row`` where the form has no lines.
        progress: How much of how much has been read, in bytes or rows; None where the whole is not known.
    """

    rows: Iterator[Row | BadRow]
    unit: str
    progress: Callable[[], tuple[int, int] | None]


def make_row(text: object, label: object, line: int, *, labelled: bool = True) -> Row | BadRow:
    """A row of what stands in the two columns, a string each or what JSON and Arrow have instead.

    Args:
        text: The cell with the text.
        label: The cell with the label.
        line: Where they stand.
        labelled: Whether labels are read; if not, the cell with the label may hold anything.
    """
    if text is None:
        return BadRow(line, "it has no text")
    if not isinstance(text, str):
        return BadRow(line, f"its text is {str(text)[:40]!r}, which is no string")
    if not labelled:
        return BadRow(line, "it holds a NUL byte") if "\0" in text else Row(text, "", line)
    if isinstance(label, bool):
        label = str(label).lower()
    written = "" if label is None or label != label else str(label).strip()  # NaN is how pandas leaves a label out
    if not written:
        return BadRow(line, "it has no label")
    if isinstance(label, list | dict):
        return BadRow(line, f"its label is {written[:40]!r}, which is neither string nor number")
    if "\0" in text or "\0" in written:
        return BadRow(line, "it holds a NUL byte")
    return Row(text, written, line)
