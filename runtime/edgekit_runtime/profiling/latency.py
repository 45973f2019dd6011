"""Latency of a classifier, text in to label out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from edgekit_runtime.combination import MAIN
from edgekit_runtime.prediction import Prediction


@dataclass(frozen=True)
class Latency:
    """Milliseconds a text: the mean and percentiles over ``count`` timed calls.

    Attributes:
        by_model: Of a bundle of several models, the role of each that answered to the same of the calls that it answered; of
            a cascade's last model that is with the time of those before it. Else empty.
    """

    count: int
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    by_model: dict[str, Latency] = field(default_factory=dict)


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
    nanoseconds: list[int] = []
    answered: list[str] = []
    for index in range(-warmup, calls):
        text = texts[index % len(texts)]
        begin = time.perf_counter_ns()
        answer = classify(text)
        elapsed = time.perf_counter_ns() - begin
        if index >= 0:
            nanoseconds.append(elapsed)
            answered.append(answer.model if isinstance(answer, Prediction) else MAIN)
    milliseconds, models = np.asarray(nanoseconds) / 1e6, np.asarray(answered)
    whole = _summary(milliseconds)
    if set(answered) <= {MAIN}:
        return whole
    return replace(
        whole, by_model={model: _summary(milliseconds[models == model]) for model in dict.fromkeys(answered)}
    )


def _summary(milliseconds: NDArray[np.float64]) -> Latency:
    p50, p90, p95, p99 = np.percentile(milliseconds, [50, 90, 95, 99]).tolist()
    return Latency(len(milliseconds), float(milliseconds.mean()), p50, p90, p95, p99)
