"""Layers in an ONNX graph, found by what it computes: names of nodes and values are the exporter's choice."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import NoReturn

import torch
from torch import Tensor

from edgekit_converters.architectures import SUPPORTED
from edgekit_converters.networks.head import HeadLayer
from edgekit_converters.weights.onnx_graph import OWN_PRODUCER, Node, OnnxGraph
from edgekit_runtime.errors import CheckpointError

SAME = frozenset({"Identity", "Cast", "Dropout"})
"""Operators that give what they read."""

MOVES = SAME | {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose"}
"""Operators that give the same numbers in another form."""

_BENDS = SAME | {"Mul", "Add", "Sub", "Div", "Pow", "Erf", "Tanh", "Sigmoid"}
"""Of which exporters put an activation together."""

MOST_LAYERS = 8
"""More than any head has."""


@dataclass(frozen=True)
class Linear:
    """y = weight · x + bias.

    Attributes:
        weight: (outputs, inputs).
        bias: (outputs,).
        source: Name of the value x.
        value: Name of the value y.
    """

    weight: Tensor
    bias: Tensor
    source: str
    value: str


@dataclass(frozen=True)
class Norm:
    """A layer norm over the last axis of ``source``; weight and bias are (width,)."""

    weight: Tensor
    bias: Tensor
    epsilon: float
    source: str


@dataclass(frozen=True)
class Classifier:
    """What stands behind the features.

    Attributes:
        layers: Linear layers before the last, each with its activation, in order.
        last: The one that gives the logits, or one output before its sigmoid.
        features: Name of the value that the first of them reads.
    """

    layers: tuple[tuple[Linear, HeadLayer], ...]
    last: Linear
    features: str


@dataclass(frozen=True)
class Sources:
    """From what a value is computed.

    Attributes:
        values: Names of the values that were looked for.
        operators: Types of the operators on the way.
        stopped: Name of a value where the way ended otherwise; the value itself if there is none.
    """

    values: tuple[str, ...]
    operators: frozenset[str]
    stopped: str


class Layers:
    """Looks backwards in a graph, from a value to the layer that gives it."""

    def __init__(self, graph: OnnxGraph) -> None:
        self.graph = graph

    def unrecognised(self, value: str, expected: str) -> NoReturn:
        """Says where the graph leaves what is known."""
        if self.graph.producer == OWN_PRODUCER:
            raise CheckpointError(
                f"{self.graph.path} is a program out of a bundle, in a form of its own that is not read back; give the "
                "checkpoint that the bundle was converted from"
            )
        node = self.maker(value)
        found = f"{node} gives it" if node else f"it is {value}"
        raise CheckpointError(
            f"the graph of {self.graph.path} is not recognised: {expected} is expected, and {found}; supported are "
            f"{SUPPORTED}, as exported without optimization; if it is one of them, give the checkpoint itself"
        )

    def origin(self, value: str, through: Collection[str] = SAME) -> str:
        """The value of which this one is a copy, or another form."""
        while (node := self.graph.makers.get(value)) and node.op in through:
            value = node.inputs[0]
        return value

    def maker(self, value: str) -> Node | None:
        """The node that gives a value, copies aside."""
        return self.graph.makers.get(self.origin(value))

    def made_by(self, value: str, *ops: str) -> Node | None:
        """The same, if it is one of these operators."""
        node = self.maker(value)
        return node if node is not None and node.op in ops else None

    def constant(self, value: str) -> Tensor | None:
        """The tensor of a value that does not depend on the input; a transposed one counts."""
        value = self.origin(value)
        node = self.graph.makers.get(value)
        if node is not None and node.op == "Transpose":
            inner = self.constant(node.inputs[0])
            axes = node.attributes.get("perm", range(inner.dim())[::-1] if inner is not None else ())
            return inner.permute(*axes) if inner is not None and sorted(axes) == list(range(inner.dim())) else None
        return self.graph.constants.get(value)

    def number(self, value: str) -> float | None:
        """A constant of one number."""
        tensor = self.constant(value)
        return None if tensor is None or tensor.numel() != 1 else float(tensor.item())

    def operands(self, node: Node) -> tuple[list[str], list[Tensor]]:
        """What a node reads: the values that depend on the input, and the constants."""
        read = [(name, self.constant(name)) for name in node.inputs if name]
        return [name for name, tensor in read if tensor is None], [tensor for _, tensor in read if tensor is not None]

    def sources(self, value: str, through: Collection[str], goal: Callable[[str], bool]) -> Sources:
        """The nearest values of a kind from which this one is computed by certain operators alone."""
        found: dict[str, None] = {}
        used: set[str] = set()
        stopped: list[str] = []
        seen: set[str] = set()
        waiting = [value]
        while waiting:
            at = self.origin(waiting.pop())
            if at in seen:
                continue
            seen.add(at)
            node = self.graph.makers.get(at)
            if goal(at):
                found[at] = None
            elif node is not None and node.op in through:
                used.add(node.op)
                waiting += self.operands(node)[0]
            else:
                stopped.append(at)
        return Sources(tuple(found), frozenset(used), next(iter(stopped), value))

    def linear(self, value: str) -> Linear | None:
        """The linear layer that gives a value, a batch norm behind it folded into it."""
        node = self.maker(value)
        if node is None:
            return None
        value = self.origin(value)
        if node.op == "BatchNormalization" and (inner := self.linear(node.inputs[0])):
            scale, shift = self.batch_norm(node)
            return Linear(inner.weight * scale[:, None], inner.bias * scale + shift, inner.source, value)
        if node.op == "Gemm":
            return self._gemm(node, value)
        if node.op == "MatMul":
            weight = self.constant(node.inputs[1])
            if weight is None or weight.dim() != 2:
                return None
            return Linear(weight.T, torch.zeros(weight.shape[1]), self.origin(node.inputs[0]), value)
        if node.op == "Add":
            values, constants = self.operands(node)
            inner = self.linear(values[0]) if len(values) == 1 == len(constants) else None
            if inner is not None and constants[0].numel() == constants[0].shape[-1:].numel() == len(inner.bias):
                return replace(inner, bias=inner.bias + constants[0].flatten(), value=value)
        return None

    def _gemm(self, node: Node, value: str) -> Linear | None:
        weight = self.constant(node.inputs[1])
        if weight is None or weight.dim() != 2 or node.attributes.get("transA", 0):
            return None
        weight = (weight if node.attributes.get("transB", 0) else weight.T) * node.attributes.get("alpha", 1.0)
        bias = torch.zeros(weight.shape[0])
        if len(node.inputs) > 2 and node.inputs[2]:
            stored = self.constant(node.inputs[2])
            if stored is None or stored.numel() not in (1, len(bias)):
                return None
            bias = bias + stored.flatten() * node.attributes.get("beta", 1.0)
        return Linear(weight, bias, self.origin(node.inputs[0]), value)

    def batch_norm(self, node: Node) -> tuple[Tensor, Tensor]:
        """Scale and shift of each feature."""
        weight, bias, mean, variance = (self.constant(name) for name in node.inputs[1:5])
        if weight is None or bias is None or mean is None or variance is None:
            self.unrecognised(node.outputs[0], "a batch norm whose statistics are constants")
        scale = weight * torch.rsqrt(variance + node.attributes.get("epsilon", 1e-5))
        return scale, bias - mean * scale

    def norm(self, value: str) -> Norm | None:
        """The layer norm that gives a value, as one operator or as those that it stands for."""
        node = self.maker(value)
        if node is None:
            return None
        if node.op == "LayerNormalization":
            weight = self.constant(node.inputs[1])
            bias = self.constant(node.inputs[2]) if len(node.inputs) > 2 else None
            if weight is None or weight.dim() != 1:
                return None
            bias = torch.zeros_like(weight) if bias is None else bias
            return Norm(weight, bias, node.attributes.get("epsilon", 1e-5), self.origin(node.inputs[0]))
        scaled, bias = self._with_constant(value, "Add")
        normed, weight = self._with_constant(scaled, "Mul")
        division = self.made_by(normed, "Div")
        if bias is None or weight is None or division is None or weight.dim() != 1 != bias.dim():
            return None
        root, centred = self.made_by(division.inputs[1], "Sqrt"), self.made_by(division.inputs[0], "Sub")
        if root is None or centred is None or not self.made_by(centred.inputs[1], "ReduceMean"):
            return None
        _, epsilon = self._with_constant(root.inputs[0], "Add")
        if epsilon is None or epsilon.numel() != 1:
            return None
        return Norm(weight, bias, float(epsilon.item()), self.origin(centred.inputs[0]))

    def _with_constant(self, value: str, op: str) -> tuple[str, Tensor | None]:
        """The other operand and the constant of ``op``; the value itself and None where it is no such node."""
        node = self.made_by(value, op)
        values, constants = self.operands(node) if node else ([], [])
        return (values[0], constants[0]) if len(values) == 1 == len(constants) else (value, None)

    def bent(self, value: str) -> tuple[str | None, str]:
        """The activation that gives a value, by its name in ``networks.head``, and the value that it reads.

        Raises:
            CheckpointError: It is one that is not supported.
        """
        node = self.maker(value)
        if node is None or self.linear(value) is not None:
            return None, value
        if node.op in ("Relu", "Tanh"):
            return node.op.lower(), self.origin(node.inputs[0])
        if node.op == "Gelu":
            return ("gelu" if node.attributes.get("approximate", "none") == "none" else "gelu_new"), self.origin(
                node.inputs[0]
            )
        if node.op != "Mul":
            return None, value
        below = self.sources(value, _BENDS, lambda at: self.linear(at) is not None)
        curves = below.operators & {"Erf", "Tanh", "Sigmoid"}
        if len(below.values) != 1 or curves not in ({"Erf"}, {"Tanh"}):
            self.unrecognised(below.stopped, "an activation (GELU, ReLU or tanh) of a linear layer")
        return ("gelu" if curves == {"Erf"} else "gelu_new"), below.values[0]

    def classifier(self, output: str) -> Classifier:
        """The linear layers at the end of the graph; softmax or sigmoid behind them is left out."""
        end = self.made_by(self.origin(output, MOVES), "Softmax", "LogSoftmax", "Sigmoid")
        last = self.linear(self.origin(end.inputs[0] if end else output, MOVES))
        if last is None:
            self.unrecognised(end.inputs[0] if end else output, "a linear layer that gives the logits")
        if end is not None and (end.op == "Sigmoid") != (len(last.bias) == 1):
            raise CheckpointError(
                f"the graph of {self.graph.path} ends with a {end.op} over {len(last.bias)} output(s); only one label a text "
                "out of several is supported"
            )
        layers: list[tuple[Linear, HeadLayer]] = []
        first = last = self._after_batch_norm(last)
        while len(layers) < MOST_LAYERS:
            activation, below = self.bent(first.source)
            linear = self.linear(self.origin(below, MOVES)) if activation else None
            if activation is None or linear is None:
                break
            first = self._after_batch_norm(linear)
            layers.insert(0, (first, HeadLayer(len(first.bias), activation)))
        return Classifier(tuple(layers), last, first.source)

    def _after_batch_norm(self, linear: Linear) -> Linear:
        """The layer with the batch norm that stands right before it folded into it."""
        while node := self.made_by(linear.source, "BatchNormalization"):
            scale, shift = self.batch_norm(node)
            linear = Linear(
                linear.weight * scale,
                linear.bias + linear.weight @ shift,
                self.origin(node.inputs[0]),
                linear.value,
            )
        return linear
