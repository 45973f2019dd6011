"""The figures and tables of a profile."""

from __future__ import annotations

from edgekit.report import surroundings
from edgekit.report.digits import NONE, count, percent, significant, span, with_span
from edgekit.report.table import Fact, Table, bars, one_after_another
from edgekit_runtime.profiling.energy import GAUGE, MODELLED, RAIL, UNAVAILABLE, Energy
from edgekit_runtime.profiling.latency import Latency
from edgekit_runtime.profiling.operators import OperatorTimes
from edgekit_runtime.profiling.profile import Profile
from edgekit_runtime.profiling.stages import Stages

SHOWN_OPERATORS = 8
"""Kinds of operators that get a row of their own; the others are summed."""

BUSY = 0.5
"""Load a processor, before anything was measured, from which others were at work."""

STATUS = {
    RAIL: "measured on a supply rail",
    GAUGE: "measured for the whole device",
    MODELLED: "modelled, not measured",
}


def headline(profile: Profile) -> tuple[Fact, ...]:
    """The six figures that people ask for first."""
    latency, memory, energy = profile.latency_ms, profile.memory_mib, profile.energy
    workers = max(profile.by_workers, key=lambda each: each.texts_per_s, default=None)
    by = "" if workers is None else count(workers.workers, "worker", "workers")
    return (
        Fact("Latency, median", significant(latency.p50), "ms", span(latency.ci95.get("p50"))),
        Fact("Latency, p95", significant(latency.p95), "ms", span(latency.ci95.get("p95"))),
        Fact("Throughput", significant(profile.throughput_per_s), "texts/s", by),
        Fact("Memory, peak", significant(memory.peak_rss), "MiB", f"{significant(memory.rss_anon)} of its own"),
        energy_fact(energy),
        Fact("Size", significant(profile.bytes / 1e6), "MB", profile.scheme),
    )


def energy_fact(energy: Energy) -> Fact:
    """Millijoules a text with their interval and the state of the figure, or that there is none."""
    if energy.mj_per_inference is None:
        return Fact("Energy", UNAVAILABLE, "", "why: see below")
    detail = ", ".join(filter(None, (span(energy.ci95), energy.status)))
    return Fact("Energy", significant(energy.mj_per_inference), "mJ/text", detail)


def remarks(profile: Profile) -> tuple[str, ...]:
    """What makes the figures less sure than they look."""
    before, after = profile.conditions
    found = []
    if before.load_average is not None and before.load_average > BUSY * profile.device.usable_cores:
        load = significant(before.load_average, 2)
        found.append(
            f"The machine was busy before it began (load average {load}): times are too high, and intervals too wide."
        )
    if before.throttled or after.throttled:
        found.append("The board was slowed by heat or by its supply.")
    if not profile.latency_ms.ci95:
        found.append("One round was timed, so that nothing can be said of how sure the figures are.")
    return tuple(found)


def percentiles(profile: Profile) -> Table:
    """Mean, percentiles and the slowest call."""
    latency = profile.latency_ms
    named = (
        ("mean", latency.mean),
        ("p50", latency.p50),
        ("p90", latency.p90),
        ("p95", latency.p95),
        ("p99", latency.p99),
    )
    rows = tuple((name, significant(value), span(latency.ci95.get(name)) or NONE) for name, value in named)
    return Table("Percentiles", ("", "ms", "95 % interval"), (*rows, ("slowest", significant(latency.max), NONE)))


def by_model(profile: Profile) -> Table:
    """Of a bundle of several models, the texts that each answered."""
    total = profile.latency_ms.count
    rows = tuple(
        (role, percent(latency.count / total), *_middle_and_tail(latency))
        for role, latency in profile.latency_ms.by_model.items()
    )
    note = "Of a cascade's last model, with the time of those before it."
    return Table("By the model that answered", ("model", "texts", "p50, ms", "p95, ms"), rows, note=note)


def by_length(profile: Profile) -> Table:
    """Latency by length in tokens."""
    rows = tuple((str(each.tokens), *_middle_and_tail(each.latency_ms)) for each in profile.by_bucket)
    return Table("By length", ("tokens", "p50, ms", "p95, ms"), rows)


def by_threads(profile: Profile) -> Table:
    """Latency by threads a text."""
    rows = tuple((str(each.threads), *_middle_and_tail(each.latency_ms)) for each in profile.by_threads)
    shown = bars(tuple(each.latency_ms.p50 for each in profile.by_threads))
    return Table("Threads a text", ("threads", "p50, ms", "p95, ms"), rows, shown)


def by_batch(profile: Profile) -> Table:
    """Milliseconds a text by texts a call."""
    rows = tuple((str(each.texts), *_middle_and_tail(each.latency_ms)) for each in profile.by_batch)
    shown = bars(tuple(each.latency_ms.p50 for each in profile.by_batch))
    return Table("Texts a call", ("texts", "p50, ms", "p95, ms"), rows, shown, note="Milliseconds a text.")


def by_workers(profile: Profile) -> Table:
    """Throughput by workers."""
    rows = tuple((str(each.workers), significant(each.texts_per_s)) for each in profile.by_workers)
    shown = bars(tuple(each.texts_per_s for each in profile.by_workers))
    note = "Workers are threads of one process, each with a classifier of its own that uses one thread."
    return Table("Workers at once", ("workers", "texts/s"), rows, shown, note)


def stages(profile: Profile) -> tuple[Table, ...]:
    """Where the time of a text goes, a table a model."""
    return tuple(
        _stages(f" of {role}" if len(profile.stages_ms) > 1 else "", times) for role, times in profile.stages_ms.items()
    )


