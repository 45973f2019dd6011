"""The charts of a profile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgekit.report.digits import significant, span
from edgekit.report.svg import ACCENT, INK, MUTED, PAPER, SECOND, axes, draw
from edgekit.report.ticks import log_scale
from edgekit_runtime.profiling.energy import Window
from edgekit_runtime.profiling.latency import Latency
from edgekit_runtime.profiling.sweeps import BucketLatency

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE, NARROW = 620, 420
"""Widths of charts in pixels: of a text column, and of half of one, which is also what a phone shows."""

LEAST_MS = 1e-6
"""What a clock that did not move counts as on a logarithmic axis."""


def distribution(latency: Latency, samples_ms: Sequence[Sequence[float]], width: int) -> str:
    """Every timed call: percentiles with their intervals above a histogram, with a tick a call below it."""
    milliseconds = np.maximum(np.concatenate([np.asarray(each, float) for each in samples_ms]), LEAST_MS)
    marked = [
        ("mean", latency.mean),
        ("p50", latency.p50),
        ("p90", latency.p90),
        ("p95", latency.p95),
        ("p99", latency.p99),
    ]
    colours = {"p50": ACCENT, "p95": SECOND}
    left, right, row, below, bottom = 46, width - 14, 19, 300, 322
    top = 10 + row * (len(marked) + 1)

    def paint(figure: Figure) -> None:
        above = axes(figure, left, 10, right, top)
        counts = axes(figure, left, top + 6, right, below)
        ticks = axes(figure, left, below + 3, right, bottom)
        low, high = milliseconds.min() * 0.94, milliseconds.max() * 1.06
        for each in (above, counts, ticks):
            log_scale(each.xaxis, low, high, right - left)
            each.grid(axis="x")
            each.spines[:].set_visible(False)
        for place, (name, value) in enumerate(marked):
            colour = colours.get(name, INK)
            interval = latency.ci95.get(name)
            ends = interval or (value, value)
            above.plot(ends, (place, place), color=colour, linewidth=5, alpha=0.35, solid_capstyle="butt")
            above.plot(value, place, "o", color=colour, markersize=5)
            _beside(above, ends, place, f"{significant(value)} ms", colour, (low, high))
            if name in colours:
                above.plot((value, value), (place, len(marked) + 0.5), color=colour, linewidth=1)
                counts.axvline(value, color=colour, linewidth=1)
        slowest = float(milliseconds.max())
        above.plot(slowest, len(marked), "o", color=INK, markersize=5, markerfacecolor="none")
        _beside(above, (slowest, slowest), len(marked), f"{significant(latency.max)} ms", INK, (low, high))
        above.set_yticks(range(len(marked) + 1), [*(name for name, _ in marked), "max"])
        above.set_ylim(len(marked) + 0.5, -0.6)
        above.tick_params(axis="x", length=0, labelbottom=False)

        edges = np.geomspace(low, high, (right - left) // 4)
        counts.stairs(np.histogram(milliseconds, edges)[0], edges, fill=True, color=MUTED, alpha=0.55)
        counts.tick_params(axis="x", length=0, labelbottom=False)
        counts.locator_params(axis="y", nbins=4, integer=True)
        counts.set_ylim(bottom=0)
        counts.set_ylabel("calls", labelpad=4)

        places = np.unique(np.round(np.log(milliseconds / low) / np.log(high / low) * 2 * (right - left)))
        where = low * (high / low) ** (places / (2 * (right - left)))
        ticks.plot(*_strokes(where), color=INK, linewidth=0.6, alpha=0.7)
        ticks.set_ylim(0, 1)
        ticks.set_yticks([])
        ticks.set_xlabel("milliseconds a text, logarithmic", labelpad=3)

    spoken = ", ".join(f"{name} {significant(value)} ms" for name, value in marked)
    label = f"Distribution of {milliseconds.size} timed calls: {spoken}, slowest {significant(latency.max)} ms"
    return draw(f"distribution-{width}", label, width, bottom + 42, paint)


def by_length(buckets: Sequence[BucketLatency]) -> str:
    """Median and p95 over length, with their intervals."""
    tokens = [each.tokens for each in buckets]

    def paint(figure: Figure) -> None:
        plot = axes(figure, 46, 12, NARROW - 40, 200)
        plot.grid(axis="y")
        for name, colour, up in (("p95", SECOND, 1), ("p50", ACCENT, -1)):
            values = [getattr(each.latency_ms, name) for each in buckets]
            plot.plot(tokens, values, "o-", color=colour, linewidth=1.4, markersize=4)
            for each in buckets:
                if (interval := each.latency_ms.ci95.get(name)) is not None:
                    plot.plot(
                        (each.tokens, each.tokens),
                        interval,
                        color=colour,
                        linewidth=5,
                        alpha=0.35,
                        solid_capstyle="butt",
                    )
            plot.annotate(
                name, (tokens[-1], values[-1]), (8, 4 * up), textcoords="offset points", va="center", color=colour
            )
        plot.set_ylim(bottom=0)
        plot.locator_params(axis="y", nbins=5)
        plot.set_xticks(_apart(tokens, (NARROW - 86) / max(1, tokens[-1] - tokens[0])))
        plot.set_xlabel("tokens", labelpad=3)
        plot.set_ylabel("milliseconds a text", labelpad=4)

    spoken = ", ".join(f"{each.tokens} tokens {significant(each.latency_ms.p50)} ms" for each in buckets)
    return draw("by-length", f"Median latency by length: {spoken}", NARROW, 240, paint)


def drift(samples_ms: Sequence[Sequence[float]]) -> str:
    """The median of each round, one after the other."""
    medians = [float(np.median(each)) for each in samples_ms]
    whole = float(np.median(np.concatenate([np.asarray(each) for each in samples_ms])))

    def paint(figure: Figure) -> None:
        plot = axes(figure, 46, 12, NARROW - 14, 200)
        plot.grid(axis="y")
        plot.axhline(whole, color=ACCENT, linewidth=1, dashes=(4, 3))
        plot.plot(range(1, len(medians) + 1), medians, "o-", color=INK, linewidth=0.9, markersize=3)
        plot.set_ylim(min(0.9 * whole, min(medians)) - 0.02 * whole, max(1.1 * whole, max(medians)) + 0.02 * whole)
        plot.locator_params(axis="y", nbins=5)
        plot.locator_params(axis="x", nbins=8, integer=True)
        plot.set_xlabel("round", labelpad=3)
        plot.set_ylabel("median, milliseconds", labelpad=4)

    ends = span((min(medians), max(medians)))
    return draw("drift", f"Median of each of {len(medians)} rounds: {ends} ms", NARROW, 240, paint)


def windows(measured: Sequence[Window]) -> str:
    """Mean power of each load window above that of the idle ones around it."""
    idle, load = [window.idle_w for window in measured], [window.load_w for window in measured]

    def paint(figure: Figure) -> None:
        plot = axes(figure, 46, 12, NARROW - 14, 200)
        plot.grid(axis="y")
        for number, (low, high) in enumerate(zip(idle, load, strict=True), 1):
            ends = (number - 0.36, number + 0.36)
            plot.fill_between(ends, low, high, color=ACCENT, alpha=0.2, linewidth=0)
            plot.plot(ends, (low, low), color=MUTED, linewidth=2.6, solid_capstyle="butt")
            plot.plot(ends, (high, high), color=ACCENT, linewidth=2.6, solid_capstyle="butt")
        plot.set_xlim(0.4, len(measured) + 0.6)
        plot.set_ylim(min(0.0, *idle, *load), 1.15 * max(*idle, *load, 1e-9))
        plot.locator_params(axis="y", nbins=5)
        plot.set_xticks(_apart(range(1, len(measured) + 1), (NARROW - 60) / len(measured)))
        plot.set_xlabel("window", labelpad=3)
        plot.set_ylabel("watts", labelpad=4)

    middle = f"{significant(float(np.median(idle)))} W idle, {significant(float(np.median(load)))} W under load"
    return draw("windows", f"Power in {len(measured)} windows: {middle} at the median", NARROW, 240, paint)


def _beside(
    plot: Axes, ends: tuple[float, float], place: int, text: str, colour: str, limits: tuple[float, float]
) -> None:
    """Writes to the right of a bar, or to its left where the edge is near."""
    near = np.log(ends[1] / limits[0]) > 0.78 * np.log(limits[1] / limits[0])
    where, offset, side = (ends[0], -8, "right") if near else (ends[1], 8, "left")
    box = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.5}  # no line runs through the figure
    plot.annotate(
        text, (where, place), (offset, 0), textcoords="offset points", ha=side, va="center", color=colour, bbox=box
    )


def _strokes(where: Sequence[float]) -> tuple[list[float], list[float]]:
    """Vertical strokes from 0 to 1 as one broken line, which is a fraction of the size of a line each."""
    return (
        [value for each in where for value in (each, each, float("nan"))],
        [value for _ in where for value in (0.0, 1.0, float("nan"))],
    )


def _apart(values: Sequence[int], pixels: float) -> list[int]:
    """Those of rising values whose labels have room, the last one always."""
    kept = [values[-1]]
    for value in reversed(values[:-1]):
        if (kept[0] - value) * pixels >= 24:
            kept.insert(0, value)
    return kept
