"""Profile: everything that a bundle costs on this device, under stated conditions."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit_runtime.manifest import HistoryStep
from edgekit_runtime.profiling.conditions import Conditions
from edgekit_runtime.profiling.device import Device
from edgekit_runtime.profiling.energy import Energy
from edgekit_runtime.profiling.latency import Latency, Pacing
from edgekit_runtime.profiling.operators import OperatorTimes
from edgekit_runtime.profiling.process import Memory, Startup
from edgekit_runtime.profiling.stages import Stages
from edgekit_runtime.profiling.sweeps import BatchLatency, BucketLatency, ThreadLatency
from edgekit_runtime.profiling.throughput import Throughput


@dataclass(frozen=True)
class Texts:
    """What was classified.

    Attributes:
        source: Where the texts come from.
        count: How many different ones were timed.
        tokens_p50: Median length in tokens.
        tokens_max: Longest, in tokens; texts are cut at the bundle's ``max_length``.
        truncated: Share that was cut.
    """

    source: str
    count: int
    tokens_p50: float
    tokens_max: int
    truncated: float


@dataclass(frozen=True)
class Profile:
    """What ``edgekit profile --json`` prints.

    Attributes:
        bundle: The file.
        name: The bundle's own name.
        bytes: Its size.
        labels: The classes.
        date: When, ISO 8601 with the zone.
        edgekit: Its version.
        device: Where.
        conditions: Governor, load, temperature before and after.
        engine: The engine; of several models with different ones, each.
        distribution: The package that brings it, with its version.
        scheme: Precision of the program; of several, each.
        threads: Most threads that a text could use.
        texts: What was classified.
        pacing: How it was timed.
        load_ms: Opening the bundle and loading its program in a fresh process, the self-test included; median.
        first_ms: The first answer after that; median.
        startup: The parts of both.
        latency_ms: Warm, text in to label out.
        samples_ms: Every timed call, a row a round.
        by_bucket: Latency by length.
        by_threads: By threads a text.
        by_batch: By texts a call.
        throughput_per_s: Texts a second at the best number of workers.
        by_workers: By number of workers.
        stages_ms: Where the time of a text goes, by the role of each model.
        operators: Where the engine's time goes; empty where it does not tell.
        operators_missing: Why it does not tell; empty where it does.
        memory_mib: Of a fresh process.
        energy: Of a text.
        history: How the bundle's main model was made.
    """

    bundle: str
    name: str
    bytes: int
    labels: tuple[str, ...]
    date: str
    edgekit: str
    device: Device
    conditions: tuple[Conditions, Conditions]
    engine: str
    distribution: str
    scheme: str
    threads: int
    texts: Texts
    pacing: Pacing
    load_ms: float
    first_ms: float
    startup: Startup
    latency_ms: Latency
    samples_ms: tuple[tuple[float, ...], ...]
    by_bucket: tuple[BucketLatency, ...]
    by_threads: tuple[ThreadLatency, ...]
    by_batch: tuple[BatchLatency, ...]
    throughput_per_s: float
    by_workers: tuple[Throughput, ...]
    stages_ms: dict[str, Stages]
    operators: tuple[OperatorTimes, ...]
    operators_missing: str
    memory_mib: Memory
    energy: Energy
    history: tuple[HistoryStep, ...]
