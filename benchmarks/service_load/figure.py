"""A figure and the bound that it must keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness import markdown_table


@dataclass(frozen=True)
class Figure:
    """One row of a table.

    Attributes:
        name: What was measured.
        value: What came out.
        bound: What it must be; empty where it is only told.
        held: Whether it is so.
    """

    name: str
    value: str
    bound: str = ""
    held: bool = True


def table(figures: Sequence[Figure]) -> str:
    """The figures as Markdown; a bound that was missed says so."""
    rows = [[figure.name, figure.value, figure.bound + ("" if figure.held else " (missed)")] for figure in figures]
    return markdown_table(["", "measured", "must be"], rows)


def kinds(counts: dict[str, int]) -> str:
    """Counts by kind, or "none"."""
    return ", ".join(f"{count:,} × {kind}" for kind, count in counts.items()) or "none"
