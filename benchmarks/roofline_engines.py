"""Engines for the roofline: each runs a bundle's program at exact lengths, and one square product as it runs those inside.

A square product is a linear layer of SIDE × SIDE on SIDE rows. Only its first row is given back, so that what is timed is
the product rather than a copy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from contenders.edgekit import ENGINES
from edgekit_converters.quantspec import QuantSpec
from edgekit_converters.targets.executorch_quantize import Int8Linear, quantize_weights
from edgekit_converters.targets.tools import running
from edgekit_runtime import load
from harness import Opened

SIDE = 1024
OPS = 2 * SIDE**3
INT8, FLOAT = "int8 product", "float product"
SUFFIX = {"litert": ".tflite", "executorch": ".pte", "onnx": ".onnx"}
DISTRIBUTIONS = ("edgekit", "ai-edge-litert", "edgekit-executorch", "executorch", "onnxruntime", "numpy")
VALUES = 50
"""Ids that are drawn from: even small vocabularies have them."""


class Square(nn.Module):
    """A linear layer of which the first row is wanted."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(2, 2)  # what is quantized has one
        self.linear: nn.Module = nn.Linear(SIDE, SIDE)

    def forward(self, x: Tensor) -> Tensor:
        """(1, SIDE, SIDE) to (1, 1, SIDE)."""
        result: Tensor = self.linear(x)[:, :1]
        return result


def square_program(engine: str, kind: str) -> bytes:
    """The product as a program, quantized as edgekit quantizes linear layers for that engine.

    Args:
        engine: One of ENGINES.
        kind: INT8 or FLOAT.
    """
    torch.manual_seed(0)
    network = Square().eval().requires_grad_(False)
    with running(f"the square product for {engine}"):
        return _MAKERS[engine](network, torch.randn(1, SIDE, SIDE), kind == INT8)


def _litert(network: Square, x: Tensor, int8: bool) -> bytes:
    import litert_torch

    from edgekit_converters.targets.litert_quantize import quantize

    data: bytes = litert_torch.convert(network, (x,)).model_content()
    return quantize(data, network, "logits", QuantSpec("int8")) if int8 else data


def _executorch(network: Square, x: Tensor, int8: bool) -> bytes:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import EdgeCompileConfig, to_edge_transform_and_lower

    if int8:
        quantize_weights(network, "int8")
        assert isinstance(network.linear, Int8Linear)
    edge = to_edge_transform_and_lower(
        torch.export.export(network, (x,)),
        partitioner=[XnnpackPartitioner()],
        compile_config=EdgeCompileConfig(_check_ir_validity=False, _skip_dim_order=True),
    )
    return bytes(edge.to_executorch().buffer)


def _onnx(network: Square, x: Tensor, int8: bool) -> bytes:
    from edgekit_converters.targets.onnx import OPSET
    from edgekit_converters.targets.onnx_quantize import quantize

    made: Any = torch.onnx.export(
        torch.export.export(network, (x,)), dynamo=True, opset_version=OPSET, external_data=False, verbose=False
    )
    model = made.model_proto
    del model.graph.value_info[:]
    if int8:
        model = quantize(model, QuantSpec("int8"), "x")
    data: bytes = model.SerializeToString()
    return data


_MAKERS: dict[str, Callable[[Square, Tensor, bool], bytes]] = {
    "litert": _litert,
    "executorch": _executorch,
    "onnx": _onnx,
}


@dataclass(frozen=True)
class OnEngine:
    """A contender whose "texts" are what it is to run: a length as a number, INT8, or FLOAT.

    Attributes:
        bundle: Has a program for the engine.
        engine: One of ENGINES.
        products: INT8 and FLOAT to the file of that product.
    """

    bundle: Path
    engine: str
    products: dict[str, Path]

    @property
    def name(self) -> str:
        return ENGINES[self.engine]

    def size_bytes(self) -> int:
        return self.bundle.stat().st_size

    def open(self, threads: int) -> Opened:
        runs = {kind: product_run(self.engine, path, threads) for kind, path in self.products.items()}
        classifier = load(self.bundle, engine=self.engine, threads=threads)
        engine, longest = classifier.engine, classifier.manifest.main.text.max_length
        inputs = {str(length): _inputs(length) for length in engine.lengths or range(1, longest + 1)}

        def classify(what: str) -> str:
            if what in runs:
                runs[what]()
            else:
                engine.run(*inputs[what])
            return ""

        return Opened(classify, ("",))


def _inputs(length: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Ids that fill a length, and their mask."""
    ids = np.random.default_rng(0).integers(VALUES, size=(1, length)).astype(np.int32)
    return ids, np.ones((1, length), dtype=np.float32)


def product_run(engine: str, path: Path, threads: int) -> Callable[[], object]:
    """What runs a square product once, its input in place; it gives the first row."""
    x = np.random.default_rng(0).standard_normal((1, SIDE, SIDE)).astype(np.float32)
    if engine == "litert":
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_path=str(path), num_threads=threads)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
        output = interpreter.get_output_details()[0]["index"]

        def run() -> object:
            interpreter.invoke()
            return interpreter.get_tensor(output)

        return run
    if engine == "executorch":
        from edgekit_executorch import Program

        program = Program(path, threads=threads)
        return lambda: program.run(x)[0]
    from edgekit_runtime.engines.onnx import PROVIDER, telemetry_off

    telemetry_off()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(str(path), options, providers=[PROVIDER])
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: x})[0]
