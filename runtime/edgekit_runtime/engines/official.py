"""ExecuTorch's own Python binding, for where edgekit-executorch is not installed. It imports torch: 3 s and 350 MB."""

from __future__ import annotations

import importlib
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit_runtime.errors import EngineError
from edgekit_runtime.filepart import Contents

DTYPES = {
    0: "uint8",
    1: "int8",
    2: "int16",
    3: "int32",
    4: "int64",
    5: "float16",
    6: "float32",
    7: "float64",
    11: "bool",
}
"""ExecuTorch's number of an element type to numpy's name of it."""

_lock = threading.Lock()
_loaded = 0  # programs that hold the process's one pool of threads, which must not be replaced under them


@dataclass(frozen=True)
class Declared:
    """An input or an output as the program declares it; ``shape`` has upper bounds where it is dynamic."""

    dtype: str
    shape: tuple[int, ...]


class OfficialProgram:
    """A program on the official binding.

    Args:
        contents: Where it lies.
        threads: Upper bound on the threads of a run. The binding has one pool a process, which is made anew in this size
            while no program of this class uses it; programs that others loaded by the binding would lose theirs.

    Raises:
        EngineError: The binding refuses the program, or its pool is in use and has more threads.
        BundleIntegrityError: The contents differ from their checksum.
    """

    def __init__(self, contents: Contents, threads: int) -> None:
        global _loaded
        self._torch = importlib.import_module("torch")
        importlib.import_module("executorch.kernels.quantized")  # registers the kernels of int8 tables
        binding: Any = importlib.import_module("executorch.extension.pybindings.portable_lib")
        self._data = contents.read()  # the binding reads it where it is, and does not keep it
        with _lock:
            count = binding._threadpool_get_thread_count()
            if count > threads and _loaded:
                raise EngineError(
                    f"a program with {count} threads is loaded, and ExecuTorch has one pool a process: "
                    f"close it before you load one with {threads}, or install edgekit-executorch"
                )
            if count != threads and not _loaded:
                binding._unsafe_reset_threadpool(threads)
            try:
                self._module: Any = binding._load_for_executorch_from_buffer(self._data)
                meta: Any = self._module.method_meta("forward")  # loading waits for the first use, and so do its errors
                # Once, not for each run: the binding makes every answer anew.
                self._inputs = tuple(_declared(meta.input_tensor_meta(index)) for index in range(meta.num_inputs()))
                self._outputs = tuple(_declared(meta.output_tensor_meta(index)) for index in range(meta.num_outputs()))
            except RuntimeError as error:
                raise EngineError(
                    f"ExecuTorch refuses {contents.name}: {error}; convert the model anew, or install edgekit-executorch, "
                    "which tells the reason"
                ) from error
            _loaded += 1

    def inputs(self) -> tuple[Declared, ...]:
        """What the method ``forward`` takes."""
        return self._inputs

    def outputs(self) -> tuple[Declared, ...]:
        """What it gives."""
        return self._outputs

    def run(self, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
        """Runs the method ``forward``.

        Raises:
            RuntimeError: The engine failed, or was closed.
        """
        if self._module is None:
            raise RuntimeError("the program was closed")
        for array, wanted in zip(inputs, self._inputs, strict=True):  # the binding ends the process on some of these
            fits = array.ndim == len(wanted.shape) and all(
                0 < size <= most for size, most in zip(array.shape, wanted.shape, strict=True)
            )
            if str(array.dtype) != wanted.dtype or not fits:
                raise RuntimeError(
                    f"the input is {array.dtype} {list(array.shape)}, and the program takes {wanted.dtype} of at most "
                    f"{list(wanted.shape)} and nothing empty"
                )
        outputs = self._module.forward([self._torch.from_numpy(np.ascontiguousarray(each)) for each in inputs])
        return [output.numpy().copy() for output in outputs]

    def close(self) -> None:
        """Frees the program."""
        global _loaded
        with _lock:
            _loaded -= self._module is not None
            self._module = None
            self._data = b""


def _declared(info: Any) -> Declared:
    return Declared(DTYPES.get(int(info.dtype()), "unknown"), tuple(info.sizes()))
