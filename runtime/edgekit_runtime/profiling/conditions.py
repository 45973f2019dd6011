"""Under which conditions something was measured: a figure without them is worth little."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Conditions:
    """The state of the machine at one moment; null where the system does not tell.

    Attributes:
        governor: Frequency governors of the processors that this process may use, ``performance`` or ``powersave, schedutil``.
        frequency_mhz: Their current frequencies, the mean.
        load_average: Of the last minute, all processes.
        temperature_c: The hottest thermal zone, degrees Celsius.
        throttled: Whether the board says that it is slowed by heat or by its supply.
        affinity: Numbers of the processors that this process may use.
    """

    governor: str | None
    frequency_mhz: float | None
    load_average: float | None
    temperature_c: float | None
    throttled: bool | None
    affinity: tuple[int, ...]


def read_conditions(root: Path = Path("/")) -> Conditions:
    """Reads them now.

    Args:
        root: Where /sys and /proc lie, for tests.
    """
    affinity = tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else ()
    governors, frequencies = set[str](), list[float]()
    for cpu in affinity:
        folder = root / f"sys/devices/system/cpu/cpu{cpu}/cpufreq"
        if governor := _text(folder / "scaling_governor"):
            governors.add(governor)
        if (kilohertz := _number(folder / "scaling_cur_freq")) is not None:
            frequencies.append(kilohertz / 1000)
    zones = sorted((root / "sys/class/thermal").glob("thermal_zone*/temp"))
    temperatures = [value / 1000 for zone in zones if (value := _number(zone)) is not None]
    return Conditions(
        governor=", ".join(sorted(governors)) or None,
        frequency_mhz=sum(frequencies) / len(frequencies) if frequencies else None,
        load_average=_load_average(root),
        temperature_c=max(temperatures, default=None),
        throttled=_throttled(root),
        affinity=affinity,
    )


def _load_average(root: Path) -> float | None:
    if words := _text(root / "proc/loadavg").split():
        with contextlib.suppress(ValueError):
            return float(words[0])
    return os.getloadavg()[0] if root == Path("/") and hasattr(os, "getloadavg") else None


def _throttled(root: Path) -> bool | None:
    """What a Raspberry Pi's firmware says: bits 0 to 3 are under-voltage, capped, throttled and too warm, now."""
    said = _text(root / "sys/devices/platform/soc/soc:firmware/get_throttled")
    try:
        return bool(int(said, 16) & 0xF) if said else None
    except ValueError:
        return None


def _number(path: Path) -> float | None:
    try:
        return float(_text(path))
    except ValueError:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:  # not of this board, or it sleeps
        return ""
