"""A graph written anew for a trial run: in float32 throughout, with its weights in a file of their own."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

from edgekit_converters.weights.onnx_graph import OnnxGraph
from edgekit_converters.weights.onnx_tensors import DTYPES, EXTERNAL, tensor_of

FLOAT32 = 1
OTHER_FLOATS = {10, 11, 16}
"""float16, float64 and bfloat16 in TensorProto.DataType."""

_TYPE_ATTRIBUTES = ("to", "dtype", "stash_type")
"""Attributes that name an element type."""

_INLINE_BYTES = 1024
_FIRST_WITHOUT_TWINS = 4
"""Format version from which tensors need not be inputs too."""


def write_float32(graph: OnnxGraph, output: str, folder: Path) -> tuple[Path, int]:
    """Writes the graph up to a value.

    A graph in float16 rounds what it computes, and a network read from it does not; in float32 they are alike.

    Args:
        graph: The graph.
        output: Name of the value, the file's only output.
        folder: An empty folder.

    Returns:
        The file, and the size of its weights in bytes.
    """
    model = copy.deepcopy(graph.model)
    model.ir_version = max(model.ir_version, _FIRST_WITHOUT_TWINS)
    inner = model.graph
    for part in ("initializer", "value_info", "output"):
        inner.ClearField(part)
    kept = {each.name for each in graph.inputs}
    inputs, nodes = (
        [each for each in inner.input if each.name in kept],
        [n for n in inner.node if n.op_type != "Constant"],
    )
    inner.ClearField("input")
    inner.ClearField("node")
    inner.input.extend(inputs)
    inner.node.extend(nodes)
    promised = inner.output.add(name=output)
    promised.type.tensor_type.elem_type = FLOAT32
    for value in inner.input:
        if value.type.tensor_type.elem_type in OTHER_FLOATS:
            value.type.tensor_type.elem_type = FLOAT32
    for node in inner.node:
        for attribute in node.attribute:
            if attribute.name in _TYPE_ATTRIBUTES and attribute.i in OTHER_FLOATS:
                attribute.i = FLOAT32
            if attribute.HasField("t") and attribute.t.data_type in OTHER_FLOATS:
                attribute.t.CopyFrom(_inline(attribute.t, graph.path))
    written = _write_tensors(graph, inner, folder)
    path = folder / "trial.onnx"
    path.write_bytes(model.SerializeToString())
    return path, written


def _inline(proto: Any, path: Path) -> Any:
    """The same tensor in float32."""
    tensor = tensor_of(proto, path)
    return type(proto)(dims=proto.dims, data_type=FLOAT32, raw_data=tensor.numpy().tobytes())


def _write_tensors(graph: OnnxGraph, inner: Any, folder: Path) -> int:
    """Adds every constant as a tensor of the graph; returns their size in bytes."""
    numbers = {dtype: number for number, dtype in DTYPES.items()}
    written = 0
    with open(folder / "trial.bin", "wb") as file:
        for name, tensor in graph.constants.items():
            proto = inner.initializer.add(name=name, dims=tensor.shape, data_type=numbers[tensor.dtype])
            size = math.prod(tensor.shape) * tensor.itemsize
            written += size
            if size <= _INLINE_BYTES:
                proto.raw_data = tensor.contiguous().numpy().tobytes()
                continue
            proto.data_location = EXTERNAL
            for key, value in (("location", "trial.bin"), ("offset", file.tell()), ("length", size)):
                proto.external_data.add(key=key, value=str(value))
            tensor.contiguous().numpy().tofile(file)
    return written
