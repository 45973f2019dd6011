"""BERT and its relatives for sequence classification, written to be exported.

The network answers as transformers' ``BertForSequenceClassification``, ``DistilBertFor…`` and ``ElectraFor…`` do with
the same weights (to 1e-5), with five differences that only make it smaller and faster on a device:

- query, key and value are one matrix product, and the factor 1/sqrt(d) is folded into the query's weights;
- the token-type embedding of type 0 is folded into the position table;
- a layer norm's bias is folded into the biases of the layers that read it, and into the branch that is added to it;
- attention uses 3-D batched products, which every target lowers to its fast path;
- the last layer computes only the first token, since the head reads no other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgekit_converters.networks.families import FAMILIES
from edgekit_converters.networks.head import Head, HeadLayer, activate, check_activation, head_shapes
from edgekit_runtime.errors import CheckpointError

MASKED = -1e4
"""Added to the scores of padding; far below any score, and still exact in float16."""


@dataclass(frozen=True)
class BertConfig:
    """Sizes of a BERT classifier.

    Attributes:
        vocab_size: Rows of the word table.
        hidden: Width of the token vectors.
        layers: Number of encoder layers.
        heads: Attention heads of a layer, each ``hidden / heads`` wide; divides ``hidden``.
        intermediate: Width of the feed-forward layers, in neurons.
        positions: Rows of the position table, hence the longest input in tokens.
        classes: Number of labels.
        layer_norm_eps: Epsilon of every layer norm.
        activation: Of the feed-forward layers, one of ``networks.head.ACTIVATIONS``.
        family: ``bert``, ``distilbert`` or ``electra``.
        embedding: Width of the tables, where it is not ``hidden``: the vectors are projected then.
        head: Layers before the classifier; None stands for the family's own, one of width ``hidden``.
        heads_by_layer: Heads that pruning has left in each layer, of the same width; None stands for all.
        neurons_by_layer: Neurons that pruning has left in each feed-forward layer; None stands for all.
    """

    vocab_size: int
    hidden: int
    layers: int
    heads: int
    intermediate: int
    positions: int
    classes: int
    layer_norm_eps: float = 1e-12
    activation: str = "gelu"
    family: str = "bert"
    embedding: int | None = None
    head: tuple[HeadLayer, ...] | None = None
    heads_by_layer: tuple[int, ...] | None = None
    neurons_by_layer: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        check_activation(self.activation)
        if self.family not in FAMILIES:
            raise CheckpointError(f"{self.family} is not supported; supported are {', '.join(FAMILIES)}")
        if self.heads < 1 or self.hidden % self.heads:
            raise CheckpointError(f"{self.heads} heads do not divide the width {self.hidden}; check the config")
        for kind, left, all_of_them in (
            ("heads", self.heads_by_layer, self.heads),
            ("neurons", self.neurons_by_layer, self.intermediate),
        ):
            if left is not None and not (len(left) == self.layers and all(1 <= each <= all_of_them for each in left)):
                raise CheckpointError(
                    f"the {kind} left in the layers, {', '.join(map(str, left))}, are not {self.layers} numbers from 1 to "
                    f"{all_of_them}; check the config"
                )

    @property
    def head_width(self) -> int:
        """Width of one attention head, which pruning leaves as it is."""
        return self.hidden // self.heads

    def heads_of(self, layer: int) -> int:
        """Attention heads of a layer."""
        return self.heads if self.heads_by_layer is None else self.heads_by_layer[layer]

    def neurons_of(self, layer: int) -> int:
        """Neurons of a feed-forward layer."""
        return self.intermediate if self.neurons_by_layer is None else self.neurons_by_layer[layer]

    @property
    def head_layers(self) -> tuple[HeadLayer, ...]:
        """Layers before the classifier."""
        if self.head is None:
            return (HeadLayer(self.hidden, FAMILIES[self.family].activation),)
        return self.head


class LayerNorm(nn.Module):
    """Layer norm without its bias, which :func:`load_bert` folds away, in the form that lowers to the fewest operators."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, width) to the same shape."""
        centred = x - x.mean(dim=-1, keepdim=True)
        variance = (centred * centred).mean(dim=-1, keepdim=True)
        return centred * torch.rsqrt(variance + self.eps) * self.weight


