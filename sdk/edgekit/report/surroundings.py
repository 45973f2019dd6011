"""Where and how something was measured, in words."""

from __future__ import annotations

from edgekit.report.digits import NONE, count, significant
from edgekit.report.table import Table
from edgekit_runtime.profiling.conditions import Conditions
from edgekit_runtime.profiling.device import Device
from edgekit_runtime.profiling.latency import Pacing


def device(there: Device) -> tuple[tuple[str, str], ...]:
    """Rows that describe a device."""
    features = ", ".join(f"{name} {'yes' if has else 'no'}" for name, has in there.features.items())
    return (
        ("processor", there.processor),
        ("instruction sets", features or NONE),
        ("cores", f"{there.cores}, of which {there.usable_cores} could be used"),
        ("memory", NONE if there.memory_mib is None else f"{significant(there.memory_mib)} MiB"),
        ("system", there.system),
    )


def pacing(how: Pacing) -> str:
    """How calls were timed."""
    rest = f"{significant(how.pause_ms)} ms of rest before each" if how.pause_ms else "back to back"
    return (
        f"{count(how.rounds, 'round', 'rounds')} of {count(how.calls, 'call', 'calls')}, {rest}, each after {how.warmup} untimed "
        "ones; no call is left out"
    )


def conditions(before: Conditions, after: Conditions) -> Table:
    """The state of the machine before and after."""
    rows = tuple(zip(_CONDITIONS, _state(before), _state(after), strict=True))
    return Table("Conditions", ("", "before", "after"), rows)


_CONDITIONS = ("governor", "frequency", "load average", "temperature", "slowed down", "allowed processors")


def _state(state: Conditions) -> tuple[str, ...]:
    return (
        state.governor or NONE,
        NONE if state.frequency_mhz is None else f"{state.frequency_mhz:,.0f} MHz",
        NONE if state.load_average is None else f"{state.load_average:.2f}",
        NONE if state.temperature_c is None else f"{state.temperature_c:.1f} °C",
        NONE if state.throttled is None else ("yes" if state.throttled else "no"),
        ", ".join(map(str, state.affinity)) or NONE,
    )
