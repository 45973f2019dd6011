"""What the fresh process runs that times a bundle: nothing but the runtime is imported there, as on a device."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit_runtime.loading import load
from edgekit_runtime.profiling.latency import time_in_turns


def time_bundle(path: str, engine: str, threads: int, texts: Sequence[str], seconds: float) -> dict[str, float]:
    """Percentiles of a bundle's latency, text in to label out, in milliseconds.

    Args:
        path: The bundle.
        engine: Which engine runs it.
        threads: Upper bound on the threads of one call.
        texts: What is classified.
        seconds: How long, about.
    """
    with load(path, engine=engine, threads=threads) as classify:
        (timed,) = time_in_turns([classify], texts, seconds=seconds)
    latency = timed.latency
    return {"p50": latency.p50, "p95": latency.p95, "p99": latency.p99}
