"""ExecuTorch, by edgekit-executorch, which needs no torch; by the official binding only where that alone is installed.

One method takes every length, so nothing is padded and programs have no mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import util
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from edgekit_runtime.engines.distributions import name_and_version
from edgekit_runtime.engines.official import OfficialProgram
from edgekit_runtime.errors import EngineError, EngineUnavailableError
from edgekit_runtime.filepart import Contents
from edgekit_runtime.manifest import Program, TensorSpec

DISTRIBUTION = "edgekit-executorch"
OFFICIAL = "executorch"
METHOD = "forward"


class Tensor(Protocol):
    """An input or an output as the program itself declares it; where it is dynamic, the shape has its upper bounds."""

    @property
    def dtype(self) -> str:
        """Numpy's name of the element type."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes."""


class Runner(Protocol):
    """A loaded program."""

    def inputs(self) -> tuple[Tensor, ...]:
        """What the method ``forward`` takes."""

    def outputs(self) -> tuple[Tensor, ...]:
        """What it gives."""

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
        self._dtype = np.dtype(program.inputs[0].dtype)
        self._logits = [spec.role for spec in program.outputs].index("logits")

    @classmethod
    def unavailable(cls) -> str | None:
        if util.find_spec("edgekit_executorch") or (util.find_spec("executorch") and util.find_spec("torch")):
            return None
        return "edgekit-executorch is not installed: pip install 'edgekit[executorch]'"

    @classmethod
    def load(cls, program: Program, contents: Contents, threads: int) -> ExecuTorchEngine:
        if reason := cls.unavailable():
            raise EngineUnavailableError(reason)
        if [spec.role for spec in program.inputs] != ["ids"] or "logits" not in [s.role for s in program.outputs]:
            raise EngineError(
                f"the manifest must name one input, the ids, and the logits of {program.file}; convert the model anew"
            )
        if util.find_spec("edgekit_executorch"):
            runner, distribution = _load(contents, threads), name_and_version(DISTRIBUTION)
        else:
            runner, distribution = (
                OfficialProgram(contents, threads),
                f"{name_and_version(OFFICIAL)} (its own binding, with torch)",
            )
        try:
            _compare(program, runner)
        except EngineError:
            runner.close()
            raise
        return cls(runner, program, distribution)

    def run(self, ids: NDArray[np.int32], mask: NDArray[np.float32]) -> NDArray[np.float32]:
        if not mask.all():
            raise EngineError("an ExecuTorch program takes a text in its own length: drop the padding and its mask")
        try:
            logits: NDArray[np.float32] = self._runner.run(ids.astype(self._dtype))[self._logits][0]
        except (RuntimeError, IndexError, TypeError, ValueError) as error:
            raise EngineError(f"ExecuTorch failed: {error}") from error
        return logits

    def close(self) -> None:
        self._runner.close()


def _load(contents: Contents, threads: int) -> Runner:
    """The program on edgekit-executorch, mapped where it lies."""
    try:
        from edgekit_executorch import ExecuTorchError
        from edgekit_executorch import Program as Mapped
    except ImportError as error:
        raise EngineError(
            f"edgekit-executorch is installed and cannot be imported ({error}): "
            "pip install --force-reinstall edgekit-executorch"
        ) from error
    try:
        with contents.mapped() as part:
            return Mapped(part.path, offset=part.offset, size=part.size, threads=threads, sha256=part.sha256)
    except (ExecuTorchError, OSError) as error:
        contents.check()  # a wrong checksum is an error of its own, which no fallback may pass over
        raise EngineError(
            f"ExecuTorch refuses {contents.name} in {contents.path}: {error}; convert the model anew"
        ) from error


def _compare(program: Program, runner: Runner) -> None:
    """Refuses a program that is not as the manifest says."""
    for kind, said, found in (
        ("inputs", program.inputs, runner.inputs()),
        ("outputs", program.outputs, runner.outputs()),
    ):
        if [(spec.dtype, len(spec.shape)) for spec in said] != [(each.dtype, len(each.shape)) for each in found] or any(
            size not in ("L", most)
            for spec, each in zip(said, found, strict=True)
            for size, most in zip(spec.shape, each.shape, strict=True)
        ):
            raise EngineError(
                f"{program.file} has the {kind} {_listed(found)}, and the manifest says {_listed(said)}; convert the model anew"
            )


def _listed(tensors: Sequence[Tensor | TensorSpec]) -> str:
    return ", ".join(f"{each.dtype} {list(each.shape)}" for each in tensors) or "none"
