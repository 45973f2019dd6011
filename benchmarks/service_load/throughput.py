"""How many texts a second the service answers, beside the classifier in a plain loop."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness import Ratio, ratio_of_medians
from service_load.bench import Bench
from service_load.figure import Figure, kinds
from service_load.load import Load
from service_load.loop import Looped
from service_load.wrk import Wrk, run_wrk

LEAST = 0.60
"""Of the plain loop's texts a second the service must reach this share."""


@dataclass(frozen=True)
class Throughput:
    """Texts a second, one figure a round.

    Attributes:
        workers: Classifiers, in the service and in the loop.
        threads: Threads of each.
        connections: Of the client.
        batch: Texts of a request in ``batches_per_s``.
        batch_connections: Of the client then.
        loop_per_s: The plain loop.
        singles_per_s: ``POST /predict``.
        batches_per_s: ``POST /v1/predict``.
        errors: Whatever was no right answer, by kind.
        client_cores: Processors that the client was busy on, in the rounds of single texts.
        service_cores: The same of the service.
        wrk: The same by wrk, which checks the status alone; None where it is not installed.
    """

    workers: int
    threads: int
    connections: int
    batch: int
    batch_connections: int
    loop_per_s: tuple[float, ...]
    singles_per_s: tuple[float, ...]
    batches_per_s: tuple[float, ...]
    errors: dict[str, int]
    client_cores: float
    service_cores: float
    wrk: Wrk | None

    @property
    def singles_share(self) -> Ratio:
        return _share(self.singles_per_s, self.loop_per_s)

    @property
    def batches_share(self) -> Ratio:
        return _share(self.batches_per_s, self.loop_per_s)

    @property
    def figures(self) -> list[Figure]:
        singles, batches = self.singles_share, self.batches_share
        loop = f"{self.workers} workers of {self.threads} thread{'s' * (self.threads > 1)}"
        found = [
            Figure(f"the classifier in a plain loop, {loop}", f"{np.median(self.loop_per_s):.0f} texts/s"),
            Figure(f"POST /predict, {self.connections} connections", f"{np.median(self.singles_per_s):.0f} texts/s"),
            Figure("– of the plain loop", str(singles), f"≥ {LEAST:.2f} ×", singles.value >= LEAST),
            Figure(
                f"POST /v1/predict, {self.batch} texts a request, {self.batch_connections} connections",
                f"{np.median(self.batches_per_s):.0f} texts/s",
            ),
            Figure("– of the plain loop", str(batches)),
            Figure("errors, wrong answers", kinds(self.errors), "none", not self.errors),
            Figure("busy meanwhile: the service", f"{self.service_cores:.2f} processors"),
            Figure("– the client, which checks every answer", f"{self.client_cores:.2f} processors"),
        ]
        if self.wrk is not None:
            wrk = self.wrk
            found += [
                Figure(
                    f"the same by wrk, which takes {wrk.cores:.2f} processors",
                    f"{wrk.requests_per_s:.0f} texts/s",
                ),
                Figure("– errors", kinds(wrk.errors), "none", not wrk.errors),
            ]
        return found


def measure(bench: Bench) -> Throughput:
    """Runs plain loop, single texts and batches in turns; which of them begins changes from round to round."""
    settings = bench.settings
    plans = {
        "singles": bench.plan(settings.round_s),
        "batches": bench.plan(settings.round_s, requests=bench.batches, connections=settings.batch_connections),
    }
    turns = ("loop", *plans)
    done: dict[str, list[Looped | Load]] = {name: [] for name in turns}
    service_s = 0.0
    for number in range(-1, settings.rounds):  # the first round is a warm-up
        for place in range(len(turns)):
            name = turns[(place + number) % len(turns)]
            time.sleep(settings.pause_s)
            before_s = bench.served.cpu_s()
            turn = bench.ask(plans[name]) if name in plans else bench.loop.call("loop", bench.texts, settings.round_s)
            if number >= 0:
                done[name].append(turn)
                service_s += bench.served.cpu_s() - before_s if name == "singles" else 0.0
    asked = [load for name in plans for load in done[name] if isinstance(load, Load)]
    return Throughput(
        workers=bench.workers,
        threads=bench.threads,
        connections=settings.connections,
        batch=bench.batches[0].texts,
        batch_connections=settings.batch_connections,
        loop_per_s=_rates(done["loop"]),
        singles_per_s=_rates(done["singles"]),
        batches_per_s=_rates(done["batches"]),
        errors=dict(sum((Counter(load.errors) for load in asked), Counter())),
        client_cores=sum(load.cpu_s for load in done["singles"] if isinstance(load, Load))
        / (settings.rounds * settings.round_s),
        service_cores=service_s / (settings.rounds * settings.round_s),
        wrk=run_wrk(bench.served.address, bench.texts, settings.connections, max(1.0, settings.round_s), bench.work),
    )


def _rates(turns: Sequence[Looped | Load]) -> tuple[float, ...]:
    return tuple(turn.texts_per_s for turn in turns)


def _share(service: Sequence[float], loop: Sequence[float]) -> Ratio:
    return ratio_of_medians(np.asarray(service)[:, None], np.asarray(loop)[:, None])
