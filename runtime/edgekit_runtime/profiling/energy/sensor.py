"""Sensor: one reading of one sensor, for ``edgekit doctor``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgekit_runtime.profiling.energy.meter import SensorFault


@dataclass(frozen=True)
class Sensor:
    """One sensor and what it said.

    Attributes:
        family: One of ``families.FAMILIES``.
        name: Its own name.
        path: The file, the program or the class that was read.
        status: ``works``; ``denied``, where this user may not read it; or ``wrong``, where it gives no number.
        value: The reading; None unless it works.
        unit: ``J`` for a counter of energy, ``W`` for power, which some batteries give with a minus while they discharge.
        detail: Where it does not work, why and what to do about it; of a battery, whether it is discharging.
    """

    family: str
    name: str
    path: str
    status: str
    value: float | None
    unit: str
    detail: str = ""


def read_once(family: str, name: str, path: object, unit: str, read: Callable[[], float], detail: str = "") -> Sensor:
    """Reads a sensor once; a fault becomes its status."""
    try:
        return Sensor(family, name, str(path), "works", read(), unit, detail)
    except SensorFault as fault:
        return Sensor(family, name, str(path), "denied" if fault.denied else "wrong", None, unit, str(fault))
