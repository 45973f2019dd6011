"""Targets: what turns a network into a program. One file each; outside packages add theirs by entry point.

A target's class is named in ``TARGETS``, or under the entry-point group ``edgekit.targets``.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from importlib import metadata
from typing import ClassVar, Protocol

from torch import nn

from edgekit_converters.quantspec import QuantSpec
from edgekit_converters.targets.routes import DIRECT, ROUTES
from edgekit_runtime.errors import OptionError
from edgekit_runtime.manifest import Program
from edgekit_runtime.progress import Listener

TARGETS = {
    "litert": "edgekit_converters.targets.litert:LiteRtTarget",
    "executorch": "edgekit_converters.targets.executorch:ExecuTorchTarget",
    "onnx": "edgekit_converters.targets.onnx:OnnxTarget",
}
"""Target name to "module:class"."""


@dataclass(frozen=True)
class Lowered:
    """A program, and what made it.

    Attributes:
        program: Its description, as it goes into the manifest.
        data: Its contents.
        tools: Names and versions of the tools.
        notes: What else the bundle's history should keep.
    """

    program: Program
    data: bytes
    tools: dict[str, str]
    notes: dict[str, object] = field(default_factory=dict)


class Target(Protocol):
    """Lowers a network to one engine's program.

    Attributes:
        name: Name of the target and of the engine that runs its programs.
        schemes: Schemes that it can realise.
    """

    name: ClassVar[str]
    schemes: ClassVar[tuple[str, ...]]

    def check(self, quant: QuantSpec, architecture: str | None = None) -> None:
        """Refuses before any work what the target cannot do here.

        Args:
            quant: The scheme; its calibration may still be missing.
            architecture: ``bert`` or ``cnn``; None before the model has been read.

        Raises:
            OptionError: The scheme is not supported, at all or for this architecture.
            MissingExtraError: Its tools are not installed.
        """

    def lower(self, network: nn.Module, buckets: tuple[int, ...], quant: QuantSpec, listener: Listener) -> Lowered:
        """Lowers and quantizes.

        Args:
            network: Takes (1, L) int32 ids and (1, L) float32 mask, gives (1, classes) logits.
            buckets: The padded lengths that the program must take.
            quant: The scheme, with its calibration padded to these buckets.
            listener: Told of progress.

        Raises:
            LoweringError: The tools refused the network.
        """


def find_target(name: str, route: str = DIRECT) -> Target:
    """The target of that name, by a route where that has one of its own.

    Raises:
        OptionError: There is none; the message lists those that exist.
    """
    plugins = {point.name: point for point in metadata.entry_points(group="edgekit.targets")}
    named = TARGETS | ROUTES[route]
    if name in named:
        module, _, attribute = named[name].partition(":")
        target: Target = getattr(importlib.import_module(module), attribute)()
        return target
    if name in plugins:
        plugin: Target = plugins[name].load()()
        return plugin
    raise OptionError(f"there is no target {name!r}; --target takes {', '.join([*TARGETS, *plugins])}")
