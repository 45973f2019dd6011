"""Every family of sensors, and which sensor is taken where there are several. All of Linux; virtual machines have none."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from edgekit_runtime.errors import OptionError
from edgekit_runtime.profiling.energy import battery, hwmon, plugin, pmic, rapl
from edgekit_runtime.profiling.energy.meter import Meter, SensorFault, broken_meter
from edgekit_runtime.profiling.energy.sensor import Sensor

MAY_NOT_LOOK = "this user may not look: run as root"


@dataclass(frozen=True)
class Family:
    """What a family has below a root: its sensors, each read once, and its meters."""

    sensors: Callable[[Path], Iterable[Sensor]]
    meters: Callable[[Path], Iterable[Meter]]


FAMILIES = {
    "rapl": Family(rapl.sensors, rapl.meters),
    "hwmon": Family(hwmon.sensors, hwmon.meters),
    "pmic": Family(pmic.sensors, pmic.meters),
    "plugin": Family(plugin.sensors, plugin.meters),
    "battery": Family(battery.sensors, battery.meters),
}
"""In the order in which they are chosen: rails before gauges, and a meter that somebody attached before the battery."""


def find_sensors(root: Path = Path("/")) -> tuple[Sensor, ...]:
    """Looks for sensors of every family and reads each once.

    Args:
        root: Where /sys and /usr lie, for tests.
    """
    found: list[Sensor] = []
    for name, family in FAMILIES.items():
        try:
            found += family.sensors(root)
        except PermissionError as error:  # a folder that this user may not even list
            found.append(Sensor(name, "unknown", error.filename, "denied", None, "", MAY_NOT_LOOK))
    return tuple(found)


def find_meters(root: Path = Path("/")) -> tuple[Meter, ...]:
    """What energy can be measured with, in the order in which it is chosen; nothing is read yet, but for the ``pmic``."""
    found: list[Meter] = []
    for name, family in FAMILIES.items():
        try:
            found += family.meters(root)
        except PermissionError as error:
            fault = SensorFault(MAY_NOT_LOOK, denied=True)
            found.append(broken_meter(name, error.filename, fault))
    return tuple(found)


def choose_meter(name: str | None, root: Path = Path("/")) -> tuple[Meter, str]:
    """The meter of that name; without one the first that works.

    Returns:
        It, and which better ones were passed over, with the reason; empty where there were none.

    Raises:
        OptionError: There is no meter of that name; the message lists those that there are.
        SensorFault: There is none, or none that works.
    """
    found = find_meters(root)
    if name is not None:
        for meter in found:
            if meter.name == name:
                _try(meter)
                return meter, ""
        there_are = f"there are: {', '.join(meter.name for meter in found)}" if found else "there are none here"
        raise OptionError(f"no sensor is called {name!r}; {there_are}")
    faults: list[str] = []
    for meter in found:
        if meter.automatic:
            try:
                _try(meter)
            except SensorFault as fault:
                faults.append(str(fault))
            else:
                return meter, "; ".join(faults)
    if by_name := [meter.name for meter in found if not meter.automatic]:
        faults.append(f"only by name: {', '.join(by_name)}")
    if faults:
        raise SensorFault("; ".join(faults))
    raise SensorFault(
        f"no sensor of power or energy was found: neither {', '.join(FAMILIES)}; virtual machines have none. "
        "A stated power of a busy core (--watts) gives a modelled figure"
    )


def _try(meter: Meter) -> None:
    try:
        meter.ask()
    except SensorFault as fault:
        meter.close()
        raise SensorFault(f"{meter.name}: {fault}", denied=fault.denied) from fault
