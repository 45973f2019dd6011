"""The Pareto front, the budget, and what is best by them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from edgekit_converters.budget import LATENCIES, Budget, shown
from edgekit_converters.tuning.results import COMPLETE, PRUNED, Measured, TrialResult


def figures_of(
    *, size: int | None = None, drop: float | None = None, measured: Measured | None = None
) -> dict[str, float]:
    """Key of a budget to what was measured of it."""
    found: dict[str, float | None] = {"bytes": size, "drop": drop}
    if measured is not None:
        found |= {"p50": measured.p50_ms, "p95": measured.p95_ms, "p99": measured.p99_ms, "rss": measured.rss_mib}
    return {key: value for key, value in found.items() if value is not None}


def exceeded(budget: Budget, figures: Mapping[str, float], room: Mapping[str, float] | None = None) -> dict[str, str]:
    """Keys whose limits are exceeded to a sentence on each.

    Args:
        budget: The limits.
        figures: As :func:`figures_of` gives them; a limit on what was not measured is not exceeded.
        room: Key to the share by which its bound may be exceeded yet.
    """
    over = {}
    for limit in budget.limits:
        value = figures.get(limit.key, -math.inf)
        if value > limit.bound * (1 + (room or {}).get(limit.key, 0.0)) and not math.isclose(value, limit.bound):
            over[limit.key] = f"{limit.key} {shown(limit.key, value)} is over {shown(limit.key, limit.bound)}"
    return over


def front_of(trials: Sequence[TrialResult]) -> tuple[int, ...]:
    """Numbers of the complete trials that no other beats: none is at least as good in all and better in one.

    What counts is accuracy, more of it, and p95 and bytes, less of them. Of equals in all three the first counts.
    """
    complete = [trial for trial in trials if trial.state == COMPLETE]
    points = [_point(trial) for trial in complete]
    return tuple(
        trial.number
        for index, trial in enumerate(complete)
        if not any(
            all(theirs <= mine for theirs, mine in zip(other, points[index], strict=True))
            and (other != points[index] or place < index)
            for place, other in enumerate(points)
            if place != index
        )
    )


def best_of(trials: Sequence[TrialResult]) -> int | None:
    """Number of the most accurate trial within the budget, of equals the faster, then the smaller."""
    within = [trial for trial in trials if trial.within]
    return min(within, key=_point).number if within else None


def nearest_of(trials: Sequence[TrialResult], budget: Budget, original: float) -> int | None:
    """Number of the trial that exceeds its limits least, counted by the limit that it exceeds most."""
    measured = {}
    for trial in trials:
        if trial.state in (COMPLETE, PRUNED) and trial.bytes is not None:
            most = max(shares_over(trial, budget, original).values(), default=0.0)
            measured[trial.number] = (most, trial.state != COMPLETE)
    return min(measured, key=measured.__getitem__) if measured else None


def shares_over(trial: TrialResult, budget: Budget, original: float) -> dict[str, float]:
    """Key of each limit on what was measured to the share by which it is exceeded; under 0 where it is kept."""
    times = {key: getattr(trial, f"{key}_ms") for key in LATENCIES}
    drop = None if trial.accuracy is None else original - trial.accuracy
    figures = {**times, "bytes": trial.bytes, "rss": trial.rss_mib, "drop": drop}
    found = {}
    for limit in budget.limits:
        value = figures[limit.key]
        if value is not None:
            found[limit.key] = value / limit.bound - 1 if limit.bound else value  # a drop may be limited to nought
    return found


def _point(trial: TrialResult) -> tuple[float, float, float]:
    assert trial.accuracy is not None and trial.p95_ms is not None and trial.bytes is not None, "it is complete"
    return -trial.accuracy, trial.p95_ms, float(trial.bytes)
