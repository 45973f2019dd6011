"""No sensor at all: processor time times a power that the user states."""

from __future__ import annotations

from collections.abc import Callable

from edgekit_runtime.profiling.energy import MODELLED
from edgekit_runtime.profiling.energy.meter import JOULES, Meter, Pace

PACE = Pace(period_s=0.05, settle_s=0.25, window_s=1.0)


def modelled_meter(watts: float, cpu_s: Callable[[], float]) -> Meter:
    """Counts joules as if every busy core took the same power.

    Args:
        watts: Power of a busy core over that of an idle one.
        cpu_s: Processor time of this process, all its threads, in seconds.
    """
    source = f"process CPU time x {watts:g} W per busy core, as stated"
    return Meter("modelled", source, MODELLED, JOULES, PACE, lambda: watts * cpu_s())
