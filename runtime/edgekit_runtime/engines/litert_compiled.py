"""LiteRT by its ``CompiledModel``: all lengths share one packed copy of the weights, which may be mapped from a file."""

from __future__ import annotations

import contextlib
import ctypes
import os
import weakref
from collections.abc import Mapping
from ctypes import c_char_p, c_size_t, c_void_p
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit_runtime.engines.litert_c import CPU, FLOAT32, INT32, Library, TensorType, keep
from edgekit_runtime.engines.litert_runner import Names, length_of
from edgekit_runtime.errors import EngineError

DTYPES: dict[int, Any] = {INT32: np.int32, FLOAT32: np.float32}


@dataclass(frozen=True)
class _Signature:
    """A signature that is ready: its tensors as arrays on LiteRT's own memory, and what the call that runs it takes."""

    ids: NDArray[np.int32]
    mask: NDArray[np.float32]
    logits: NDArray[np.float32]
    call: tuple[Any, ...]


class CompiledRunner:
    """Runs a program by LiteRT's C API.

    Args:
        lite: The library.
        data: The program.
        names: Of its tensors.
        threads: Upper bound on the threads of one call.
        packed: Descriptor of a file that holds its packed weights, or of an empty one in memory that gets them; it stays the
            caller's. None packs them for each length.

    Raises:
        EngineError: LiteRT refuses the program, or it is not one of ours.
    """

    def __init__(self, lite: Library, data: bytes, names: Names, threads: int, packed: int | None) -> None:
        with contextlib.ExitStack() as made:
            model = _made(made, lite, "Model", "LiteRtCreateModelFromBuffer", lite.environment, data, len(data))
            settings = f"num_threads = {threads}\n"
            if packed is not None:
                settings += f"weight_cache_file_descriptor = {os.dup(packed)}\n"  # LiteRT closes it
            toml = ctypes.create_string_buffer(settings.encode())
            options = _made(made, lite, "Options", "LiteRtCreateOptions")
            lite.call("LiteRtSetOptionsHardwareAccelerators", options, CPU)
            opaque = lite.get("LiteRtCreateOpaqueOptions", b"xnnpack", ctypes.cast(toml, c_void_p), keep)
            lite.call("LiteRtAddOpaqueOptions", options, opaque)
            compiled = _made(made, lite, "CompiledModel", "LiteRtCreateCompiledModel", lite.environment, model, options)
            self._signatures = {
                length: _prepared(made, lite, compiled, model, number, names)
                for number, length in _lengths(lite, model).items()
            }
            self.lengths = tuple(sorted(self._signatures))
            self._run = lite.functions.LiteRtRunCompiledModel
            kept = made.pop_all()
        self._freed = weakref.finalize(self, _free, kept, (data, toml))
        self._freed.atexit = False  # the process gives all back, and threads may still run

    def run(self, length: int, ids: NDArray[np.int32], mask: NDArray[np.float32]) -> NDArray[np.float32]:
        signature = self._signatures[length]
        np.copyto(signature.ids, ids, casting="no")
        np.copyto(signature.mask, mask, casting="no")
        if status := self._run(*signature.call):
            raise EngineError(f"LiteRtRunCompiledModel gave status {status}")
        return signature.logits.copy()

    def close(self) -> None:
        self._signatures = {}
        self._freed()


def _free(made: contextlib.ExitStack, alive: tuple[Any, ...]) -> None:
    """Frees the program; what LiteRT did not copy is alive until then."""
    made.close()


def _made(made: contextlib.ExitStack, lite: Library, kind: str, create: str, *arguments: Any) -> c_void_p:
    """What a function creates; it is destroyed with the rest."""
    handle: c_void_p = lite.get(create, *arguments)
    made.callback(lite.destroy, kind, handle)
    return handle


def _lengths(lite: Library, model: c_void_p) -> Mapping[int, int]:
    """Numbers of the signatures that are ours to the lengths that they are for."""
    found = {}
    for number in range(lite.get("LiteRtGetNumModelSignatures", model, kind=c_size_t).value):
        signature = lite.get("LiteRtGetModelSignature", model, number)
        key = lite.get("LiteRtGetSignatureKey", signature, kind=c_char_p).value
        if (length := length_of(key.decode())) is not None:
            found[number] = length
    return found


def _prepared(
    made: contextlib.ExitStack, lite: Library, compiled: c_void_p, model: c_void_p, number: int, names: Names
) -> _Signature:
    signature = lite.get("LiteRtGetModelSignature", model, number)
    arrays: dict[str, NDArray[Any]] = {}
    handles: dict[str, Any] = {}
    for side in ("Input", "Output"):
        count = lite.get(f"LiteRtGetNumSignature{side}s", signature, kind=c_size_t).value
        handles[side] = (c_void_p * count)()
        for index in range(count):
            name = lite.get(f"LiteRtGetSignature{side}Name", signature, index, kind=c_char_p).value.decode()
            tensor = lite.get(f"LiteRtGetSignature{side}TensorByIndex", signature, index)
            shape = lite.get("LiteRtGetRankedTensorType", tensor, kind=TensorType)
            needs = lite.get(f"LiteRtGetCompiledModel{side}BufferRequirements", compiled, number, index)
            create = "LiteRtCreateManagedTensorBufferFromRequirements"
            buffer = _made(made, lite, "TensorBuffer", create, lite.environment, ctypes.byref(shape), needs)
            handles[side][index] = buffer.value
            arrays[name] = _array(lite, buffer, shape, name)
    wanted = {names.ids: np.int32, names.mask: np.float32, names.logits: np.float32}
    for name, dtype in wanted.items():
        if name not in arrays or arrays[name].dtype != dtype or arrays[name].ndim != 2:
            raise EngineError(f"a signature has no {np.dtype(dtype)} tensor {name} of two dimensions")
    sides = (item for side in ("Input", "Output") for item in (len(handles[side]), handles[side]))
    return _Signature(
        ids=arrays[names.ids],
        mask=arrays[names.mask],
        logits=arrays[names.logits][0],
        call=(compiled, number, *sides),
    )


def _array(lite: Library, buffer: c_void_p, shape: TensorType, name: str) -> NDArray[Any]:
    """The memory of a buffer as an array."""
    dimensions = list(shape.dimensions[: shape.rank & 0x7F])
    dtype = DTYPES.get(shape.element_type)
    size = lite.get("LiteRtGetTensorBufferPackedSize", buffer, kind=c_size_t).value
    if dtype is None or min(dimensions, default=0) < 1 or size != int(np.prod(dimensions)) * np.dtype(dtype).itemsize:
        raise EngineError(f"the tensor {name} has the type {shape.element_type} and the shape {dimensions}")
    address = lite.get("LiteRtGetTensorBufferHostMemory", buffer).value
    return np.frombuffer((ctypes.c_char * size).from_address(address), dtype).reshape(dimensions)
