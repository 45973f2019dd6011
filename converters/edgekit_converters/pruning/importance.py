"""How much each unit that pruning could take matters to a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit_converters.model import TextModel
from edgekit_converters.pruning.parts import Prunable, parts_of

IMPORTANCES = ("taylor", "magnitude")
BATCH_TEXTS = 32


def magnitude(model: TextModel) -> dict[Prunable, Tensor]:
    """The summed absolute weight of each unit, of what makes its value and of what reads it, as shares of its layer's.

    Li et al. 2016 (arXiv 1608.08710) rank filters so, inside a layer. Layers differ in the size of their weights for
    reasons of their own, hence the shares where units of several layers are ranked together.

    Returns:
        (units,) for every part; of mean 1.
    """
    found = {}
    for part in parts_of(model.config):
        columns = model.weights[part.columns][:, part.first_column : part.first_column + part.units * part.width]
        summed = columns.abs().sum(dim=0).view(part.units, part.width).sum(dim=1)
        for name in part.rows:
            summed = summed + model.weights[name].abs().reshape(part.units, -1).sum(dim=1)
        found[part] = summed / summed.mean()
    return found


def taylor(
    model: TextModel,
    ids: Sequence[Sequence[int]],
    labels: Sequence[int],
    progress: Callable[[int, int], None],
) -> dict[Prunable, Tensor]:
    """How much the loss would change, to first order, if a unit's value were nought; the mean over texts.

    |activation x gradient|, summed over tokens before the absolute value is taken, which is the gradient by a gate of
    one on the unit: Michel et al. 2019 (arXiv 1905.10650) for heads, Molchanov et al. 2016 (arXiv 1611.06440) for
    filters. The loss is the cross-entropy with the labels. It has one scale in all layers, so that the scores are not
    divided by each layer's norm, as both papers do: on a BERT of 6 layers that kept less accuracy where layers compete.

    Args:
        model: The model.
        ids: Token ids of each text, one text or more.
        labels: Class id of each.
        progress: Told how many of how many texts are done.

    Returns:
        (units,) for every part.
    """
    network, parts = model.network(), parts_of(model.config)
    summed = {part: torch.zeros(part.units) for part in parts}
    gates: dict[str, Tensor] = {}
    for name in {part.reader for part in parts}:
        network.get_submodule(name).register_forward_pre_hook(_gate(name, gates))
    order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
    for begin in range(0, len(order), BATCH_TEXTS):
        batch = order[begin : begin + BATCH_TEXTS]
        tokens, mask = _padded([ids[index] for index in batch], model)
        logits = network(tokens, mask)
        loss = F.cross_entropy(logits, torch.tensor([labels[index] for index in batch]), reduction="sum")
        gradients = dict(zip(gates, torch.autograd.grad(loss, list(gates.values())), strict=True))
        for part in parts:
            columns = gradients[part.reader].view(len(batch), -1)[:, part.first_column :][:, : part.units * part.width]
            summed[part] += columns.reshape(len(batch), part.units, part.width).sum(dim=2).abs().sum(dim=0)
        progress(begin + len(batch), len(order))
    return {part: total / len(order) for part, total in summed.items()}


def _gate(name: str, gates: dict[str, Tensor]) -> Callable[[nn.Module, tuple[Any, ...]], tuple[Tensor]]:
    """A hook that multiplies what a layer reads by ones, a row for each text, and notes them under ``name``."""

    def multiply(module: nn.Module, given: tuple[Any, ...]) -> tuple[Tensor]:
        (x,) = given
        gates[name] = torch.ones(x.shape[0], *[1] * (x.dim() - 2), x.shape[-1], requires_grad=True)
        return (x * gates[name],)

    return multiply


def _padded(rows: Sequence[Sequence[int]], model: TextModel) -> tuple[Tensor, Tensor]:
    """(B, L) ids and mask, in which padding up to the model's least length counts as text."""
    counts = [max(len(row), model.min_length) for row in rows]
    ids = torch.full((len(rows), max(counts)), model.tokenizer.special_ids["pad"])
    mask = torch.zeros(len(rows), max(counts))
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row, dtype=torch.int64)
        mask[index, : counts[index]] = 1.0
    return ids, mask
