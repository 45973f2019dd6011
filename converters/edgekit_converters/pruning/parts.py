"""What pruning can take out of a model: attention heads, feed-forward neurons, filters; and the model without some of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from edgekit_converters.model import TextModel
from edgekit_converters.networks.bert import BertConfig
from edgekit_converters.networks.cnn import CnnConfig
from edgekit_converters.networks.families import FAMILIES

BLOCK = 8
"""Neurons and filters go and stay by blocks of this many: the engines' kernels compute 8 or 16 rows of a matrix at once,
and rows short of that take as long as the whole block."""


@dataclass(frozen=True)
class Prunable:
    """Units of one kind in one layer.

    Attributes:
        kind: ``heads``, ``neurons`` or ``filters``.
        layer: Number of the layer, or of the convolution.
        units: How many it has.
        width: Of a unit: rows in each of ``rows``, columns in ``columns``.
        block: Units that go or stay together.
        rows: The weights and biases that make the units' values, by the model's own names.
        columns: The weight that reads them.
        first_column: The column of it that reads the first unit.
        reader: The linear layer with that weight in the network that gets lowered.
    """

    kind: str
    layer: int
    units: int
    width: int
    block: int
    rows: tuple[str, ...]
    columns: str
    first_column: int
    reader: str

    @property
    def blocks(self) -> int:
        """Number of blocks; the last may be smaller."""
        return -(-self.units // self.block)


def parts_of(config: BertConfig | CnnConfig) -> tuple[Prunable, ...]:
    """All that pruning can take from a model with these sizes."""
    if isinstance(config, BertConfig):
        return tuple(part for layer in range(config.layers) for part in _of_layer(config, layer))
    columns = "head.0" if config.head else "classifier"
    found, first = [], 0
    for index, filters in enumerate(config.filters):
        rows = (f"convolutions.{index}.weight", f"convolutions.{index}.bias")
        found.append(Prunable("filters", index, filters, 1, BLOCK, rows, f"{columns}.weight", first, columns))
        first += filters
    return tuple(found)


def _of_layer(config: BertConfig, index: int) -> tuple[Prunable, Prunable]:
    own_name, layer = FAMILIES[config.family].own_name, f"bert.encoder.layer.{index}"

    def rows(*linears: str) -> tuple[str, ...]:
        return tuple(own_name(f"{layer}.{linear}.{kind}") for linear in linears for kind in ("weight", "bias"))

    heads = Prunable(
        kind="heads",
        layer=index,
        units=config.heads_of(index),
        width=config.head_width,
        block=1,
        rows=rows("attention.self.query", "attention.self.key", "attention.self.value"),
        columns=own_name(f"{layer}.attention.output.dense.weight"),
        first_column=0,
        reader=f"layers.{index}.attention.output",
    )
    neurons = Prunable(
        kind="neurons",
        layer=index,
        units=config.neurons_of(index),
        width=1,
        block=BLOCK,
        rows=rows("intermediate.dense"),
        columns=own_name(f"{layer}.output.dense.weight"),
        first_column=0,
        reader=f"layers.{index}.down",
    )
    return heads, neurons


def with_only(model: TextModel, kept: Mapping[Prunable, Sequence[int]]) -> TextModel:
    """The model with these units of each of its parts, in the order given, and no others.

    Args:
        model: The model.
        kept: The units that stay, one or more, for every one of ``parts_of(model.config)``.
    """
    weights = dict(model.weights)
    columns: dict[str, list[Tensor]] = {}
    for part, units in kept.items():
        index = (torch.tensor(units)[:, None] * part.width + torch.arange(part.width)).flatten()
        for name in part.rows:
            weights[name] = weights[name].index_select(0, index)
        columns.setdefault(part.columns, []).append(part.first_column + index)
    for name, indices in columns.items():
        weights[name] = weights[name].index_select(1, torch.cat(indices))
    counts: dict[str, list[int]] = {}
    for part, units in kept.items():
        counts.setdefault(part.kind, []).append(len(units))
    return replace(model, config=_resized(model.config, counts), weights=weights)


def _resized(config: BertConfig | CnnConfig, counts: Mapping[str, Sequence[int]]) -> BertConfig | CnnConfig:
    if isinstance(config, BertConfig):
        heads, neurons = tuple(counts["heads"]), tuple(counts["neurons"])
        return replace(config, heads_by_layer=heads, neurons_by_layer=neurons)
    return replace(config, filters=tuple(counts["filters"]))
