"""An ONNX graph as data: what has been checked and read of a file, for those who look for a network in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

OWN_PRODUCER = "edgekit"
"""What the programs of bundles name as their producer."""


@dataclass(frozen=True)
class Node:
    """One operator.

    Attributes:
        op: Its type, such as ``MatMul``.
        name: Its own name; may be empty.
        inputs: Names of the values that it reads, "" for one that is left out.
        outputs: Names of the values that it gives.
        attributes: Numbers, texts and lists of them, by name.
    """

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.op} {self.name or self.outputs[0]}"


@dataclass(frozen=True)
class GraphInput:
    """A value that whoever runs the graph gives it.

    Attributes:
        name: Its name.
        dtype: Element type as numpy names it.
        shape: Sizes, None where they are open.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class OnnxGraph:
    """A graph without cycles, of ONNX's own operators, whose nodes stand behind what they read.

    Attributes:
        path: Its file.
        opset: Version of the operators.
        producer: What wrote it; may be empty.
        nodes: In order, without those that only hold a constant.
        constants: Tensors that the file holds, by name; floating point as float32.
        inputs: In order, without those that have a constant of the same name.
        outputs: Names, in order.
        epsilon: Relative rounding of its weights, where they are stored in less than float32; else 0.
        model: onnx's ModelProto, without the data of its larger tensors.
    """

    path: Path
    opset: int
    producer: str
    nodes: tuple[Node, ...]
    constants: Mapping[str, Tensor]
    inputs: tuple[GraphInput, ...]
    outputs: tuple[str, ...]
    epsilon: float
    model: Any

    @cached_property
    def makers(self) -> dict[str, Node]:
        """The node that gives a value, by the value's name."""
        return {output: node for node in self.nodes for output in node.outputs if output}

    @cached_property
    def readers(self) -> dict[str, list[Node]]:
        """The nodes that read a value, by the value's name."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                found.setdefault(name, []).append(node)
        return found

    @property
    def facts(self) -> dict[str, Any]:
        """What a model's history says of the file."""
        return {"format": "onnx", "opset": self.opset, "producer": self.producer}
