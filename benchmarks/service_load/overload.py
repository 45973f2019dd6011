"""What the service does with more than it can do."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from service_load.answers import GOOD, is_wrong
from service_load.bench import Bench
from service_load.figure import Figure, kinds
from service_load.load import LOST, Percentiles
from service_load.soak import latencies, watch

CONNECTIONS = 400
"""More than may wait in the queue, and fewer than the service lets in."""
REFUSED = "429 queue_full"
TIMES = 2.0
"""Afterwards the 99th percentile may be so many times what it was before."""


@dataclass(frozen=True)
class Overload:
    """What came of it.

    Attributes:
        seconds: Its length.
        rest_s: Between its end and ``after``.
        capacity_per_s: What the service gave in a closed loop before.
        rate_per_s: What was offered.
        sent_per_s: What the client got sent; it has the same processors.
        answered_per_s: Right answers in the time.
        kinds: How the requests ended.
        accepted: Times of the right answers, from the moment they were sent.
        late_p99_ms: By how much the client sent them later than due.
        before_mib: The service's own memory.
        most_mib: The most of it meanwhile.
        before: Times in a closed loop before.
        after: The same, afterwards.
        errors_after: What was no right answer then.
    """

    seconds: float
    rest_s: float
    capacity_per_s: float
    rate_per_s: float
    sent_per_s: float
    answered_per_s: float
    kinds: dict[str, int]
    accepted: Percentiles
    late_p99_ms: float
    before_mib: float
    most_mib: float
    before: Percentiles
    after: Percentiles
    errors_after: dict[str, int]

    @property
    def others(self) -> dict[str, int]:
        """What neither was answered nor refused as it should be."""
        return {kind: count for kind, count in self.kinds.items() if kind not in (GOOD, REFUSED)}

    @property
    def figures(self) -> list[Figure]:
        total = sum(self.kinds.values())
        good, refused = self.kinds.get(GOOD, 0), self.kinds.get(REFUSED, 0)
        limit_ms = TIMES * self.before.p99_ms
        misled = sum(count for kind, count in self.kinds.items() if kind == LOST or is_wrong(kind))
        return [
            Figure(
                f"offered for {self.seconds:g} s, {self.rate_per_s / self.capacity_per_s:.1f} × the capacity; sent",
                f"{self.rate_per_s:.0f}, {self.sent_per_s:.0f} requests/s",
            ),
            Figure("answered rightly", f"{good / total:.1%}, {self.answered_per_s:.0f} a second"),
            Figure("refused by 429 with Retry-After", f"{refused / total:.1%}"),
            Figure("ended otherwise", kinds(self.others), "not wrong, not lost", not misled),
            Figure("p50, p95, p99, longest of those answered, from when they were sent", latencies(self.accepted)),
            Figure("– the client sent them later than due by, p99", f"{self.late_p99_ms:.1f} ms"),
            Figure("the service's own memory before, the most", f"{self.before_mib:.1f}, {self.most_mib:.1f} MiB"),
            Figure("p99 in a closed loop before", f"{self.before.p99_ms:.1f} ms"),
            Figure(
                f"– {self.rest_s:g} s afterwards",
                f"{self.after.p99_ms:.1f} ms",
                f"≤ {TIMES:.0f} × before",
                self.after.p99_ms <= limit_ms and not self.errors_after,
            ),
        ]


def measure(bench: Bench) -> Overload:
    """Closed loop, overload, rest, closed loop."""
    settings = bench.settings
    bench.ask(bench.plan(min(1.0, settings.round_s)))
    before = bench.ask(bench.plan(settings.round_s))
    rate_per_s = settings.overload * before.texts_per_s
    memory = bench.served.sample().anon_mib
    bench.client.begin(
        "run", bench.plan(settings.overload_s, rate_per_s=rate_per_s, connections=CONNECTIONS, events=True)
    )
    samples = watch(bench, settings.overload_s, settings.overload_s / 20)
    load = bench.client.result()
    time.sleep(settings.rest_s)
    after = bench.ask(bench.plan(settings.round_s))
    return Overload(
        seconds=settings.overload_s,
        rest_s=settings.rest_s,
        capacity_per_s=before.texts_per_s,
        rate_per_s=rate_per_s,
        sent_per_s=load.sent / load.seconds,
        answered_per_s=load.texts_per_s,
        kinds=load.kinds,
        accepted=Percentiles.of(
            np.array([each.done_s - each.sent_s for each in load.events if each.kind == GOOD]) * 1e3
        ),
        late_p99_ms=Percentiles.of(load.late_ms).p99_ms,
        before_mib=memory,
        most_mib=max(sample.anon_mib for sample in samples),
        before=before.percentiles,
        after=after.percentiles,
        errors_after=after.errors,
    )
