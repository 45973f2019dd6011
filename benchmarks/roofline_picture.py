"""The roofline as a picture that follows its reader from light to dark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.report.svg import ACCENT, INK, MUTED, SECOND, axes
from edgekit.report.svg import draw as drawn
from edgekit.report.ticks import log_scale
from edgekit_runtime.bundle import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from roofline import Point, Roofline
    from roofline_work import Work

WIDTH, HEIGHT, TOP, BOTTOM = 940, 470, 34, 420
PANELS = ((62, 386), (432, 756))
"""Left and right edges; to the right of them stands the legend."""

LOOKS = ((ACCENT, "o"), (SECOND, "s"), (INK, "^"))
"""Colour and mark of each engine."""

STYLE = (
    "<style>svg{--paper:#fbfaf7;--ink:#22262a;--muted:#5f666d;--rule:#d9d6cf;--accent:#14708a;--second:#b4531a;"
    "font-family:system-ui,sans-serif}@media(prefers-color-scheme:dark){svg{--paper:#15181b;--ink:#e3e6e8;"
    "--muted:#9ba3aa;--rule:#363c42;--accent:#5fb8d3;--second:#eb9a63}}</style>"
    '<rect width="100%" height="100%" fill="var(--paper)"/>'
)
GIGA = 1e9


def draw(result: Roofline, path: Path) -> None:
    """Writes the picture, or leaves what was there.

    Raises:
        FileError: It cannot be written.
    """
    spoken = "; ".join(
        f"{each.engine}, {each.threads} threads, {each.length} tokens: {each.ratio:.2f} times the roofline"
        for each in result.points
    )
    picture = drawn("roofline", f"Roofline. {spoken}", WIDTH, HEIGHT, lambda figure: paint(result, figure))
    begin, _, rest = picture.partition(">")
    with replacing(path) as file:
        file.write(f'{begin} width="{WIDTH}" height="{HEIGHT}">{STYLE}{rest}\n'.encode())


def paint(result: Roofline, figure: Figure) -> None:
    """A panel for each number of threads: operations a byte against operations a second."""
    speeds = [work.int8_ops / each.median_ms / 1e6 for work, each in _pairs(result)]
    ceilings = [each.int8 / GIGA for each in result.rates]
    peaks = [] if result.peak_rate is None else [each.threads * result.peak_rate / GIGA for each in result.reading]
    low, high = min(speeds) / 1.5, max(*ceilings, *peaks) * 1.3
    plots = [axes(figure, left, TOP, right, BOTTOM) for left, right in PANELS]
    for number, (plot, read) in enumerate(zip(plots, result.reading, strict=True)):
        _panel(plot, result, read.threads)
        plot.set_yscale("log")
        plot.set_ylim(low, high)
        ticks = [tick for tick in (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000) if low <= tick <= high]
        plot.set_yticks(ticks, [f"{tick:,}" for tick in ticks] if number == 0 else [""] * len(ticks))
        plot.minorticks_off()
        plot.grid()
        plot.set_title("one thread" if read.threads == 1 else f"{read.threads} threads", loc="left", fontsize=11.5)
        plot.set_xlabel("int8 operations a byte of weights; 8 to 128 tokens")
    plots[0].set_ylabel("int8 Gop/s", labelpad=4)
    figure.legend(
        *plots[0].get_legend_handles_labels(), loc="center right", frameon=False, fontsize=10, labelcolor=MUTED
    )


def _panel(plot: Axes, result: Roofline, threads: int) -> None:
    low, high = result.work[0].intensity / 4, result.work[-1].intensity * 1.6
    log_scale(plot.xaxis, low, high, PANELS[0][1] - PANELS[0][0])
    (read,) = (each for each in result.reading if each.threads == threads)
    rates = [each for each in result.rates if each.threads == threads]
    top = max(each.int8 for each in rates)
    if result.peak_rate is not None:
        plot.axhline(threads * result.peak_rate / GIGA, color=MUTED, linestyle=":", label="hardware's peak")
    for speed, linestyle, label in (
        (read.weights, "-", "reading, weights in cache"),
        (read.memory, "--", "reading, from memory"),
    ):
        plot.plot([low, top / speed], [low * speed / GIGA, top / GIGA], color=MUTED, linestyle=linestyle, label=label)
    for rate, (colour, _) in zip(rates, LOOKS, strict=False):
        plot.plot(
            [rate.int8 / read.weights, high],
            [rate.int8 / GIGA] * 2,
            color=colour,
            linewidth=1.4,
            label=f"{rate.engine}'s ceiling",
        )
    for rate, (colour, mark) in zip(rates, LOOKS, strict=False):
        mine = [
            (work.intensity, work.int8_ops / each.median_ms / 1e6)
            for work, each in _pairs(result)
            if (each.engine, each.threads) == (rate.engine, threads)
        ]
        plot.plot(*zip(*mine, strict=True), mark, color=colour, markersize=7, label=rate.engine)


def _pairs(result: Roofline) -> list[tuple[Work, Point]]:
    """The points, each with what it did."""
    by_length = {work.length: work for work in result.work}
    return [(by_length[each.length], each) for each in result.points]
