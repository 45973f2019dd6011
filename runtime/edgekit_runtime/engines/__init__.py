"""Engines: what runs a program on a device. One file each; outside packages add theirs by entry point.

An engine module's class is named in ``ENGINES``, or under the entry-point group ``edgekit.engines``.
"""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from edgekit_runtime.errors import EngineUnavailableError
from edgekit_runtime.filepart import Contents
from edgekit_runtime.manifest import Program

ENGINES = {
    "litert": "edgekit_runtime.engines.litert:LiteRtEngine",
    "executorch": "edgekit_runtime.engines.executorch:ExecuTorchEngine",
    "onnx": "edgekit_runtime.engines.onnx:OnnxEngine",
}
"""Engine name to "module:class", in the order in which ``load`` prefers them."""


class Engine(Protocol):
    """Runs one program. ``load`` builds it; one call at a time.

    Attributes:
        name: The engine's name in manifests.
        distribution: The distribution that brings it and its version, "ai-edge-litert 2.3.0".
        lengths: Padded lengths that it takes, ascending; None if it takes any.
    """

    name: ClassVar[str]
    distribution: str
    lengths: tuple[int, ...] | None

    @classmethod
    def unavailable(cls) -> str | None:
        """Why the engine cannot run here and what to do about it; None if it can."""

    @classmethod
    def load(cls, program: Program, contents: Contents, threads: int) -> Engine:
        """Prepares a program.

        Args:
            program: Its description.
            contents: Where it lies, sealed or not. An engine reads it, or maps it within ``contents.mapped()``, where it
                compares the checksum first.
            threads: Upper bound on the threads that one call may use.

        Raises:
            EngineError: The engine refuses the program.
            BundleIntegrityError: The contents differ from their checksum.
        """

    def run(self, ids: NDArray[np.int32], mask: NDArray[np.float32]) -> NDArray[np.float32]:
        """Classifies one padded text.

        Args:
            ids: (1, L) token ids, L one of ``lengths``; where that is None, nothing is padded.
            mask: (1, L), 1 where the text is and 0 where the padding is.

        Returns:
            (classes,) logits, which the caller owns.

        Raises:
            EngineError: The engine failed.
        """

    def close(self) -> None:
        """Frees the program; a later ``run`` raises an EngineError."""


def engine_class(name: str) -> type[Engine]:
    """The class of an engine, imported now.

    Raises:
        EngineUnavailableError: No engine has that name; the message lists those that exist.
    """
    if name in ENGINES:
        module, _, attribute = ENGINES[name].partition(":")
        found: type[Engine] = getattr(importlib.import_module(module), attribute)
        return found
    # only now: it reads a file of every distribution that is installed
    plugins = {point.name: point for point in metadata.entry_points(group="edgekit.engines")}
    if name in plugins:
        loaded: type[Engine] = plugins[name].load()
        return loaded
    known = ", ".join([*ENGINES, *plugins])
    raise EngineUnavailableError(f"this edgekit has no engine {name!r}; it has {known}")
