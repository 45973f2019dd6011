"""Where and with what a figure was measured."""

from __future__ import annotations

import datetime
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

FLAGS = ("amx_tile", "amx_int8", "avx512_vnni", "avx512f", "avx_vnni", "avx2", "i8mm", "asimddp")
"""Instruction sets that decide how fast int8 products are, as /proc/cpuinfo spells them."""


@dataclass(frozen=True)
class Machine:
    """The machine, the versions and the call.

    Attributes:
        cpu: The processor's own name for itself.
        cores: Processors that this process may use.
        flags: Those of FLAGS that it has.
        system: Operating system and architecture.
        load_average: Of the last minute, when the benchmark began; None where the system has none.
        versions: Distribution to version.
        date: ISO date.
        command: How the benchmark was called.
    """

    cpu: str
    cores: int
    flags: tuple[str, ...]
    system: str
    load_average: float | None
    versions: dict[str, str]
    date: str
    command: str

    def __str__(self) -> str:
        missing = [flag for flag in ("amx_int8", "avx512_vnni", "avx2") if flag not in self.flags]
        without = f", no {', '.join(missing)}" if missing and "x86" in self.system else ""
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        load = "" if self.load_average is None else f", load average at the start {self.load_average:.2f}"
        return (
            f"Measured on {self.date}: {self.cpu}, {self.cores} cores ({', '.join(self.flags) or 'no int8 flags'}{without}), "
            f"{self.system}{load}; {versions}. Command: `{self.command}`"
        )


def describe_machine(distributions: Sequence[str]) -> Machine:
    """Describes this machine, with the versions of those distributions that are installed."""
    cpuinfo = _cpuinfo()
    present = set(cpuinfo.get("flags", cpuinfo.get("Features", "")).split())
    return Machine(
        cpu=cpuinfo.get("model name") or platform.processor() or platform.machine(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        flags=tuple(flag for flag in FLAGS if flag in present),
        system=f"{platform.system()} {platform.machine()}",
        load_average=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        versions={"Python": platform.python_version(), **_versions(distributions)},
        date=datetime.date.today().isoformat(),
        command=shlex.join(["python", *sys.argv]),
    )


def _cpuinfo() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    pairs = (line.partition(":") for line in path.read_text(encoding="utf-8").split("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _versions(distributions: Sequence[str]) -> dict[str, str]:
    found = {}
    for name in distributions:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "missing"
    return found
