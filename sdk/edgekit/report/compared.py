"""The table of a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit.report import surroundings
from edgekit.report.digits import NONE, count, significant, span, with_span
from edgekit.report.table import Table

if TYPE_CHECKING:
    from edgekit.comparison import Comparison, Row

FRONT = "◆"
"""Marks a bundle that no other one beats in everything."""


def bundles(comparison: Comparison) -> Table:
    """A row a bundle."""
    columns = (
        "",
        "bundle",
        "front",
        "accuracy, %",
        "MB",
        "p50, ms",
        "p95, ms",
        "peak, MiB",
        "own, MiB",
        "energy, mJ/text",
    )
    rows = tuple(_row(number, row) for number, row in enumerate(comparison.rows, 1))
    note = (
        f"{FRONT} on the Pareto front over accuracy, p50 and size: no other bundle is as good in all three and, beyond chance, "
        "better in one. In brackets: 95 % intervals."
    )
    return Table("Bundles", columns, rows, note=note, left=2)


def _row(number: int, row: Row) -> tuple[str, ...]:
    low, high = row.accuracy_ci95
    latency, energy = row.latency_ms, row.energy
    joules = NONE
    if energy.mj_per_inference is not None:
        interval = f" ({span(energy.ci95)})" if energy.ci95 else ""
        joules = f"{significant(energy.mj_per_inference)}{interval}, {energy.status}"
    return (
        str(number),
        f"{row.name} ({row.engine}, {row.scheme})",
        FRONT if row.pareto else "",
        f"{100 * row.accuracy:.2f} ({100 * low:.1f} – {100 * high:.1f})",
        significant(row.bytes / 1e6),
        with_span(latency.p50, latency.ci95, "p50"),
        with_span(latency.p95, latency.ci95, "p95"),
        significant(row.memory_mib.peak_rss),
        significant(row.memory_mib.rss_anon),
        joules,
    )


def device(comparison: Comparison) -> Table:
    """Where it was measured, on what and how."""
    rows = (
        *surroundings.device(comparison.device),
        ("threads", f"up to {comparison.threads} a text"),
        ("data", f"{count(comparison.examples, 'example', 'examples')} of {comparison.data}"),
        ("pacing", f"in turns on the same texts, {surroundings.pacing(comparison.pacing)}"),
    )
    return Table("Device and method", ("", ""), rows, left=2)


def conditions(comparison: Comparison) -> Table:
    """The state of the machine before and after."""
    return surroundings.conditions(*comparison.conditions)
