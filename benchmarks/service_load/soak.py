"""Whether the service holds out: hours of steady load in short, errors counted, memory watched."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service_load.bench import Bench
from service_load.figure import Figure, kinds
from service_load.load import Percentiles
from service_load.served import Sample

MOST_MIB = 5e6 / 2**20
"""5 MB, by which the service's own memory may grow."""
SAMPLES = 300
"""Looks at the service, spread over the time."""
WARM_UP_S = 60
CONNECTIONS = 200
"""So many that none is waited for at the client, and so few that all have a place in the service's queue."""


@dataclass(frozen=True)
class Soak:
    """What a soak found.

    Attributes:
        seconds: Its length.
        rate_per_s: Requests offered a second, whether or not others were answered.
        capacity_per_s: What the service gave in a closed loop just before.
        sent: Requests.
        answered: Right answers.
        errors: All else, by kind.
        times: Of the right answers, from the moment they were due.
        late_p99_ms: By how much the client sent them later than due.
        warm_up_s: Time before the samples that count.
        samples: Of the service, all of them.
    """

    seconds: float
    rate_per_s: float
    capacity_per_s: float
    sent: int
    answered: int
    errors: dict[str, int]
    times: Percentiles
    late_p99_ms: float
    warm_up_s: float
    samples: tuple[Sample, ...]

    @property
    def steady(self) -> tuple[Sample, ...]:
        """The samples after the warm-up."""
        return tuple(each for each in self.samples if each.time_s - self.samples[0].time_s >= self.warm_up_s)

    @property
    def growth_mib(self) -> float:
        """The mean of the last tenth of the samples less that of the first tenth, after the warm-up."""
        memory = [each.anon_mib for each in self.steady]
        tenth = max(1, len(memory) // 10)
        return float(np.mean(memory[-tenth:]) - np.mean(memory[:tenth]))

    @property
    def slope_mib_per_hour(self) -> float:
        """Of the straight line through the samples after the warm-up."""
        times = np.array([each.time_s for each in self.steady])
        memory = np.array([each.anon_mib for each in self.steady])
        return float(np.polyfit(times - times[0], memory, 1)[0] * 3600) if len(times) > 1 else 0.0

    @property
    def figures(self) -> list[Figure]:
        steady, times = self.steady, self.times
        offered = f"{self.rate_per_s:.0f} requests/s, {self.rate_per_s / self.capacity_per_s:.0%} of {self.capacity_per_s:.0f}"
        return [
            Figure(f"offered for {self.seconds:g} s", offered),
            Figure("requests, of which answered rightly", f"{self.sent:,}, {self.answered:,}"),
            Figure("errors, wrong and lost answers", kinds(self.errors), "none", not self.errors),
            Figure("p50, p95, p99, longest, from when it was due", latencies(times)),
            Figure("– of which the client sent them late, p99", f"{self.late_p99_ms:.1f} ms"),
            Figure(
                f"growth of the service's own memory after {self.warm_up_s:g} s",
                f"{self.growth_mib * 1.048576:+.2f} MB",
                "≤ 5 MB",
                self.growth_mib <= MOST_MIB,
            ),
            Figure("– by a straight line", f"{self.slope_mib_per_hour * 1.048576:+.1f} MB an hour"),
            Figure("– at the beginning, the most", f"{steady[0].anon_mib:.1f}, {_most(steady):.1f} MiB"),
            Figure("open descriptors, first, most, last", _course([each.descriptors for each in steady])),
            Figure("threads, first, most, last", _course([each.threads for each in steady])),
        ]


def measure(bench: Bench) -> Soak:
    """Offers a steady load below the capacity that it measures first."""
    settings = bench.settings
    capacity_per_s = bench.capacity_per_s()
    rate_per_s = settings.soak_load * capacity_per_s
    bench.client.begin("run", bench.plan(settings.soak_s, rate_per_s=rate_per_s, connections=CONNECTIONS))
    samples = watch(bench, settings.soak_s, settings.soak_s / SAMPLES)
    load = bench.client.result()
    return Soak(
        seconds=settings.soak_s,
        rate_per_s=rate_per_s,
        capacity_per_s=capacity_per_s,
        sent=load.sent,
        answered=load.good,
        errors=load.errors,
        times=load.percentiles,
        late_p99_ms=Percentiles.of(load.late_ms).p99_ms,
        warm_up_s=min(WARM_UP_S, settings.soak_s / 10),
        samples=samples,
    )


def watch(bench: Bench, seconds: float, every_s: float) -> tuple[Sample, ...]:
    """Samples of the service for some time."""
    end_s = time.monotonic() + seconds
    samples = [bench.served.sample()]
    while (now_s := time.monotonic()) < end_s:
        time.sleep(min(every_s, end_s - now_s))
        samples.append(bench.served.sample())
    return tuple(samples)


def latencies(times: Percentiles) -> str:
    """The percentiles on one line."""
    return f"{times.p50_ms:.1f}, {times.p95_ms:.1f}, {times.p99_ms:.1f}, {times.max_ms:.1f} ms"


def _most(samples: Sequence[Sample]) -> float:
    return max(each.anon_mib for each in samples)


def _course(counts: Sequence[int]) -> str:
    return f"{counts[0]}, {max(counts)}, {counts[-1]}"
