"""LiteRT (formerly TFLite), by ai-edge-litert; by tflite-runtime, the old package, only where that alone is installed.

One signature a length bucket, named ``length_N``.
"""

from __future__ import annotations

import importlib
from importlib import util
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgekit_runtime.engines.distributions import name_and_version
from edgekit_runtime.errors import EngineError, EngineUnavailableError
from edgekit_runtime.filepart import Contents
from edgekit_runtime.manifest import Program

SIGNATURE_PREFIX = "length_"
DISTRIBUTION = "ai-edge-litert"
OLDER = "tflite-runtime"
PACKAGES = {DISTRIBUTION: "ai_edge_litert", OLDER: "tflite_runtime"}
"""Distribution to its package, the preferred one first; both have the same ``Interpreter``."""


class LiteRtEngine:
    """Runs a .tflite program on ai-edge-litert with XNNPACK, or on tflite-runtime if it is right there."""

    name: ClassVar[str] = "litert"

    def __init__(self, runners: dict[int, Any], program: Program, threads: int, distribution: str) -> None:
        self.distribution = name_and_version(distribution)
        self.lengths: tuple[int, ...] | None = tuple(sorted(runners))
        self.threads = threads
        self._runners = runners
        names = {spec.role: spec.name for spec in (*program.inputs, *program.outputs)}
        self._ids, self._mask, self._logits = names["ids"], names["mask"], names["logits"]

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
        interpreters = importlib.import_module(f"{PACKAGES[distribution]}.interpreter")
        data = contents.read()
        try:
            interpreter = interpreters.Interpreter(model_content=data, num_threads=threads)
            signatures = interpreter.get_signature_list()
            runners = {
                int(key.removeprefix(SIGNATURE_PREFIX)): interpreter.get_signature_runner(key)
                for key in signatures
                if key.startswith(SIGNATURE_PREFIX)
            }
        except Exception as error:  # a damaged program makes it raise IndexError and others, too
            raise EngineError(f"LiteRT refuses {program.file}: {error}") from error
        if missing := {"ids", "mask", "logits"} - {spec.role for spec in (*program.inputs, *program.outputs)}:
            raise EngineError(
                f"the manifest names no {', '.join(sorted(missing))} of {program.file}; convert the model anew"
            )
        if not runners:
            raise EngineError(f"{program.file} has no signature {SIGNATURE_PREFIX}N; convert the model anew")
        return cls(runners, program, threads, distribution)

    def run(self, ids: NDArray[np.int32], mask: NDArray[np.float32]) -> NDArray[np.float32]:
        length = ids.shape[1]
        runner = self._runners.get(length)
        if runner is None:
            state = f"it takes {self.lengths}" if self._runners else "it was closed"
            raise EngineError(f"the program takes no text of {length} tokens: {state}")
        try:
            logits: NDArray[np.float32] = runner(**{self._ids: ids, self._mask: mask})[self._logits][0]
        except Exception as error:  # likewise
            raise EngineError(f"LiteRT failed at length {length}: {type(error).__name__}: {error}") from error
        return logits

    def close(self) -> None:
        self._runners = {}


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
