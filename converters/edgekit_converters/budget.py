"""Budget: what a bundle may take and cost, such as ``p95<=3ms,bytes<=2MB,drop<=0.01`` (docs/profiling.md)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgekit_runtime.errors import GateError, OptionError

EXAMPLE = "p95<=3ms,bytes<=2MB,drop<=0.01"

SMALLER = "try --distill cnn, --prune 0.5 or another --quantize scheme, or allow more"
CLOSER = "try a milder --quantize scheme or --prune ratio, or more texts to learn from, or allow more"


@dataclass(frozen=True)
class Quantity:
    """What a key limits.

    Attributes:
        unit: In which it is measured and recorded.
        units: What may stand behind a bound, to how many of ``unit`` it is.
    """

    unit: str
    units: Mapping[str, float]


_TIME = Quantity("ms", {"us": 0.001, "µs": 0.001, "μs": 0.001, "ms": 1.0, "s": 1000.0})  # both signs for micro
_SIZES = {"B": 1.0, "kB": 1e3, "MB": 1e6, "KiB": 1024.0, "MiB": 1024.0**2}

QUANTITIES = {
    "p50": _TIME,
    "p95": _TIME,
    "p99": _TIME,
    "bytes": Quantity("bytes", _SIZES),
    "drop": Quantity("share", {"": 1.0, "%": 0.01}),
    "rss": Quantity("MiB", {name: size / 1024**2 for name, size in _SIZES.items()}),
}
"""Key to what it limits: percentiles of the latency; the size of the bundle; accuracy lost against the checkpoint as it was
given; and a fresh process's own memory after every bucket was used."""

LATENCIES = ("p50", "p95", "p99")

_LIMIT = re.compile(r"\s*(\w+)\s*(<=|≤)\s*([+-]?(?:nan|inf|[\d.]+(?:e[+-]?\d+)?))\s*(\S*)\s*", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Limit:
    """One bound, in the unit of its quantity; a figure that equals it is within."""

    key: str
    bound: float


@dataclass(frozen=True)
class Budget:
    """What a bundle must keep to; without limits, anything does."""

    limits: tuple[Limit, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Reads limits that are separated by commas.

        Raises:
            OptionError: Something is no limit, its key or unit is unknown, its bound makes no sense, or a key comes twice.
        """
        limits = tuple(_parse_limit(part) for part in text.split(","))
        keys = [limit.key for limit in limits]
        if twice := next((key for key in keys if keys.count(key) > 1), None):
            raise OptionError(f"--budget limits {twice} twice; give each of {', '.join(QUANTITIES)} once")
        return cls(limits)

    def __contains__(self, key: str) -> bool:
        return any(limit.key == key for limit in self.limits)

    def check(self, *, labelled: bool) -> None:
        """Refuses before any work what cannot be measured.

        Args:
            labelled: Whether there are labelled texts to measure accuracy on.

        Raises:
            OptionError: The loss of accuracy is limited and nothing measures it, or the system does not tell a process's memory.
        """
        if "drop" in self and not labelled:
            raise OptionError("--budget limits drop, which is measured on labelled texts: give them with --eval")
        if "rss" in self and not Path("/proc/self/status").exists():
            raise OptionError("--budget limits rss, which only Linux tells: leave it out here")

    def check_programs(self, size: int) -> None:
        """Refuses programs that take more than the bundle may, before they are verified.

        Args:
            size: Of all programs, in bytes.

        Raises:
            GateError: They are too big.
        """
        for limit in self.limits:
            if limit.key == "bytes" and size > limit.bound:
                raise GateError(
                    f"the programs alone take {shown('bytes', size)}, and --budget allows the bundle "
                    f"{shown('bytes', limit.bound)}; nothing was written: {SMALLER}"
                )


def shown(key: str, value: float) -> str:
    """A figure or a bound for the eye."""
    if key == "drop":
        return f"{value:.2%}"
    unit = QUANTITIES[key].unit
    if key == "bytes":
        value, unit = (value / 1e6, "MB") if value >= 1e6 else (value / 1e3, "kB") if value >= 1e3 else (value, "B")
    return f"{value:.0f} {unit}" if value >= 1000 else f"{value:.4g} {unit}"


def _parse_limit(text: str) -> Limit:
    found = _LIMIT.fullmatch(text)
    if found is None:
        raise OptionError(
            f"--budget has {text.strip()!r}, which is no limit: write such as {EXAMPLE!r}, in quotes, with a comma between; "
            f"it can limit {', '.join(QUANTITIES)}"
        )
    key, _, number, unit = found.groups()
    if key not in QUANTITIES:
        raise OptionError(f"--budget cannot limit {key!r}; it can limit {', '.join(QUANTITIES)}")
    units = QUANTITIES[key].units
    if unit not in units:
        wanted = "a share such as 0.01, or 1%" if key == "drop" else f"one of {', '.join(units)}"
        what = f"the unit {unit!r}" if unit else "no unit"
        example = (
            "" if unit or key == "drop" else f", such as {key}<={number}{QUANTITIES[key].unit.replace('bytes', 'B')}"
        )
        raise OptionError(f"--budget has {what} behind {key}<={number}: it takes {wanted}{example}")
    try:
        bound = float(number) * units[unit]
    except ValueError:
        bound = math.nan
    if not (0 < bound < math.inf or (key == "drop" and bound == 0)):
        raise OptionError(f"--budget has {text.strip()!r}, and a bound is a number over 0: write such as {EXAMPLE!r}")
    if key == "drop" and bound > 1:
        raise OptionError(f"--budget has {text.strip()!r}, and drop is a share: write such as drop<=0.01, or drop<=1%")
    return Limit(key, bound)
