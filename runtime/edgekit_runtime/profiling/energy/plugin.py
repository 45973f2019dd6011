"""Meters of other packages, on USB or a serial line: entry points of the group ``edgekit.meters``.

An entry point names a class. Called without arguments it opens the meter; docs/energy.md has a whole example.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Protocol

from edgekit_runtime.profiling.energy import GAUGE
from edgekit_runtime.profiling.energy.meter import JOULES, WATTS, Meter, Pace, SensorFault, broken_meter
from edgekit_runtime.profiling.energy.sensor import Sensor, read_once

FAMILY = "plugin"
GROUP = "edgekit.meters"

PACE = Pace(period_s=0.1, settle_s=1.0, window_s=5.0)


class PluginMeter(Protocol):
    """What such a class has; any exception means that the meter does not work, and its text becomes the reason.

    ``close`` and the class attributes ``source`` (what is read, in words) and ``pace`` (a Pace) may be left out.

    Attributes:
        unit: ``J``: ``read`` gives a counter of joules that only grows; ``W``: the power now, in watts.
    """

    unit: str

    def read(self) -> float:
        """Joules or watts now. A thread of edgekit's calls it, one call at a time."""


def sensors(root: Path) -> Iterator[Sensor]:
    """Every meter, opened, read once and closed. They are looked for on this machine, whatever ``root``."""
    for point in metadata.entry_points(group=GROUP):
        meter = _meter(point)
        yield read_once(FAMILY, point.name, point.value, meter.unit, meter.read)
        meter.close()


def meters(root: Path) -> Iterator[Meter]:
    """Every meter, by the name of its entry point; opened when it is first read."""
    for point in metadata.entry_points(group=GROUP):
        yield _meter(point)


def _meter(point: metadata.EntryPoint) -> Meter:
    try:
        made: Callable[[], PluginMeter] = point.load()
        unit = getattr(made, "unit", None)
        if unit not in (JOULES, WATTS):
            raise ValueError(f"its unit is {unit!r} and must be {JOULES!r} or {WATTS!r}")
    except Exception as error:  # foreign code: whatever it raises is a finding
        return broken_meter(point.name, point.value, _fault(error))
    opened = _Opened(made)
    source = f"{point.name}, {getattr(made, 'source', point.value)}"
    pace: Pace = getattr(made, "pace", PACE)
    return Meter(point.name, source, GAUGE, unit, pace, opened.read, close=opened.close)


class _Opened:
    """A meter that is opened by its first reading."""

    def __init__(self, made: Callable[[], PluginMeter]) -> None:
        self._made = made
        self._meter: PluginMeter | None = None

    def read(self) -> float:
        try:
            if self._meter is None:
                self._meter = self._made()
            return float(self._meter.read())
        except Exception as error:
            raise _fault(error) from error

    def close(self) -> None:
        close = getattr(self._meter, "close", None)
        if close is not None:
            with contextlib.suppress(Exception):  # what was measured was measured
                close()


def _fault(error: Exception) -> SensorFault:
    said = " ".join(str(error).split())
    return SensorFault(f"it does not work ({type(error).__name__}: {said}): see to the meter, or use another sensor")
