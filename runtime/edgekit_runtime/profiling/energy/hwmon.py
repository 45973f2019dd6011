"""Power monitors on the board: INA219, INA226, INA3221 and whatever else Linux shows under hwmon.

A chip tells µW (``power1_input``), or mV and mA on channels of the same number
(https://docs.kernel.org/hwmon/sysfs-interface.html). The INA3221 of NVIDIA's Jetsons has three such channels; its ``in4`` to
``in6`` are shunt voltages and its ``curr4`` is a sum (https://docs.kernel.org/hwmon/ina3221.html), which together are no power.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit_runtime.profiling.energy import RAIL
from edgekit_runtime.profiling.energy.meter import WATTS, Meter, Pace
from edgekit_runtime.profiling.energy.sensor import Sensor, read_once
from edgekit_runtime.profiling.energy.sysfs import entries, text, whole_number

FAMILY = "hwmon"
FOLDER = "sys/class/hwmon"

PACE = Pace(period_s=0.05, settle_s=1.0, window_s=2.0)
"""An INA3221 on a Jetson averages over some 0.4 s."""

TOTALS = ("VDD_IN", "POM_5V_IN")
"""Labels of a board's whole supply, of which its other rails are parts: Jetson Orin NX and Nano, Xavier NX, TX2; Nano."""

APART = (
    ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),
    ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),
)
"""Labels of rails that add up where a board has no total: Jetson AGX Xavier, AGX Orin."""

UNUSED = "NC"
"""Label of a channel that is not connected."""


@dataclass(frozen=True)
class Channel:
    """One rail.

    Attributes:
        chip: Its folder.
        chip_name: The chip's name.
        label: The rail's name.
        files: What is multiplied.
        divisor: What makes watts of the product.
    """

    chip: Path
    chip_name: str
    label: str
    files: tuple[Path, ...]
    divisor: float

    def watts(self) -> float:
        """Power now."""
        return math.prod(whole_number(file) for file in self.files) / self.divisor


def channels(root: Path) -> Iterator[Channel]:
    """Every rail of which power is told, or voltage and current."""
    for chip in entries(root / FOLDER):
        name = text(chip / "name") or chip.name
        for power in entries(chip, "power*_input"):
            channel = power.name.removesuffix("_input")
            yield Channel(chip, name, text(chip / f"{channel}_label") or channel, (power,), 1e6)
        for current in entries(chip, "curr*_input"):
            number = current.name.removeprefix("curr").removesuffix("_input")
            voltage = chip / f"in{number}_input"
            if not voltage.exists() or (chip / f"power{number}_input").exists():
                continue
            label = text(chip / f"in{number}_label") or f"channel {number}"
            off = label == UNUSED or text(chip / f"in{number}_enable") == "0"
            if not off and not (name == "ina3221" and number not in ("1", "2", "3")):
                yield Channel(chip, name, label, (current, voltage), 1e6)


def sensors(root: Path) -> Iterator[Sensor]:
    """Every rail, read once."""
    for channel in channels(root):
        yield read_once(FAMILY, f"{channel.chip_name} {channel.label}", channel.files[0], WATTS, channel.watts)


def meters(root: Path) -> Iterator[Meter]:
    """``hwmon``, what supplies the board, and every rail by its name, ``hwmon:ina3221:VDD_SOC``.

    ``hwmon`` is the board's whole supply; else the rails that add up; else the only rail of an INA chip. Of other rails
    nothing says what they supply or which of them is a part of which: they are there for who knows.
    """
    found = list(channels(root))
    if supply := _supply(found):
        yield _meter(FAMILY, supply)
    names = Counter(f"{FAMILY}:{channel.chip_name}:{channel.label}" for channel in found)
    for channel in found:
        name = f"{FAMILY}:{channel.chip_name}:{channel.label}"
        yield _meter(name if names[name] == 1 else f"{name}@{channel.chip.name}", [channel], automatic=False)


def _supply(found: Sequence[Channel]) -> list[Channel]:
    by_label = {channel.label: channel for channel in found}
    for labels in (*((label,) for label in TOTALS), *APART):
        if all(label in by_label for label in labels):
            return [by_label[label] for label in labels]
    of_ina = [channel for channel in found if channel.chip_name.startswith("ina")]
    return of_ina if len(of_ina) == 1 else []


def _meter(name: str, parts: Sequence[Channel], *, automatic: bool = True) -> Meter:
    source = f"hwmon {' + '.join(f'{part.chip_name} {part.label}' for part in parts)}"
    return Meter(name, source, RAIL, WATTS, PACE, lambda: sum(part.watts() for part in parts), automatic)
