"""How long a request takes while many others are asked."""

from __future__ import annotations

from dataclasses import dataclass

from service_load.bench import Bench
from service_load.figure import Figure, kinds
from service_load.load import Percentiles

TIMES = 5
"""The 99th percentile may be so many times what a fair queue would take."""


@dataclass(frozen=True)
class Latency:
    """What requests took in a closed loop.

    Attributes:
        connections: That each ask again as soon as they are answered.
        workers: Classifiers of the service.
        alone_ms: Mean time of the classifier for one text, by itself, before and after.
        answers: Right answers.
        errors: All else, by kind.
        times: Of the right answers.
    """

    connections: int
    workers: int
    alone_ms: float
    answers: int
    errors: dict[str, int]
    times: Percentiles

    @property
    def bound_ms(self) -> float:
        return TIMES * self.connections * self.alone_ms / self.workers

    @property
    def figures(self) -> list[Figure]:
        times, bound = self.times, f"≤ {TIMES} × {self.connections} × mean ÷ {self.workers} = {self.bound_ms:.0f} ms"
        return [
            Figure("the classifier alone, mean", f"{self.alone_ms:.3f} ms"),
            Figure(
                f"POST /predict, {self.connections} connections, {self.answers:,} answers: mean", _ms(times.mean_ms)
            ),
            Figure("– p50", _ms(times.p50_ms)),
            Figure("– p95", _ms(times.p95_ms)),
            Figure("– p99", _ms(times.p99_ms), bound, times.p99_ms <= self.bound_ms),
            Figure("– longest", _ms(times.max_ms)),
            Figure("errors, wrong answers", kinds(self.errors), "none", not self.errors),
        ]


def measure(bench: Bench) -> Latency:
    """One closed loop for as long as all rounds of the throughput."""
    settings = bench.settings
    alone_ms = [bench.loop.call("alone_ms", bench.texts, settings.round_s)]
    bench.ask(bench.plan(min(1.0, settings.round_s)))
    load = bench.ask(bench.plan(settings.rounds * settings.round_s))
    alone_ms.append(bench.loop.call("alone_ms", bench.texts, settings.round_s))
    return Latency(
        connections=settings.connections,
        workers=bench.workers,
        alone_ms=sum(alone_ms) / len(alone_ms),
        answers=load.good,
        errors=load.errors,
        times=load.percentiles,
    )


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:.1f} ms"
