"""Timing of a classifier."""

from __future__ import annotations

import itertools
import time

import pytest

from edgekit_runtime.profiling.latency import measure_latency


def test_percentiles_tell_slow_calls_from_quick_ones() -> None:
    """Three calls of twenty are slow, so the median is quick and the upper percentiles are not."""
    delays = itertools.cycle([0.0005] * 17 + [0.02] * 3)
    latency = measure_latency(lambda _: time.sleep(next(delays)), ["a"], calls=40, warmup=0)
    assert latency.count == 40
    assert 0.5 <= latency.p50_ms < 20 <= latency.p90_ms <= latency.p95_ms <= latency.p99_ms
    assert latency.p50_ms < latency.mean_ms < latency.p99_ms


def test_texts_come_in_turn_and_warm_up_calls_are_not_counted() -> None:
    seen: list[str] = []
    latency = measure_latency(seen.append, ["a", "b", "c"], calls=7, warmup=2)
    assert latency.count == 7
    assert seen == ["b", "c", "a", "b", "c", "a", "b", "c", "a"]


def test_a_slow_first_call_is_not_in_the_figures() -> None:
    delays = itertools.chain([0.5], itertools.repeat(0.0))
    latency = measure_latency(lambda _: time.sleep(next(delays)), ["a"], calls=20, warmup=1)
    assert latency.p99_ms < 100  # the slow call would make it 400


def test_an_error_of_the_classifier_is_passed_on() -> None:
    with pytest.raises(ZeroDivisionError):
        measure_latency(lambda _: 1 // 0, ["a"], calls=1)
