"""The device: its processor, as far as it decides how fast int8 products are, and its memory."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

FEATURES = {
    "x86_64": ("avx2", "avx_vnni", "avx512_vnni", "amx_int8"),
    "aarch64": ("asimddp", "i8mm", "sve"),
    "armv7l": ("neon", "asimddp"),
}
"""Instruction sets that the engines' int8 kernels make use of, as /proc/cpuinfo spells them; asimddp is the dot product."""


@dataclass(frozen=True)
class Device:
    """Where something runs.

    Attributes:
        system: Operating system, its release and the architecture.
        processor: The board's or the processor's own name for itself.
        features: Those of FEATURES that the architecture can have, and whether this processor has them.
        cores: Processors of the machine.
        usable_cores: Those that this process may use (its affinity).
        memory_mib: Memory of the machine; None where the system does not tell.
        available_mib: Memory that could be had now; None where the system does not tell.
    """

    system: str
    processor: str
    features: dict[str, bool]
    cores: int
    usable_cores: int
    memory_mib: int | None
    available_mib: int | None


def describe_device(root: Path = Path("/"), machine: str | None = None) -> Device:
    """Describes this device.

    Args:
        root: Where /proc lies, for tests.
        machine: The architecture; None takes this machine's.
    """
    machine = machine or platform.machine()
    cpu = _fields(root / "proc" / "cpuinfo")
    present = instruction_sets(root)
    memory = _fields(root / "proc" / "meminfo")
    board = _text(root / "proc" / "device-tree" / "model").rstrip("\0\n")
    cores = os.cpu_count() or 1
    return Device(
        system=f"{platform.system()} {platform.release()} {machine}",
        processor=board or cpu.get("model name") or platform.processor() or machine,
        features={name: name in present for name in FEATURES.get(machine, ())} if present else {},
        cores=cores,
        usable_cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores,
        memory_mib=_mib(memory.get("MemTotal")),
        available_mib=_mib(memory.get("MemAvailable")),
    )


def instruction_sets(root: Path = Path("/")) -> frozenset[str]:
    """The processor's instruction sets, as /proc/cpuinfo spells them; empty where the system does not tell."""
    cpu = _fields(root / "proc" / "cpuinfo")
    return frozenset(cpu.get("flags", cpu.get("Features", "")).split())


def _mib(kib: str | None) -> int | None:
    """What /proc/meminfo gives as "16330148 kB"."""
    return None if kib is None else int(kib.split()[0]) // 1024


def _fields(path: Path) -> dict[str, str]:
    """The "key : value" lines of a file of /proc; of a key that comes once a processor, the first."""
    found: dict[str, str] = {}
    for line in _text(path).splitlines():
        key, colon, value = line.partition(":")
        if colon:
            found.setdefault(key.strip(), value.strip())
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # another system, or another board
        return ""
