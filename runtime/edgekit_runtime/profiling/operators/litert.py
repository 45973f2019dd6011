"""LiteRT's time by operator, XNNPACK's inside the delegate among them."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable, Iterator, Mapping, Sequence
from ctypes import c_char_p, c_int, c_size_t, c_void_p
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit_runtime.engines.litert import SIGNATURE_PREFIX
from edgekit_runtime.engines.litert_c import CPU, TensorType, keep
from edgekit_runtime.errors import EngineError
from edgekit_runtime.filepart import Contents
from edgekit_runtime.manifest import Program
from edgekit_runtime.profiling.operators.litert_c import NEXT, Event, Library
from edgekit_runtime.profiling.operators.times import Inference, Traced

WARM_UP = 10
"""Inferences before those that count."""
MOST = 200
"""Inferences in one trace, which LiteRT holds in memory."""

SETTINGS = {"runtime_options_string": "enable_profiling = true\n", "xnnpack": "num_threads = {threads}\n"}
"""What is set in parts of LiteRT: the part's name and TOML, as litert/c/options among its sources writes it."""
WRITE = 1

PLAIN, OPERATOR, OF_DELEGATE = 1, 2, 8
"""Kinds of events: none in particular; an operator, or all that a delegate took; what a delegate tells in place of that."""
WHOLE = "Invoke"


def trace(program: Program, contents: Contents, threads: int, ids: Sequence[int], runs: int) -> Traced:
    """Runs a program on token ids, repeated to fill the shortest bucket that holds them, with tracing on.

    Raises:
        EngineUnavailableError: ai-edge-litert is not installed.
        EngineError: Its version does not tell, or it refuses the program or fails.
    """
    data = contents.read()  # LiteRT copies neither this nor the settings: they live longer than what uses them
    settings = {part.encode(): toml.format(threads=threads).encode() for part, toml in SETTINGS.items()}
    with contextlib.ExitStack() as freed:
        model = _Model(Library(), data, settings, freed)
        length = min((length for length in model.signatures if length >= len(ids)), default=None)
        if length is None:
            raise EngineError(f"{program.file} has no signature for {len(ids)} tokens; convert the model anew")
        text = {"ids": np.resize(np.array(ids), (1, length)), "mask": np.ones((1, length))}
        run = model.prepare(length, {spec.name: text[spec.role].astype(spec.dtype) for spec in program.inputs})
        for _ in range(WARM_UP):
            run()
        inferences: list[Inference] = []
        for begin in range(0, runs, MOST):
            inferences += model.trace(run, min(MOST, runs - begin))
    return Traced(length, tuple(inferences))


class _Model:
    """A program with LiteRT's profiler on it, freed by ``freed``.

    Attributes:
        signatures: Length in tokens to the signature and its number.
    """

    def __init__(
        self, lite: Library, data: bytes, settings: Mapping[bytes, bytes], freed: contextlib.ExitStack
    ) -> None:
        self._lite, self._freed = lite, freed
        self._environment = self._made("Environment", lite.get("LiteRtCreateEnvironment", 0, None))
        model = self._made("Model", lite.get("LiteRtCreateModelFromBuffer", self._environment, data, len(data)))
        options = self._made("Options", lite.get("LiteRtCreateOptions"))
        lite.call("LiteRtSetOptionsHardwareAccelerators", options, CPU)
        for part, toml in settings.items():
            lite.call("LiteRtAddOpaqueOptions", options, lite.get("LiteRtCreateOpaqueOptions", part, toml, keep))
        compiled = lite.get("LiteRtCreateCompiledModel", self._environment, model, options)
        self._compiled = self._made("CompiledModel", compiled)
        self._profiler = lite.get("LiteRtCompiledModelGetProfiler", compiled)
        if not self._profiler:
            raise EngineError(f"{lite.distribution} has no profiler that tells its time by operator; {NEXT}")
        self.signatures: dict[int, tuple[c_void_p, int]] = {}
        for number in range(lite.get("LiteRtGetNumModelSignatures", model, kind=c_size_t).value):
            signature = lite.get("LiteRtGetModelSignature", model, number)
            key = lite.get("LiteRtGetSignatureKey", signature, kind=c_char_p).value.decode()
            if key.startswith(SIGNATURE_PREFIX):
                self.signatures[int(key.removeprefix(SIGNATURE_PREFIX))] = signature, number

    def prepare(self, length: int, arrays: Mapping[str, NDArray[Any]]) -> Callable[[], None]:
        """Fills the inputs of a signature, and returns what runs it."""
        lite = self._lite
        signature, number = self.signatures[length]
        buffers: dict[str, list[c_void_p]] = {"Input": [], "Output": []}
        for kind, made in buffers.items():
            for index in range(lite.get(f"LiteRtGetNumSignature{kind}s", signature, kind=c_size_t).value):
                tensor = lite.get(f"LiteRtGetSignature{kind}TensorByIndex", signature, index)
                shape = ctypes.byref(lite.get("LiteRtGetRankedTensorType", tensor, kind=TensorType))
                needs = lite.get(f"LiteRtGetCompiledModel{kind}BufferRequirements", self._compiled, number, index)
                create = "LiteRtCreateManagedTensorBufferFromRequirements"
                made.append(self._made("TensorBuffer", lite.get(create, self._environment, shape, needs)))
        for index, buffer in enumerate(buffers["Input"]):
            name = lite.get("LiteRtGetSignatureInputName", signature, index, kind=c_char_p).value.decode()
            self._fill(buffer, arrays[name])
        inputs, outputs = ((c_void_p * len(made))(*(each.value for each in made)) for made in buffers.values())
        return lambda: lite.call(
            "LiteRtRunCompiledModel", self._compiled, number, len(inputs), inputs, len(outputs), outputs
        )

    def trace(self, run: Callable[[], None], runs: int) -> Iterator[Inference]:
        """Runs so often, and gives what the profiler tells."""
        lite = self._lite
        lite.call("LiteRtStartProfiler", self._profiler)
        for _ in range(runs):
            run()
        lite.call("LiteRtStopProfiler", self._profiler)
        count = lite.get("LiteRtGetNumProfilerEvents", self._profiler, kind=c_int).value
        events = (Event * count)()
        lite.call("LiteRtGetProfilerEvents", self._profiler, count, events)
        timed = [(event.tag.decode(), event.type, event.elapsed_us / 1000) for event in events]
        begins = [index for index, (tag, kind, _) in enumerate(timed) if (tag, kind) == (WHOLE, PLAIN)]
        if len(begins) != runs:
            raise EngineError(f"{lite.distribution} told of {len(begins)} inferences in place of {runs}; {NEXT}")
        for begin, end in zip(begins, [*begins[1:], len(timed)], strict=True):
            calls = [(tag, ms) for tag, kind, ms in timed[begin:end] if kind in (OPERATOR, OF_DELEGATE)]
            yield Inference(timed[begin][2], tuple(calls))

    def _made(self, kind: str, handle: c_void_p) -> c_void_p:
        self._freed.callback(self._lite.destroy, kind, handle)
        return handle

    def _fill(self, buffer: c_void_p, array: NDArray[Any]) -> None:
        size = self._lite.get("LiteRtGetTensorBufferPackedSize", buffer, kind=c_size_t).value
        if size != array.nbytes:
            raise EngineError(f"the program takes {size} bytes where the manifest says {array.nbytes}; convert it anew")
        address = c_void_p()
        self._lite.call("LiteRtLockTensorBuffer", buffer, ctypes.byref(address), WRITE)
        ctypes.memmove(address, array.ctypes.data, size)
        self._lite.call("LiteRtUnlockTensorBuffer", buffer)
