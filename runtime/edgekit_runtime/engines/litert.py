"""LiteRT (formerly TFLite), by ai-edge-litert; by tflite-runtime, the old package, only where that alone is installed.

One signature a length bucket, named ``length_N``. Of a version whose C API is known all lengths share one packed copy of the
weights, and that of a larger program is kept in the user's cache and mapped by the next process; else each length packs its own.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterator
from importlib import util
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgekit_runtime.engines import packed_cache
from edgekit_runtime.engines.distributions import name_and_version
from edgekit_runtime.engines.litert_c import Library, library
from edgekit_runtime.engines.litert_compiled import CompiledRunner
from edgekit_runtime.engines.litert_interpreter import InterpreterRunner
from edgekit_runtime.engines.litert_runner import SIGNATURE_PREFIX as SIGNATURE_PREFIX
from edgekit_runtime.engines.litert_runner import Names, Runner
from edgekit_runtime.errors import EngineError, EngineUnavailableError
from edgekit_runtime.filepart import Contents
from edgekit_runtime.manifest import Program

DISTRIBUTION = "ai-edge-litert"
OLDER = "tflite-runtime"
PACKAGES = {DISTRIBUTION: "ai_edge_litert", OLDER: "tflite_runtime"}
"""Distribution to its package, the preferred one first; both have the same ``Interpreter``."""


class LiteRtEngine:
    """Runs a .tflite program on ai-edge-litert with XNNPACK, or on tflite-runtime if it is right there."""

    name: ClassVar[str] = "litert"

    def __init__(self, runner: Runner, threads: int, distribution: str) -> None:
        self.distribution = name_and_version(distribution)
        self.lengths: tuple[int, ...] | None = runner.lengths
        self.threads = threads
        self._runner: Runner | None = runner

    @classmethod
    def unavailable(cls) -> str | None:
        distribution = _installed()
        if distribution is None:
            return (
                "ai-edge-litert is not installed: pip install 'edgekit[litert]', or 'edgekit[tflite-runtime]' "
                "where that has no wheel for the board"
            )
        if distribution == OLDER and int(np.__version__.partition(".")[0]) >= 2:
            return (
                f"{name_and_version(OLDER)} needs numpy 1, and numpy {np.__version__} is installed: "
                "pip install 'numpy<2'"
            )
        return None

    @classmethod
    def load(cls, program: Program, contents: Contents, threads: int) -> LiteRtEngine:
        if reason := cls.unavailable():
            raise EngineUnavailableError(reason)
        distribution = _installed()
        assert distribution is not None, "the engine is available"
        _check_right_on(program, distribution)
        if missing := {"ids", "mask", "logits"} - {spec.role for spec in (*program.inputs, *program.outputs)}:
            raise EngineError(
                f"the manifest names no {', '.join(sorted(missing))} of {program.file}; convert the model anew"
            )
        names = {spec.role: spec.name for spec in (*program.inputs, *program.outputs)}
        tensors = Names(names["ids"], names["mask"], names["logits"])
        lite = library() if distribution == DISTRIBUTION else None
        interpreter: Any = None
        if lite is None:  # a package that is broken is no fault of the program's
            interpreter = importlib.import_module(f"{PACKAGES[distribution]}.interpreter").Interpreter
        data = contents.read()
        try:
            runner: Runner = (
                InterpreterRunner(interpreter, data, tensors, threads)
                if lite is None
                else _compiled(lite, data, contents, tensors, threads)
            )
        except Exception as error:  # a damaged program makes it raise IndexError and others, too
            raise EngineError(f"LiteRT refuses {program.file}: {error}") from error
        if not runner.lengths:
            raise EngineError(f"{program.file} has no signature {SIGNATURE_PREFIX}N; convert the model anew")
        return cls(runner, threads, distribution)

    def run(self, ids: NDArray[np.int32], mask: NDArray[np.float32]) -> NDArray[np.float32]:
        length, runner = ids.shape[1], self._runner
        if runner is None or length not in runner.lengths:
            state = "it was closed" if runner is None else f"it takes {self.lengths}"
            raise EngineError(f"the program takes no text of {length} tokens: {state}")
        try:
            return runner.run(length, ids, mask)
        except Exception as error:  # likewise
            raise EngineError(f"LiteRT failed at length {length}: {type(error).__name__}: {error}") from error

    def close(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.close()


def _compiled(lite: Library, data: bytes, contents: Contents, names: Names, threads: int) -> CompiledRunner:
    """Loads a program with the packed weights that the cache holds; else packs them in memory, and keeps a copy there."""
    key = None
    if contents.cache_key is not None and contents.size >= packed_cache.LEAST_BYTES:
        key = packed_cache.packed_key(contents.cache_key, f"{name_and_version(DISTRIBUTION)} {lite.identity}")
        if (kept := packed_cache.open_packed(key)) is not None:
            try:
                return CompiledRunner(lite, data, names, threads, kept)
            except EngineError:  # of the weights, or of the program: that shows below
                packed_cache.forget_packed(key)
            finally:
                os.close(kept)
    with _memory_file() as memory:
        runner = CompiledRunner(lite, data, names, threads, memory)
        if key is not None and memory is not None:
            packed_cache.keep_packed(key, memory)
        return runner


@contextlib.contextmanager
def _memory_file() -> Iterator[int | None]:
    """A file in memory alone, which no full disk can cut: LiteRT ends the process where a file cannot grow.

    None where there can be none, or where files of the process may not grow as they need: each length then packs its own.
    """
    import resource

    memory = None
    if resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY:
        with contextlib.suppress(OSError):
            memory = os.memfd_create("edgekit-packed", os.MFD_CLOEXEC)
    try:
        yield memory
    finally:
        if memory is not None:
            os.close(memory)


def _check_right_on(program: Program, distribution: str) -> None:
    """Refuses a program that is not known to be right on a distribution: an old one gives wrong answers without an error."""
    if distribution in program.right_on:
        return
    known = ", ".join(program.right_on) or "none"
    if distribution == OLDER:
        raise EngineError(
            f"{program.file} ({program.scheme}) is not known to be right on tflite-runtime, which answers by scales per "
            f"channel wrongly and without an error, but on {known}: make the bundle by edgekit convert --compat "
            "tflite-runtime, or pip install ai-edge-litert"
        )
    raise EngineError(
        f"{program.file} is not known to be right on {distribution}, but on {known}; convert the model anew"
    )


def _installed() -> str | None:
    """The distribution that runs programs here; None if there is none."""
    return next((name for name, package in PACKAGES.items() if util.find_spec(package)), None)
