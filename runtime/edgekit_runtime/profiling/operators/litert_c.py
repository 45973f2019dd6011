"""LiteRT's C API by ctypes, as far as a traced run needs it: the Python package offers no profiler.

The API as of LiteRT 2.3: https://github.com/google-ai-edge/LiteRT/tree/main/litert/c. A call that does not fit another version
may end the process, so it is made in a process of its own.
"""

from __future__ import annotations

import ctypes
import sys
from ctypes import POINTER, Structure, c_char_p, c_int, c_int64, c_uint64, c_void_p
from importlib import metadata, resources, util
from typing import Any

from edgekit_runtime.engines.litert import DISTRIBUTION, LiteRtEngine
from edgekit_runtime.engines.litert_c import FUNCTIONS
from edgekit_runtime.errors import EngineError, EngineUnavailableError

LIBRARY = {"darwin": "libLiteRt.dylib", "win32": "libLiteRt.dll"}.get(sys.platform, "libLiteRt.so")
NEXT = "install ai-edge-litert 2.3"


class Event(Structure):
    """ProfiledEventData. The memory in use is six numbers: three before, three behind."""

    _fields_ = (
        ("tag", c_char_p),
        ("type", c_int),
        ("start_us", c_uint64),
        ("elapsed_us", c_uint64),
        ("memory", c_int64 * 6),
        ("metadata", c_uint64 * 2),
        ("source", c_int),
    )


_Out = POINTER(c_void_p)

TRACING: dict[str, tuple[Any, ...]] = {
    "LiteRtLockTensorBuffer": (c_void_p, _Out, c_int),
    "LiteRtUnlockTensorBuffer": (c_void_p,),
    "LiteRtCompiledModelGetProfiler": (c_void_p, _Out),
    "LiteRtStartProfiler": (c_void_p,),
    "LiteRtStopProfiler": (c_void_p,),
    "LiteRtGetNumProfilerEvents": (c_void_p, POINTER(c_int)),
    "LiteRtGetProfilerEvents": (c_void_p, c_int, POINTER(Event)),
    "LiteRtDestroyEnvironment": (c_void_p,),
}
"""What is called beside what classifying calls."""


class Library:
    """The library of the installed package.

    Raises:
        EngineUnavailableError: It is not installed.
        EngineError: Only tflite-runtime is, or another version, without a function that is needed.
    """

    def __init__(self) -> None:
        if reason := LiteRtEngine.unavailable():
            raise EngineUnavailableError(reason)
        if util.find_spec("ai_edge_litert") is None:
            raise EngineError(f"tflite-runtime does not tell its time by operator; {NEXT}")
        self.distribution = f"{DISTRIBUTION} {metadata.version(DISTRIBUTION)}"
        try:
            self._library = ctypes.CDLL(str(resources.files("ai_edge_litert") / LIBRARY))
            for name, arguments in {**FUNCTIONS, **TRACING}.items():
                function = getattr(self._library, name)
                function.argtypes = arguments
                function.restype = None if name.startswith("LiteRtDestroy") else c_int
        except (OSError, AttributeError) as error:
            raise EngineError(f"{self.distribution} does not tell its time by operator ({error}); {NEXT}") from error

    def call(self, name: str, *arguments: Any) -> None:
        """Calls a function.

        Raises:
            EngineError: It returns a status that is no success.
        """
        if status := getattr(self._library, name)(*arguments):
            raise EngineError(f"{self.distribution} failed with tracing on: {name} gave status {status}")

    def get(self, name: str, *arguments: Any, kind: Any = c_void_p) -> Any:
        """Calls a function whose last argument is where its result goes, and returns that: a ctypes value of a kind."""
        result = kind()
        self.call(name, *arguments, ctypes.byref(result))
        return result

    def destroy(self, kind: str, handle: c_void_p) -> None:
        """Frees what was created."""
        getattr(self._library, f"LiteRtDestroy{kind}")(handle)
