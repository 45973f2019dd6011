"""What a search found, as tables and sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgekit.report.digits import NONE, count, percent, significant
from edgekit.report.table import Table

if TYPE_CHECKING:
    from edgekit_converters.tuning.results import TrialResult, Tuned

BEST, WITHIN = "★", "✓"
"""Mark the best trial, and the others that keep to the budget."""


def front_table(found: Tuned) -> Table:
    """A row a trial of the front, the most accurate first."""
    chosen = sorted(map(found.trial, found.front), key=lambda trial: (-(trial.accuracy or 0), trial.p95_ms or 0))
    columns = ("trial", "", "budget", "accuracy, %", "of the original's, %", "p50, ms", "p95, ms", "MB", "own, MiB")
    note = (
        f"No other trial is as accurate, as fast (p95) and as small, and better in one. {BEST} the most accurate within the "
        f"budget, {WITHIN} also within it."
    )
    return Table("Front", columns, tuple(_row(found, trial) for trial in chosen), note=note, left=3)


def trials_table(found: Tuned) -> Table:
    """A row a trial, in order."""
    columns = ("trial", "", "state", "accuracy, %", "p95, ms", "MB", "seconds", "why")
    rows = tuple(
        (
            str(trial.number),
            str(trial.choice),
            trial.state,
            *_figures(trial),
            significant(trial.seconds),
            trial.reason or "",
        )
        for trial in found.trials
    )
    return Table("All trials", columns, rows, left=3)


def outcome(found: Tuned, bundles: Mapping[int, str]) -> tuple[str, ...]:
    """What came of it, a sentence each; the last ones tell what to do."""
    if found.best is not None:
        best = found.trial(found.best)
        told = [f"best within {found.budget}: trial {best.number}, {best.choice}"]
        if best.number in bundles:
            threads = f" --threads {best.choice.threads}"
            told.append(f'edgekit predict {bundles[best.number]} "…" --engine {best.choice.engine}{threads}')
        else:
            told.append(f"its bundle is on {best.host}: {best.bundle}")
        return tuple(told)
    if found.nearest is None:
        return (f"nothing keeps to {found.budget}, and nothing was measured",)
    return (nearest(found),)


def nearest(found: Tuned) -> str:
    """What came nearest to a budget that nothing keeps to."""
    assert found.nearest is not None, "something was measured"
    trial = found.trial(found.nearest)
    return f"nothing keeps to {found.budget}; nearest is trial {trial.number}, {trial.choice}: {trial.reason}"


def about(found: Tuned, measured_on: str | None) -> tuple[str, ...]:
    """How it was found."""
    states = [trial.state for trial in found.trials]
    told = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    resumed = f", {found.resumed} of them of earlier calls" if found.resumed else ""
    where = f"latency on {found.device.processor}"
    if measured_on is not None:
        where = f"accuracy on this machine ({found.device.processor}), latency on {measured_on}"
    return (
        f"{count(len(found.trials), 'trial', 'trials')} of {found.space:,} choices{resumed}: {told or 'none'}"
        + ("; nothing is left to try" if found.exhausted else "; the same command goes on"),
        f"{found.examples:,} texts; the original's accuracy is {percent(found.original_accuracy, 2)}; {where}",
    )


def _row(found: Tuned, trial: TrialResult) -> tuple[str, ...]:
    mark = BEST if trial.number == found.best else WITHIN if trial.within else trial.reason or NONE
    accuracy, p95, size = _figures(trial)
    share = NONE if trial.accuracy_share is None else f"{100 * trial.accuracy_share:.1f}"
    return (
        str(trial.number),
        str(trial.choice),
        mark,
        accuracy,
        share,
        significant(trial.p50_ms),
        p95,
        size,
        significant(trial.rss_mib),
    )


def _figures(trial: TrialResult) -> tuple[str, str, str]:
    return (
        NONE if trial.accuracy is None else f"{100 * trial.accuracy:.2f}",
        significant(trial.p95_ms),
        NONE if trial.bytes is None else significant(trial.bytes / 1e6),
    )
