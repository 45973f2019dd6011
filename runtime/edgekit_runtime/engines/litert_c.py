"""LiteRT's C API by ctypes, as far as classifying needs it.

It is called for what the Python package does not offer as well: one packed copy of the weights for all lengths, no GPU library
loaded beside, nothing told on stderr but one line. The API as of LiteRT 2.3:
https://github.com/google-ai-edge/LiteRT/tree/main/litert/c. Calls differ between versions, and one that does not fit may end the
process: ``library`` gives none for a version that is not known.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import sys
from ctypes import POINTER, Structure, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint32, c_void_p
from importlib import metadata, util
from pathlib import Path
from typing import Any

from edgekit_runtime.errors import EngineError

KNOWN = ("2.3.",)
"""Begins of the versions of ai-edge-litert whose calls are as below."""

LIBRARY = "libLiteRt.so"
BEGIN = 4096
MOST_DIMENSIONS = 8
CPU = 1
INT32, FLOAT32 = 2, 1
"""Types of elements."""

ACCELERATORS, LEAST_SEVERITY = 24, 25
"""Options of an environment: a set of what is looked for, such as CPU; what is printed."""
ERROR = 3
_INTEGER = 2


class TensorType(Structure):
    """LiteRtRankedTensorType. The rank, and in its highest bit whether there are strides, share one word."""

    _fields_ = (
        ("element_type", c_int),
        ("rank", c_uint32),
        ("dimensions", c_int32 * MOST_DIMENSIONS),
        ("strides", c_uint32 * MOST_DIMENSIONS),
    )


class EnvironmentOption(Structure):
    """LiteRtEnvOption with an integer in it; the types are padded to eight bytes."""

    _fields_ = (("tag", c_int64), ("type", c_int64), ("value", c_int64))


_Free = ctypes.CFUNCTYPE(None, c_void_p)
_Out = POINTER(c_void_p)

FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "LiteRtCreateEnvironment": (c_int, c_void_p, _Out),
    "LiteRtCreateModelFromBuffer": (c_void_p, c_char_p, c_size_t, _Out),
    "LiteRtGetNumModelSignatures": (c_void_p, POINTER(c_size_t)),
    "LiteRtGetModelSignature": (c_void_p, c_size_t, _Out),
    "LiteRtGetSignatureKey": (c_void_p, POINTER(c_char_p)),
    "LiteRtGetNumSignatureInputs": (c_void_p, POINTER(c_size_t)),
    "LiteRtGetNumSignatureOutputs": (c_void_p, POINTER(c_size_t)),
    "LiteRtGetSignatureInputName": (c_void_p, c_size_t, POINTER(c_char_p)),
    "LiteRtGetSignatureOutputName": (c_void_p, c_size_t, POINTER(c_char_p)),
    "LiteRtGetSignatureInputTensorByIndex": (c_void_p, c_size_t, _Out),
    "LiteRtGetSignatureOutputTensorByIndex": (c_void_p, c_size_t, _Out),
    "LiteRtGetRankedTensorType": (c_void_p, POINTER(TensorType)),
    "LiteRtCreateOptions": (_Out,),
    "LiteRtSetOptionsHardwareAccelerators": (c_void_p, c_int),
    "LiteRtCreateOpaqueOptions": (c_char_p, c_void_p, _Free, _Out),
    "LiteRtAddOpaqueOptions": (c_void_p, c_void_p),
    "LiteRtCreateCompiledModel": (c_void_p, c_void_p, c_void_p, _Out),
    "LiteRtGetCompiledModelInputBufferRequirements": (c_void_p, c_size_t, c_size_t, _Out),
    "LiteRtGetCompiledModelOutputBufferRequirements": (c_void_p, c_size_t, c_size_t, _Out),
    "LiteRtCreateManagedTensorBufferFromRequirements": (c_void_p, POINTER(TensorType), c_void_p, _Out),
    "LiteRtGetTensorBufferPackedSize": (c_void_p, POINTER(c_size_t)),
    "LiteRtGetTensorBufferHostMemory": (c_void_p, _Out),
    "LiteRtRunCompiledModel": (c_void_p, c_size_t, c_size_t, c_void_p, c_size_t, c_void_p),
    "LiteRtDestroyTensorBuffer": (c_void_p,),
    "LiteRtDestroyCompiledModel": (c_void_p,),
    "LiteRtDestroyOptions": (c_void_p,),
    "LiteRtDestroyModel": (c_void_p,),
}
"""What is called, and what it takes. All return a status, but for those that destroy."""

keep = _Free(lambda payload: None)
"""For settings, whose memory is Python's."""


class Library:
    """The library of the installed package.

    Attributes:
        identity: Its size, and the sum of its begin, where the linker's sum of the whole lies: what it packs, another build may
            not take, and would end the process.
        environment: What programs are loaded into; it stays as long as the process.

    Raises:
        OSError, ValueError, AttributeError: It cannot be loaded, or has not what is needed.
    """

    def __init__(self) -> None:
        package = util.find_spec("ai_edge_litert")
        path = Path((package and package.origin) or "").with_name(LIBRARY)
        with path.open("rb") as file:
            self.identity = f"{path.stat().st_size} {hashlib.sha256(file.read(BEGIN)).hexdigest()}"
        self.functions = ctypes.CDLL(str(path))
        for name, arguments in FUNCTIONS.items():
            function = getattr(self.functions, name)
            function.argtypes = arguments
            function.restype = None if name.startswith("LiteRtDestroy") else c_int
        options = (EnvironmentOption * 2)(
            EnvironmentOption(ACCELERATORS, _INTEGER, CPU), EnvironmentOption(LEAST_SEVERITY, _INTEGER, ERROR)
        )
        self.environment = self.get("LiteRtCreateEnvironment", len(options), ctypes.byref(options))

    def call(self, name: str, *arguments: Any) -> None:
        """Calls a function.

        Raises:
            EngineError: It returns a status that is no success.
        """
        if status := getattr(self.functions, name)(*arguments):
            raise EngineError(f"{name} gave status {status}")

    def get(self, name: str, *arguments: Any, kind: Any = c_void_p) -> Any:
        """Calls a function whose last argument is where its result goes, and returns that: a ctypes value of a kind.

        Raises:
            EngineError: As :meth:`call`.
        """
        result = kind()
        self.call(name, *arguments, ctypes.byref(result))
        return result

    def destroy(self, kind: str, handle: c_void_p) -> None:
        """Frees what was created."""
        getattr(self.functions, f"LiteRtDestroy{kind}")(handle)


@functools.cache
def library() -> Library | None:
    """The library; None where it is not one whose calls are known: another version, or not Linux."""
    if sys.platform != "linux" or sys.maxsize < 1 << 32:
        return None
    try:
        if not metadata.version("ai-edge-litert").startswith(KNOWN):
            return None
        return Library()
    except (OSError, ValueError, AttributeError, EngineError, metadata.PackageNotFoundError):
        return None
