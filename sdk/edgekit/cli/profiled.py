"""What is printed of a profile: a name and a line each."""

from __future__ import annotations

from collections.abc import Iterable

from edgekit.cli.terminal import megabytes
from edgekit.report.digits import count, percent, significant, with_span
from edgekit.report.profiled import energy_sentence
from edgekit_runtime.profiling.conditions import Conditions
from edgekit_runtime.profiling.device import Device
from edgekit_runtime.profiling.latency import Latency
from edgekit_runtime.profiling.operators import OperatorTimes
from edgekit_runtime.profiling.process import Memory, Startup
from edgekit_runtime.profiling.profile import Profile
from edgekit_runtime.profiling.stages import Stages

MOST_OPERATORS = 4
"""So many are printed; the page has all."""


def profile_lines(profile: Profile) -> list[tuple[str, str]]:
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
        *_sweeps(profile),
        *((f"stages{_of(role, profile)}", _stages(each)) for role, each in profile.stages_ms.items()),
        *((f"operators{_of(each.role, profile)}", _operators(each)) for each in profile.operators),
        *([("operators", profile.operators_missing)] if profile.operators_missing else []),
        ("cold start", _startup(profile.startup)),
        ("memory", _memory(profile.memory_mib)),
        ("energy", energy_sentence(profile.energy)),
        ("conditions", _conditions(*profile.conditions)),
        ("device", _device(profile.device)),
    ]


def _sweeps(profile: Profile) -> Iterable[tuple[str, str]]:
    """Those that were measured; on a phone some are not."""
    if profile.by_bucket:
        yield "by length", _series((each.tokens, each.latency_ms.p50) for each in profile.by_bucket)
    if profile.by_threads:
        yield "by threads", _series((each.threads, each.latency_ms.p50) for each in profile.by_threads)
    if profile.by_batch:
        yield "by batch", _series((each.texts, each.latency_ms.p50) for each in profile.by_batch) + " a text"
    if profile.by_workers:
        yield (
            "throughput",
            ", ".join(f"{each.texts_per_s:,.0f} texts/s by {each.workers}" for each in profile.by_workers),
        )


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
    parts = (
        ("Python", startup.python),
        ("imports", startup.imports),
        ("load", startup.load),
        ("self-test", startup.check),
    )
    told = ", ".join(f"{name} {value:.0f}" for name, value in parts if value is not None)
    whole = "" if startup.total is None else f"{startup.total:.0f} ms to the first answer: "
    return f"{whole}{told}, first text {startup.first:.1f}{'' if whole else ' ms'}; the bundle was {cache}"


def _memory(memory: Memory) -> str:
    def mib(value: float | None) -> str:
        return "unknown" if value is None else f"{value:.0f} MiB"

    before = "" if memory.before_anon is None else f" ({mib(memory.before_anon)} before loading)"
    return f"{mib(memory.rss_anon)} of its own{before}, {mib(memory.rss_file)} of files, peak {mib(memory.peak_rss)}"


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


def _device(device: Device) -> str:
    return f"{device.processor}, {device.usable_cores} of {device.cores} cores, {device.system}"
