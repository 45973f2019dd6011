"""Latency of a classifier, text in to label out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Latency:
    """Milliseconds a text: the mean and percentiles over ``count`` timed calls."""

    count: int
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float


def measure_latency(
    classify: Callable[[str], object], texts: Sequence[str], *, calls: int = 200, warmup: int = 10
) -> Latency:
    """Times one call a text, the texts in turn, after warming up.

    Args:
        classify: What is timed.
        texts: What it is called with, in turn; at least one.
        calls: Timed calls.
        warmup: Calls before them that are not timed.
    """
    nanoseconds = []
    for index in range(-warmup, calls):
        text = texts[index % len(texts)]
        begin = time.perf_counter_ns()
        classify(text)
        elapsed = time.perf_counter_ns() - begin
        if index >= 0:
            nanoseconds.append(elapsed)
    milliseconds = np.asarray(nanoseconds) / 1e6
    p50, p90, p95, p99 = np.percentile(milliseconds, [50, 90, 95, 99]).tolist()
    return Latency(calls, float(milliseconds.mean()), p50, p90, p95, p99)
