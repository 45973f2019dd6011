"""What an engine tells of one inference, and what many inferences come to."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass

from edgekit_runtime.errors import EngineError

CLOCK_MS = 0.001
"""Engines tell whole microseconds, so an inference may seem shorter than its operators by as much."""


@dataclass(frozen=True)
class OperatorTime:
    """All calls of one kind of operator in one inference.

    Attributes:
        name: The engine's own name of the operator, without the number of the node.
        calls: Calls in one inference.
        ms: Their time together, the mean over the quicker half of the inferences. Engines cut a call's time to whole
            microseconds: that of many short calls is told too low.
    """

    name: str
    calls: int
    ms: float


@dataclass(frozen=True)
class OperatorTimes:
    """The inference of one model at one length.

    Attributes:
        role: The model's role in the bundle.
        engine: The engine.
        tokens: Length of the input; with LiteRT that of the bucket.
        runs: Inferences that were timed.
        total_ms: An inference with tracing on, which is slower than without; mean over the quicker half.
        operators: The slowest first. What is left of ``total_ms`` is calls, copies and tracing.
    """

    role: str
    engine: str
    tokens: int
    runs: int
    total_ms: float
    operators: tuple[OperatorTime, ...]


@dataclass(frozen=True)
class Inference:
    """One traced inference: its time, and the name and time of each call of an operator, in milliseconds."""

    total_ms: float
    calls: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Traced:
    """One inference or more of a program on ``tokens`` tokens: as many as were asked for, or those of their bucket."""

    tokens: int
    inferences: tuple[Inference, ...]


def summarise(traced: Traced, role: str, engine: str) -> OperatorTimes:
    """What the quicker half of some inferences of one program took: one that was interrupted tells nothing of the operators.

    Raises:
        EngineError: They had no operators, not the same ones, or operators that took longer than the whole: whatever the
            engine's trace means, it was misread.
    """
    calls = Counter(name for name, _ in traced.inferences[0].calls)
    for inference in traced.inferences:
        if not calls or Counter(name for name, _ in inference.calls) != calls:
            raise EngineError(f"the trace of {engine} names no operators, or others each time; try another --engine")
        if (together := sum(ms for _, ms in inference.calls)) > inference.total_ms + CLOCK_MS:
            raise EngineError(
                f"the trace of {engine} does not add up: its operators took {together:.3f} ms and the whole inference "
                f"{inference.total_ms:.3f}; try another --engine"
            )
    quick = sorted(traced.inferences, key=lambda inference: inference.total_ms)[: -(-len(traced.inferences) // 2)]
    times: defaultdict[str, float] = defaultdict(float)
    for inference in quick:
        for name, ms in inference.calls:
            times[name] += ms / len(quick)
    return OperatorTimes(
        role=role,
        engine=engine,
        tokens=traced.tokens,
        runs=len(traced.inferences),
        total_ms=statistics.fmean(inference.total_ms for inference in quick),
        operators=tuple(
            OperatorTime(name, calls[name], ms) for name, ms in sorted(times.items(), key=lambda item: -item[1])
        ),
    )
