"""The processor as far as the layout of packed weights depends on it."""

from __future__ import annotations

import ctypes
import functools
import platform

MOST_BYTES = 1 << 16
"""Of /proc/cpuinfo that are read: one x86 processor and all of a board's; where there are hundreds, they are alike."""

TELLING = ("vendor_id", "cpu family", "model", "flags", "Features", "CPU implementer", "CPU variant", "CPU part")

_ARCH_PRCTL, _REQUEST_PERMISSION, _TILES = 158, 0x1023, 18


@functools.cache
def processor() -> str:
    """What it is and can do, as a text to be compared."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            lines = file.read(MOST_BYTES).splitlines()
    except OSError:
        lines = []
    told = dict.fromkeys(" ".join(line.split()) for line in lines if line.partition(":")[0].strip() in TELLING)
    return "\n".join([platform.machine(), _tiles(lines), *told])


def _tiles(lines: list[str]) -> str:
    """Whether this process may use AMX, which a sandbox may forbid though the processor has it."""
    if platform.machine() != "x86_64" or not any("amx_tile" in line for line in lines):
        return ""
    refused = ctypes.CDLL(None).syscall(_ARCH_PRCTL, _REQUEST_PERMISSION, _TILES)
    return "no tiles" if refused else "tiles"
