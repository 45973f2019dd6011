"""Measuring time by operator, in a process of its own: what reads an engine's trace may crash where versions differ."""

from __future__ import annotations

import importlib
import itertools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgekit_runtime import jsonio
from edgekit_runtime.bundle import open_bundle
from edgekit_runtime.errors import EngineError, OptionError
from edgekit_runtime.filepart import Contents
from edgekit_runtime.fresh import NoAnswerError, ask
from edgekit_runtime.loading import chosen_program, read_golden, threads_used
from edgekit_runtime.manifest import Program
from edgekit_runtime.profiling.operators.times import OperatorTimes, Traced, summarise

TRACERS = {
    "litert": "edgekit_runtime.profiling.operators.litert:trace",
    "executorch": "edgekit_runtime.profiling.operators.executorch:trace",
    "onnx": "edgekit_runtime.profiling.operators.onnx:trace",
}
"""Engine name to "module:function"; an engine that is not here does not tell."""

Tracer = Callable[[Program, Contents, int, Sequence[int], int], Traced]
"""Runs a program, which lies in a part of a file, with so many threads on token ids, so often."""

RUNS = 100
LIMIT_S = 600


def measure_operators(
    path: str | os.PathLike[str], *, engine: str | None = None, threads: int, tokens: int, runs: int = RUNS
) -> tuple[OperatorTimes, ...]:
    """Traces the programs that ``load`` would choose.

    Args:
        path: The bundle.
        engine: As for ``load``.
        threads: Upper bound on the threads of an inference.
        tokens: Length of the input; what is over a model's max length is cut, as text would be.
        runs: Inferences that are timed, after a few that warm up.

    Returns:
        One for each model that answers, in the order in which they are asked.

    Raises:
        OptionError: A number is below 1.
        EngineUnavailableError: As for ``load``.
        EngineError: The engine does not tell, fails, or its process dies.
        FileError, BundleError: As for ``load``.
    """
    for name, value in (("threads", threads), ("tokens", tokens), ("runs", runs)):
        if value < 1:
            raise OptionError(f"{name} must be 1 or more, not {value}")
    bundle = open_bundle(path)
    programs = [(entry.role, chosen_program(bundle, entry, engine)) for entry in bundle.manifest.answering]
    if silent := sorted({program.engine for _, program in programs} - TRACERS.keys()):
        raise EngineError(
            f"{', '.join(silent)} does not tell its time by operator; another --engine may: {', '.join(TRACERS)}"
        )
    threads = threads_used(threads)
    options = {"path": os.fspath(Path(path).resolve()), "threads": threads, "tokens": tokens, "runs": runs}
    return tuple(
        _run(program.engine, options | {"role": role, "file": program.file, "tracer": TRACERS[program.engine]})
        for role, program in programs
    )


def trace_program(path: str, role: str, file: str, tracer: str, threads: int, tokens: int, runs: int) -> OperatorTimes:
    """What the process runs: traces one program of a bundle."""
    bundle = open_bundle(path)
    entry = next(entry for entry in bundle.manifest.models if entry.role == role)
    program = next(program for program in entry.programs if program.file == file)
    module, _, attribute = tracer.partition(":")
    trace: Tracer = getattr(importlib.import_module(module), attribute)
    length = min(max(tokens, entry.text.min_length), entry.text.max_length)
    longest = max((text.ids for text in read_golden(bundle, entry).texts), key=len)
    ids = list(itertools.islice(itertools.cycle(longest), length))
    return summarise(trace(program, bundle.part(file), threads, ids, runs), role, program.engine)


def _run(engine: str, options: dict[str, Any]) -> OperatorTimes:
    """Has a fresh process trace a program."""
    try:
        found = ask("edgekit_runtime.profiling.operators.measure:trace_program", options, limit_s=LIMIT_S)
    except NoAnswerError as error:
        raise EngineError(
            f"{engine} gave no times by operator, in a process of its own: {error}; try another --engine"
        ) from error
    return jsonio.decode(OperatorTimes, found.value, f"the trace of {engine}")
