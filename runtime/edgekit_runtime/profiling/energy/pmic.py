"""The power chip of a Raspberry Pi 5, asked through the firmware: ``vcgencmd pmic_read_adc``.

It tells current and voltage of a dozen rails behind its converters (https://www.raspberrypi.com/documentation/computers/os.html).
Of EXT5V and BATT it tells the voltage alone, so the losses of the converters and what hangs on USB are not seen, and
currents of a few milliamperes read as zero. A Pi before the 5 knows no such command.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from edgekit_runtime.profiling.energy import RAIL
from edgekit_runtime.profiling.energy.meter import WATTS, Meter, Pace, SensorFault, broken_meter
from edgekit_runtime.profiling.energy.sensor import Sensor, read_once

FAMILY = "pmic"

PACE = Pace(period_s=0.1, settle_s=0.3, window_s=2.0)
"""Each reading is a moment's, without averaging, and starts a program."""

_RAIL = re.compile(r"^\s*(\w+)_([AV]) (?:current|volt)\(\d+\)=(\d+(?:\.\d+)?)[AV]$", re.MULTILINE)


def sensors(root: Path) -> Iterator[Sensor]:
    """The sum over the rails of which current and voltage are told."""
    if program := _program(root):
        try:
            rails = read_rails(program)
        except SensorFault as fault:
            status = "denied" if fault.denied else "wrong"
            yield Sensor(FAMILY, "vcgencmd", program, status, None, WATTS, str(fault))
            return
        if rails:
            yield read_once(FAMILY, f"{len(rails)} rails", program, WATTS, lambda: sum(rails.values()))


def meters(root: Path) -> Iterator[Meter]:
    """``pmic``, the sum of all rails."""
    if program := _program(root):
        try:
            known = read_rails(program)
        except SensorFault as fault:
            yield broken_meter(FAMILY, "vcgencmd pmic_read_adc", fault)
            return

        def read() -> float:
            rails = read_rails(program)
            if missing := known.keys() - rails.keys():
                raise SensorFault(f"vcgencmd no longer tells of {', '.join(sorted(missing))}: measure again")
            return sum(rails[name] for name in known)

        if known:
            yield Meter(FAMILY, f"vcgencmd pmic_read_adc, {len(known)} rails", RAIL, WATTS, PACE, read)


def read_rails(program: str) -> dict[str, float]:
    """Rail to watts; nothing where this board has no such chip.

    Raises:
        SensorFault: The program cannot be run, or this user may not ask.
    """
    try:
        done = subprocess.run([program, "pmic_read_adc"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise SensorFault(f"{program} cannot be run ({error})") from error
    said = done.stdout + done.stderr
    rails: dict[str, dict[str, float]] = {}
    for rail, quantity, value in _RAIL.findall(said):
        rails.setdefault(rail, {})[quantity] = float(value)
    if not rails and ("/dev/vcio" in said or "VCHI" in said):
        hint = "this user may not ask it: sudo usermod -aG video $USER, then log in anew"
        raise SensorFault(hint, denied=True)
    return {name: rail["A"] * rail["V"] for name, rail in rails.items() if len(rail) == 2}


def _program(root: Path) -> str | None:
    return shutil.which("vcgencmd", path=f"{root / 'usr/bin'}:{root / 'opt/vc/bin'}")
