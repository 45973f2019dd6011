"""Reports in Markdown, for a README or a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from edgekit.report import compared, profiled, tuned
from edgekit.report.history import history
from edgekit.report.table import Table
from edgekit.report.text import clean
from edgekit_runtime.profiling.profile import Profile

if TYPE_CHECKING:
    from edgekit.comparison import Comparison
    from edgekit_converters.tuning.results import Tuned

_SPECIAL = re.compile(r"[\\`*\[\]|~]")


def profile_markdown(profile: Profile) -> str:
    """A profile as tables."""
    facts = profiled.headline(profile)
    head = Table(
        "", ("", "", ""), tuple((fact.name, f"{fact.value} {fact.unit}".strip(), fact.detail) for fact in facts)
    )
    tables = [
        profiled.percentiles(profile),
        *([profiled.by_model(profile)] if profile.latency_ms.by_model else []),
        profiled.by_length(profile),
        *profiled.stages(profile),
        *profiled.operators(profile),
        profiled.startup(profile),
        profiled.by_threads(profile),
        profiled.by_batch(profile),
        profiled.by_workers(profile),
        profiled.memory(profile),
    ]
    missing = profile.operators_missing
    return _document(
        f"# {_text(profile.name)}: profile",
        _text(f"{profile.bundle}, {profile.engine}, {profile.scheme}, on {profile.device.processor}, {profile.date}"),
        _table(head),
        *(f"> {_text(remark)}" for remark in profiled.remarks(profile)),
        *(_section(table) for table in tables if table.rows),
        f"### Operators\n\n> {_text(missing)}" if missing else "",
        f"### Energy\n\n{_text(profiled.energy_sentence(profile.energy))}",
        _table(profiled.windows(profile.energy)) if profile.energy.windows else "",
        _section(profiled.device(profile)),
        _section(profiled.conditions(profile)),
        _section(history(profile.history)) if profile.history else "",
    )


def comparison_markdown(comparison: Comparison) -> str:
    """A comparison as tables."""
    return _document(
        "# Accuracy, and what it costs",
        _text(f"{comparison.data}, on {comparison.device.processor}, {comparison.date}"),
        _section(compared.bundles(comparison)),
        *(f"> {_text(remark)}" for remark in comparison.remarks()),
        _section(compared.device(comparison)),
        _section(compared.conditions(comparison)),
    )


def tuned_markdown(found: Tuned, bundles: Mapping[int, str], measured_on: str | None, chart: str | None) -> str:
    """A search as tables.

    Args:
        found: What it found.
        bundles: Number of a trial of the front to its bundle.
        measured_on: The phone that measured the latency; None for this device.
        chart: Name of the chart's file, if there is one.
    """
    files = "\n".join(f"- trial {number}: `{name}`" for number, name in bundles.items())
    return _document(
        f"# {_text(found.budget)}",
        _text(tuned.outcome(found, bundles)[0]),
        *(f"    {line}" for line in tuned.outcome(found, bundles)[1:]),
        *(f"> {_text(remark)}" for remark in tuned.about(found, measured_on)),
        f"![Accuracy against p95]({chart})" if chart else "",
        _section(tuned.front_table(found)) if found.front else "",
        files,
        _section(tuned.trials_table(found)) if found.trials else "",
    )


def _document(*parts: str) -> str:
    return "\n\n".join(filter(None, parts)) + "\n"


def _section(table: Table) -> str:
    parts = (f"### {_text(table.title)}", _table(table), _text(table.note))
    return "\n\n".join(filter(None, parts))


def _table(table: Table) -> str:
    rule = [":--" if index < table.left else "--:" for index in range(len(table.columns))]
    return "\n".join((_line(table.columns), f"| {' | '.join(rule)} |", *map(_line, table.rows)))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(map(_text, cells))} |"


def _text(text: str) -> str:
    """Text that stays text: no markup, no tags, one line."""
    text = " ".join(clean(text).split()).replace("&", "&amp;").replace("<", "&lt;")
    return _SPECIAL.sub(r"\\\g<0>", text)
