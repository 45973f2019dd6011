"""ONNX: torch's exporter, then onnxruntime's quantizer. One file takes every length, without padding and mask."""

from __future__ import annotations

from importlib import metadata
from typing import Any, ClassVar

import torch
from torch import nn

from edgekit_converters.networks.bert import Bert
from edgekit_converters.networks.cnn import Cnn
from edgekit_converters.networks.unpadded import export, open_lengths, unpadded
from edgekit_converters.quantspec import QuantSpec
from edgekit_converters.targets import Lowered
from edgekit_converters.targets.onnx_quantize import prepare, quantize
from edgekit_converters.targets.tools import require_tools, running
from edgekit_converters.weights.onnx_graph import OWN_PRODUCER
from edgekit_runtime.engines.onnx import DISTRIBUTION, telemetry_off
from edgekit_runtime.errors import LoweringError, OptionError
from edgekit_runtime.manifest import Program, TensorSpec
from edgekit_runtime.progress import Listener

FILE = "model.onnx"
OPSET, IR_VERSION = 20, 9
"""The format goes with the opset, and ONNX Runtime reads both from 1.17 on."""

TOOLS = ("onnx", "onnxscript", "onnxruntime", "torch")
PURPOSE = "lowering to onnx"
IDS, LOGITS, LENGTH = "ids", "logits", "L"


class OnnxTarget:
    """Lowers to a .onnx program."""

    name: ClassVar[str] = "onnx"
    schemes: ClassVar[tuple[str, ...]] = ("int8", "int8-static", "fp16", "none")

    def check(self, quant: QuantSpec, architecture: str | None = None) -> None:
        if quant.scheme not in self.schemes:
            raise OptionError(f"onnx cannot do {quant.scheme}; it can do {', '.join(self.schemes)}")
        require_tools(TOOLS, PURPOSE)

    def lower(self, network: nn.Module, buckets: tuple[int, ...], quant: QuantSpec, listener: Listener) -> Lowered:
        if not isinstance(network, Bert | Cnn):
            raise LoweringError(f"onnx lowers edgekit's own networks, not {type(network).__name__}")
        telemetry_off()
        with running("torch.onnx"):
            lengths = open_lengths(network, buckets[-1])
            form = unpadded(network, lengths[-1])
            if quant.scheme.startswith("int8"):
                prepare(form)
            model = export_onnx(form, lengths)
            if quant.scheme != "none":
                model = quantize(model, quant, IDS)
            data = finished(model)
        tools = {tool: metadata.version(tool) for tool in TOOLS}
        program = Program(
            engine=self.name,
            file=FILE,
            scheme=quant.scheme,
            min_engine=f"{DISTRIBUTION} {tools[DISTRIBUTION]}",
            right_on=(DISTRIBUTION,),
            inputs=(TensorSpec(IDS, "ids", "int64", (1, LENGTH)),),
            outputs=(TensorSpec(LOGITS, "logits", "float32", (1, network.config.classes)),),
        )
        return Lowered(program, data, tools, {"opset": OPSET})


def export_onnx(form: nn.Module, lengths: range) -> Any:
    """An ``onnx.ModelProto`` with an open length."""
    made: Any = torch.onnx.export(
        export(form, lengths),
        dynamo=True,
        opset_version=OPSET,
        input_names=[IDS],
        output_names=[LOGITS],
        external_data=False,
        verbose=False,
    )
    model = made.model_proto
    # Shapes that the exporter inferred are in the way of the quantizer, which infers others.
    del model.graph.value_info[:]
    return model


def finished(model: Any) -> bytes:
    """The model without what the tools noted for themselves, such as places in their source; the same bytes each time."""
    import onnx

    model.graph.ClearField("value_info")
    model.graph.name = "edgekit"
    for item in (
        model,
        model.graph,
        *model.graph.node,
        *model.graph.input,
        *model.graph.output,
        *model.graph.initializer,
    ):
        item.ClearField("metadata_props")
        item.ClearField("doc_string")
    for shape in (each.type.tensor_type.shape for each in model.graph.input):
        shape.dim[1].dim_param = LENGTH
    (model.ir_version, model.producer_name, model.producer_version) = (IR_VERSION, OWN_PRODUCER, "")
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString(deterministic=True)
    return data
