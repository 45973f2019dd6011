"""ExecuTorch: torch.export, then the XNNPACK delegate. One method takes every length up to the longest."""

from __future__ import annotations

from collections import Counter
from importlib import metadata
from typing import Any, ClassVar

from torch import nn

from edgekit_converters.networks.bert import Bert
from edgekit_converters.networks.cnn import Cnn
from edgekit_converters.networks.unpadded import export, open_lengths, unpadded
from edgekit_converters.quantspec import QuantSpec
from edgekit_converters.targets import Lowered
from edgekit_converters.targets.executorch_quantize import calibrate, quantize_weights
from edgekit_converters.targets.tools import require_tools, running
from edgekit_runtime.engines.executorch import DISTRIBUTION, OFFICIAL
from edgekit_runtime.errors import LoweringError, OptionError
from edgekit_runtime.manifest import Program, TensorSpec
from edgekit_runtime.progress import Listener

FILE = "model.pte"
TOOLS = ("executorch", "torchao", "torch")
PURPOSE = "lowering to executorch"

REFUSED: dict[tuple[str, str | None], str] = {
    ("int8-static", "bert"): (
        "ExecuTorch 1.5 answers texts of more than about a hundred tokens differently from one load of the program to the next "
        "(docs/executorch.md): use --quantize int8, or leave --target executorch out"
    ),
}
"""Scheme and architecture to what was found."""

CPU_KERNELS = frozenset({"embedding", "native_layer_norm", "slice_copy", "amax"})
"""What stays outside the delegate by design: XNNPACK has none of it with an open length, and ExecuTorch's kernels are quick."""

BOOKKEEPING = frozenset({"alloc", "getitem", "view", "sym_size"})


class ExecuTorchTarget:
    """Lowers to a .pte program."""

    name: ClassVar[str] = "executorch"
    schemes: ClassVar[tuple[str, ...]] = ("int8", "int8-static", "none")

    def check(self, quant: QuantSpec, architecture: str | None = None) -> None:
        if quant.scheme not in self.schemes:
            raise OptionError(f"executorch cannot do {quant.scheme}; it can do {', '.join(self.schemes)}")
        if reason := REFUSED.get((quant.scheme, architecture)):
            raise OptionError(f"executorch does not support {quant.scheme} for {architecture}, because {reason}")
        require_tools(TOOLS, PURPOSE)

    def lower(self, network: nn.Module, buckets: tuple[int, ...], quant: QuantSpec, listener: Listener) -> Lowered:
        if not isinstance(network, Bert | Cnn):
            raise LoweringError(f"executorch lowers edgekit's own networks, not {type(network).__name__}")
        with running("executorch"):
            lengths = open_lengths(network, buckets[-1])
            form = unpadded(network, lengths[-1])
            if quant.scheme != "none":
                quantize_weights(form, quant.scheme)
            exported = export(form, lengths)
            if quant.scheme == "int8-static":
                exported = export(calibrate(exported, quant.calibration), lengths)
            data, delegates, outside = _lower(exported)
        for name in sorted(outside.keys() - CPU_KERNELS):
            listener.say(
                f"{name} stays outside the XNNPACK delegate ({outside[name]} calls) and may be slow: "
                "measure before you ship the .pte, or take --target litert"
            )
        tools = {tool: metadata.version(tool) for tool in TOOLS}
        program = Program(
            engine=self.name,
            file=FILE,
            scheme=quant.scheme,
            min_engine=f"{OFFICIAL} {tools[OFFICIAL]}",
            right_on=(DISTRIBUTION, OFFICIAL),
            inputs=(TensorSpec("ids", "ids", "int64", (1, "L")),),
            outputs=(TensorSpec("logits", "logits", "float32", (1, network.config.classes)),),
        )
        return Lowered(program, data, tools, {"delegates": delegates, "outside": dict(sorted(outside.items()))})


def _lower(exported: Any) -> tuple[bytes, int, Counter[str]]:
    """The program, its number of delegate calls, and how often each operator outside them is called."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import EdgeCompileConfig, ExecutorchBackendConfig, to_edge_transform_and_lower

    edge = to_edge_transform_and_lower(
        exported,
        partitioner=[XnnpackPartitioner()],
        compile_config=EdgeCompileConfig(_check_ir_validity=False, _skip_dim_order=True),
    )
    program = edge.to_executorch(ExecutorchBackendConfig(extract_delegate_segments=True))
    nodes = program.exported_program().graph_module.graph.nodes
    calls = Counter(_operator(node.target) for node in nodes if node.op == "call_function")
    delegates = calls.pop("executorch_call_delegate", 0)
    outside = Counter({name: count for name, count in calls.items() if name not in BOOKKEEPING and "::" not in name})
    return bytes(program.buffer), delegates, outside


def _operator(target: Any) -> str:
    """``slice_copy`` of ``aten::slice_copy``; arithmetic on sizes keeps its ``executorch_prim::``."""
    schema = getattr(target, "_schema", None) or getattr(getattr(target, "_op", None), "_schema", None)
    name = str(target.__name__ if schema is None else schema.name)
    return name if name.startswith("executorch_prim") else name.rpartition("::")[2]
