"""Kim's TextCNN in an ONNX graph, which tells the order of its convolutions exactly."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from edgekit_converters.architectures import RawCheckpoint, Recognised
from edgekit_converters.architectures.cnn import as_conv1d
from edgekit_converters.architectures.onnx_layers import MOVES, Classifier, Layers
from edgekit_converters.networks.cnn import CnnConfig
from edgekit_converters.weights.onnx_graph import Node

PEAKS = frozenset({"ReduceMax", "MaxPool", "GlobalMaxPool"})
"""Operators that take the maximum over time."""

PLAIN = {"pads": {0}, "strides": {1}, "dilations": {1}}
"""What the lists of a convolution hold unless it is another than Kim's."""


@dataclass(frozen=True)
class _Convolution:
    weight: Tensor
    bias: Tensor
    tables: tuple[str, ...]
    name: str


def cnn_of(raw: RawCheckpoint, layers: Layers, head: Classifier) -> tuple[Recognised, str]:
    """The network that ends with ``head``, and the name of the input that has the token ids.

    Raises:
        CheckpointError: It is no TextCNN.
    """
    joined = layers.origin(head.features, MOVES)
    node = layers.made_by(joined, "Concat")
    found = [_convolution(layers, value) for value in (node.inputs if node else (joined,))]
    tables = found[0].tables
    if len({each.tables for each in found}) > 1:
        layers.unrecognised(joined, "convolutions over the same token vectors")
    gathers = [layers.graph.makers[name] for name in tables]
    stored = [layers.constant(gather.inputs[0]) for gather in gathers]
    ids = {layers.origin(gather.inputs[1], MOVES) for gather in gathers}
    words = [table for table in stored if table is not None and table.dim() == 2]
    if len(ids) != 1 or len(words) != len(stored) or len({len(table) for table in words}) != 1:
        layers.unrecognised(tables[0], "embedding tables of one vocabulary, read by the same token ids")
    widths = [table.shape[1] for table in words]
    kernels = [as_conv1d(raw, each.name, each.weight, widths) for each in found]
    config = CnnConfig(
        vocab_size=len(words[0]),
        hidden=sum(widths),
        widths=tuple(kernel.shape[2] for kernel in kernels),
        filters=tuple(kernel.shape[0] for kernel in kernels),
        classes=len(head.last.bias),
        head=tuple(layer for _, layer in head.layers),
    )
    weights = {"words.weight": torch.cat(words, dim=1)}
    for index, (kernel, each) in enumerate(zip(kernels, found, strict=True)):
        weights[f"convolutions.{index}.weight"], weights[f"convolutions.{index}.bias"] = kernel, each.bias
    linears = {f"head.{index}": linear for index, (linear, _) in enumerate(head.layers)} | {"classifier": head.last}
    for name, linear in linears.items():
        weights[f"{name}.weight"], weights[f"{name}.bias"] = linear.weight, linear.bias
    return Recognised(config, weights), ids.pop()


def _convolution(layers: Layers, value: str) -> _Convolution:
    """The convolution whose ReLU's maximum over time, or the other way round, gives a value."""
    found = layers.sources(value, MOVES | PEAKS | {"Relu"}, lambda at: _is_conv(layers, at))
    if len(found.values) != 1 or "Relu" not in found.operators or not found.operators & PEAKS:
        layers.unrecognised(found.stopped, "a convolution with a ReLU and the maximum over time")
    node = layers.graph.makers[found.values[0]]
    scale = shift = None
    if node.op == "BatchNormalization":
        scale, shift = layers.batch_norm(node)
        node = layers.maker(node.inputs[0]) or node
    weight = layers.constant(node.inputs[1])
    bias = layers.constant(node.inputs[2]) if len(node.inputs) > 2 else None
    if weight is None or weight.dim() not in (3, 4) or not _is_plain(node):
        layers.unrecognised(found.values[0], "a convolution without padding, stride, dilation and groups")
    bias = torch.zeros(len(weight)) if bias is None else bias
    if scale is not None and shift is not None:
        weight, bias = weight * scale.reshape(-1, *[1] * (weight.dim() - 1)), bias * scale + shift
    return _Convolution(weight, bias, _tables(layers, node), str(node))


def _is_conv(layers: Layers, value: str) -> bool:
    """Whether a convolution gives a value, with a batch norm behind it or without."""
    node = layers.graph.makers.get(value)
    if node is not None and node.op == "BatchNormalization":
        node = layers.maker(node.inputs[0])
    return node is not None and node.op == "Conv"


def _is_plain(node: Node) -> bool:
    lists = all(set(node.attributes.get(name, usual)) <= usual for name, usual in PLAIN.items())
    return lists and node.attributes.get("group", 1) == 1 and "SAME" not in node.attributes.get("auto_pad", "")


def _tables(layers: Layers, node: Node) -> tuple[str, ...]:
    """The values that the embedding tables give, in the order in which a convolution reads them."""
    source = layers.origin(node.inputs[0], MOVES)
    joined = layers.made_by(source, "Concat")
    values = [layers.origin(value, MOVES) for value in (joined.inputs if joined else (source,))]
    if other := [value for value in values if not layers.made_by(value, "Gather")]:
        layers.unrecognised(other[0], "an embedding table right before the convolutions")
    return tuple(values)
