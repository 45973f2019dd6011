"""How sure a figure is: bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
SEED = 0

Interval = tuple[float, float]
"""Both ends of a 95 % interval."""


def bootstrap(
    groups: Sequence[NDArray[np.float64]],
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    resamples: int = RESAMPLES,
) -> list[Interval] | None:
    """Percentile-bootstrap intervals (Efron 1979) of statistics over what was measured in rounds.

    Whole rounds are drawn, not single values: a slow moment of the machine slows many calls in a row, and intervals that
    took them for independent would be far too narrow.

    Args:
        groups: The values of each round; where there are no rounds, arrays of one value.
        statistic: Maps (n,) values to (statistics,).
        resamples: Number of draws. The same values always give the same intervals.

    Returns:
        An interval a statistic; None where there are fewer than two rounds, of which nothing can be said.
    """
    if len(groups) < 2:
        return None
    draws = np.random.default_rng(SEED).integers(len(groups), size=(resamples, len(groups)))
    found = np.array([statistic(np.concatenate([groups[index] for index in drawn])) for drawn in draws])
    low, high = np.percentile(found, [2.5, 97.5], axis=0)
    return list(zip(low.tolist(), high.tolist(), strict=True))
