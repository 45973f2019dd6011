"""ExecuTorch, by edgekit-executorch, which needs no torch; by the official binding only where that alone is installed.

One method takes every length, so nothing is padded and programs have no mask.
"""

from __future__ import annotations

from importlib import metadata, util
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from edgekit_runtime.engines.official import OfficialProgram
from edgekit_runtime.errors import EngineError, EngineUnavailableError
from edgekit_runtime.filepart import FilePart
from edgekit_runtime.manifest import Program

DISTRIBUTION = "edgekit-executorch"
OFFICIAL = "executorch"
METHOD = "forward"


class Runner(Protocol):
    """A loaded program."""

    def run(self, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
        """Runs the method ``forward``."""

    def close(self) -> None:
        """Frees it; a later run raises."""


class ExecuTorchEngine:
    """Runs a .pte program on ExecuTorch with XNNPACK."""

    name: ClassVar[str] = "executorch"

    def __init__(self, runner: Runner, program: Program, distribution: str) -> None:
        self.distribution = distribution
        self.lengths: tuple[int, ...] | None = None
        self._runner = runner
        self._ids = next(np.dtype(spec.dtype) for spec in program.inputs if spec.role == "ids")
        self._logits = [spec.role for spec in program.outputs].index("logits")

    @classmethod
    def unavailable(cls) -> str | None:
        if util.find_spec("edgekit_executorch") or (util.find_spec("executorch") and util.find_spec("torch")):
            return None
        return "edgekit-executorch is not installed: pip install 'edgekit[executorch]'"

    @classmethod
    def load(cls, program: Program, contents: FilePart, threads: int) -> ExecuTorchEngine:
        if reason := cls.unavailable():
            raise EngineUnavailableError(reason)
        if [spec.role for spec in program.inputs] != ["ids"] or "logits" not in [s.role for s in program.outputs]:
            raise EngineError(
                f"the manifest must name one input, the ids, and the logits of {program.file}; convert the model anew"
            )
        if util.find_spec("edgekit_executorch"):
            return cls(_load(contents, threads), program, f"{DISTRIBUTION} {metadata.version(DISTRIBUTION)}")
        version = metadata.version(OFFICIAL)
        return cls(OfficialProgram(contents, threads), program, f"{OFFICIAL} {version} (its own binding, with torch)")

    def run(self, ids: NDArray[np.int32], mask: NDArray[np.float32]) -> NDArray[np.float32]:
        if not mask.all():
            raise EngineError("an ExecuTorch program takes a text in its own length: drop the padding and its mask")
        try:
            outputs = self._runner.run(ids.astype(self._ids))
        except RuntimeError as error:
            raise EngineError(f"ExecuTorch failed: {error}") from error
        logits: NDArray[np.float32] = outputs[self._logits][0]
        return logits

    def close(self) -> None:
        self._runner.close()


def _load(contents: FilePart, threads: int) -> Runner:
    """The program on edgekit-executorch, mapped where it lies."""
    try:
        import edgekit_executorch
    except ImportError as error:
        raise EngineError(
            f"edgekit-executorch is installed and cannot be imported ({error}): "
            "pip install --force-reinstall edgekit-executorch"
        ) from error
    try:
        runner: Runner = edgekit_executorch.Program(
            contents.path, offset=contents.offset, size=contents.size, threads=threads, sha256=contents.sha256
        )
    except (edgekit_executorch.ExecuTorchError, OSError) as error:
        contents.check()  # a wrong checksum is an error of its own, which no fallback may pass over
        raise EngineError(f"ExecuTorch refuses {contents.name}: {error}") from error
    return runner
