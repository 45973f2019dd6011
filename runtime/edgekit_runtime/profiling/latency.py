"""Latency of a classifier, text in to label out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edgekit_runtime.combination import MAIN
from edgekit_runtime.errors import OptionError
from edgekit_runtime.prediction import Prediction
from edgekit_runtime.profiling.intervals import Interval, bootstrap

PERCENTILES = (50, 90, 95, 99)

SECONDS = 5.0
LEAST_ROUNDS, ROUNDS, MOST_ROUNDS = 10, 30, 100
"""The fewest, those that are aimed at, and the most: of few rounds intervals are too narrow, and all calls are kept."""
CALLS, MOST_CALLS = 20, 200
TAIL = 10
"""So many calls must lie above a percentile before an interval is claimed for it."""
BETWEEN_S = 0.1

T = TypeVar("T")
"""A text, or what else a call takes."""


@dataclass(frozen=True)
class Latency:
    """Milliseconds a text over ``count`` timed calls, none of which is left out: the mean, percentiles and the slowest.

    Attributes:
        ci95: ``mean`` and each percentile to its 95 % interval, a bootstrap over rounds; empty where there was one round, and
            without percentiles that fewer than TAIL calls lie above.
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
        rounds: Rounds; each of the same texts, or of others from all over the list where they are many.
        calls: Timed calls a round.
        pause_ms: Rest before each call: 0 is back to back, more is an app that is asked now and then.
    """

    warmup: int
    rounds: int
    calls: int
    pause_ms: float = 0.0


def check_pace(seconds: float, pause_ms: float = 0.0) -> None:
    """Refuses a time or a rest that makes no sense.

    Raises:
        OptionError: ``seconds`` is not over 0, or ``pause_ms`` is under 0.
    """
    if not 0 < seconds < math.inf:
        raise OptionError(f"--seconds must be over 0, not {seconds:g}")
    if not 0 <= pause_ms < math.inf:
        raise OptionError(f"--pause is milliseconds of rest, 0 or more, not {pause_ms:g}")


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

    Where a round cannot hold all texts, each takes others, evenly from all over the list.

    Args:
        classifiers: What is timed.
        texts: What they are called with, at least one.
        seconds: How long each is timed, about; never in fewer than LEAST_ROUNDS rounds nor in more than MOST_ROUNDS.
        pause_ms: Rest before each call.
        between_s: Rest before each turn, where there are several: the threads of the last one go on spinning for a while.
        calls: The fewest calls a round, as many as go untimed before it; fewer texts come several times.
        progress: Told how many rounds of how many are done.
    """
    between_s = between_s if len(classifiers) > 1 else 0.0
    pilot = _repeated(spread(texts, calls), calls)
    call_ms = pause_ms + max(time_round(each, pilot, warmup=calls).milliseconds.mean() for each in classifiers)
    hands = _hands(texts, calls, most=min(MOST_CALLS, int(1000 * seconds / ROUNDS / call_ms)))
    size = len(hands[0])
    round_s = between_s + (size + calls) * call_ms / 1000
    count = min(MOST_ROUNDS, max(LEAST_ROUNDS, round(seconds / round_s)))
    rounds: list[list[Round]] = [[] for _ in classifiers]
    for number in range(count):
        hand = hands[number % len(hands)]
        for place in range(len(classifiers)):
            index = (place + number) % len(classifiers)
            time.sleep(between_s)
            rounds[index].append(time_round(classifiers[index], hand, warmup=calls, pause_ms=pause_ms))
        if progress is not None:
            progress(number + 1, count)
    pacing = Pacing(calls, count, size, pause_ms)
    return tuple(Timed(pacing, tuple(each)) for each in rounds)


def _hands(texts: Sequence[T], least: int, most: int) -> list[list[T]]:
    """The texts dealt out to rounds, in hands of equal size, ``most`` at most; fewer than ``least`` come several times."""
    count = -(-len(texts) // max(least, most))
    size = len(texts) // count
    return [_repeated(texts[number::count][:size], least) for number in range(count)]


def _repeated(texts: Sequence[T], least: int) -> list[T]:
    return list(texts) * -(-least // len(texts))


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
    shares = {"mean": 1.0} | {f"p{percentile}": 1 - percentile / 100 for percentile in PERCENTILES}
    told = zip(shares.items(), intervals or (), strict=bool(intervals))
    ci95 = {name: interval for (name, share), interval in told if share * len(milliseconds) >= TAIL}
    return Latency(len(milliseconds), mean, p50, p90, p95, p99, float(milliseconds.max()), ci95)


def _figures(milliseconds: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([milliseconds.mean(), *np.percentile(milliseconds, PERCENTILES)])
