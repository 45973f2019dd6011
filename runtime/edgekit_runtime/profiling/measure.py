"""Profiling a bundle: everything that it costs on this device, measured in one go."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

import edgekit_runtime
from edgekit_runtime.bundle import Bundle, open_bundle
from edgekit_runtime.classifier import Classifier
from edgekit_runtime.errors import EdgekitError, OptionError
from edgekit_runtime.loading import load, read_golden, threads_used
from edgekit_runtime.profiling.conditions import read_conditions
from edgekit_runtime.profiling.device import describe_device
from edgekit_runtime.profiling.energy.method import a_few, measure_energy
from edgekit_runtime.profiling.energy.settings import EnergySettings
from edgekit_runtime.profiling.latency import SECONDS, check_pace, spread, time_in_turns
from edgekit_runtime.profiling.operators import OperatorTimes, measure_operators
from edgekit_runtime.profiling.process import measure_process
from edgekit_runtime.profiling.profile import Profile, Texts
from edgekit_runtime.profiling.stages import measure_stages
from edgekit_runtime.profiling.sweeps import by_batch, by_bucket, by_threads, by_workers, doublings
from edgekit_runtime.progress import Listener, LogListener
from edgekit_runtime.text import TextEncoder

PART = 0.2
"""Of the time for the warm latency, the time for each sweep beside it."""

GOLDEN = "the bundle's golden texts"


def profile_bundle(
    path: str | os.PathLike[str],
    texts: Sequence[str] | None = None,
    *,
    source: str = "the given texts",
    engine: str | None = None,
    threads: int | None = None,
    seconds: float = SECONDS,
    pause_ms: float = 0.0,
    energy: EnergySettings | None = None,
    listener: Listener | None = None,
) -> Profile:
    """Measures what a bundle costs on this device.

    Args:
        path: The bundle.
        texts: What is classified; None takes the bundle's golden texts.
        source: Where the texts come from, for the record.
        engine: As for ``load``.
        threads: As for ``load``.
        seconds: How long the warm latency is measured; all else together takes a few times as long.
        pause_ms: Rest before each timed call.
        energy: How energy is measured; None takes the best sensor that is there.
        listener: Told of progress.

    Raises:
        OptionError: A setting makes no sense, or there is no text.
        EdgekitError: The bundle cannot be loaded here.
    """
    check_pace(seconds, pause_ms)
    if texts is not None and not texts:
        raise OptionError(f"there is no text in {source}: give one or more")
    energy, listener = energy or EnergySettings(), listener or LogListener()
    energy.check()
    bundle = open_bundle(path)
    golden = _golden_texts(bundle)
    if texts is None:
        texts, source = golden, GOLDEN
    before, device = read_conditions(), describe_device()
    threads = threads_used(threads)

    def opened(count: int) -> Classifier:
        return load(path, engine=engine, threads=count, verify=False)

    # before this process maps the bundle, which would hold it in the system's cache of files
    listener.stage("Starting fresh processes")
    middle = sorted(texts, key=len)[len(texts) // 2]
    process = measure_process(path, engine=engine, threads=threads, text=middle, progress=listener.progress)
    with load(path, engine=engine, threads=threads) as classify:
        described = _describe(classify, texts, source)
        listener.stage(f"Timing {source}")
        (timed,) = time_in_turns([classify], texts, seconds=seconds, pause_ms=pause_ms, progress=listener.progress)
        part_s = PART * seconds
        listener.stage("Timing lengths")
        buckets = by_bucket(classify, texts, golden, part_s)
        listener.stage("Timing batches")
        batches = by_batch(classify, texts, part_s)
        listener.stage("Timing the stages of a text")
        stages = {member.role: measure_stages(member, spread(texts, 50)) for member in classify.members}
        listener.stage("Timing threads")
        thread_counts = sorted({*doublings(device.usable_cores), threads})
        of_threads = by_threads(opened, thread_counts, texts, part_s)
        listener.stage("Timing workers")
        workers = by_workers(opened, device.usable_cores, texts, part_s)
        listener.stage("Timing operators")
        operators, missing = _operators(path, engine, threads, round(described.tokens_p50))
        listener.stage("Measuring energy")
        joules = measure_energy(a_few(classify, texts), energy, progress=listener.progress)
        return Profile(
            bundle=os.fspath(path),
            name=bundle.manifest.name,
            bytes=Path(path).stat().st_size,
            labels=classify.labels,
            date=datetime.now().astimezone().isoformat(timespec="seconds"),
            edgekit=edgekit_runtime.__version__,
            device=device,
            conditions=(before, read_conditions()),
            engine=classify.engine_names,
            distribution=classify.distributions,
            scheme=classify.schemes,
            threads=threads,
            texts=described,
            pacing=timed.pacing,
            load_ms=process.startup.load + (process.startup.check or 0.0),
            first_ms=process.startup.first,
            startup=process.startup,
            latency_ms=timed.latency,
            samples_ms=tuple(tuple(each.milliseconds.round(5).tolist()) for each in timed.rounds),
            by_bucket=buckets,
            by_threads=of_threads,
            by_batch=batches,
            throughput_per_s=max(each.texts_per_s for each in workers),
            by_workers=workers,
            stages_ms=stages,
            operators=operators,
            operators_missing=missing,
            memory_mib=process.memory,
            energy=joules,
            history=bundle.manifest.history,
        )


def _golden_texts(bundle: Bundle) -> list[str]:
    """The golden texts of the main model; in place of those that were stripped off, what their ids spell."""
    main = bundle.manifest.main
    texts = read_golden(bundle, main).texts
    if all(item.text is not None for item in texts):
        return [item.text for item in texts if item.text is not None]
    encoder = TextEncoder(bundle.read(main.text.tokenizer), main.text)
    return [encoder.spelled(item.ids) if item.text is None else item.text for item in texts]


def _describe(classifier: Classifier, texts: Sequence[str], source: str) -> Texts:
    encoder = classifier.encoder
    counts = np.array([len(ids) for ids in encoder.whole_ids_of(texts)])
    cut = np.minimum(counts, encoder.spec.max_length)
    return Texts(source, len(texts), float(np.median(cut)), int(cut.max()), float((counts > cut).mean()))


def _operators(
    path: str | os.PathLike[str], engine: str | None, threads: int, tokens: int
) -> tuple[tuple[OperatorTimes, ...], str]:
    """The operators' times; where the engine does not tell, none and why."""
    try:
        return measure_operators(path, engine=engine, threads=threads, tokens=tokens), ""
    except EdgekitError as error:
        return (), str(error)