def _stages(whose: str, times: Stages) -> Table:
    parts = {"tokenize": times.tokenize, "pad": times.pad, "engine": times.engine, "post-process": times.postprocess}
    whole = sum(parts.values()) or 1.0
    rows = tuple((name, significant(value), percent(value / whole)) for name, value in parts.items())
    note = "Medians, measured apart from the latency, with a reading of the clock at each step."
    return Table(f"Stages{whose}", ("stage", "ms", "share"), rows, one_after_another(tuple(parts.values())), note)


def operators(profile: Profile) -> tuple[Table, ...]:
    """Where the engine's time goes, a table a model, the long tail as one row."""
    several = len(profile.operators) > 1
    return tuple(_operators(f" of {times.role}" if several else "", times) for times in profile.operators)


def _operators(whose: str, times: OperatorTimes) -> Table:
    shown, others = times.operators[:SHOWN_OPERATORS], times.operators[SHOWN_OPERATORS:]
    if len(others) == 1:
        shown, others = times.operators, ()
    found = [(each.name, each.calls, each.ms) for each in shown]
    if others:
        found.append((f"{len(others)} others", sum(each.calls for each in others), sum(each.ms for each in others)))
    left = times.total_ms - sum(each.ms for each in times.operators)
    whole = times.total_ms or 1.0
    rows = [(name, str(calls), significant(ms), percent(ms / whole)) for name, calls, ms in found]
    values = [ms for _, _, ms in found]
    if left > 0:
        rows.append(("between them", NONE, significant(left), percent(left / whole)))
        values.append(left)
    note = (
        f"{times.engine}, {count(times.tokens, 'token', 'tokens')}: means over the quicker half of {times.runs:,} inferences "
        f"with tracing on, {significant(times.total_ms)} ms each, which is slower than without. Between operators lie calls, "
        "copies and the tracing itself."
    )
    return Table(f"Operators{whose}", ("operator", "calls", "ms", "share"), tuple(rows), bars(tuple(values)), note)


def startup(profile: Profile) -> Table:
    """A cold start, part after part; a phone tells of fewer."""
    cold = profile.startup
    told = {
        "Python starts": cold.python,
        "import edgekit_runtime": cold.imports,
        "open and load the bundle" + (", golden texts among it" if cold.check is None else ""): cold.load,
        "golden texts": cold.check,
        "first text": cold.first,
    }
    parts = {name: value for name, value in told.items() if value is not None}
    total = {} if cold.total is None else {"to the first answer": cold.total}
    rows = tuple((name, significant(value)) for name, value in {**parts, **total}.items())
    files = "dropped from the system's cache first" if cold.evicted else "in the system's cache"
    measured = f"Medians of {count(cold.runs, 'fresh process', 'fresh processes')}"
    if cold.python is None:
        measured = "As the app loaded it, once"
    note = f"{measured}; the file was {files}."
    return Table("Cold start", ("step", "ms"), rows, one_after_another(tuple(parts.values()), cold.total), note)


def memory(profile: Profile) -> Table:
    """Resident memory, part on part."""
    used = profile.memory_mib
    before, own = used.before_anon, used.rss_anon
    divided = {
        "own, before the bundle": before,
        "own, for the bundle": None if own is None or before is None else own - before,
    }
    parts = {**({"own": own} if before is None else divided), "pages of files": used.rss_file}
    rows = tuple((name, significant(value)) for name, value in {**parts, "peak of both": used.peak_rss}.items())
    told = tuple(value for value in parts.values() if value is not None)
    shown = one_after_another(told, used.peak_rss) if len(told) == len(parts) and used.peak_rss is not None else ()
    process = "the app" if profile.startup.python is None else "a fresh process"
    note = f"Of {process} after every length was used. Pages of files can be dropped by the system and shared."
    return Table("Memory", ("part", "MiB"), rows, shown, note)


def energy_sentence(energy: Energy) -> str:
    """The figure, its interval, its state and its source."""
    if energy.mj_per_inference is None:
        return f"Unavailable: {energy.reason}"
    interval = f" (95 % interval {span(energy.ci95)})" if energy.ci95 else ""
    return f"{significant(energy.mj_per_inference)} mJ a text above idle{interval}; {STATUS[energy.status]}: {energy.source}."


def windows(energy: Energy) -> Table:
    """Idle and load windows of an energy measurement."""
    rows = tuple(
        (
            str(number),
            significant(window.idle_w),
            significant(window.load_w),
            f"{window.inferences:,}",
            significant(window.mj_per_inference) if window.inferences else NONE,
        )
        for number, window in enumerate(energy.windows, 1)
    )
    return Table("Windows", ("window", "idle, W", "load, W", "texts", "mJ/text"), rows)


def device(profile: Profile) -> Table:
    """Where it was measured, what and how."""
    texts = profile.texts
    rows = (
        *surroundings.device(profile.device),
        (
            "engine",
            f"{profile.engine} ({profile.distribution}), up to {count(profile.threads, 'thread', 'threads')} a text",
        ),
        ("edgekit", profile.edgekit),
        (
            "texts",
            f"{texts.count:,} of {texts.source}; {texts.tokens_p50:g} tokens at the median, "
            f"{texts.tokens_max:,} at most, {percent(texts.truncated) if texts.truncated else 'none'} cut",
        ),
        ("pacing", surroundings.pacing(profile.pacing)),
    )
    return Table("Device and method", ("", ""), rows, left=2)


def conditions(profile: Profile) -> Table:
    """The state of the machine before and after."""
    return surroundings.conditions(*profile.conditions)


def _middle_and_tail(latency: Latency) -> tuple[str, str]:
    return with_span(latency.p50, latency.ci95, "p50"), with_span(latency.p95, latency.ci95, "p95")
