"""Edgekit's networks as ONNX files with fixed shapes, in the words that TensorFlow's converter understands best.

That needs the older of torch's two exporters: what it writes for an operator can be chosen.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.onnx import symbolic_helper, symbolic_opset9

IDS, MASK = "ids", "mask"


def write_graph(network: nn.Module, length: int, output: str, opset: int, path: Path) -> None:
    """Writes a network for one text of one padded length.

    Args:
        network: Takes (1, L) int32 ids and (1, L) float32 mask, gives (1, classes) logits.
        length: L.
        output: Name of the logits.
        opset: Of ONNX.
        path: The file.
    """
    sample = torch.zeros(1, length, dtype=torch.int32), torch.ones(1, length)
    with _chosen_words(opset):
        torch.onnx.export(
            network,
            sample,
            path,
            dynamo=False,
            opset_version=opset,
            input_names=[IDS, MASK],
            output_names=[output],
        )


@contextlib.contextmanager
def _chosen_words(opset: int) -> Iterator[None]:
    words = {"aten::gelu": _gelu, "aten::embedding": _embedding, "aten::unsqueeze": _unsqueeze}
    exporter: Any = torch.onnx  # whose types leave these two out
    for name, symbolic in words.items():
        exporter.register_custom_op_symbolic(name, symbolic, opset)
    try:
        yield
    finally:
        for name in words:
            exporter.unregister_custom_op_symbolic(name, opset)


@symbolic_helper.parse_args("v", "s")
def _gelu(graph: Any, x: Any, approximate: str) -> Any:
    """In the one form that TensorFlow makes its own GELU of; by another it leaves Erf, which TFLite has not."""
    if approximate == "tanh":
        return symbolic_opset9.gelu(graph, x, approximate)
    half = graph.op("Mul", x, _constant(graph, 0.5))
    error = graph.op("Erf", graph.op("Mul", x, _constant(graph, math.sqrt(0.5))))
    return graph.op("Mul", half, graph.op("Add", error, _constant(graph, 1.0)))


def _embedding(graph: Any, table: Any, ids: Any, *_: Any) -> Any:
    """Looks up one row of ids, as TFLite's EMBEDDING_LOOKUP does it."""
    rows = graph.op("Gather", table, graph.op("Reshape", ids, _constant(graph, [-1])), axis_i=0)
    return graph.op("Reshape", rows, _constant(graph, [*ids.type().sizes(), table.type().sizes()[1]]))


@symbolic_helper.parse_args("v", "i")
def _unsqueeze(graph: Any, x: Any, dimension: int) -> Any:
    """By Reshape: onnx-tf has no Unsqueeze of this opset."""
    sizes = x.type().sizes()
    sizes.insert(dimension % (len(sizes) + 1), 1)
    return graph.op("Reshape", x, _constant(graph, sizes))


def _constant(graph: Any, value: float | list[int]) -> Any:
    return graph.op("Constant", value_t=torch.tensor(value))
