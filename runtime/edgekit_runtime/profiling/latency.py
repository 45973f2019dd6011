"""Latency of a classifier, text in to label out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edgekit_runtime.combination import MAIN
from edgekit_runtime.prediction import Prediction
from edgekit_runtime.profiling.intervals import Interval, bootstrap

PERCENTILES = (50, 90, 95, 99)

SECONDS = 5.0
LEAST_ROUNDS, MOST_ROUNDS = 10, 100
CALLS, MOST_CALLS = 20, 200
BETWEEN_S = 0.1

T = TypeVar("T")
"""A text, or what else a call takes."""


@dataclass(frozen=True)
class Latency:
    """Milliseconds a text over ``count`` timed calls, none of which is left out: the mean, percentiles and the slowest.

    Attributes:
        ci95: ``mean`` and each percentile to its 95 % interval, a bootstrap over rounds; empty where there was one round.
        by_model: Of a bundle of several models, the role of each that answered to the same of the calls that it answered; of
            a cascade's last model that is with the time of those before it. Else empty.
    """

    count: int
    mean: float
    p50: float
    p90: float
    p95: float
    p99: float
    max: float
    ci95: dict[str, Interval] = field(default_factory=dict)
    by_model: dict[str, Latency] = field(default_factory=dict)


@dataclass(frozen=True)
class Pacing:
    """How calls are timed.

    Attributes:
        warmup: Untimed calls before each round.
        rounds: Rounds, each of the same texts.
        calls: Timed calls a round.
        pause_ms: Rest before each call: 0 is back to back, more is an app that is asked now and then.
    """

    warmup: int
    rounds: int
    calls: int
    pause_ms: float = 0.0


@dataclass(frozen=True)
class Round:
    """Timed calls, in their order: milliseconds (calls,), and the role of the model that answered each."""

    milliseconds: NDArray[np.float64]
    models: tuple[str, ...]


def time_round(classify: Callable[[T], object], texts: Sequence[T], *, warmup: int = 0, pause_ms: float = 0.0) -> Round:
    """Times one call a text, after ``warmup`` untimed ones on texts from all over the list.

    Nothing but two readings of the clock lies between a call's begin and end.
    """
    for index in range(warmup):
        classify(texts[index * len(texts) // warmup])
    nanoseconds: list[int] = []
    models: list[str] = []
    clock, pause_s = time.perf_counter_ns, pause_ms / 1000
    for text in texts:
        if pause_s:
            time.sleep(pause_s)
        begin = clock()
        answer = classify(text)
        nanoseconds.append(clock() - begin)
        models.append(answer.model if isinstance(answer, Prediction) else MAIN)
    return Round(np.asarray(nanoseconds) / 1e6, tuple(models))


@dataclass(frozen=True)
class Timed:
    """What was timed of one classifier."""

    pacing: Pacing
    rounds: tuple[Round, ...]

    @property
    def latency(self) -> Latency:
        """Mean, percentiles and intervals."""
        return summarise(self.rounds)


def time_in_turns(
    classifiers: Sequence[Callable[[T], object]],
    texts: Sequence[T],
    *,
    seconds: float = SECONDS,
    pause_ms: float = 0.0,
    between_s: float = BETWEEN_S,
    calls: int = CALLS,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Timed, ...]:
    """Times classifiers on the same texts, in turns from round to round, so that a slow moment meets all of them.

    Args:
        classifiers: What is timed.
        texts: What they are called with, at least one; of more than MOST_CALLS as many, from all over the list.
        seconds: How long each is timed, about; never in fewer than LEAST_ROUNDS rounds nor in more than MOST_ROUNDS.
        pause_ms: Rest before each call.
        between_s: Rest before each turn, where there are several: the threads of the last one go on spinning for a while.
        calls: The fewest calls a round; fewer texts come several times.
        progress: Told how many rounds of how many are done.
    """
    chosen = spread(texts, MOST_CALLS)
    chosen *= -(-calls // len(chosen))
    warmup = min(calls, len(chosen))
    pilots = [time_round(classify, chosen, warmup=warmup) for classify in classifiers]
    between_s = between_s if len(classifiers) > 1 else 0.0
    round_s = between_s + max(float(pilot.milliseconds.sum() + pause_ms * len(chosen)) / 1000 for pilot in pilots)
    count = min(MOST_ROUNDS, max(LEAST_ROUNDS, round(seconds / max(round_s, 1e-9))))
    rounds: list[list[Round]] = [[] for _ in classifiers]
    for number in range(count):
        for place in range(len(classifiers)):
            index = (place + number) % len(classifiers)
            time.sleep(between_s)
            rounds[index].append(time_round(classifiers[index], chosen, warmup=warmup, pause_ms=pause_ms))
        if progress is not None:
            progress(number + 1, count)
    pacing = Pacing(warmup, count, len(chosen), pause_ms)
    return tuple(Timed(pacing, tuple(each)) for each in rounds)


def spread(texts: Sequence[T], most: int) -> list[T]:
    """At most ``most`` of the texts, evenly from all over the list."""
    count = min(most, len(texts))
    return [texts[index * len(texts) // count] for index in range(count)]


def summarise(rounds: Sequence[Round]) -> Latency:
    """Mean, percentiles and intervals of what was timed in one round or more."""
    whole = _summary([each.milliseconds for each in rounds])
    roles = dict.fromkeys(model for each in rounds for model in each.models)
    if set(roles) <= {MAIN}:
        return whole
    by_model = {}
    for role in roles:
        answered = [each.milliseconds[np.asarray(each.models) == role] for each in rounds]
        by_model[role] = _summary([each for each in answered if len(each)])
    return replace(whole, by_model=by_model)


def _summary(rounds: Sequence[NDArray[np.float64]]) -> Latency:
    milliseconds = np.concatenate(rounds)
    mean, p50, p90, p95, p99 = _figures(milliseconds).tolist()
    intervals = bootstrap(rounds, _figures)
    names = ("mean", *(f"p{percentile}" for percentile in PERCENTILES))
    ci95 = {} if intervals is None else dict(zip(names, intervals, strict=True))
    return Latency(len(milliseconds), mean, p50, p90, p95, p99, float(milliseconds.max()), ci95)


def _figures(milliseconds: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([milliseconds.mean(), *np.percentile(milliseconds, PERCENTILES)])
