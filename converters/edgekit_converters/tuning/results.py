"""What tuning found: a result a trial, and all of them with their Pareto front."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit_converters.tuning.choice import Choice
from edgekit_runtime.profiling.device import Device

COMPLETE, PRUNED, FAILED, REFUSED = "complete", "pruned", "failed", "refused"
STATES = (COMPLETE, PRUNED, FAILED, REFUSED)
"""``complete``: a bundle was made and measured. ``pruned``: stopped early, the reason says at which point. ``refused``: model,
scheme and engine do not go together. ``failed``: a tool or an engine failed on it."""


@dataclass(frozen=True)
class Measured:
    """What a bundle costs on the device; of a ``measure`` callable null is what it cannot tell.

    Attributes:
        p50_ms: Median latency of a text, text in to label out, in milliseconds; the two that follow are as much.
        p95_ms: The 95th percentile.
        p99_ms: The 99th.
        rss_mib: Resident memory of a fresh process of its own, after every bucket was used.
        load_average: Of the machine over the last minute before; well over 0 it was not idle.
    """

    p50_ms: float
    p95_ms: float
    p99_ms: float | None = None
    rss_mib: float | None = None
    load_average: float | None = None


@dataclass(frozen=True)
class TrialResult:
    """One trial.

    Attributes:
        number: Its number in the study, from 0.
        state: One of STATES.
        choice: What was tried.
        accuracy: Share of the evaluation texts whose label the bundle finds; null unless ``complete``.
        accuracy_share: The same as a share of the original's accuracy.
        bytes: Size of the bundle; of a pruned trial that of the untrained one, if it got so far. So are the next ones.
        p50_ms: Median latency in milliseconds.
        p95_ms: 95th percentile.
        p99_ms: 99th percentile.
        rss_mib: Resident memory of its own, where the budget limits it.
        within: Whether it keeps to the budget; false unless ``complete``.
        reason: Why it is not complete, or which limits it is over; null for a complete one within the budget.
        bundle: The bundle, relative to the folder of the study, on ``host``; trials that differ in threads alone share one.
        host: Name of the machine that ran the trial.
        seconds: What the trial took.
        load_average: Of the machine over the last minute before measuring.
    """

    number: int
    state: str
    choice: Choice
    accuracy: float | None = None
    accuracy_share: float | None = None
    bytes: int | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    rss_mib: float | None = None
    within: bool = False
    reason: str | None = None
    bundle: str | None = None
    host: str = ""
    seconds: float = 0.0
    load_average: float | None = None


@dataclass(frozen=True)
class Tuned:
    """What :func:`edgekit_converters.tuning.tune.tune` found; its JSON is what ``edgekit tune --json`` prints.

    Attributes:
        budget: The budget as it was given.
        original_accuracy: Of the checkpoint as it was given, on the evaluation texts.
        examples: How many those are.
        trials: All trials of the study that ended, whoever ran them, by number.
        front: Numbers of the complete trials that no other beats: on the Pareto front of accuracy, p95 and bytes.
        best: Number of the most accurate one within the budget, of equals the faster; null if none is within.
        nearest: Without a best one, number of the complete or pruned trial that exceeds the limits least, as far as it was
            measured; null if none was.
        space: How many choices there are.
        exhausted: Whether each of them was tried or ruled out.
        resumed: How many of the trials were there before this call.
        seconds: What this call took.
        study: Name of the study.
        storage: Where it is kept; a password is masked.
        device: This machine; each trial tells its host.
    """

    budget: str
    original_accuracy: float
    examples: int
    trials: tuple[TrialResult, ...]
    front: tuple[int, ...]
    best: int | None
    nearest: int | None
    space: int
    exhausted: bool
    resumed: int
    seconds: float
    study: str
    storage: str
    device: Device

    def trial(self, number: int) -> TrialResult:
        """The trial with that number."""
        return next(trial for trial in self.trials if trial.number == number)
