"""Numbers as people read them: three digits, thousands apart, the unit beside."""

from __future__ import annotations

import math
from collections.abc import Mapping

from edgekit_runtime.profiling.intervals import Interval

NONE = "–"
"""Stands where there is no figure."""


def significant(value: float | None, digits: int = 3) -> str:
    """With this many significant digits, but no more than thousandths, and every digit before the point.

    0.078, 2.11, 128, 1,234; of what is under a thousandth one digit.
    """
    if value is None:
        return NONE
    if not value or not math.isfinite(value):
        return f"{value:.0f}"
    magnitude = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    decimals = -magnitude if magnitude < -3 else min(3, digits - 1 - magnitude)
    return f"{value:,.{max(0, decimals)}f}"


def span(interval: Interval | None) -> str:
    """Both ends of an interval, ``2.05 – 2.18``; empty where there is none."""
    return "" if interval is None else f"{significant(interval[0])} – {significant(interval[1])}"


def with_span(value: float, intervals: Mapping[str, Interval], name: str) -> str:
    """A figure and, in brackets, its interval, where it has one: ``2.11 (2.05 – 2.18)``."""
    interval = intervals.get(name)
    return significant(value) if interval is None else f"{significant(value)} ({span(interval)})"


def megabytes(size: float) -> str:
    """A file's size: MB is a million bytes."""
    return f"{significant(size / 1e6)} MB"


def percent(share: float, decimals: int = 1) -> str:
    """A share of one, ``12.5 %``."""
    return f"{100 * share:.{decimals}f} %"


def count(number: int, one: str, several: str) -> str:
    """A number of things, ``1 round`` or ``10 rounds``."""
    return f"{number:,} {one if number == 1 else several}"
