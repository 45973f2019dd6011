"""ONNX files: the graph and its tensors, checked so that whoever reads on may trust their form. Nothing in them is run.

The schema is that of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from edgekit_converters.weights import Stored
from edgekit_converters.weights.onnx_graph import GraphInput, Node, OnnxGraph
from edgekit_converters.weights.onnx_tensors import tensor_of
from edgekit_converters.weights.protobuf import BYTES, VARINT, Field, fields
from edgekit_runtime.errors import CheckpointError, require

OLDEST_OPSET = 9
GRAPH = 7
"""Number of the field with a model's graph."""

_DATA = {4, 9, 10}
NUMBERS = (({5}, _DATA), ({1}, {5}, {5}, _DATA))
"""Where tensors have their floats, raw bytes and doubles in a graph: in its initializers, and in its nodes' attributes."""

MODEL_FIELDS = {1: VARINT, 2: BYTES, 3: BYTES, 4: BYTES, 5: VARINT, 6: BYTES, 7: BYTES, 8: BYTES}
"""With which a model may begin, each with its wire type."""

MOST_BYTES = 2**31 - 1
"""A protobuf message is no longer."""

MOST_GRAPH_BYTES = 8_000_000
"""What a graph may take beside its tensors: parsed it takes up to a hundred times as much."""

MOST_NAME = 1000
"""Characters of a name; exporters put the whole path of modules there."""

KEPT_VALUES = 256
"""Tensors with more values leave the parsed model once they are read."""

QUANTIZED = (
    "QLinear",
    "QuantizeLinear",
    "DequantizeLinear",
    "DynamicQuantize",
    "ConvInteger",
    "MatMulInteger",
    "QGemm",
)
"""Beginnings of the operators' names in quantized graphs."""

_DTYPES = {1: "float32", 6: "int32", 7: "int64", 8: "string", 9: "bool", 10: "float16", 11: "float64"}
_EPSILONS = {10: 2.0**-10, 16: 2.0**-7}
"""Relative rounding of float16 and bfloat16, by their numbers in TensorProto.DataType."""

_FLOAT, _INT, _STRING, _TENSOR, _GRAPH, _FLOATS, _INTS, _STRINGS, _GRAPHS = 1, 2, 3, 4, 5, 6, 7, 8, 10
"""AttributeProto.AttributeType."""


def is_onnx(head: bytes) -> bool:
    """Whether a file that begins so is an ONNX model: it begins with its version, then a field that a model has."""
    return len(head) > 2 and head[0] == 8 and head[1] < 128 and MODEL_FIELDS.get(head[2] >> 3) == head[2] & 7


def read_onnx(path: Path) -> Stored:
    """The tensors of an ONNX file by name, and its graph.

    Raises:
        CheckpointError: It is damaged, or asks for what is not supported.
        MissingExtraError: onnx is not installed.
    """
    onnx = require("onnx", extra="convert", purpose="reading ONNX")
    _check_bytes(path)
    try:
        model = onnx.ModelProto.FromString(path.read_bytes())
    except Exception as error:  # protobuf's own errors are of no common class
        raise CheckpointError(f"{path} is a damaged ONNX file ({str(error)[:100]}); export it again") from error
    _check_names(model, path)
    opset = _opset(onnx, model, path)
    _check_operators(model, path)
    _check_nodes(onnx, model.graph, opset, path)
    epsilon = max((_EPSILONS.get(proto.data_type, 0.0) for proto in model.graph.initializer), default=0.0)
    constants = _constants(model.graph, path)
    nodes = tuple(_node(node) for node in model.graph.node if node.op_type != "Constant")
    inputs = tuple(_input(value, path) for value in model.graph.input if value.name not in constants)
    outputs = tuple(value.name for value in model.graph.output)
    _check_order(path, nodes, {*constants, *(value.name for value in inputs)}, outputs)
    producer = f"{model.producer_name} {model.producer_version}".strip()[:100]
    graph = OnnxGraph(path, opset, producer, nodes, constants, inputs, outputs, epsilon, model)
    return Stored(constants, ordered=True, graph=tuple(node.op for node in nodes), onnx=graph)


def _check_bytes(path: Path) -> None:
    """Refuses what is cut short or would not fit into memory, by the lengths that the file declares."""
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise CheckpointError(
            f"{path} has {size} bytes, and an ONNX file ends at 2 GB; save it with external data (save_as_external_data)"
        )
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            graphs = [field for field in fields(data, 0, size) if field.number == GRAPH]
            if len(graphs) != 1:
                raise ValueError(f"it holds {len(graphs)} graphs")
            rest = size - sum(_bytes_of(data, graphs[0], place) for place in NUMBERS)
    except ValueError as error:
        raise CheckpointError(f"{path} is no ONNX file, or a damaged one ({error}); export it again") from error
    if rest > MOST_GRAPH_BYTES:
        raise CheckpointError(
            f"{path} has {rest} bytes beside its tensors, more than a classifier of texts; give the file that the exporter "
            "wrote, with its tensors as raw data"
        )


