"""``edgekit compare``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from edgekit.cli.bundle_options import EngineName, Json, KeyFile, Threads, use_key_file
from edgekit.cli.options import BEST_SENSOR, UNSAID, with_data_options, with_energy_options
from edgekit.cli.reports import Html, Markdown, Reports
from edgekit.cli.terminal import Terminal, megabytes, percent, print_json, print_result
from edgekit.comparison import Comparison, Row, compare
from edgekit.report import comparison_html, comparison_markdown
from edgekit.report.digits import NONE, count, significant, span, with_span
from edgekit_converters.data import DataOptions
from edgekit_runtime.profiling.energy.settings import EnergySettings
from edgekit_runtime.profiling.latency import SECONDS

COLUMNS = ("", "accuracy", "size", "p50 ms", "p95 ms", "memory MiB", "energy mJ")

ON_FRONT = "*"

WIDE = 10_000
"""Columns that hold whatever is printed."""


@with_data_options
@with_energy_options
def command(
    bundles: Annotated[
        list[Path], typer.Argument(metavar="BUNDLE…", help="One .edgekit file or more.", show_default=False)
    ],
    data: Annotated[
        str, typer.Option("--data", metavar="DATA", help="Labelled text, which all classify and are timed on.")
    ],
    data_options: DataOptions = UNSAID,
    engine: EngineName = None,
    threads: Threads = None,
    key_file: KeyFile = None,
    seconds: Annotated[float, typer.Option("--seconds", help="How long each bundle is timed, about.")] = SECONDS,
    energy: EnergySettings = BEST_SENSOR,
    html: Html = None,
    markdown: Markdown = None,
    json: Json = False,
) -> None:
    """Measure bundles against each other: accuracy, size, latency, memory, energy.

    All are timed in turns on the same texts. A star marks those that no other beats: none is as accurate, as fast and as small,
    and better in one of them by more than chance.

    \b
    Example:
      $ edgekit compare teacher.edgekit student.edgekit --data dev.tsv
      $ edgekit compare *.edgekit --data dev.tsv --threads 1 --html compare.html
    """
    use_key_file(key_file)
    reports = Reports(html, markdown, *bundles, data)
    with Terminal() as terminal:
        found = compare(
            bundles,
            data,
            data_options,
            engine=engine,
            threads=threads,
            seconds=seconds,
            energy=energy,
            listener=terminal,
        )
    if json:
        print_json(found)
    else:
        _print(found)
    reports.write(found, comparison_html, comparison_markdown)


def _print(found: Comparison) -> None:
    """A table on stdout; where the terminal is too narrow for it, a block a bundle."""
    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDE  # lines stay whole for whoever reads them
    rows = [_cells(row) for row in found.rows]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(COLUMNS):
        table.add_column(column, justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(*map(Text, row))
    with console.capture() as captured:  # so that a pipe that was closed meets print_result, not rich
        if Measurement.get(console, console.options.update_width(WIDE), table).maximum <= console.width:
            console.print(table)
        else:
            for row in rows:
                console.print(_block(row))
        for remark in (*found.remarks(), *_how(found)):
            console.print(Text(remark))
    for line in captured.get().splitlines():
        print_result(line.rstrip())


def _block(row: Sequence[str]) -> Table:
    name, *cells = row
    block = Table.grid(padding=(0, 2, 0, 0))
    for column, cell in zip(COLUMNS[1:], cells, strict=True):
        block.add_row(Text(f"  {column}"), Text(cell))
    outer = Table.grid()
    outer.add_row(Text(name, style="bold", overflow="fold"))
    outer.add_row(block)
    return outer


def _cells(row: Row) -> tuple[str, ...]:
    latency, memory, energy = row.latency_ms, row.memory_mib, row.energy
    joules = significant(energy.mj_per_inference)
    if energy.ci95 is not None:
        joules = f"{joules} ({span(energy.ci95)})"
    low, high = row.accuracy_ci95
    return (
        f"{row.name} {ON_FRONT}" if row.pareto else row.name,
        f"{percent(row.accuracy)} ({100 * low:.1f} – {100 * high:.1f})",
        megabytes(row.bytes),
        with_span(latency.p50, latency.ci95, "p50"),
        with_span(latency.p95, latency.ci95, "p95"),
        NONE if memory.rss_anon is None else f"{significant(memory.rss_anon)}, peak {significant(memory.peak_rss)}",
        joules,
    )


def _how(found: Comparison) -> tuple[str, ...]:
    pacing = found.pacing
    return (
        f"{ON_FRONT} on the Pareto front: no other is as accurate, as fast and as small, and surely better in one of them",
        f"{found.examples} texts of {found.data}, {pacing.rounds} rounds of {pacing.calls} calls in turns, up to "
        f"{count(found.threads, 'thread', 'threads')}, 95 % intervals; memory of a fresh process, its own and the peak",
    )
