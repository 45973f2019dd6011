"""ExecuTorch's own Python binding, for where edgekit-executorch is not installed. It imports torch: 3 s and 350 MB."""

from __future__ import annotations

import importlib
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit_runtime.errors import EngineError
from edgekit_runtime.filepart import FilePart

_lock = threading.Lock()
_loaded = 0  # programs that hold the process's one pool of threads, which must not be replaced under them


class OfficialProgram:
    """A program on the official binding.

    Args:
        contents: Where it lies.
        threads: Upper bound on the threads of a run. The binding has one pool a process.

    Raises:
        EngineError: The binding refuses the program, or its pool is in use and has more threads.
        BundleIntegrityError: The contents differ from their checksum.
    """

    def __init__(self, contents: FilePart, threads: int) -> None:
        global _loaded
        self._torch = importlib.import_module("torch")
        importlib.import_module("executorch.kernels.quantized")  # registers the kernels of int8 tables
        binding: Any = importlib.import_module("executorch.extension.pybindings.portable_lib")
        self._data = contents.read()  # the binding reads it where it is, and does not keep it
        with _lock:
            if binding._threadpool_get_thread_count() > threads:
                if _loaded:
                    raise EngineError(
                        f"a program with {binding._threadpool_get_thread_count()} threads is loaded, and ExecuTorch has "
                        f"one pool a process: close it before you load one with {threads}, or install edgekit-executorch"
                    )
                binding._unsafe_reset_threadpool(threads)
            try:
                self._module: Any = binding._load_for_executorch_from_buffer(self._data)
                self._module.method_meta("forward")  # loading waits until the program is used, and so do its errors
            except RuntimeError as error:
                raise EngineError(f"ExecuTorch refuses {contents.name}: {error}") from error
            _loaded += 1

    def run(self, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
        """Runs the method ``forward``.

        Raises:
            RuntimeError: The engine failed, or was closed.
        """
        if self._module is None:
            raise RuntimeError("the program was closed")
        outputs = self._module.forward([self._torch.from_numpy(np.ascontiguousarray(each)) for each in inputs])
        return [output.numpy().copy() for output in outputs]

    def close(self) -> None:
        """Frees the program."""
        global _loaded
        with _lock:
            _loaded -= self._module is not None
            self._module = None
            self._data = b""
