"""LiteRT by the ``Interpreter`` that every version of ai-edge-litert has, and tflite-runtime: each length packs its weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit_runtime.engines.litert_runner import Names, length_of


class InterpreterRunner:
    """Runs a program by signature runners.

    Args:
        interpreter_class: The ``Interpreter`` of either package.
        data: The program.
        names: Of its tensors.
        threads: Upper bound on the threads of one call.

    Raises:
        Exception: The program is refused, with an IndexError and others of a damaged one.
    """

    def __init__(self, interpreter_class: Any, data: bytes, names: Names, threads: int) -> None:
        interpreter = interpreter_class(model_content=data, num_threads=threads)
        self._names = names
        self._runners = {
            length: interpreter.get_signature_runner(key)
            for key in interpreter.get_signature_list()
            if (length := length_of(key)) is not None
        }
        self.lengths = tuple(sorted(self._runners))

    def run(self, length: int, ids: NDArray[np.int32], mask: NDArray[np.float32]) -> NDArray[np.float32]:
        names = self._names
        logits: NDArray[np.float32] = self._runners[length](**{names.ids: ids, names.mask: mask})[names.logits][0]
        return logits

    def close(self) -> None:
        self._runners = {}
