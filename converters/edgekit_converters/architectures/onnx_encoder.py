"""The encoder layers of a BERT in an ONNX graph, and the first token's vector behind them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from edgekit_converters.architectures.onnx_layers import MOVES, SAME, Layers, Linear, Norm
from edgekit_converters.weights.onnx_graph import Node

_SCALED = MOVES | {"Mul", "Div"}
_SCORES = _SCALED | {"Add", "Where"}
_SHARES = SAME | {"Where"}
FAR = 2**31 - 1
"""Where a slice ends that goes to the end, or farther."""


@dataclass(frozen=True)
class EncoderLayer:
    """One layer; its linear layers and norms by the names that BERT's have in it; heads None where nothing tells."""

    linears: dict[str, Linear]
    norms: dict[str, Norm]
    activation: str
    heads: int | None


def first_token(layers: Layers, value: str) -> str:
    """The vectors of all tokens, of which ``value`` is the first."""
    taken = False
    while node := layers.graph.makers.get(value):
        if node.op == "Gather" and (index := layers.constant(node.inputs[1])) is not None:
            if taken or index.numel() != 1 or int(index.item()) != 0 or node.attributes.get("axis", 0) != 1:
                break
            taken = True
        elif node.op == "Slice":
            begin, end, axes = (_list(layers, node, name, at) for at, name in enumerate(("starts", "ends", "axes"), 1))
            if begin != [0] or end is None or axes not in ([0], [1], [2]):
                break
            if end[0] < FAR and (axes != [1] or end != [1] or taken):
                break
            taken = taken or end[0] == 1
        elif node.op not in MOVES:
            break
        value = node.inputs[0]
    if not taken:
        layers.unrecognised(value, "the first token's vector, which the head of such a classifier reads,")
    return value


def _list(layers: Layers, node: Node, name: str, at: int) -> list[int] | None:
    """Whole numbers that older opsets have as an attribute and newer ones as an input."""
    if name in node.attributes:
        return [int(number) for number in node.attributes[name]]
    tensor = layers.constant(node.inputs[at]) if len(node.inputs) > at else None
    return None if tensor is None else [int(number) for number in tensor.flatten().tolist()]


def encoder_layer(layers: Layers, value: str) -> tuple[EncoderLayer, str] | None:
    """The encoder layer that gives a value, and the value that it reads; None if the embeddings give it."""
    output_norm = layers.norm(value)
    if output_norm is None:
        return None
    down = _residual(layers, output_norm.source)
    if down is None:
        return None
    activation, below = layers.bent(down[0].source)
    up = layers.linear(below)
    if activation is None or up is None or layers.origin(up.source) != down[1]:
        layers.unrecognised(
            down[0].source, "an activation of a linear layer over the residual (norm behind the residual)"
        )
    attention_norm = layers.norm(down[1])
    out = _residual(layers, attention_norm.source) if attention_norm else None
    if attention_norm is None or out is None:
        layers.unrecognised(down[1], "the layer norm behind attention and its residual")
    projections = _attention(layers, out[0])
    if len({layers.origin(linear.source) for linear in projections} | {out[1]}) > 1:
        layers.unrecognised(out[0].source, "attention whose query, key and value read what the residual does")
    query, key, value_ = projections
    linears = {
        "attention.self.query": query,
        "attention.self.key": key,
        "attention.self.value": value_,
        "attention.output.dense": out[0],
        "intermediate.dense": up,
        "output.dense": down[0],
    }
    norms = {"attention.output.LayerNorm": attention_norm, "output.LayerNorm": output_norm}
    return EncoderLayer(linears, norms, activation, _heads(layers, query)), out[1]


def _residual(layers: Layers, value: str) -> tuple[Linear, str] | None:
    """The linear layer and the value whose sum this is; None if it is no such sum."""
    node = layers.made_by(value, "Add")
    if node is None or layers.linear(value) is not None:
        return None
    for branch, other in (node.inputs, node.inputs[::-1]):
        linear, other = layers.linear(layers.origin(branch, MOVES)), layers.origin(other)
        if linear is not None and (layers.norm(other) or layers.linear(other)) and linear.source != other:
            return linear, other
    return None


def _attention(layers: Layers, out: Linear) -> tuple[Linear, Linear, Linear]:
    """Query, key and value of the attention that ``out`` reads."""
    mixed = layers.origin(out.source, MOVES)
    whole, product = layers.made_by(mixed, "Attention"), layers.made_by(mixed, "MatMul")
    shares = _nearest(layers, product.inputs[0], _SHARES, "Softmax") if product else None
    scores = _nearest(layers, shares.inputs[0], _SCORES, "MatMul") if shares else None
    if whole is not None:
        parts = whole.inputs[:3]
    elif product is not None and scores is not None:
        parts = (*scores.inputs[:2], product.inputs[1])
    else:
        layers.unrecognised(mixed, "attention, softmax of query times key, times value,")
    found = []
    for part in parts:
        sources = layers.sources(part, _SCALED, lambda at: layers.linear(at) is not None)
        linear = layers.linear(sources.values[0]) if len(sources.values) == 1 else None
        if linear is None:
            layers.unrecognised(sources.stopped, "a linear layer for each of query, key and value")
        found.append(linear)
    query, key, value = found
    return query, key, value


def _nearest(layers: Layers, value: str, through: Collection[str], op: str) -> Node | None:
    """The one node of a kind from which a value is computed by certain operators; None if there is none, or several."""
    found = layers.sources(value, through, lambda at: bool(layers.made_by(at, op))).values
    return layers.graph.makers[found[0]] if len(found) == 1 else None


def _heads(layers: Layers, query: Linear) -> int | None:
    """The number of attention heads, by the form into which the query is brought; None if that does not tell."""
    hidden = len(query.bias)
    for node in layers.graph.readers.get(query.value, []):
        shape = _sizes(layers, node.inputs[1]) if node.op == "Reshape" else []
        if len(shape) == 4:
            _, _, heads, width = shape
            if width and width > 0 and hidden % width == 0:
                return hidden // width
            if heads and heads > 0 and hidden % heads == 0:
                return heads
    return None


def _sizes(layers: Layers, value: str) -> list[int | None]:
    """The numbers of a shape, None for those that are computed."""
    tensor = layers.constant(value)
    if tensor is not None:
        return [int(number) for number in tensor.flatten().tolist()]
    node = layers.made_by(value, "Concat")
    if node is None:
        return []
    known = [layers.constant(layers.origin(name, MOVES)) for name in node.inputs]
    return [None if tensor is None or tensor.numel() != 1 else int(tensor.item()) for tensor in known]
