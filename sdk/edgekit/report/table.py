"""What a report shows as figures and tables, whether on a page or in Markdown."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    """One headline figure.

    Attributes:
        name: What it is.
        value: The figure with its digits.
        unit: Its unit.
        detail: Its interval, or what else belongs to it.
    """

    name: str
    value: str
    unit: str
    detail: str = ""


@dataclass(frozen=True)
class Bar:
    """A bar beside a row: where it starts and how long it is, as shares of the width; ``whole`` rows are totals."""

    start: float
    length: float
    whole: bool = False


@dataclass(frozen=True)
class Table:
    """Rows under named columns; the first column names the row.

    Attributes:
        title: What it tells.
        columns: Names, with units.
        rows: The cells.
        bars: One a row, or none at all.
        note: How to read it.
        left: How many columns hold words, which stand to the left; the others hold figures.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    bars: tuple[Bar, ...] = ()
    note: str = ""
    left: int = 1


def bars(values: tuple[float, ...]) -> tuple[Bar, ...]:
    """Bars from the left edge, the longest over the whole width."""
    most = max(values, default=0.0) or 1.0
    return tuple(Bar(0.0, max(value, 0.0) / most) for value in values)


def one_after_another(parts: tuple[float, ...], total: float | None = None) -> tuple[Bar, ...]:
    """Bars of parts that follow each other, and one of the whole below where ``total`` is given."""
    ends = [sum(max(part, 0.0) for part in parts[: count + 1]) for count in range(len(parts))]
    most = max(*ends, total or 0.0) or 1.0
    found = tuple(
        Bar((end - max(part, 0.0)) / most, max(part, 0.0) / most) for part, end in zip(parts, ends, strict=True)
    )
    return found if total is None else (*found, Bar(0.0, total / most, whole=True))
