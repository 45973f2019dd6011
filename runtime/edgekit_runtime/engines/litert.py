"""LiteRT (formerly TFLite), by ai-edge-litert. One signature a length bucket, named ``length_N``."""

from __future__ import annotations

from importlib import metadata, util
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgekit_runtime.errors import EngineError, EngineUnavailableError
from edgekit_runtime.filepart import FilePart
from edgekit_runtime.manifest import Program

SIGNATURE_PREFIX = "length_"
DISTRIBUTION = "ai-edge-litert"


class LiteRtEngine:
    """Runs a .tflite program on ai-edge-litert with XNNPACK."""

    name: ClassVar[str] = "litert"

    def __init__(self, runners: dict[int, Any], program: Program, threads: int) -> None:
        self.distribution = f"{DISTRIBUTION} {metadata.version(DISTRIBUTION)}"
        self.lengths: tuple[int, ...] | None = tuple(sorted(runners))
        self.threads = threads
        self._runners = runners
        names = {spec.role: spec.name for spec in (*program.inputs, *program.outputs)}
        self._ids, self._mask, self._logits = names["ids"], names["mask"], names["logits"]

    @classmethod
    def unavailable(cls) -> str | None:
        if util.find_spec("ai_edge_litert") is None:
            return "ai-edge-litert is not installed: pip install 'edgekit[litert]'"
        return None

    @classmethod
    def load(cls, program: Program, contents: FilePart, threads: int) -> LiteRtEngine:
        if reason := cls.unavailable():
            raise EngineUnavailableError(reason)
        from ai_edge_litert.interpreter import Interpreter

        data = contents.read()
        try:
            interpreter = Interpreter(model_content=data, num_threads=threads)
            signatures = interpreter.get_signature_list()
            runners = {
                int(key.removeprefix(SIGNATURE_PREFIX)): interpreter.get_signature_runner(key)
                for key in signatures
                if key.startswith(SIGNATURE_PREFIX)
            }
        except (ValueError, RuntimeError) as error:
            raise EngineError(f"LiteRT refuses {program.file}: {error}") from error
        if missing := {"ids", "mask", "logits"} - {spec.role for spec in (*program.inputs, *program.outputs)}:
            raise EngineError(
                f"the manifest names no {', '.join(sorted(missing))} of {program.file}; convert the model anew"
            )
        if not runners:
            raise EngineError(f"{program.file} has no signature {SIGNATURE_PREFIX}N; convert the model anew")
        return cls(runners, program, threads)

    def run(self, ids: NDArray[np.int32], mask: NDArray[np.float32]) -> NDArray[np.float32]:
        length = ids.shape[1]
        runner = self._runners.get(length)
        if runner is None:
            state = f"it takes {self.lengths}" if self._runners else "it was closed"
            raise EngineError(f"the program takes no text of {length} tokens: {state}")
        try:
            outputs = runner(**{self._ids: ids, self._mask: mask})
        except (ValueError, RuntimeError) as error:
            raise EngineError(f"LiteRT failed at length {length}: {error}") from error
        logits: NDArray[np.float32] = outputs[self._logits][0]
        return logits

    def close(self) -> None:
        self._runners = {}