def _bytes_of(data: mmap.mmap, field: Field, place: tuple[set[int], ...]) -> int:
    """How many bytes the fields take that lie in a field at a place: the numbers of the fields on the way."""
    inside = [each for each in fields(data, field.begin, field.end) if each.number in place[0] and each.wire == BYTES]
    if len(place) == 1:
        return sum(each.end - each.begin for each in inside)
    return sum(_bytes_of(data, each, place[1:]) for each in inside)


def _check_names(model: Any, path: Path) -> None:
    """Refuses names that are no text, as protobuf gives them where bytes were changed, or would break a message."""
    graph = model.graph
    names = [model.producer_name, model.producer_version, *(imported.domain for imported in model.opset_import)]
    names += [value.name for part in (graph.input, graph.output, graph.initializer, model.functions) for value in part]
    names += [dim.dim_param for value in graph.input for dim in value.type.tensor_type.shape.dim]
    for node in graph.node:
        names += [
            node.op_type,
            node.name,
            node.domain,
            *node.input,
            *node.output,
            *(each.name for each in node.attribute),
        ]
    tensors = [*graph.initializer, *(each.t for node in graph.node for each in node.attribute if each.type == _TENSOR)]
    names += [text for tensor in tensors for entry in tensor.external_data for text in (entry.key, entry.value)]
    names += [tensor.name for tensor in tensors]
    for name in names:
        if not isinstance(name, str) or not name.isprintable() or len(name) > MOST_NAME:
            raise CheckpointError(
                f"{path} holds a name that is none ({name[:40]!r}); the file is damaged, export it again"
            )


def _opset(onnx: Any, model: Any, path: Path) -> int:
    """The version of ONNX's own operators."""
    versions = {imported.domain: imported.version for imported in model.opset_import}
    opset = versions.get("", versions.get("ai.onnx"))
    newest = onnx.defs.onnx_opset_version()
    if opset is None:
        raise CheckpointError(f"{path} does not say which opset it uses; export it again")
    if not OLDEST_OPSET <= opset <= newest or model.ir_version > onnx.IR_VERSION:
        raise CheckpointError(
            f"{path} uses opset {opset} in format version {model.ir_version}; read are opsets {OLDEST_OPSET} to {newest} up to "
            f"format version {onnx.IR_VERSION}: export it with another opset_version, or upgrade onnx"
        )
    return int(opset)


def _check_operators(model: Any, path: Path) -> None:
    """Refuses operators that are not ONNX's own, quantized ones, and those with graphs inside."""
    graph = model.graph
    foreign = sorted({f"{node.domain}.{node.op_type}" for node in graph.node if node.domain not in ("", "ai.onnx")})
    used = sorted({node.op_type for node in graph.node})
    quantized = [op for op in used if op.startswith(QUANTIZED)] + [
        op for op in foreign if "Integer" in op or "QL" in op
    ]
    if quantized or graph.quantization_annotation:
        raise CheckpointError(
            f"{path} is quantized ({', '.join(quantized[:5])}); give the float model that it was made from, and edgekit "
            "quantizes it"
        )
    if foreign or model.functions:
        names = foreign or [f"the function {function.name}" for function in model.functions]
        why = (
            "an optimizer fused them; give the graph as it was exported, before optimization"
            if any(name.startswith(("com.microsoft.", "ai.onnxruntime")) for name in names)
            else "give a graph of ONNX's own operators, as torch.onnx.export writes it"
        )
        raise CheckpointError(f"{path} has operators that are not ONNX's own ({', '.join(names[:5])}): {why}")
    inner = sorted({node.op_type for node in graph.node if any(a.type in (_GRAPH, _GRAPHS) for a in node.attribute)})
    if inner:
        raise CheckpointError(
            f"{path} has branches or loops ({', '.join(inner)}), which are not read: export with fixed shapes, or with "
            "dynamo=True, and without Python conditions in forward"
        )
    if graph.sparse_initializer:
        raise CheckpointError(f"{path} has sparse tensors, which are not read; export it with dense ones")


