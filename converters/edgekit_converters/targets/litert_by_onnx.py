"""LiteRT by ONNX and TensorFlow, the road of boards that are years old (docs/route-onnx.md); ``--route onnx``.

Torch writes ONNX, a bridge in an environment of its own makes one TFLite file of it, and ai-edge-quantizer quantizes that
as on the direct route. What the bridge gives is not trusted: its operators, its signatures and its answers are checked.
"""

from __future__ import annotations

import tempfile
from importlib import metadata
from pathlib import Path
from typing import ClassVar

from torch import nn

from edgekit_converters.bridges import BRIDGES
from edgekit_converters.environments import ask_there, python_of
from edgekit_converters.networks.bert import Bert
from edgekit_converters.networks.cnn import Cnn
from edgekit_converters.quantspec import QuantSpec
from edgekit_converters.targets import Lowered
from edgekit_converters.targets.litert import FILE, OUTPUT, REFUSED, describe
from edgekit_converters.targets.litert_proof import check_answers, check_operators, check_signatures
from edgekit_converters.targets.litert_quantize import quantize
from edgekit_converters.targets.litert_rewrite import as_litert_torch_writes
from edgekit_converters.targets.litert_shared import with_shared_vectors
from edgekit_converters.targets.onnx_graphs import write_graph
from edgekit_converters.targets.tools import interrupts_deferred, require_tools, running
from edgekit_runtime.engines.litert import SIGNATURE_PREFIX
from edgekit_runtime.errors import LoweringError, OptionError
from edgekit_runtime.progress import Listener

TOOLS = ("ai-edge-quantizer", "ai-edge-litert", "torch")
PURPOSE = "--route onnx"
BRIDGE = "onnx-tf"
LIMIT_S = 1800
"""For the bridge; a BERT of the usual size takes a few minutes."""


class LiteRtByOnnxTarget:
    """Lowers to a .tflite program by a bridge from ONNX."""

    name: ClassVar[str] = "litert"
    schemes: ClassVar[tuple[str, ...]] = ("int8", "int8-static", "int4", "fp16", "none")

    def check(self, quant: QuantSpec, architecture: str | None = None) -> None:
        if quant.scheme not in self.schemes:
            raise OptionError(
                f"litert by --route onnx cannot do {quant.scheme}; it can do {', '.join(self.schemes)}: choose one of them, "
                "or leave --route out"
            )
        if reason := REFUSED.get((quant.scheme, architecture)):
            raise OptionError(f"litert does not support {quant.scheme} for {architecture}, because {reason}")
        require_tools((*TOOLS, "onnx"), PURPOSE)  # which torch's exporter looks for, and does not write with
        environment = BRIDGES[BRIDGE].environment
        environment.check_machine()
        python_of(environment)

    def lower(self, network: nn.Module, buckets: tuple[int, ...], quant: QuantSpec, listener: Listener) -> Lowered:
        if not isinstance(network, Bert | Cnn):
            raise LoweringError(f"--route onnx lowers edgekit's own networks, not {type(network).__name__}")
        data, bridged = _bridge(network, buckets)
        check_operators(data)
        check_signatures(data, buckets, OUTPUT, network.config.classes)
        check_answers(data, network, buckets, network.config.vocab_size, OUTPUT)
        if quant.scheme != "none":
            with interrupts_deferred(), running("ai-edge-quantizer"):
                data = with_shared_vectors(quantize(as_litert_torch_writes(data), network, OUTPUT, quant))
        tools = {tool: metadata.version(tool) for tool in TOOLS}
        program = describe(quant.scheme, network.config.classes)
        return Lowered(program, data, tools | bridged, {"route": "onnx", "bridge": BRIDGE})


def _bridge(network: nn.Module, buckets: tuple[int, ...]) -> tuple[bytes, dict[str, str]]:
    """The float32 model, and the bridge's tools with their versions."""
    bridge = BRIDGES[BRIDGE]
    with tempfile.TemporaryDirectory(prefix="edgekit-") as folder:
        graphs = {f"{SIGNATURE_PREFIX}{length}": Path(folder, f"{length}.onnx") for length in buckets}
        with interrupts_deferred(), running("torch.onnx"):
            for length, path in zip(buckets, graphs.values(), strict=True):
                write_graph(network, length, OUTPUT, bridge.opset, path)
        made = Path(folder, FILE)
        options = {"graphs": {name: str(path) for name, path in graphs.items()}, "out": str(made)}
        tools = ask_there(bridge.environment, bridge.function, options, limit_s=LIMIT_S)
        return made.read_bytes(), tools
