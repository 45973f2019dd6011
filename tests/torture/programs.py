"""Programs that parse, and ask for what no program should: huge tensors, wrong indices, loops without an end."""

from __future__ import annotations

from random import Random
from typing import Any

HUGE = (0, -1, -2, 1, 2**16, 2**20, 2**24, 2**31 - 1, -(2**31))
LARGE = (0, -1, 1, 2**20, 2**31, 2**40, 2**62, 2**63 - 1, -(2**63))


def tflite_tables(rng: Random, data: bytes) -> bytes:
    """A .tflite whose tensors, operators, buffers or signatures say something else."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(data, 0)
    for _ in range(rng.choice((1, 1, 2))):
        graph = rng.choice(model.subgraphs)
        kind = rng.randrange(12)
        tensor, operator = rng.choice(graph.tensors), rng.choice(graph.operators)
        if kind == 0 and tensor.shape is not None and len(tensor.shape):
            tensor.shape = [*tensor.shape]
            tensor.shape[rng.randrange(len(tensor.shape))] = rng.choice(HUGE)
        elif kind == 1:
            tensor.shape = rng.choice(([], [2**16, 2**16], [2**31 - 1] * 4, [1] * 100, [0, 5], [2**20]))
        elif kind == 2:
            tensor.type = rng.choice((0, 1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 17, 100))
        elif kind == 3:
            tensor.buffer = rng.choice((0, 1, len(model.buffers) - 1, len(model.buffers), 2**31, 2**32 - 1))
        elif kind == 4 and len(operator.inputs):
            operator.inputs = [*operator.inputs]
            operator.inputs[rng.randrange(len(operator.inputs))] = rng.choice(
                (-1, -2, 0, len(graph.tensors) - 1, len(graph.tensors), 2**31 - 1)
            )
        elif kind == 5 and len(operator.outputs):
            operator.outputs = [*operator.outputs]
            operator.outputs[rng.randrange(len(operator.outputs))] = rng.choice(
                (-1, 0, len(graph.tensors) - 1, len(graph.tensors), 2**31 - 1)
            )
        elif kind == 6:
            operator.opcodeIndex = rng.choice((0, 1, len(model.operatorCodes) - 1, len(model.operatorCodes), 2**31))
        elif kind == 7:
            code = rng.choice(model.operatorCodes)
            code.builtinCode = rng.choice((*range(0, 160, 7), 118, 119, 32, 101, 200, 2**31 - 1))
            code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        elif kind == 8:
            buffer = rng.choice(model.buffers)
            buffer.offset, buffer.size = rng.choice(((2**63, 16), (len(data), 16), (16, 2**40), (1, len(data) * 2)))
        elif kind == 9 and tensor.quantization is not None:
            tensor.quantization.scale = rng.choice(([], [0.0], [float("nan")], [1e-45] * 3, [float("inf")], [-1.0]))
            tensor.quantization.quantizedDimension = rng.choice((0, 1, -1, 100, 2**31 - 1))
        elif kind == 10 and model.signatureDefs:
            signature = rng.choice(model.signatureDefs)
            signature.subgraphIndex = rng.choice((0, len(model.subgraphs), 2**31))
            signature.signatureKey = rng.choice(
                (b"length_8", b"length_-1", b"length_x", b"length_99999999999", b"", signature.signatureKey)
            )
            if rng.random() < 0.5 and signature.inputs:
                rng.choice(signature.inputs).tensorIndex = rng.choice((0, len(graph.tensors), 2**31))
        else:
            graph.inputs, graph.outputs = rng.choice(
                (([], graph.outputs), ([2**30], graph.outputs), (graph.inputs, [-1]), (graph.outputs, graph.inputs))
            )
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def onnx_graph(rng: Random, data: bytes) -> bytes:
    """An .onnx whose tensors, shapes, attributes or operators say something else."""
    import onnx

    model = onnx.ModelProto.FromString(data)
    graph = model.graph
    for _ in range(rng.choice((1, 1, 2))):
        node, tensor = rng.choice(graph.node), rng.choice(graph.initializer)
        value = rng.choice([*graph.input, *graph.output])
        kind = rng.randrange(17)
        if kind == 0 and tensor.dims:
            tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(LARGE)
        elif kind == 1:
            del tensor.dims[:]
            tensor.dims.extend(rng.choice(([2**32, 2**32], [2**62, 4], [0, 2**62], [], [1] * 1000, [2**31])))
            if rng.random() < 0.5:
                tensor.ClearField("raw_data")
        elif kind == 2:
            tensor.data_type = rng.choice((0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 14, 16, 17, 22, 99))
        elif kind == 3:
            tensor.data_location = 1
            place = rng.choice(
                ("../../../etc/passwd", "/etc/passwd", "*/_ORT_MEM_ADDR_/*", "model.onnx", "", "/dev/zero", "x" * 5000)
            )
            keys = {
                "location": place,
                "offset": rng.choice(("0", "-1", str(2**63), "x")),
                "length": rng.choice(("4", str(2**40), "-1")),
            }
            for key, text in keys.items():
                tensor.external_data.add(key=key, value=text)
        elif kind == 4 and node.attribute:
            attribute = rng.choice(node.attribute)
            attribute.i, attribute.f = rng.choice(LARGE), rng.choice((float("nan"), float("inf"), 1e38, -1.0, 0.0))
            if attribute.ints:
                attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(LARGE)
        elif kind == 5:
            node.op_type = rng.choice(
                (
                    "Loop",
                    "If",
                    "Scan",
                    "ConstantOfShape",
                    "Range",
                    "Tile",
                    "Expand",
                    "Resize",
                    "NonZero",
                    "Einsum",
                    "RandomNormal",
                    "Pad",
                )
            )
        elif kind == 6 and node.input:
            node.input[rng.randrange(len(node.input))] = rng.choice(
                (*(other.name for other in graph.initializer), "", "ids", "nowhere", node.output[0])
            )
        elif kind == 7:
            node.domain = rng.choice(("com.microsoft", "ai.onnx.ml", "x", "ai.onnx.training"))
        elif kind == 8:
            del model.opset_import[:]
            model.opset_import.add(domain="", version=rng.choice((-1, 0, 1, 7, 13, 26, 1000, 2**63 - 1)))
        elif kind == 9:
            _loop(onnx, graph, rng.choice((2**63 - 1, 2**31, 10**7)), rng.random() < 0.5)
        elif kind == 10:
            _fill(onnx, graph, rng.choice(([2**40], [2**31, 2**31], [2**28], [2**31], [-5], [2**62, 2])))
        elif kind == 11:
            _nested(onnx, graph, rng.choice((10, 100, 2000)))
        elif kind == 12:
            shape = value.type.tensor_type.shape.dim
            if shape:
                shape[rng.randrange(len(shape))].dim_value = rng.choice(LARGE)
        elif kind == 13:
            value.type.tensor_type.elem_type = rng.choice((0, 2, 6, 8, 10, 16, 99))
        elif kind == 14 and len(tensor.raw_data) >= 4 and tensor.data_type == 1:
            tensor.raw_data = rng.choice((b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\xff\xff\x7f\x7f")) * (
                len(tensor.raw_data) // 4
            )
        elif kind == 15:
            graph.node.extend([node] * rng.choice((1, 5, 2000)))
        else:
            _repeat(onnx, graph, rng.choice((2**31, 2**40, 10**10)))
    return bytes(model.SerializeToString())


def _constant(onnx: Any, graph: Any, name: str, values: Any, kind: int, dims: Any) -> str:
    graph.initializer.append(onnx.helper.make_tensor(name, kind, dims, values))
    return name


def _before(graph: Any, node: Any) -> None:
    nodes = [node, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _loop(onnx: Any, graph: Any, trips: int, of_constants: bool) -> None:
    """A loop of no end; one of constants alone is already run when the program is loaded."""
    make = onnx.helper
    body = make.make_graph(
        [make.make_node("Identity", ["c"], ["c_out"]), make.make_node("Add", ["v", "v"], ["v_out"])],
        "body",
        [
            make.make_tensor_value_info("i", 7, []),
            make.make_tensor_value_info("c", 9, []),
            make.make_tensor_value_info("v", 1, [1]),
        ],
        [make.make_tensor_value_info("c_out", 9, []), make.make_tensor_value_info("v_out", 1, [1])],
    )
    most, go = _constant(onnx, graph, "most", [trips], 7, []), _constant(onnx, graph, "go", [True], 9, [])
    start = _constant(onnx, graph, "start", [1.0], 1, [1])
    if of_constants:
        _before(graph, make.make_node("Loop", [most, go, start], ["looped"], body=body))
        return
    last = graph.node[-1].output[0]
    graph.node[-1].output[0] = "before_loop"
    graph.node.append(make.make_node("Loop", [most, go, start], ["looped"], body=body))
    graph.node.append(make.make_node("Add", ["before_loop", "looped"], [last]))


def _fill(onnx: Any, graph: Any, shape: list[int]) -> None:
    """A tensor that is as large as a constant says."""
    size = _constant(onnx, graph, "size", shape, 7, [len(shape)])
    node = onnx.helper.make_node("ConstantOfShape", [size], ["filled"])
    mean = onnx.helper.make_node("ReduceMax", ["filled"], ["most_of_it"], keepdims=0)
    last = graph.node[-1].output[0]
    graph.node[-1].output[0] = "before_fill"
    graph.node.extend([node, mean, onnx.helper.make_node("Add", ["before_fill", "most_of_it"], [last])])


def _repeat(onnx: Any, graph: Any, times: int) -> None:
    """A range of a great many numbers, of which only the sum is wanted."""
    begin, end = _constant(onnx, graph, "begin", [0.0], 1, []), _constant(onnx, graph, "end", [float(times)], 1, [])
    step = _constant(onnx, graph, "step", [1.0], 1, [])
    last = graph.node[-1].output[0]
    graph.node[-1].output[0] = "before_range"
    make = onnx.helper.make_node
    graph.node.append(make("Range", [begin, end, step], ["ranged"]))
    graph.node.append(make("ReduceSum", ["ranged"], ["summed"], keepdims=0))
    graph.node.append(make("Add", ["before_range", "summed"], [last]))


def _nested(onnx: Any, graph: Any, depth: int) -> None:
    """Branches in branches."""
    make = onnx.helper
    inner = make.make_graph(
        [make.make_node("Constant", [], ["x"], value_float=1.0)], "g", [], [make.make_tensor_value_info("x", 1, [])]
    )
    condition = _constant(onnx, graph, "condition", [True], 9, [])
    for number in range(depth):
        node = make.make_node(
            "If",
            [condition],
            [f"x{number}"],
            then_branch=inner,
            else_branch=make.make_graph(
                [make.make_node("Constant", [], ["y"], value_float=1.0)],
                "e",
                [],
                [make.make_tensor_value_info("y", 1, [])],
            ),
        )
        inner = make.make_graph([node], f"g{number}", [], [make.make_tensor_value_info(f"x{number}", 1, [])])
        if inner.ByteSize() > 200_000:
            break
    _before(graph, inner.node[0])
