"""What every part of the benchmark needs: the bundle, the texts, the processes."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgekit.serve.settings import ServeSettings
from service_load.answers import Answer, Request, batch, single
from service_load.beside import Beside
from service_load.client import Client
from service_load.load import Load, Plan
from service_load.loop import Loop
from service_load.served import Served


@dataclass(frozen=True)
class Settings:
    """How long and how hard.

    Attributes:
        connections: Kept open by the client.
        batch: Texts of a request to ``/v1/predict``.
        batch_connections: Of those; the texts of all of them must have a place in the service's queue.
        rounds: In which service and plain loop take turns.
        round_s: Seconds of each of their turns.
        pause_s: Of rest before each.
        soak_s: Seconds of the soak; its first tenth, at most a minute, is its warm-up.
        soak_load: Share of the capacity at which it runs.
        kills: Rounds of reloads, ends and kills.
        steady_s: Of load between two of them.
        overload: Times the capacity that is offered then.
        overload_s: For so long.
        rest_s: Between that and the look at how the service has come back.
    """

    connections: int = 64
    batch: int = 16
    batch_connections: int = 8
    rounds: int = 7
    round_s: float = 8.0
    pause_s: float = 0.5
    soak_s: float = 600.0
    soak_load: float = 0.8
    kills: int = 20
    steady_s: float = 1.0
    overload: float = 4.0
    overload_s: float = 20.0
    rest_s: float = 2.0


QUICK = Settings(rounds=1, round_s=0.3, pause_s=0.0, soak_s=1.5, kills=4, steady_s=0.3, overload_s=0.5, rest_s=0.3)
"""Whether it works, rather than how fast it is."""


@dataclass(frozen=True)
class Bench:
    """One bundle, served, with all that asks it and checks it.

    Attributes:
        served: The service.
        loop: The classifiers that it is compared with.
        client: What asks it.
        texts: The texts of the data file.
        answers: What the bundle's own classifier says of each.
        digest: SHA-256 of the bundle.
        engine: Name of the engine.
        workers: Classifiers of the service, and of the loop.
        threads: Threads of each.
        settings: How long and how hard.
        work: Folder for files.
    """

    served: Served
    loop: Beside[Loop]
    client: Beside[Client]
    texts: tuple[str, ...]
    answers: tuple[Answer, ...]
    digest: str
    engine: str | None
    workers: int
    threads: int
    settings: Settings
    work: Path

    @property
    def singles(self) -> tuple[Request, ...]:
        """A request a text."""
        return tuple(single(text, {self.digest: answer}) for text, answer in zip(self.texts, self.answers, strict=True))

    @property
    def batches(self) -> tuple[Request, ...]:
        """A request for so many texts as the settings say, texts in their order, the rest left out."""
        size = min(self.settings.batch, len(self.texts))
        starts = range(0, len(self.texts) - size + 1, size)
        return tuple(
            batch(self.texts[start : start + size], {self.digest: self.answers[start : start + size]})
            for start in starts
        )

    def plan(self, seconds: float, **changes: object) -> Plan:
        """A plan for the single requests, by default in a closed loop."""
        made = Plan(self.served.address, self.singles, self.settings.connections, seconds)
        return replace(made, **changes)  # type: ignore[arg-type]

    def ask(self, plan: Plan) -> Load:
        """Runs a plan."""
        load: Load = self.client.call("run", plan)
        return load

    def capacity_per_s(self) -> float:
        """Texts a second that the service answers in a closed loop now.

        Raises:
            RuntimeError: It answers none.
        """
        self.ask(self.plan(min(1.0, self.settings.round_s)))
        load = self.ask(self.plan(self.settings.round_s))
        if not load.texts:
            raise RuntimeError(f"the service answers nothing: {load.kinds}")
        return load.texts_per_s


@contextlib.contextmanager
def bench(
    bundle: Path,
    texts: Sequence[str],
    work: Path,
    settings: Settings,
    *,
    workers: int | None = None,
    threads: int | None = None,
    engine: str | None = None,
) -> Iterator[Bench]:
    """Serves a copy of a bundle, which may be replaced, and starts the processes around it.

    Args:
        bundle: What is served.
        texts: Asked about, one after the other.
        work: Folder for files.
        settings: How long and how hard.
        workers: Of the service; None for its default, as are the next two.
        threads: Of each worker.
        engine: Name of the engine.
    """
    path = work / "served.edgekit"
    shutil.copyfile(bundle, path)
    given = {"workers": workers, "threads": threads, "engine": engine}
    chosen = {name: value for name, value in given.items() if value is not None}
    serving = ServeSettings(path, **chosen)  # type: ignore[arg-type]
    options = [str(part) for name, value in chosen.items() for part in (f"--{name}", value)]
    with (
        Beside(Loop, path, engine, serving.worker_count, serving.threads) as loop,
        Beside(Client) as client,
        Served(path, work / "serve.log", options) as served,
    ):
        yield Bench(
            served=served,
            loop=loop,
            client=client,
            texts=tuple(texts),
            answers=tuple(loop.call("answers", list(texts))),
            digest=hashlib.sha256(bundle.read_bytes()).hexdigest(),
            engine=engine,
            workers=serving.worker_count,
            threads=serving.threads,
            settings=settings,
            work=work,
        )
