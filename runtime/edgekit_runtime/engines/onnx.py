"""ONNX, by onnxruntime on the processor. One program takes every length, so nothing is padded and programs have no mask."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import util
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgekit_runtime.engines.distributions import name_and_version
from edgekit_runtime.errors import EngineError, EngineUnavailableError
from edgekit_runtime.filepart import Contents
from edgekit_runtime.manifest import Program, TensorSpec

DISTRIBUTION = "onnxruntime"
PROVIDER = "CPUExecutionProvider"
SILENT = 4
"""ONNX Runtime's own log level; what goes wrong is raised as well."""

EXTERNAL = b"location"
"""Key that a tensor must have whose data lies in another file, or at a number of a memory cell; a bundle's has none."""

DTYPES = {"int64": "tensor(int64)", "int32": "tensor(int32)", "float32": "tensor(float)"}
"""numpy's name of an element type to ONNX Runtime's."""


def telemetry_off() -> None:
    """To be called before ``import onnxruntime``, which otherwise may report its use and keeps a number for the device.

    What the user has set stays.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


class OnnxEngine:
    """Runs a .onnx program on ONNX Runtime."""

    name: ClassVar[str] = "onnx"

    def __init__(self, session: Any, program: Program) -> None:
        self.distribution = name_and_version(DISTRIBUTION)
        self.lengths: tuple[int, ...] | None = None
        self._session = session
        (ids,) = program.inputs
        self._ids, self._dtype = ids.name, np.dtype(ids.dtype)
        self._logits = [next(spec.name for spec in program.outputs if spec.role == "logits")]

    @classmethod
    def unavailable(cls) -> str | None:
        if util.find_spec("onnxruntime") is None:
            return "onnxruntime is not installed: pip install 'edgekit[onnx]'"
        return None

    @classmethod
    def load(cls, program: Program, contents: Contents, threads: int) -> OnnxEngine:
        if reason := cls.unavailable():
            raise EngineUnavailableError(reason)
        if [spec.role for spec in program.inputs] != ["ids"] or "logits" not in [s.role for s in program.outputs]:
            raise EngineError(
                f"the manifest must name one input, the ids, and the logits of {program.file}; convert the model anew"
            )
        session = open_session(program, contents, threads)
        _compare(program, session)
        return cls(session, program)

    def run(self, ids: NDArray[np.int32], mask: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._session is None:
            raise EngineError("the program was closed")
        if not mask.all():
            raise EngineError("an ONNX program takes a text in its own length: drop the padding and its mask")
        if not ids.size:
            raise EngineError("an ONNX program takes one token or more, and the text has none")
        try:
            (outputs,) = self._session.run(self._logits, {self._ids: ids.astype(self._dtype)})
            logits: NDArray[np.float32] = outputs[0]
        except Exception as error:  # its errors have no base but Exception
            raise EngineError(f"ONNX Runtime failed at ids of shape {list(ids.shape)}: {_first_line(error)}") from error
        return logits

    def close(self) -> None:
        self._session = None


def open_session(program: Program, contents: Contents, threads: int, profile_to: Path | None = None) -> Any:
    """An ``onnxruntime.InferenceSession``.

    Args:
        program: What it runs.
        contents: Where that lies.
        threads: Upper bound on the threads of one call.
        profile_to: Beginning of the path of a profile; None writes none.

    Raises:
        EngineError: ONNX Runtime refuses the program.
        BundleIntegrityError: The contents differ from their checksum.
    """
    data = contents.read()
    if EXTERNAL in data:  # ONNX Runtime would look for it in the working directory
        raise EngineError(
            f"{program.file} may take weights from a file outside the bundle; do not trust it, and convert the model anew"
        )
    telemetry_off()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = SILENT
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads wait for work by spinning, which is quick; between two texts that would only burn power.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if profile_to is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile_to)
    try:
        return onnxruntime.InferenceSession(data, options, providers=[PROVIDER])
    except Exception as error:  # its errors have no base but Exception
        raise EngineError(
            f"ONNX Runtime refuses {program.file}: {_first_line(error)}; convert the model anew, or upgrade "
            f"onnxruntime, of which {program.min_engine} ran it"
        ) from error


def _compare(program: Program, session: Any) -> None:
    """Refuses a program that is not as the manifest says."""
    for kind, said, found in (
        ("inputs", program.inputs, session.get_inputs()),
        ("outputs", program.outputs, session.get_outputs()),
    ):
        if sorted(map(_described, said)) != sorted((each.name, each.type, tuple(each.shape)) for each in found):
            raise EngineError(
                f"{program.file} has the {kind} {_listed(found)}, and the manifest says {_listed(said)}; convert the model anew"
            )


def _described(spec: TensorSpec) -> tuple[str, str, tuple[int | str, ...]]:
    return spec.name, DTYPES.get(spec.dtype, spec.dtype), spec.shape


def _listed(tensors: Sequence[Any]) -> str:
    return ", ".join(f"{each.name} {list(each.shape)}" for each in tensors) or "none"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:300]
