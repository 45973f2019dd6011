"""Logarithmic axes that are read without counting decades."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axis import XAxis

LABEL = 46
"""Pixels that a label takes with the room beside it."""


def log_scale(axis: XAxis, low: float, high: float, pixels: float) -> None:
    """Makes an axis logarithmic from ``low`` to ``high``, with round ticks that have room for their labels."""
    from matplotlib.ticker import NullLocator

    chosen = log_ticks(low, high, pixels)
    axis.axes.set_xscale("log")
    axis.axes.set_xlim(low, high)
    axis.set_ticks(chosen, [f"{tick:,g}" for tick in chosen])
    axis.set_minor_locator(NullLocator())


def log_ticks(low: float, high: float, pixels: float) -> list[float]:
    """Round values between both ends: of each decade 1, 2 and 5; over less than a decade evenly apart; 1 over many."""
    from matplotlib.ticker import MaxNLocator

    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    fits = max(2, int(pixels / LABEL))
    for steps in ((1, 2, 3, 4, 5, 6, 8), (1, 2, 5), (1, 3), (1,)):
        found = [float(f"{step}e{decade}") for decade in decades for step in steps]
        found = [tick for tick in found if low <= tick <= high]
        if 4 <= len(found) <= fits:
            return found
    if high / low < 10:
        even = [float(tick) for tick in MaxNLocator(fits - 1).tick_values(low, high)]
        return [tick for tick in even if low <= tick <= high]
    return found[:: math.ceil(len(found) / fits)]
