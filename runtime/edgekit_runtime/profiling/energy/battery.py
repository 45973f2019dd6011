"""The device's own battery and its fuel gauge, /sys/class/power_supply.

In µW, µA, µV, µWh and µAh by the book (https://docs.kernel.org/admin-guide/abi-testing.html, sysfs-class-power). Drivers differ:

- ``current_now`` is negative while discharging by the book, positive or without a sign with many drivers, and some give
  ``power_now`` a minus too. So the status says which way it flows, and a sign that turns in the middle is a fault.
- Some phones tell mA or mV. A device that runs takes more than LEAST_W and less than MOST_W: what lies outside is refused.
- Gauges renew their reading each second or so; some only tell the charge that is left, in steps of minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from edgekit_runtime.profiling.energy import GAUGE
from edgekit_runtime.profiling.energy.meter import JOULES, WATTS, Meter, Pace, SensorFault, broken_meter
from edgekit_runtime.profiling.energy.sensor import Sensor, read_once
from edgekit_runtime.profiling.energy.sysfs import entries, text, whole_number

FAMILY = "battery"
FOLDER = "sys/class/power_supply"

POWER_PACE = Pace(period_s=0.25, settle_s=4.0, window_s=8.0, moves=3)
"""A reading that never changes in eight seconds is an old one."""
COUNTER_PACE = Pace(period_s=0.5, settle_s=4.0, window_s=120.0, moves=20)

CHARGERS = ("Mains", "USB", "Wireless")

LEAST_W, MOST_W = 0.02, 500.0
LEAST_V, MOST_V = 2.0, 100.0


def batteries(root: Path) -> list[Path]:
    """Batteries that supply this device: not that of a mouse, nor an empty bay."""
    return [
        supply
        for supply in entries(root / FOLDER)
        if text(supply / "type") == "Battery" and text(supply / "scope") != "Device" and text(supply / "present") != "0"
    ]


def sensors(root: Path) -> Iterator[Sensor]:
    """Every battery, read once, with the sign that its driver gives."""
    for battery in batteries(root):
        file = battery / ("power_now" if _has(battery, "power_now") else "current_now")
        yield read_once(FAMILY, battery.name, file, WATTS, _signed_w(battery), text(battery / "status").lower())


def meters(root: Path) -> Iterator[Meter]:
    """``battery``: all batteries together, by their power; by energy or charge only where the user asks for it."""
    found = batteries(root)
    if not found:
        return
    names = " + ".join(battery.name for battery in found)
    if all(_has(battery, "power_now") or _has(battery, "current_now", "voltage_now") for battery in found):
        files = "power_now" if all(_has(battery, "power_now") for battery in found) else "current_now x voltage_now"
        yield Meter(FAMILY, f"battery {names}, {files}", GAUGE, WATTS, POWER_PACE, _Power(root, found).watts)
    elif all(_has(battery, "energy_now") or _has(battery, "charge_now", "voltage_now") for battery in found):
        files = "energy_now" if all(_has(battery, "energy_now") for battery in found) else "charge_now x voltage_now"
        read = _Drain(root, found).joules
        yield Meter(FAMILY, f"battery {names}, {files}", GAUGE, JOULES, COUNTER_PACE, read, automatic=False)
    else:
        fault = SensorFault("it tells neither power, current and voltage, energy nor charge: use another sensor")
        yield broken_meter(FAMILY, f"battery {names}", fault)


def discharging(root: Path, found: Sequence[Path]) -> list[Path]:
    """Those that supply the device now.

    Raises:
        SensorFault: They do not, or not alone.
    """
    for supply in entries(root / FOLDER):
        if text(supply / "type").startswith(CHARGERS) and text(supply / "online") == "1":
            raise SensorFault(f"{supply.name} supplies the device, too: unplug it and measure again")
    states = {battery: text(battery / "status") or "gone" for battery in found}
    for battery, state in states.items():
        if state == "Charging":
            raise SensorFault(f"{battery.name} is charging: unplug the charger and measure again")
    if draining := [battery for battery, state in states.items() if state == "Discharging"]:
        return draining
    told = ", ".join(f"{battery.name} is {state.lower()}" for battery, state in states.items())
    raise SensorFault(f"no battery is discharging ({told}): unplug the charger and measure again")


class _Power:
    """What the batteries give, summed."""

    def __init__(self, root: Path, found: Sequence[Path]) -> None:
        self._root, self._found = root, found
        self._signs: dict[Path, bool] = {}

    def watts(self) -> float:
        total = 0.0
        for battery in discharging(self._root, self._found):
            signed = _signed_w(battery)()
            if signed and self._signs.setdefault(battery, signed > 0) != (signed > 0):
                raise SensorFault(f"the current of {battery.name} changed its direction: see that nothing charges it")
            total += abs(signed)
        if not LEAST_W <= total <= MOST_W:
            raise SensorFault(
                f"it gives {total:.3g} W, which cannot be: its driver has other units; use another sensor"
            )
        return total


class _Drain:
    """Joules taken from the batteries since the first reading."""

    def __init__(self, root: Path, found: Sequence[Path]) -> None:
        self._root, self._found = root, found
        self._last: dict[Path, int] = {}
        self._total_j = 0.0

    def joules(self) -> float:
        discharging(self._root, self._found)
        for battery in self._found:
            by_energy = _has(battery, "energy_now")
            left = whole_number(battery / ("energy_now" if by_energy else "charge_now"))
            taken = self._last.setdefault(battery, left) - left
            if taken < 0:
                raise SensorFault(
                    f"{battery.name} became fuller while it discharged: its gauge was set anew; measure again"
                )
            self._last[battery] = left
            self._total_j += taken * 3600e-6 * (1 if by_energy else _volts(battery))
        return self._total_j


def _signed_w(battery: Path) -> Callable[[], float]:
    """Reads a battery's power with its driver's sign."""
    if _has(battery, "power_now"):
        return lambda: whole_number(battery / "power_now") / 1e6
    return lambda: whole_number(battery / "current_now") / 1e6 * whole_number(battery / "voltage_now") / 1e6


def _volts(battery: Path) -> float:
    volts = whole_number(battery / "voltage_now") / 1e6
    if not LEAST_V <= volts <= MOST_V:
        raise SensorFault(
            f"{battery.name} has {volts:.3g} V, which cannot be: its driver has other units; use another sensor"
        )
    return volts


def _has(battery: Path, *names: str) -> bool:
    return all((battery / name).exists() for name in names)
