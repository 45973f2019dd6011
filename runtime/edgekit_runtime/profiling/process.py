"""What only a fresh process tells: how long a cold start takes, and how much memory the bundle needs."""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit_runtime import jsonio
from edgekit_runtime.bundle import open_bundle
from edgekit_runtime.errors import EngineError
from edgekit_runtime.fresh import NoAnswerError, ask
from edgekit_runtime.loading import check_answers, load

RUNS = 5
LIMIT_S = 300
MIB = 1024 * 1024


@dataclass(frozen=True)
class Startup:
    """A cold start, medians in milliseconds over ``runs`` fresh processes; null where a phone's app does not tell.

    Attributes:
        runs: Fresh processes; of an app 1, as it loaded the bundle.
        evicted: Whether the system was first asked to drop the bundle from its cache of files, and could be.
        python: Start of Python to the first line of the program.
        imports: ``import edgekit_runtime``.
        load: Opening the bundle, its checksums, and the engine's loading of the program; the self-test, too, where ``check``
            is null.
        check: The golden texts of the self-test.
        first: The first text after that.
        total: Start of Python to the first answer.
    """

    runs: int
    evicted: bool
    python: float | None
    imports: float | None
    load: float
    check: float | None
    first: float
    total: float | None


@dataclass(frozen=True)
class Memory:
    """Resident memory of a fresh process, in MiB, after every bucket was used; null where the system does not tell.

    Attributes:
        rss_anon: Its own, which no other process shares and the system cannot drop; files in memory are of it.
        rss_file: Pages of files, libraries and a mapped program among them, which it can.
        peak_rss: The most that both were together at any moment.
        before_anon: Its own with ``edgekit_runtime`` imported and no bundle loaded.
    """

    rss_anon: float | None
    rss_file: float | None
    peak_rss: float | None
    before_anon: float | None


@dataclass(frozen=True)
class Process:
    """What fresh processes told."""

    startup: Startup
    memory: Memory


def measure_process(
    path: str | os.PathLike[str],
    *,
    engine: str | None = None,
    threads: int | None = None,
    text: str = "One of the best films of the year.",
    runs: int = RUNS,
    progress: Callable[[int, int], None] | None = None,
) -> Process:
    """Loads a bundle in fresh processes, one after the other.

    Args:
        path: The bundle.
        engine: As for ``load``.
        threads: As for ``load``.
        text: What is classified first.
        runs: Processes; one is enough for the memory, which hardly differs.
        progress: Told how many processes of how many are done.

    Raises:
        EngineError: A process failed, took over LIMIT_S seconds, or died.
    """
    options = {"path": str(Path(path).resolve()), "engine": engine, "threads": threads, "text": text}
    evicted, found = True, []
    for done in range(runs):
        evicted = _evict(Path(path)) and evicted
        found.append(_start(options))
        if progress is not None:
            progress(done + 1, runs)
    startups, memories = zip(*found, strict=True)
    medians = {part: statistics.median(each[part] for each in startups) for part in startups[0]}
    return Process(Startup(runs, evicted, **medians), memories[-1])


def _start(options: dict[str, Any]) -> tuple[dict[str, float], Memory]:
    """The times of one fresh process, in milliseconds, and its memory."""
    try:
        done = ask("edgekit_runtime.profiling.process:load_and_answer", options, limit_s=LIMIT_S)
    except NoAnswerError as error:
        raise EngineError(
            f"a fresh process with this bundle failed: {error}; edgekit verify tells whether it works here"
        ) from error
    moments, memory = done.value
    began, loaded, checked, answered = moments
    marks = {
        "python": (done.started_ns, done.began_ns),
        "imports": (done.began_ns, done.imported_ns),
        "load": (began, loaded),
        "check": (loaded, checked),
        "first": (checked, answered),
        "total": (done.started_ns, answered),
    }
    times = {part: (end - begin) / 1e6 for part, (begin, end) in marks.items()}
    return times, jsonio.decode(Memory, memory, "the memory of a fresh process")


def load_and_answer(path: str, engine: str | None, threads: int | None, text: str) -> tuple[list[int], Memory]:
    """What a fresh process runs.

    Returns:
        The machine's monotonic clock in nanoseconds before loading, after loading, after the self-test and after the first
        answer; and the memory when every length was used once.
    """
    before = _memory()
    moments = [time.monotonic_ns()]
    with load(path, engine=engine, threads=threads, verify=False) as classifier:
        moments.append(time.monotonic_ns())
        for member in classifier.members:
            check_answers(open_bundle(path), member)
        moments.append(time.monotonic_ns())
        classifier(text)
        moments.append(time.monotonic_ns())
        for member in classifier.members:
            spec = member.encoder.spec
            for length in member.engine.lengths or spec.buckets:
                member.logits([spec.special_ids["pad"]] * length)
        after = _memory()
    return moments, Memory(after.get("RssAnon"), after.get("RssFile"), after.get("VmHWM"), before.get("RssAnon"))


def _memory() -> dict[str, float]:
    """Of /proc/self/status the fields on resident memory, in MiB; without it, as on macOS, the peak alone."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return {"VmHWM": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB}
    told = {
        name: int(value.split()[0]) / 1024
        for name, _, value in (line.partition(":") for line in lines)
        if "kB" in value
    }
    found: dict[str, float] = {name: told[name] for name in ("RssAnon", "RssFile", "VmHWM") if name in told}
    if "RssAnon" in found:
        found["RssAnon"] += told.get("RssShmem", 0.0)  # files in memory, which have no other place
    return found


def _evict(path: Path) -> bool:
    """Asks the system to drop a file from its cache; whether it can be asked."""
    if not hasattr(os, "posix_fadvise"):
        return False
    with contextlib.suppress(OSError), path.open("rb") as file:
        os.fdatasync(file.fileno())  # what is not on the disk yet is not dropped
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return True
    return False
