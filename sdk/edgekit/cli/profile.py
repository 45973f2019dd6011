"""``edgekit profile``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from edgekit.cli.options import (
    BEST_SENSOR,
    UNSAID,
    BundlePath,
    EngineName,
    Json,
    Threads,
    with_data_options,
    with_energy_options,
)
from edgekit.cli.reports import Html, Markdown, Reports
from edgekit.cli.terminal import Terminal, megabytes, print_json, print_pairs
from edgekit.report import profile_html, profile_markdown
from edgekit.report.digits import count, percent, significant, with_span
from edgekit.report.profiled import energy_sentence
from edgekit_converters.data import DataOptions, read_texts
from edgekit_converters.data.source import shown
from edgekit_runtime import open_bundle
from edgekit_runtime.errors import OptionError
from edgekit_runtime.profiling.conditions import Conditions
from edgekit_runtime.profiling.energy.settings import EnergySettings
from edgekit_runtime.profiling.latency import SECONDS, Latency, check_pace
from edgekit_runtime.profiling.measure import profile_bundle
from edgekit_runtime.profiling.operators import OperatorTimes
from edgekit_runtime.profiling.process import Memory, Startup
from edgekit_runtime.profiling.profile import Profile
from edgekit_runtime.profiling.stages import Stages

MOST_OPERATORS = 4
"""So many are printed; the page has all."""


@with_data_options
@with_energy_options
def command(
    bundle: BundlePath,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="DATA", help="Texts to classify; default: the bundle's golden texts."),
    ] = None,
    data_options: DataOptions = UNSAID,
    engine: EngineName = None,
    threads: Threads = None,
    seconds: Annotated[
        float,
        typer.Option(
            "--seconds",
            help="How long the latency is measured; all takes some three times as long.",
        ),
    ] = SECONDS,
    pause: Annotated[
        float,
        typer.Option("--pause", metavar="MS", help="Rest before each of 200 calls: an app that is asked now and then."),
    ] = 0.0,
    energy: EnergySettings = BEST_SENSOR,
    html: Html = None,
    markdown: Markdown = None,
    json: Json = False,
) -> None:
    """Measure what a bundle costs on this device: latency, throughput, memory, energy.

    Every figure says how sure it is, and the conditions it was measured under are recorded with it.

    \b
    Example:
      $ edgekit profile model.edgekit --data dev.tsv --html profile.html
      $ edgekit profile model.edgekit --engine executorch --threads 1 --json
      $ edgekit profile model.edgekit --pause 500
    """
    if data is None and data_options != UNSAID:
        raise OptionError("what is said of columns, labels or encoding needs data: give it with --data")
    check_pace(seconds, pause)
    reports = Reports(html, markdown, bundle, data)
    with Terminal() as terminal:
        texts = None
        if data is not None:
            texts = read_texts(data, data_options, terminal.say, labels=open_bundle(bundle).manifest.labels)
        profile = profile_bundle(
            bundle,
            texts,
            source="" if data is None else shown(data),
            engine=engine,
            threads=threads,
            seconds=seconds,
            pause_ms=pause,
            energy=energy,
            listener=terminal,
        )
    if json:
        print_json(profile)
    else:
        print_pairs(_lines(profile))
    reports.write(profile, profile_html, profile_markdown)


def _lines(profile: Profile) -> list[tuple[str, str]]:
    """What is printed: a name and a line each."""
    latency, texts, pacing = profile.latency_ms, profile.texts, profile.pacing
    paced = f", {pacing.pause_ms:g} ms of rest before each" if pacing.pause_ms else ""
    return [
        ("bundle", f"{profile.bundle}, {megabytes(profile.bytes)}, {profile.scheme} on {profile.distribution}"),
        ("latency", _percentiles(latency)),
        *((f"  of {role}", _percentiles(each)) for role, each in latency.by_model.items()),
        (
            "  on",
            f"{texts.source}: {texts.count} texts, {texts.tokens_p50:g} tokens at the median, {percent(texts.truncated)} "
            f"cut; {pacing.rounds} rounds of {pacing.calls} calls{paced}; at most {count(profile.threads, 'thread', 'threads')}",
        ),
        ("by length", _series((each.tokens, each.latency_ms.p50) for each in profile.by_bucket)),
        ("by threads", _series((each.threads, each.latency_ms.p50) for each in profile.by_threads)),
        ("by batch", _series((each.texts, each.latency_ms.p50) for each in profile.by_batch) + " a text"),
        ("throughput", ", ".join(f"{each.texts_per_s:,.0f} texts/s by {each.workers}" for each in profile.by_workers)),
        *((f"stages{_of(role, profile)}", _stages(each)) for role, each in profile.stages_ms.items()),
        *((f"operators{_of(each.role, profile)}", _operators(each)) for each in profile.operators),
        *([("operators", profile.operators_missing)] if profile.operators_missing else []),
        ("cold start", _startup(profile.startup)),
        ("memory", _memory(profile.memory_mib)),
        ("energy", energy_sentence(profile.energy)),
        ("conditions", _conditions(*profile.conditions)),
        ("device", f"{profile.device.processor}, {profile.device.usable_cores} of {profile.device.cores} cores"),
    ]


def _of(role: str, profile: Profile) -> str:
    return f" of {role}" if len(profile.stages_ms) > 1 else ""


def _percentiles(latency: Latency) -> str:
    parts = [f"{name} {with_span(getattr(latency, name), latency.ci95, name)}" for name in ("p50", "p95", "p99")]
    return f"{', '.join(parts)}, mean {significant(latency.mean)}, max {significant(latency.max)} ms"


def _series(points: Iterable[tuple[int, float]]) -> str:
    return ", ".join(f"{size}: {significant(p50)}" for size, p50 in points) + " ms"


def _stages(stages: Stages) -> str:
    parts = ", ".join(f"{name} {significant(value)}" for name, value in vars(stages).items())
    return f"{parts} ms"


def _operators(times: OperatorTimes) -> str:
    first = times.operators[:MOST_OPERATORS]
    rest = times.total_ms - sum(each.ms for each in first)
    parts = [f"{each.name} ×{each.calls} {each.ms / times.total_ms:.0%}" for each in first]
    return (
        f"{', '.join(parts)}, all else {rest / times.total_ms:.0%} of {significant(times.total_ms)} ms with tracing on"
    )


def _startup(startup: Startup) -> str:
    cache = "dropped from the cache of files first" if startup.evicted else "in the cache of files"
    return (
        f"{startup.total:.0f} ms to the first answer: Python {startup.python:.0f}, imports {startup.imports:.0f}, "
        f"load {startup.load:.0f}, self-test {startup.check:.0f}, first text {startup.first:.1f}; the bundle was {cache}"
    )


def _memory(memory: Memory) -> str:
    def mib(value: float | None) -> str:
        return "unknown" if value is None else f"{value:.0f} MiB"

    return (
        f"{mib(memory.rss_anon)} of its own ({mib(memory.before_anon)} before loading), {mib(memory.rss_file)} of files, "
        f"peak {mib(memory.peak_rss)}"
    )


def _conditions(before: Conditions, after: Conditions) -> str:
    """What the system told, at the begin and at the end."""
    parts = [] if after.governor is None else [f"governor {after.governor}"]
    for name, first, last in (
        ("load average", before.load_average, after.load_average),
        ("MHz", before.frequency_mhz, after.frequency_mhz),
        ("°C", before.temperature_c, after.temperature_c),
    ):
        if first is not None and last is not None:
            parts.append(f"{name} {first:.4g} → {last:.4g}")
    parts += ["throttled"] if before.throttled or after.throttled else []
    return ", ".join(parts) or "the system tells nothing of them"
