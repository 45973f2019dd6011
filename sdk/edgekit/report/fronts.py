"""Charts of a comparison: accuracy against what it costs."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from edgekit.report.digits import significant
from edgekit.report.svg import ACCENT, INK, MUTED, RULE, axes, draw
from edgekit.report.text import clean
from edgekit.report.ticks import log_scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from edgekit.comparison import Row

WIDTH, LEFT, RIGHT, TOP = 420, 42, 250, 14
"""Pixels; to the right of the plot stand the names."""

LETTERS = 19
"""Width of a name, in letters of this script; a Chinese one takes two."""

LINE = 17
"""Pixels between two names."""


def latency(rows: Sequence[Row]) -> str:
    """Accuracy against the median latency."""
    return _chart(
        "front-latency", "median latency", "p50, milliseconds, logarithmic", "ms", rows, lambda row: row.latency_ms.p50
    )


def size(rows: Sequence[Row]) -> str:
    """Accuracy against the size of the file."""
    return _chart("front-size", "size", "size, MB, logarithmic", "MB", rows, lambda row: row.bytes / 1e6)


def front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those of (cost, accuracy) points that no cheaper one reaches, by rising cost."""
    best: list[tuple[float, float]] = []
    for cost, accuracy in sorted(points, key=lambda point: (point[0], -point[1])):
        if not best or accuracy > best[-1][1]:
            best.append((cost, accuracy))
    return best


def _chart(name: str, what: str, axis: str, unit: str, rows: Sequence[Row], cost: Callable[[Row], float]) -> str:
    points = [(cost(row), 100 * row.accuracy) for row in rows]
    bottom = TOP + max(230, LINE * len(rows))

    def paint(figure: Figure) -> None:
        plot = axes(figure, LEFT, TOP, RIGHT, bottom)
        costs, accuracies = zip(*points, strict=True)
        log_scale(plot.xaxis, min(costs) / 1.25, max(costs) * 1.25, RIGHT - LEFT)
        ends = [100 * end for row in rows for end in row.accuracy_ci95]
        room = 0.05 * (max(ends) - min(ends)) or 1.0
        low, high = min(ends) - room, max(ends) + room
        plot.set_ylim(low, high)
        plot.locator_params(axis="y", nbins=6)
        plot.grid()
        corners = front(points)
        plot.plot(
            [corners[0][0], *(each for each, _ in corners), plot.get_xlim()[1]],
            [low, *(each for _, each in corners), corners[-1][1]],
            drawstyle="steps-post",
            color=ACCENT,
            linewidth=1.4,
        )
        # where each point lies on the chart, in pixels from its top
        heights = [bottom - (accuracy - low) / (high - low) * (bottom - TOP) for accuracy in accuracies]
        order = sorted(range(len(rows)), key=lambda index: (heights[index], -costs[index]))
        places = dict(zip(order, spread([heights[index] for index in order], LINE, TOP, bottom), strict=True))
        for index, row in enumerate(rows):
            up = (bottom - places[index]) / (bottom - TOP)
            plot.annotate(
                "",
                points[index],
                (RIGHT - LEFT + 16, up * (bottom - TOP)),
                textcoords="axes pixels",
                zorder=1,
                arrowprops={"arrowstyle": "-", "color": RULE, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 4},
            )
            plot.annotate(
                f"{index + 1}  {shorten(clean(row.name), LETTERS)}",
                (RIGHT - LEFT + 19, up * (bottom - TOP)),
                xycoords="axes pixels",
                va="center",
                color=INK if row.pareto else MUTED,
                annotation_clip=False,
            )
            interval = [100 * end for end in row.accuracy_ci95]
            plot.plot([costs[index]] * 2, interval, color=ACCENT if row.pareto else MUTED, linewidth=3, alpha=0.25)
            plot.plot(
                *points[index],
                "D" if row.pareto else "o",
                color=ACCENT if row.pareto else MUTED,
                markersize=6,
                markerfacecolor=ACCENT if row.pareto else "none",
                clip_on=False,
                zorder=4,
            )
        plot.set_xlabel(axis, labelpad=3)
        plot.set_ylabel("accuracy, %", labelpad=4)

    spoken = "; ".join(
        f"{clean(row.name)} {accuracy:.2f} % at {significant(each)} {unit}"
        for row, (each, accuracy) in zip(rows, points, strict=True)
    )
    return draw(name, f"Accuracy against {what}: {spoken}", WIDTH, bottom + 40, paint)


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places near the rising ``wanted`` ones, at least ``gap`` apart, between both ends as far as they have room."""
    places: list[float] = []
    for place in wanted:
        places.append(max(place, places[-1] + gap if places else low))
    for index in reversed(range(len(places))):
        below = places[index + 1] - gap if index + 1 < len(places) else high
        places[index] = min(places[index], below)
    return places


def shorten(name: str, letters: int) -> str:
    """A name that is too long, without its middle: what tells bundles apart is at either end."""
    widths = [2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in name]
    if sum(widths) <= letters:
        return name
    head, tail, left = 0, len(name), letters - 1
    while True:
        from_head = head <= len(name) - tail
        width = widths[head] if from_head else widths[tail - 1]
        if width > left:
            return f"{name[:head]}…{name[tail:]}"
        left -= width
        head, tail = (head + 1, tail) if from_head else (head, tail - 1)
