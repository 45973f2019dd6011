"""Timing of classifiers, and how sure it is."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

from edgekit_runtime.prediction import Prediction
from edgekit_runtime.profiling.intervals import bootstrap
from edgekit_runtime.profiling.latency import Round, spread, summarise, time_in_turns, time_round


def test_percentiles_tell_slow_calls_from_quick_ones_and_none_is_left_out() -> None:
    """Three calls of twenty are slow, so the median is quick and the upper percentiles are not."""
    delays = itertools.cycle([0.0005] * 17 + [0.02] * 3)
    rounds = [time_round(lambda _: time.sleep(next(delays)), ["a"] * 20) for _ in range(2)]
    latency = summarise(rounds)
    assert latency.count == 40
    assert 0.5 <= latency.p50 < 20 <= latency.p90 <= latency.p95 <= latency.p99 <= latency.max
    assert latency.p50 < latency.mean < latency.p99


def test_texts_come_in_order_and_warm_up_calls_are_not_counted() -> None:
    seen: list[str] = []
    timed = time_round(seen.append, ["a", "b", "c", "d"], warmup=2)
    assert len(timed.milliseconds) == 4
    assert seen == ["a", "c", "a", "b", "c", "d"]


def test_a_slow_first_call_is_not_in_the_figures() -> None:
    delays = itertools.chain([0.5], itertools.repeat(0.0))
    assert time_round(lambda _: time.sleep(next(delays)), ["a"] * 20, warmup=1).milliseconds.max() < 400


def test_an_error_of_the_classifier_is_passed_on() -> None:
    with pytest.raises(ZeroDivisionError):
        time_round(lambda _: 1 // 0, ["a"])


def test_classifiers_take_turns_and_the_first_place_goes_round() -> None:
    seen: list[str] = []
    steps: list[tuple[int, int]] = []
    classifiers = [lambda _, name=name: seen.append(name) for name in "ab"]
    both = time_in_turns(
        classifiers, ["x"] * 3, seconds=1e-9, between_s=0, calls=3, progress=lambda *step: steps.append(step)
    )
    turns = [name for name, _ in itertools.groupby(seen[12:])]  # after the two pilots, 3 + 3 calls each
    assert turns == ["a", "b", "a", "b", "a", "b", "a", "b", "a", "b", "a"]
    assert [timed.pacing for timed in both] == [timed.pacing for timed in both][::-1]
    assert both[0].latency.count == 30 and steps[-1] == (10, 10)


def test_few_texts_are_repeated_and_many_are_thinned_out_evenly() -> None:
    (timed,) = time_in_turns([len], ["one"], seconds=1e-9)
    assert (timed.pacing.calls, timed.pacing.rounds, timed.pacing.warmup) == (20, 10, 20)
    seen: list[int] = []
    (timed,) = time_in_turns([seen.append], range(1000), seconds=1e-9)
    assert (timed.pacing.calls, timed.pacing.rounds) == (20, 10)
    rounds = [seen[start + 20 : start + 40] for start in range(40, 440, 40)]  # after the pilot, each after its warm-up
    assert [each[0] for each in rounds] == list(range(10)), "each round has other texts"
    assert all(each == list(range(each[0], 1000, 50)) for each in rounds), "from all over the list"
    (timed,) = time_in_turns([len], ["a"] * 21, seconds=1e-9)
    assert timed.pacing.calls == 20, "two hands of ten, twice"
    assert spread(range(10), 4) == [0, 2, 5, 7] and spread("abc", 5) == ["a", "b", "c"]


def test_a_pause_is_kept_and_does_not_count() -> None:
    begin = time.perf_counter()
    timed = time_round(len, ["a"] * 5, pause_ms=10)
    assert time.perf_counter() - begin >= 0.05
    assert timed.milliseconds.max() < 10


def test_the_interval_covers_how_much_rounds_differ_and_not_how_much_calls_do() -> None:
    """Every round has the same spread of calls; only in the second case do the rounds themselves differ."""
    calls = np.linspace(1.0, 3.0, 101)
    alike = summarise([Round(calls, ("main",) * 101)] * 8)
    assert alike.ci95["p50"] == (2.0, 2.0) and alike.p50 == 2.0
    drifting = summarise([Round(calls + shift, ("main",) * 101) for shift in range(8)])
    low, high = drifting.ci95["p50"]
    assert low < 4.5 < drifting.p50 + 0.5 < high


def test_a_round_lasts_as_long_as_the_time_and_the_pause_allow() -> None:
    begin = time.perf_counter()
    (timed,) = time_in_turns([len], ["a"] * 500, seconds=0.1, pause_ms=1)
    assert (timed.pacing.calls, timed.pacing.rounds) == (20, 10)
    assert time.perf_counter() - begin < 1
    (timed,) = time_in_turns([len], ["a"] * 500, seconds=0.1)
    assert timed.pacing.calls > 100


def test_an_interval_is_claimed_only_where_calls_lie_above() -> None:
    rounds = [Round(np.arange(1.0, 22.0), ("main",) * 21)] * 10
    assert set(summarise(rounds).ci95) == {"mean", "p50", "p90", "p95"}
    assert set(summarise(rounds * 5).ci95) == {"mean", "p50", "p90", "p95", "p99"}


def test_of_one_round_no_interval_is_claimed() -> None:
    assert bootstrap([np.ones(5)], lambda values: values.mean(keepdims=True)) is None
    assert summarise([Round(np.ones(5), ("main",) * 5)]).ci95 == {}


def test_the_models_of_a_cascade_are_told_apart() -> None:
    answers = {"easy": "student", "hard": "main"}
    rounds = [
        time_round(lambda text: Prediction("x", 1.0, {}, answers[text]), ["easy", "easy", "hard"]) for _ in range(3)
    ]
    latency = summarise(rounds)
    assert {role: each.count for role, each in latency.by_model.items()} == {"student": 6, "main": 3}
