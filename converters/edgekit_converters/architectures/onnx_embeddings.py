"""The embedding tables of a BERT in an ONNX graph."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from edgekit_converters.architectures.onnx_layers import MOVES, SAME, Layers


@dataclass(frozen=True)
class Tables:
    """The embedding tables.

    Attributes:
        words: (vocabulary, width).
        positions: (positions, width), with the token types' share where ``types`` is None.
        types: (types, width).
        whole: Whether the position table is stored, rather than what a graph of fixed length takes of it.
        ids: Name of the input with the token ids.
        type_ids: Name of the input with the token types, if there is one.
    """

    words: Tensor
    positions: Tensor
    types: Tensor | None
    whole: bool
    ids: str
    type_ids: str | None


def tables_of(layers: Layers, value: str) -> Tables:
    """The tables whose rows are added up to a value."""
    leaves: list[str] = []
    waiting = [value]
    while waiting:
        at = layers.origin(waiting.pop(), SAME | {"Expand", "Unsqueeze"})
        node = layers.graph.makers.get(at)
        if node is not None and node.op == "Add":
            waiting += node.inputs
        else:
            leaves.append(at)
    inputs = {each.name for each in layers.graph.inputs}
    tables: list[tuple[Tensor, str]] = []
    fixed: Tensor | None = None
    for leaf in leaves:
        node, tensor = layers.graph.makers.get(leaf), layers.constant(leaf)
        table = layers.constant(node.inputs[0]) if node is not None and node.op == "Gather" else None
        if node is not None and table is not None and table.dim() == 2:
            tables.append((table, layers.origin(node.inputs[1], MOVES)))
        elif tensor is not None and tensor.dim() in (2, 3):
            flat = tensor.reshape(-1, *tensor.shape[-2:])[0]
            fixed = flat if fixed is None else fixed + flat
        else:
            layers.unrecognised(leaf, "an embedding table of words, positions or token types")
    by_input = sorted(
        (entry for entry in tables if entry[1] in inputs),
        key=lambda entry: ("position" in entry[1], "type" in entry[1] or "segment" in entry[1], -len(entry[0])),
    )
    if not by_input:
        layers.unrecognised(value, "a table of words that is read by the token ids")
    words, ids = by_input[0]
    rest = [entry for entry in tables if entry[0] is not words]
    types = [entry for entry in rest if len(entry[0]) <= 2]
    positions = [entry for entry in rest if len(entry[0]) > 2]
    if len(types) > 1 or len(positions) > 1 or (fixed is None and not positions):
        layers.unrecognised(value, "the sum of one table of words, one of positions and at most one of token types")
    type_rows, type_ids = types[0] if types else (None, None)
    where = positions[0][0] if positions else torch.zeros(1, 1)
    if fixed is not None:  # of a graph of fixed length; what is added to every position has one row
        where = (where if len(where) == 1 or len(fixed) == 1 else where[: len(fixed)]) + fixed
    whole = bool(positions) and len(where) == len(positions[0][0])
    return Tables(words, where, type_rows, whole, ids, type_ids if type_ids in inputs else None)