def _check_nodes(onnx: Any, graph: Any, opset: int, path: Path) -> None:
    """Refuses operators that the opset does not have, or not so: with fewer inputs, or other attributes."""
    for node in graph.node:
        what = f"{node.op_type[:80]} {node.name[:200]}".strip()
        if not onnx.defs.has(node.op_type, opset, ""):
            raise CheckpointError(f"{path} has the operator {what}, which opset {opset} does not know; export it again")
        schema = onnx.defs.get_schema(node.op_type, opset, "")
        counts = schema.min_input <= len(node.input) <= schema.max_input, 1 <= len(node.output) <= schema.max_output
        kinds = {name: each.type.value for name, each in schema.attributes.items()}
        if not all(counts) or any(kinds.get(each.name) != each.type for each in node.attribute):
            raise CheckpointError(
                f"{path} has {what} with other inputs or attributes than opset {opset} says; export it again"
            )


def _constants(graph: Any, path: Path) -> dict[str, Tensor]:
    """Every tensor that the file holds, by name; the larger ones leave ``graph``."""
    found: dict[str, Tensor] = {}
    protos = [(proto.name, proto) for proto in graph.initializer]
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == _TENSOR and node.op_type != "Constant":
                tensor_of(attribute.t, path)  # for the sake of its checks
        if node.op_type == "Constant":
            protos.append((next(iter(node.output), ""), _constant(node, path)))
    for name, proto in protos:
        if not name or name in found:
            raise CheckpointError(f"{path} gives the value {name or 'without name'} twice; export it again")
        found[name] = tensor_of(proto, path)
        if found[name].numel() > KEPT_VALUES:
            for part in ("raw_data", "float_data", "int32_data", "int64_data", "double_data"):
                proto.ClearField(part)
    if not any(tensor.is_floating_point() and tensor.dim() > 1 for tensor in found.values()):
        raise CheckpointError(f"{path} holds no weights; export it with its parameters (export_params=True)")
    return found


def _constant(node: Any, path: Path) -> Any:
    """The tensor of a Constant node; numbers that stand in attributes of their own become one."""
    attribute = next(iter(node.attribute), None)
    kind = attribute.type if attribute is not None else None
    if attribute is not None and kind == _TENSOR:
        return attribute.t
    if attribute is None or kind not in (_FLOAT, _INT, _FLOATS, _INTS):
        raise CheckpointError(f"{path} has a Constant {node.name} that is no tensor of numbers; export it again")
    values = {_FLOAT: [attribute.f], _INT: [attribute.i], _FLOATS: attribute.floats, _INTS: attribute.ints}[kind]
    proto: Any = type(attribute.t).FromString(b"")
    proto.dims.extend([len(values)] if kind in (_FLOATS, _INTS) else [])
    if kind in (_FLOAT, _FLOATS):
        proto.data_type = 1
        proto.float_data.extend(values)
    else:
        proto.data_type = 7
        proto.int64_data.extend(values)
    return proto


def _node(proto: Any) -> Node:
    return Node(proto.op_type, proto.name, tuple(proto.input), tuple(proto.output), _attributes(proto))


def _attributes(proto: Any) -> Mapping[str, Any]:
    read: dict[int, Callable[[Any], Any]] = {
        _FLOAT: lambda a: a.f,
        _INT: lambda a: a.i,
        _STRING: lambda a: a.s.decode(errors="replace"),
        _FLOATS: lambda a: tuple(a.floats),
        _INTS: lambda a: tuple(a.ints),
        _STRINGS: lambda a: tuple(text.decode(errors="replace") for text in a.strings),
    }
    return {attribute.name: read[attribute.type](attribute) for attribute in proto.attribute if attribute.type in read}


def _input(value: Any, path: Path) -> GraphInput:
    kind = value.type.tensor_type
    dtype = _DTYPES.get(kind.elem_type)
    if dtype is None or dtype == "string":
        what = "text" if dtype else "something else than numbers"
        raise CheckpointError(
            f"{path} takes {what} as its input {value.name}; give the graph that takes token ids, without the tokenizer"
        )
    dims = [dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim]
    return GraphInput(value.name, dtype, tuple(dims))


def _check_order(path: Path, nodes: Iterable[Node], known: set[str], outputs: tuple[str, ...]) -> None:
    """Refuses a graph in which a node reads what only a later one gives, as it must where there is a cycle."""
    nodes = list(nodes)
    given = {output for node in nodes for output in node.outputs}
    for node in nodes:
        for name in filter(None, node.inputs):
            if name not in known:
                where = "which no node gives" if name not in given else "which stands behind it or in a cycle with it"
                raise CheckpointError(f"{node} in {path} reads {name}, {where}; the file is damaged, export it again")
        for output in filter(None, node.outputs):
            if output in known:
                raise CheckpointError(f"{path} gives the value {output} twice; export it again")
            known.add(output)
    if missing := [name for name in outputs if name not in known]:
        raise CheckpointError(f"{path} promises the output {missing[0]}, which no node gives; export it again")
    if not outputs:
        raise CheckpointError(f"{path} has no output; export it again")
