"""Which sensors of power or energy a device has, each read once.

Four families, all of Linux: RAPL counters of x86 processors, hwmon chips such as the INA3221 of a Jetson, batteries, and
the power chip of a Raspberry Pi 5. Virtual machines have none of them.
"""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FAMILIES = {
    "rapl": "counters in the processor, /sys/class/powercap",
    "hwmon": "power monitors on the board, /sys/class/hwmon",
    "battery": "/sys/class/power_supply",
    "pmic": "the Raspberry Pi 5's power chip, vcgencmd pmic_read_adc",
}
"""Family to what it is and where it is looked for."""

_RAIL = re.compile(r"^\s*(\w+)_([AV]) (?:current|volt)\(\d+\)=([0-9.]+)[AV]$", re.MULTILINE)


@dataclass(frozen=True)
class Sensor:
    """One sensor and what it said.

    Attributes:
        family: One of FAMILIES.
        name: Its own name.
        path: The file or the program that was read.
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


def find_sensors(root: Path = Path("/")) -> tuple[Sensor, ...]:
    """Looks for sensors of every family and reads each once.

    Args:
        root: Where /sys and /usr lie, for tests.
    """
    found: list[Sensor] = []
    for family, find in (("rapl", _rapl), ("hwmon", _hwmon), ("battery", _batteries), ("pmic", _pmic)):
        try:
            found += find(root)
        except PermissionError as error:  # a folder that this user may not even list
            found.append(
                Sensor(family, "unknown", error.filename, "denied", None, "", "this user may not look: run as root")
            )
    return tuple(found)


def _rapl(root: Path) -> Iterator[Sensor]:
    for zone in _entries(root / "sys/class/powercap"):
        if (counter := zone / "energy_uj").exists():
            yield _read("rapl", _text(zone / "name") or zone.name, "J", 1e6, counter)


def _hwmon(root: Path) -> Iterator[Sensor]:
    """Chips that give µW, or mV and mA on channels of the same number."""
    for chip in _entries(root / "sys/class/hwmon"):
        chip_name = _text(chip / "name") or chip.name
        for power in _entries(chip, "power*_input"):
            channel = power.name.removesuffix("_input")
            yield _read("hwmon", f"{chip_name} {_text(chip / f'{channel}_label') or channel}", "W", 1e6, power)
        for current in _entries(chip, "curr*_input"):
            number = current.name.removeprefix("curr").removesuffix("_input")
            voltage = chip / f"in{number}_input"
            if voltage.exists() and not (chip / f"power{number}_input").exists():
                label = _text(chip / f"in{number}_label") or f"channel {number}"
                yield _read("hwmon", f"{chip_name} {label}", "W", 1e6, current, voltage)


def _batteries(root: Path) -> Iterator[Sensor]:
    for supply in _entries(root / "sys/class/power_supply"):
        if _text(supply / "type") != "Battery" or _text(supply / "scope") == "Device":  # a mouse has one, too
            continue
        power, current, voltage = (supply / f"{quantity}_now" for quantity in ("power", "current", "voltage"))
        state = _text(supply / "status").lower()
        if power.exists():
            yield _read("battery", supply.name, "W", 1e6, power, detail=state)
        else:
            yield _read("battery", supply.name, "W", 1e12, current, voltage, detail=state)


def _pmic(root: Path) -> Iterator[Sensor]:
    """The sum over the rails of which vcgencmd gives current and voltage; a Pi before the 5 knows no such command."""
    program = shutil.which("vcgencmd", path=f"{root / 'usr/bin'}:{root / 'opt/vc/bin'}")
    if program is None:
        return
    try:
        done = subprocess.run([program, "pmic_read_adc"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        yield Sensor("pmic", "vcgencmd", program, "wrong", None, "W", f"{program} cannot be run ({error})")
        return
    said = done.stdout + done.stderr
    rails: dict[str, dict[str, float]] = {}
    for rail, quantity, value in _RAIL.findall(said):
        rails.setdefault(rail, {})[quantity] = float(value)
    watts = [rail["A"] * rail["V"] for rail in rails.values() if len(rail) == 2]
    if watts:
        yield Sensor("pmic", f"{len(watts)} rails", program, "works", sum(watts), "W")
    elif "/dev/vcio" in said or "VCHI" in said:
        hint = "this user may not ask it: sudo usermod -aG video $USER, then log in anew"
        yield Sensor("pmic", "vcgencmd", program, "denied", None, "W", hint)


def _read(family: str, name: str, unit: str, divisor: float, *files: Path, detail: str = "") -> Sensor:
    """Reads a sensor whose value is the product of what the files say, over ``divisor``."""
    path = str(files[0])
    try:
        value = math.prod(int(file.read_text(encoding="ascii")) for file in files) / divisor
    except PermissionError as error:
        hint = f"this user may not read it: sudo chmod a+r {error.filename} (until the next boot), or run as root"
        return Sensor(family, name, path, "denied", None, unit, hint)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        return Sensor(family, name, path, "wrong", None, unit, f"it gives no number ({reason}): use another sensor")
    return Sensor(family, name, path, "works", value, unit, detail)


def _entries(folder: Path, pattern: str = "*") -> list[Path]:
    """What lies in a folder, if there is one. Unlike glob it does not pass over a folder that may not be listed."""
    try:
        return sorted(path for path in folder.iterdir() if path.match(pattern))
    except FileNotFoundError:
        return []


def _text(path: Path) -> str:
    """What a file of a few words says; nothing where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
