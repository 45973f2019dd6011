"""How a bundle was made, stage by stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edgekit.report.table import Table
from edgekit_runtime.manifest import HistoryStep


def history(steps: Sequence[HistoryStep]) -> Table:
    """How the bundle's main model was made."""
    rows = tuple(
        (step.stage, "; ".join(f"{name} {value}" for name, value in settings(step)), tools(step)) for step in steps
    )
    return Table("How it was made", ("stage", "settings", "with"), rows, left=3)


def settings(step: HistoryStep) -> tuple[tuple[str, str], ...]:
    """A stage's settings by name, groups as ``group.name``, without those that are unset."""
    return tuple(_flat(step.settings))


def tools(step: HistoryStep) -> str:
    """A stage's tools with their versions."""
    return ", ".join(f"{name} {version}" for name, version in step.tools.items())


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
            yield from _flat({str(number): item for number, item in enumerate(value, 1)}, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            yield f"{prefix}{name}", ", ".join(map(str, value))
        elif isinstance(value, float):
            yield f"{prefix}{name}", f"{value:.6g}"
        elif isinstance(value, bool):
            yield f"{prefix}{name}", "yes" if value else "no"
        elif value is not None:
            yield f"{prefix}{name}", str(value)
