"""Histogram: how often a value lay in which range, in memory that does not grow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_PREFERRED = (1, 1.25, 1.6, 2, 2.5, 3.2, 4, 5, 6.3, 8)  # the series R10 of preferred numbers, ISO 3

LATENCY_MS = (*(round(number * 10.0**power, 6) for power in range(-2, 4) for number in _PREFERRED), 10_000.0)
"""From 10 µs to 10 s in steps of a quarter, so that a percentile is off by 28 % at most."""

CONFIDENCE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 1.0)
"""Narrow near 1, where most scores of a trained model are."""

TOKENS = (4.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0, 96.0, 128.0, 192.0, 256.0, 384.0, 512.0)

UNKNOWN = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Of a text's pieces, the share that is unknown; the first range is that of texts without any."""


@dataclass(frozen=True)
class Bucket:
    """One line of a cumulative histogram, as Prometheus has it.

    Attributes:
        le: The values up to this one, itself included, are counted; null counts all.
        count: How many there were.
    """

    le: float | None
    count: int


class Histogram:
    """Counts values by range. Not for several threads at once.

    Attributes:
        edges: Where the ranges end, ascending, each with its own end; the last range, behind them, has none.
        counts: How many values each range had, one more than edges.
        sum: The sum of all values.
    """

    def __init__(self, edges: Sequence[float]) -> None:
        self.edges = tuple(edges)
        self.counts = np.zeros(len(self.edges) + 1, dtype=np.int64)
        self.sum = 0.0
        self._ends = np.asarray(self.edges)

    def add(self, values: npt.NDArray[np.float64]) -> None:
        """Counts values, none of them NaN."""
        self.counts += np.bincount(self._ends.searchsorted(values), minlength=len(self.counts))
        self.sum += float(values.sum())

    @property
    def count(self) -> int:
        """How many values there were."""
        return int(self.counts.sum())

    @property
    def mean(self) -> float | None:
        """Of all values; None where there were none."""
        count = self.count
        return self.sum / count if count else None

    def buckets(self) -> tuple[Bucket, ...]:
        """The counts, cumulated."""
        return tuple(map(Bucket, (*self.edges, None), self.counts.cumsum().tolist()))

    def quantile(self, share: float) -> float | None:
        """The value under which a share of all lies, as near as the ranges tell; None where there were none.

        Values are taken to lie evenly within a range, the first of which begins at 0, as Prometheus' ``histogram_quantile``
        does; of the range without end it is where that begins.
        """
        total = self.count
        if not total:
            return None
        below = np.concatenate(([0], self.counts.cumsum()))
        wanted = share * total
        index = int(below[1:].searchsorted(wanted))
        if index >= len(self.edges):
            return self.edges[-1]
        begin = self.edges[index - 1] if index else 0.0
        inside = (wanted - below[index]) / (below[index + 1] - below[index])
        return begin + float(inside) * (self.edges[index] - begin)


def count_in(edges: Sequence[float], values: npt.NDArray[np.float64]) -> tuple[int, ...]:
    """How many values lie in each range; one more than edges."""
    found: list[int] = np.bincount(np.asarray(edges).searchsorted(values), minlength=len(edges) + 1).tolist()
    return tuple(found)
