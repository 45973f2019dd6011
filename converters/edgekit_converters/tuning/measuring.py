"""Measuring a bundle on this device, in a fresh process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgekit_converters.tuning.locks import locked
from edgekit_converters.tuning.results import Measured
from edgekit_runtime.engines.packed_cache import nothing_kept
from edgekit_runtime.errors import EngineError
from edgekit_runtime.fresh import NoAnswerError, ask
from edgekit_runtime.profiling.conditions import read_conditions
from edgekit_runtime.profiling.process import measure_process

LIMIT_S = 300


def measure_here(
    path: Path, engine: str, threads: int, *, texts: Sequence[str], seconds: float, memory: bool, lock: Path
) -> Measured:
    """Times a bundle, text in to label out, while no other worker of this study measures on this machine.

    Args:
        path: The bundle.
        engine: Which engine runs it.
        threads: Upper bound on the threads of one call.
        texts: What is classified, in their own lengths.
        seconds: How long, about.
        memory: Whether another fresh process measures the memory, too.
        lock: The file that workers wait for.

    Raises:
        EngineError: The engine cannot run it, or the process that measures gave no answer.
    """
    with locked(lock), nothing_kept():  # most trials are never asked again
        load_average = read_conditions().load_average
        options = {
            "path": str(path.resolve()),
            "engine": engine,
            "threads": threads,
            "texts": list(texts),
            "seconds": seconds,
        }
        try:
            told = ask("edgekit_converters.tuning.timed:time_bundle", options, limit_s=LIMIT_S).value
        except NoAnswerError as error:
            raise EngineError(f"the process that measures failed: {error}") from error
        rss = None
        if memory:
            rss = measure_process(path, engine=engine, threads=threads, runs=1).memory.rss_anon
    return Measured(told["p50"], told["p95"], told["p99"], rss, load_average)
