"""RAPL: energy counters in the processor, read through Linux's powercap.

Intel since Sandy Bridge and AMD since Zen, both under zones called ``intel-rapl:*``
(https://docs.kernel.org/power/powercap/powercap.html). The counters are of 32 bits and wrap at
``max_energy_range_uj``: after minutes under load. Since Linux 5.10 only root may read them (CVE-2020-8694).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit_runtime.profiling.energy import RAIL
from edgekit_runtime.profiling.energy.meter import JOULES, Meter, Pace, SensorFault
from edgekit_runtime.profiling.energy.sensor import Sensor, read_once
from edgekit_runtime.profiling.energy.sysfs import denied, entries, text, whole_number

FAMILY = "rapl"
FOLDER = "sys/class/powercap"

PACE = Pace(period_s=0.02, settle_s=0.25, window_s=1.0, moves=20)
"""The counters are renewed each millisecond, in steps of 15 to 61 µJ."""

WRAP_SHARE = 0.05
"""Between two readings a counter moves by far less than this share of its range; one that went back further did not wrap."""


@dataclass(frozen=True)
class Zone:
    """One counter: ``package-0`` and, below it, its parts."""

    folder: Path
    name: str

    @property
    def counter(self) -> Path:
        """The file that tells microjoules."""
        return self.folder / "energy_uj"

    def joules(self) -> float:
        """What it says now, since some moment."""
        return whole_number(self.counter) / 1e6

    @property
    def parent(self) -> str:
        """Folder name of the zone that this one lies below; of ``intel-rapl:0:2`` it is ``intel-rapl:0``."""
        return self.folder.name.rpartition(":")[0]


def zones(root: Path) -> Iterator[Zone]:
    """Every zone with a counter; a control type, ``intel-rapl`` itself, has none."""
    for folder in entries(root / FOLDER):
        if (folder / "energy_uj").exists():
            yield Zone(folder, text(folder / "name") or folder.name)


def sensors(root: Path) -> Iterator[Sensor]:
    """Every zone, read once."""
    for zone in zones(root):
        yield read_once(FAMILY, zone.name, zone.counter, JOULES, zone.joules)


def meters(root: Path) -> Iterator[Meter]:
    """``rapl``, all packages and their memory, and ``rapl:psys``, which few makers calibrate.

    Core and uncore are inside their package and not added; dram is not. Newer laptops tell the same package a second time
    under ``intel-rapl-mmio``; it counts once.
    """
    found = sorted(zones(root), key=lambda zone: zone.folder.name.startswith("intel-rapl-mmio"))
    packages: dict[str, Zone] = {}
    for zone in found:
        if zone.name.startswith("package-"):
            packages.setdefault(zone.name, zone)
    if packages:
        chosen: list[Zone] = []
        for package in packages.values():
            chosen += [package, *(zone for zone in found if zone.name == "dram" and zone.parent == package.folder.name)]
        yield _meter(FAMILY, chosen, root)
    psys = [zone for zone in found if zone.name == "psys"][:1]
    if psys:
        yield _meter(f"{FAMILY}:psys", psys, root, automatic=not packages)


def _meter(name: str, chosen: Sequence[Zone], root: Path, *, automatic: bool = True) -> Meter:
    counters = [_Counter(zone) for zone in chosen]

    def read() -> float:
        try:
            return sum(counter.joules() for counter in counters)
        except SensorFault as fault:
            if not fault.denied:
                raise
            raise denied(root / FOLDER / "*/energy_uj") from fault  # the others will be closed as well

    source = f"RAPL {' + '.join(zone.name for zone in chosen)} ({', '.join(zone.folder.name for zone in chosen)})"
    return Meter(name, source, RAIL, JOULES, PACE, read, automatic)


class _Counter:
    """Joules of a zone since the first reading, past any wrap-around."""

    def __init__(self, zone: Zone) -> None:
        self._file = zone.counter
        limit = text(zone.folder / "max_energy_range_uj")
        self._range_uj = int(limit) if limit.isdigit() else 0
        self._last_uj: int | None = None
        self._total_uj = 0

    def joules(self) -> float:
        now = whole_number(self._file)
        step = now - (now if self._last_uj is None else self._last_uj)
        if step < 0 and 0 <= step + self._range_uj <= WRAP_SHARE * self._range_uj:
            step += self._range_uj
        if step < 0:
            raise SensorFault(
                f"{self._file} went back from {self._last_uj} to {now} µJ, which is no wrap-around: measure again"
            )
        self._last_uj = now
        self._total_uj += step
        return self._total_uj / 1e6
