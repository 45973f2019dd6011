"""The network in an ONNX graph: recognised by what the graph computes, and proven by running it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from edgekit_converters.architectures import RawCheckpoint, Recognised
from edgekit_converters.architectures.onnx_bert import bert_of
from edgekit_converters.architectures.onnx_cnn import cnn_of
from edgekit_converters.architectures.onnx_layers import Layers
from edgekit_converters.architectures.onnx_proof import Inputs, prove
from edgekit_converters.networks.bert import BertConfig
from edgekit_converters.weights.onnx_graph import OnnxGraph
from edgekit_runtime.errors import CheckpointError


def read_network(raw: RawCheckpoint, graph: OnnxGraph, heads: int | None, say: Callable[[str], None]) -> Recognised:
    """The network, whose logits agree with those of the graph.

    Args:
        raw: The checkpoint.
        graph: Its graph.
        heads: Attention heads, where the user gave them.
        say: Told of choices made for the user.

    Raises:
        CheckpointError: The graph is not recognised, contradicts the config.json beside it, or answers otherwise.
        OptionError: The number of heads is needed, or does not fit.
        MissingExtraError: onnxruntime is not installed.
    """
    try:
        found, inputs, logits = _recognised(raw, graph, heads, say)
    except (RuntimeError, IndexError) as error:  # torch, of tensors that do not fit together
        reason = str(error).splitlines()[0][:100]
        raise CheckpointError(f"the tensors of {raw.path} do not fit together ({reason}); export it again") from error
    if broken := [name for name, tensor in found.weights.items() if not torch.isfinite(tensor).all()]:
        raise CheckpointError(
            f"{broken[0]} in {raw.path} holds NaN or infinity: the training diverged; use another one"
        )
    proof = prove(graph, logits, inputs, found)
    producer = graph.producer or "producer unknown"
    say(
        f"{raw.path.name} (opset {graph.opset}, {producer}) is read as a {_kind(found)}; on {proof.texts} texts of random tokens "
        f"its logits are within {proof.difference:.1g} of onnxruntime's, which reach {proof.largest:.2g}"
    )
    return replace(found, length=inputs.length)


def _recognised(
    raw: RawCheckpoint, graph: OnnxGraph, heads: int | None, say: Callable[[str], None]
) -> tuple[Recognised, Inputs, str]:
    """The network, what the graph's inputs are for, and the name of the value with the logits."""
    layers = Layers(graph)
    head = layers.classifier(_output(graph))
    if any(node.op == "Conv" for node in graph.nodes):
        if "model_type" in raw.config:
            raise CheckpointError(
                f"{raw.config_source} says {raw.config['model_type']}, and the graph is a TextCNN's: they are not of one model; "
                "move the config.json away"
            )
        found, ids = cnn_of(raw, layers, head)
        return found, Inputs.of(graph, ids, None, masked=False), head.last.value
    bert = bert_of(raw, layers, head, heads, say)
    inputs = Inputs.of(graph, bert.ids, bert.type_ids, masked=True)
    if inputs.mask is None:
        say(f"the graph of {raw.path.name} takes no attention mask; padding is masked all the same")
    return bert.network, inputs, head.last.value


def _kind(found: Recognised) -> str:
    return f"{found.config.family} classifier" if isinstance(found.config, BertConfig) else "TextCNN"


def _output(graph: OnnxGraph) -> str:
    """The output with the logits."""
    if len(graph.outputs) == 1 or "logits" not in graph.outputs:
        return graph.outputs[0]
    return "logits"
