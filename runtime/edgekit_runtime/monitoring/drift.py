"""Drift: how far a window of answers has moved from the reference, and whether that can be chance.

The measure is the population stability index, PSI: the sum over ranges of (p − q)·ln(p/q), p and q being the shares of
window and reference, which is the symmetric divergence of Jeffreys (1946). The levels of 0.1 and 0.25 are those of credit
scoring (Siddiqi, Credit Risk Scorecards, 2006). Where nothing moved, PSI still is not 0 but spread as (1/n + 1/m)·χ² of B − 1
degrees of freedom, for n and m texts in B ranges (Yurdakul, Statistical Properties of Population Stability Index, Western
Michigan University, 2018); so a level counts only above the 99 % quantile of that, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

NONE, WARNING, ALARM, TOO_FEW, NO_REFERENCE = "none", "warning", "alarm", "too few", "no reference"

WARNING_PSI, ALARM_PSI = 0.1, 0.25

MIN_TEXTS = 200
"""Fewer texts in the window are not compared."""

SURE = 0.99
"""The share of windows in which a measure stays under its limit where nothing moved."""

EMPTY = 0.5
"""Added to every range's count, so that an empty one has a share too (Krichevsky and Trofimov, 1981)."""


@dataclass(frozen=True)
class Drift:
    """What has become of the answers.

    Attributes:
        level: ``none``, ``warning``, ``alarm``; ``too few`` texts in the window, or ``no reference``.
        window: Texts in the window.
        psi: PSI of ``labels``, ``confidence``, ``tokens`` and ``unknown``; null where it is not known, empty where nothing
            was compared.
        limits: Of each, what chance alone gives in one of a hundred windows.
    """

    level: str
    window: int
    psi: dict[str, float | None]
    limits: dict[str, float | None]


def drift_of(measures: Mapping[str, tuple[Sequence[int], Sequence[int]] | None], texts: int) -> Drift:
    """Compares a window with the reference.

    Args:
        measures: Name to the counts of reference and window by the same ranges; None where there are none.
        texts: Texts in the window.
    """
    if texts < MIN_TEXTS:
        return Drift(TOO_FEW, texts, {}, {})
    found: dict[str, float | None] = dict.fromkeys(measures)
    limits: dict[str, float | None] = dict.fromkeys(measures)
    level = NONE
    for name, counts in measures.items():
        if counts is None:
            continue
        value, limit = psi(*counts), noise_limit(*counts)
        found[name], limits[name] = value, limit
        if value > max(ALARM_PSI, limit):
            level = ALARM
        elif value > max(WARNING_PSI, limit) and level != ALARM:
            level = WARNING
    return Drift(level, texts, found, limits)


def psi(one: Sequence[int], other: Sequence[int]) -> float:
    """The population stability index of two counts by the same ranges, in nats; those that are empty in both are left out.

    It is 0 for equal counts, never less, and the same the other way round.
    """
    a, b = (np.asarray(counts, dtype=np.float64) for counts in (one, other))
    used = (a + b) > 0
    a, b = a[used] + EMPTY, b[used] + EMPTY
    a, b = a / a.sum(), b / b.sum()
    return float(((a - b) * np.log(a / b)).sum())


def noise_limit(one: Sequence[int], other: Sequence[int]) -> float:
    """What the PSI of two samples of the same source exceeds once in a hundred times."""
    ranges = sum(a + b > 0 for a, b in zip(one, other, strict=True))
    if ranges < 2:
        return 0.0
    return (1 / sum(one) + 1 / sum(other)) * chi_squared_quantile(SURE, ranges - 1)


def chi_squared_quantile(share: float, freedom: int) -> float:
    """The quantile of χ² by the approximation of Wilson and Hilferty (1931), within 1 % at this end."""
    ninth = 2 / (9 * freedom)
    return float(freedom * (1 - ninth + NormalDist().inv_cdf(share) * ninth**0.5) ** 3)
