"""A bundle against its budget: measured on this device, by the engines that run it, before it takes its place."""

from __future__ import annotations

import contextlib
import math
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit_converters.budget import CLOSER, LATENCIES, QUANTITIES, SMALLER, Budget, Limit, shown
from edgekit_runtime.bundle import SHOWN, open_bundle
from edgekit_runtime.engines.packed_cache import nothing_kept
from edgekit_runtime.errors import FileError, GateError
from edgekit_runtime.loading import default_threads, load
from edgekit_runtime.profiling.intervals import Interval
from edgekit_runtime.profiling.latency import SECONDS, Latency, time_in_turns
from edgekit_runtime.profiling.process import measure_process
from edgekit_runtime.progress import Listener


@dataclass(frozen=True)
class Figure:
    """What was measured of one limit.

    Attributes:
        key: What is limited.
        engine: The engine that ran the bundle; null for its size, which is the same for all.
        bound: The most that is allowed.
        measured: What it is.
        unit: Of both: ms, bytes, share or MiB.
        ci95: 95 % interval of a percentile; null for what was measured once.
    """

    key: str
    engine: str | None
    bound: float
    measured: float
    unit: str
    ci95: Interval | None = None

    @property
    def within(self) -> bool:
        """Whether it is allowed, one that equals its bound included."""
        return self.measured <= self.bound or math.isclose(self.measured, self.bound)

    @property
    def uncertain(self) -> bool:
        """Whether the bound lies inside the interval: another run may come out on its other side."""
        return self.ci95 is not None and self.ci95[0] <= self.bound <= self.ci95[1]

    def __str__(self) -> str:
        interval = "" if self.ci95 is None else f" ({self.ci95[0]:.4g} – {self.ci95[1]:.4g})"
        engine = "" if self.engine is None else f" on {self.engine}"
        verdict = "is within" if self.within else "is over"
        return f"{self.key} {shown(self.key, self.measured)}{interval}{engine} {verdict} {shown(self.key, self.bound)}"


@contextlib.contextmanager
def trial_place(path: Path, budget: Budget) -> Iterator[Path]:
    """Where a bundle is written that has to keep to a budget: beside ``path``, whose place it takes when the block ends well.

    Without limits that is ``path`` itself.

    Raises:
        FileError: The folder cannot be written to; nothing is left behind.
    """
    if not budget.limits:
        yield path
        return
    try:
        folder = tempfile.TemporaryDirectory(prefix=f".{path.name[:SHOWN]}.", dir=path.parent)
    except OSError as error:
        raise FileError(f"cannot write to {path.parent}: {error.strerror}; choose another --out") from error
    with folder as name:
        place = Path(name) / path.name
        yield place
        try:
            os.replace(place, path)
        except OSError as error:
            raise FileError(f"cannot write {path}: {error.strerror}; nothing was left behind") from error


def check_budget(
    budget: Budget,
    path: Path,
    texts: Sequence[str],
    drops: Mapping[str, float],
    listener: Listener,
    *,
    seconds: float = SECONDS,
) -> tuple[Figure, ...]:
    """Measures what a budget limits, by each engine that the bundle has programs for.

    Args:
        budget: The limits.
        path: The bundle.
        texts: What is classified for the latency; at least one.
        drops: Engine to the accuracy that the bundle lost on it; read only where that is limited.
        listener: Told of progress.
        seconds: How long each engine is timed, about.

    Returns:
        The figures, in the order of the limits.

    Raises:
        GateError: A figure is over its bound; the message has all figures.
        EngineError: An engine cannot run the bundle here.
    """
    if not budget.limits:
        return ()
    engines = [program.engine for program in open_bundle(path).manifest.main.programs]
    timed = any(key in budget for key in LATENCIES)
    with nothing_kept():  # the bundle may not be within the budget
        latencies = _latencies(path, engines, texts, seconds, listener) if timed else {}
        memory = _memory(path, engines, listener) if "rss" in budget else {}
    figures: list[Figure] = []
    for limit in budget.limits:
        if limit.key == "bytes":
            figures.append(_figure(limit, None, path.stat().st_size))
        elif limit.key == "drop":
            figures += (_figure(limit, engine, drop) for engine, drop in drops.items())
        elif limit.key == "rss":
            figures += (_figure(limit, engine, mib) for engine, mib in memory.items())
        else:
            figures += (
                _figure(limit, engine, getattr(latency, limit.key), latency.ci95.get(limit.key))
                for engine, latency in latencies.items()
            )
    _apply(figures)
    return tuple(figures)


def _figure(limit: Limit, engine: str | None, measured: float, ci95: Interval | None = None) -> Figure:
    return Figure(limit.key, engine, limit.bound, measured, QUANTITIES[limit.key].unit, ci95)


def _latencies(
    path: Path, engines: Sequence[str], texts: Sequence[str], seconds: float, listener: Listener
) -> dict[str, Latency]:
    listener.stage(f"Timing {path.name} on {', '.join(engines)}")
    with contextlib.ExitStack() as opened:
        classifiers = [opened.enter_context(load(path, engine=engine)) for engine in engines]
        timed = time_in_turns(classifiers, texts, seconds=seconds, progress=listener.progress)
    return {engine: each.latency for engine, each in zip(engines, timed, strict=True)}


def _memory(path: Path, engines: Sequence[str], listener: Listener) -> dict[str, float]:
    found = {}
    for engine in engines:
        listener.stage(f"Measuring the memory of {path.name} on {engine}")
        own = measure_process(path, engine=engine, runs=1).memory.rss_anon
        assert own is not None, "Budget.check() has asked whether the system tells it"
        found[engine] = own
    return found


def _apply(figures: Sequence[Figure]) -> None:
    over = [figure for figure in figures if not figure.within]
    if not over:
        return
    hints = dict.fromkeys(CLOSER if figure.key == "drop" else SMALLER for figure in over)
    if any(figure.uncertain for figure in over):
        hints |= {"or measure again on an idle machine: a bound lies inside its figure's interval": None}
    raise GateError(
        f"the bundle is outside its --budget: {'; '.join(map(str, figures))}; measured on this machine with up to "
        f"{default_threads()} threads; nothing was written: {'; '.join(hints)}"
    )