class SelfAttention(nn.Module):
    """Multi-head attention over fused projections; ``first_only`` asks for the first token's output alone."""

    def __init__(self, hidden: int, heads: int, head_width: int, *, first_only: bool) -> None:
        super().__init__()
        self.heads = heads
        self.head_width = head_width
        self.first_only = first_only
        inner = heads * head_width
        if first_only:
            self.query = nn.Linear(hidden, inner)
            self.key_value = nn.Linear(hidden, 2 * inner)
        else:
            self.query_key_value = nn.Linear(hidden, 3 * inner)
        self.output = nn.Linear(inner, hidden)

    def apart(self) -> tuple[nn.Linear, nn.Linear, nn.Linear]:
        """Query, key and value as layers of their own, with tensors of their own."""
        fused = [self.query, self.key_value] if self.first_only else [self.query_key_value]
        weights = torch.cat([linear.weight for linear in fused]).chunk(3)
        biases = torch.cat([linear.bias for linear in fused]).chunk(3)
        query, key, value = map(linear_of, weights, biases)
        return query, key, value

    def _split(self, x: Tensor) -> Tensor:
        """(B, L, n·width) → (B, n, L, width)."""
        batch, length, width = x.shape
        return x.view(batch, length, width // self.head_width, self.head_width).transpose(1, 2)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Maps (B, L, hidden) and an additive score bias (B, 1, L) to (B, L or 1, hidden)."""
        batch, length, _ = x.shape
        if batch > 1:
            bias = bias.repeat_interleave(self.heads, dim=0)
        if self.first_only:
            query = self._split(self.query(x[:, :1]))
            key, value = self._split(self.key_value(x)).chunk(2, dim=1)
        else:
            query, key, value = self._split(self.query_key_value(x)).chunk(3, dim=1)
        rows = query.shape[2]
        flat = batch * self.heads
        scores = torch.bmm(
            query.reshape(flat, rows, self.head_width),
            key.reshape(flat, length, self.head_width).transpose(1, 2),
        )
        weights = torch.softmax(scores + bias, dim=-1)
        mixed = torch.bmm(weights, value.reshape(flat, length, self.head_width))
        mixed = mixed.view(batch, self.heads, rows, self.head_width).transpose(1, 2)
        result: Tensor = self.output(mixed.reshape(batch, rows, self.heads * self.head_width))
        return result


class EncoderLayer(nn.Module):
    """Attention and feed-forward, each with a residual and a layer norm after it."""

    def __init__(self, config: BertConfig, layer: int) -> None:
        super().__init__()
        self.first_only = layer == config.layers - 1
        heads, neurons = config.heads_of(layer), config.neurons_of(layer)
        self.attention = SelfAttention(config.hidden, heads, config.head_width, first_only=self.first_only)
        self.attention_norm = LayerNorm(config.hidden, config.layer_norm_eps)
        self.up = nn.Linear(config.hidden, neurons)
        self.down = nn.Linear(neurons, config.hidden)
        self.output_norm = LayerNorm(config.hidden, config.layer_norm_eps)
        self.activation = config.activation

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        residual = x[:, :1] if self.first_only else x
        x = self.attention_norm(residual + self.attention(x, bias))
        result: Tensor = self.output_norm(x + self.down(activate(self.up(x), self.activation)))
        return result


class Bert(nn.Module):
    """The classifier: token ids and mask in, logits out."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.config = config
        width = config.embedding or config.hidden
        self.words = nn.Embedding(config.vocab_size, width)
        self.positions = nn.Parameter(torch.zeros(config.positions, width))
        self.embedding_norm = LayerNorm(width, config.layer_norm_eps)
        self.project = nn.Identity() if config.embedding is None else nn.Linear(width, config.hidden)
        self.layers = nn.ModuleList(EncoderLayer(config, index) for index in range(config.layers))
        self.head = Head(config.hidden, config.head_layers)
        self.classifier = nn.Linear(self.head.width, config.classes)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Classifies token ids.

        Args:
            ids: (B, L) int32 or int64, padded on the right; L at most ``config.positions``.
            mask: (B, L) float32, 1 for tokens and 0 for padding.

        Returns:
            (B, classes) float32 logits.
        """
        batch, length = ids.shape
        x = self.project(self.embedding_norm(self.words(ids) + self.positions[:length]))
        bias = ((1.0 - mask) * MASKED).view(batch, 1, length)
        for layer in self.layers:
            x = layer(x, bias)
        logits: Tensor = self.classifier(self.head(x[:, 0]))
        return logits


def bert_shapes(config: BertConfig) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor, by its name inside edgekit (``networks.families``)."""
    hidden, width = config.hidden, config.embedding or config.hidden
    shapes: dict[str, tuple[int, ...]] = {
        "bert.embeddings.word_embeddings.weight": (config.vocab_size, width),
        "bert.embeddings.position_embeddings.weight": (config.positions, width),
        "bert.embeddings.LayerNorm.weight": (width,),
        "bert.embeddings.LayerNorm.bias": (width,),
    }
    if FAMILIES[config.family].token_types:
        shapes["bert.embeddings.token_type_embeddings.weight"] = (2, width)
    linears: dict[str, tuple[int, ...]] = (
        {} if config.embedding is None else {"bert.embeddings_project": (hidden, width)}
    )
    for index in range(config.layers):
        layer = f"bert.encoder.layer.{index}"
        inner, wide = config.heads_of(index) * config.head_width, config.neurons_of(index)
        linears |= {f"{layer}.attention.self.{part}": (inner, hidden) for part in ("query", "key", "value")}
        linears[f"{layer}.attention.output.dense"] = (hidden, inner)
        linears[f"{layer}.intermediate.dense"] = (wide, hidden)
        linears[f"{layer}.output.dense"] = (hidden, wide)
        for norm in (f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"):
            shapes[f"{norm}.weight"] = shapes[f"{norm}.bias"] = (hidden,)
    linears |= head_shapes(hidden, config.head_layers, config.classes)
    for name, shape in linears.items():
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = shape, shape[:1]
    return shapes


def load_bert(config: BertConfig, weights: Mapping[str, Tensor]) -> Bert:
    """Builds the network.

    Args:
        config: Sizes; must be those of the weights.
        weights: float32 tensors under the names of the config's family, as in its ``…ForSequenceClassification``.

    Returns:
        The network in evaluation mode.
    """
    own_name = FAMILIES[config.family].own_name
    weights = {name: weights[own_name(name)] for name in bert_shapes(config)}
    scale = 1.0 / math.sqrt(config.head_width)
    positions = weights["bert.embeddings.position_embeddings.weight"]
    if FAMILIES[config.family].token_types:
        positions = positions + weights["bert.embeddings.token_type_embeddings.weight"][0]
    state = {
        "words.weight": weights["bert.embeddings.word_embeddings.weight"],
        "positions": positions,
        "embedding_norm.weight": weights["bert.embeddings.LayerNorm.weight"],
    }

    def linear(name: str, shift: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """A linear layer's weight and bias, for an input that lacks ``shift``."""
        weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return weight, bias if shift is None else bias + weight @ shift

    shift = weights["bert.embeddings.LayerNorm.bias"]
    if config.embedding is not None:
        state["project.weight"], state["project.bias"] = linear("bert.embeddings_project", shift)
        shift = torch.zeros_like(state["project.bias"])
    for index in range(config.layers):
        here, there = f"layers.{index}", f"bert.encoder.layer.{index}"
        query, key, value = (linear(f"{there}.attention.self.{part}", shift) for part in ("query", "key", "value"))
        first_only = index == config.layers - 1
        for kind, q, k, v in zip(("weight", "bias"), query, key, value, strict=True):
            if first_only:
                state[f"{here}.attention.query.{kind}"] = q * scale
                state[f"{here}.attention.key_value.{kind}"] = torch.cat([k, v])
            else:
                state[f"{here}.attention.query_key_value.{kind}"] = torch.cat([q * scale, k, v])
        state[f"{here}.attention.output.weight"] = weights[f"{there}.attention.output.dense.weight"]
        state[f"{here}.attention.output.bias"] = weights[f"{there}.attention.output.dense.bias"] + shift
        state[f"{here}.attention_norm.weight"] = weights[f"{there}.attention.output.LayerNorm.weight"]
        shift = weights[f"{there}.attention.output.LayerNorm.bias"]
        state[f"{here}.up.weight"], state[f"{here}.up.bias"] = linear(f"{there}.intermediate.dense", shift)
        state[f"{here}.down.weight"] = weights[f"{there}.output.dense.weight"]
        state[f"{here}.down.bias"] = weights[f"{there}.output.dense.bias"] + shift
        state[f"{here}.output_norm.weight"] = weights[f"{there}.output.LayerNorm.weight"]
        shift = weights[f"{there}.output.LayerNorm.bias"]
    for position, name in enumerate(head_shapes(config.hidden, config.head_layers, config.classes)):
        state[f"{name}.weight"], state[f"{name}.bias"] = linear(name, shift if position == 0 else None)
    with torch.device("meta"):
        network = Bert(config)
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


def linear_of(weight: Tensor, bias: Tensor) -> nn.Linear:
    """A linear layer with copies of a weight (out, in) and a bias (out,)."""
    linear = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    linear.weight = nn.Parameter(weight.clone(memory_format=torch.contiguous_format))
    linear.bias = nn.Parameter(bias.clone())
    return linear
