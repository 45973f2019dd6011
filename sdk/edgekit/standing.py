"""How figures that are not quite sure stand to each other: their intervals, and which of several points no other beats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgekit_runtime.profiling.intervals import Interval

Z_95 = 1.959964
"""Within so many standard deviations of its mean lies 95 % of a normal distribution."""


@dataclass(frozen=True)
class Cost:
    """A figure of which less is better, with its 95 % interval; that of an exact figure has no width."""

    value: float
    interval: Interval


def wilson(right: int, count: int) -> Interval:
    """The 95 % interval of a share (Wilson 1927), which holds for few texts and for shares near 0 and 1, too.

    Args:
        right: How many of them; at most ``count``.
        count: Of how many; at least 1.
    """
    share, z = right / count, Z_95
    middle = share + z * z / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    scale = 1 + z * z / count
    low = 0.0 if right == 0 else (middle - half) / scale  # which rounding would miss by a little
    high = 1.0 if right == count else (middle + half) / scale
    return low, high


def front(points: Sequence[Sequence[Cost]]) -> tuple[bool, ...]:
    """Whether each point is on the Pareto front: no other beats it.

    One beats another where it is at least as good in every figure, and in one of them better by more than both intervals:
    of two that may differ by chance alone, neither is put aside.

    Args:
        points: Of each the same figures in the same order.
    """
    return tuple(not any(_beats(other, point) for other in points) for point in points)


def overlapping(intervals: Sequence[Interval]) -> list[tuple[int, ...]]:
    """The largest groups of intervals that have a value in common, as their indices; one that stands alone is in none.

    A common value of a group is the highest of its lower ends, so that these are all that need to be tried.
    """
    groups = {
        tuple(index for index, (low, high) in enumerate(intervals) if low <= value <= high) for value, _ in intervals
    }
    return sorted(group for group in groups if len(group) > 1 and not any(set(group) < set(other) for other in groups))


def _beats(one: Sequence[Cost], other: Sequence[Cost]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(mine.value <= theirs.value for mine, theirs in pairs) and any(
        mine.interval[1] < theirs.interval[0] for mine, theirs in pairs
    )
