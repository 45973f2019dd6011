"""The chart of a search: accuracy against the 95th percentile of the latency, bubbles as large as the bundles."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgekit.report.digits import significant
from edgekit.report.fronts import LINE, front, shorten, spread
from edgekit.report.svg import ACCENT, INK, MUTED, RULE, SECOND, VARIABLES, axes, draw
from edgekit.report.text import clean
from edgekit.report.ticks import log_scale
from edgekit_converters.budget import Budget
from edgekit_converters.tuning.results import COMPLETE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from edgekit_converters.tuning.results import TrialResult, Tuned

WIDTH, LEFT, RIGHT, TOP = 860, 52, 500, 24
"""Pixels; to the right of the plot stand the names of the front."""

LETTERS = 50
"""Width of a name."""

SMALL, LARGE = 5.0, 26.0
"""Diameter of a bubble, in points: of what is tiny, and of the largest bundle."""

COLOURS = {
    "--ink": "#22262a",
    "--muted": "#5f666d",
    "--rule": "#d9d6cf",
    "--accent": "#14708a",
    "--second": "#b4531a",
    "--paper": "#fbfaf7",
}
"""Of the light page: a file of its own has no page around it."""


def tuned_svg(found: Tuned) -> str | None:
    """The chart, a file of its own; None where no trial is complete."""
    trials = [trial for trial in found.trials if trial.state == COMPLETE]
    if not trials:
        return None
    shown = [trial for trial in trials if trial.number in found.front]
    bottom = TOP + max(320, LINE * len(shown))

    def paint(figure: Figure) -> None:
        plot = axes(figure, LEFT, TOP, RIGHT, bottom)
        costs, accuracies = zip(*map(_point, trials), strict=True)
        limits = {limit.key: limit.bound for limit in Budget.parse(found.budget).limits}
        ends = [*costs, *([limits["p95"]] if "p95" in limits else [])]
        log_scale(plot.xaxis, min(ends) / 1.3, max(ends) * 1.3, RIGHT - LEFT)
        levels = list(accuracies)
        if "drop" in limits:
            levels.append(100 * (found.original_accuracy - limits["drop"]))
            plot.axhline(levels[-1], color=SECOND, linewidth=1.2, linestyle="--")
        if "p95" in limits:
            plot.axvline(limits["p95"], color=SECOND, linewidth=1.2, linestyle="--")
        room = 0.08 * (max(levels) - min(levels)) or 1.0
        low, high = min(levels) - room, max(levels) + room
        plot.set_ylim(low, high)
        plot.locator_params(axis="y", nbins=6)
        plot.grid()
        corners = front([_point(trial) for trial in shown])
        plot.plot(
            [corners[0][0], *(cost for cost, _ in corners), plot.get_xlim()[1]],
            [low, *(accuracy for _, accuracy in corners), corners[-1][1]],
            drawstyle="steps-post",
            color=ACCENT,
            linewidth=1.4,
        )
        largest = max(trial.bytes or 0 for trial in trials)
        for trial in sorted(trials, key=lambda trial: (trial in shown, -(trial.bytes or 0))):
            colour = ACCENT if trial in shown else MUTED
            plot.plot(
                *_point(trial),
                "o",
                color=colour,
                alpha=0.75 if trial in shown else 0.3,
                markersize=SMALL + (LARGE - SMALL) * ((trial.bytes or 0) / largest) ** 0.5,
                markerfacecolor=colour if trial.within else "none",
                clip_on=False,
                zorder=4 if trial in shown else 3,
            )
        heights = [bottom - (_point(trial)[1] - low) / (high - low) * (bottom - TOP) for trial in shown]
        order = sorted(range(len(shown)), key=lambda index: (heights[index], -_point(shown[index])[0]))
        places = spread([heights[index] for index in order], LINE, TOP, bottom)
        for index, place in zip(order, places, strict=True):
            trial, up = shown[index], bottom - place
            plot.annotate(
                "",
                _point(trial),
                (RIGHT - LEFT + 16, up),
                textcoords="axes pixels",
                zorder=1,
                arrowprops={"arrowstyle": "-", "color": RULE, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 4},
            )
            plot.annotate(
                f"{trial.number}  {shorten(clean(str(trial.choice)), LETTERS)}",
                (RIGHT - LEFT + 19, up),
                xycoords="axes pixels",
                va="center",
                color=INK if trial.within else MUTED,
                weight="bold" if trial.number == found.best else "normal",
                annotation_clip=False,
            )
        plot.set_xlabel(
            "p95, milliseconds, logarithmic; area of a bubble: size of the bundle; filled: within the budget"
        )
        plot.set_ylabel("accuracy, %", labelpad=4)

    spoken = "; ".join(
        f"{clean(str(trial.choice))} {accuracy:.2f} % at {significant(cost)} ms, {significant((trial.bytes or 0) / 1e6)} MB"
        for trial in shown
        for cost, accuracy in (_point(trial),)
    )
    height = bottom + 46
    return _alone(draw("front", f"Accuracy against p95: {spoken}", WIDTH, height, paint), WIDTH, height)


def _point(trial: TrialResult) -> tuple[float, float]:
    assert trial.p95_ms is not None and trial.accuracy is not None, "it is complete"
    return trial.p95_ms, 100 * trial.accuracy


def _alone(svg: str, width: int, height: int) -> str:
    """A chart of a page as a file of its own: with a size, a ground, letters, and colours that need no page."""
    for name in VARIABLES.values():
        svg = svg.replace(f"var({name})", COLOURS[name])
    head = f'<svg width="{width}" height="{height}" font-family="system-ui, sans-serif" '
    ground = f'<rect width="100%" height="100%" fill="{COLOURS["--paper"]}" />'
    svg = re.sub(r"^<svg ", head, svg, count=1)
    return re.sub(r"^(<svg [^>]*>)", lambda found: found[1] + ground, svg, count=1) + "\n"
