"""The form of a network that loses little by weights with one scale a tensor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
from edgekit_converters.networks.row_scaled import RowScaled, with_row_factors


@pytest.mark.parametrize("checkpoint", ["cnn_checkpoint", "bert_checkpoint"])
def test_it_is_the_same_function(checkpoint: str, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(checkpoint)
    network = read_checkpoint(path, ReadOptions(), print).network()
    before = {name: tensor.clone() for name, tensor in network.named_parameters()}
    form = with_row_factors(network)
    ids = torch.randint(4, 60, (3, 24), generator=torch.Generator().manual_seed(0), dtype=torch.int32)
    mask = (torch.arange(24) < torch.tensor([[24], [9], [3]])).float()
    np.testing.assert_allclose(form(ids, mask), network(ids, mask), atol=1e-5, rtol=1e-5)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.named_parameters()), "it stays as it was"
    rewritten = [module for module in form.modules() if isinstance(module, RowScaled)]
    layers = [module for module in network.modules() if isinstance(module, nn.Linear | nn.Conv1d)]
    assert len(rewritten) == len(layers) > 2
    for module in rewritten:
        torch.testing.assert_close(module.layer.weight.flatten(1).abs().amax(1), torch.ones(module.factors.numel()))


def test_tables_are_shared_and_not_copied(cnn_checkpoint: Path) -> None:
    network = read_checkpoint(cnn_checkpoint, ReadOptions(), print).network()
    assert with_row_factors(network).words.weight is network.words.weight  # type: ignore[union-attr]


def test_rows_of_zeros_and_layers_without_bias() -> None:
    layer = nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        layer.weight[0] = 0.0
    x = torch.ones(1, 3)
    np.testing.assert_allclose(RowScaled(layer)(x).detach(), layer(x).detach(), atol=1e-6)


def test_a_row_that_is_much_larger_costs_the_others_nothing() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(64, 64)
    with torch.no_grad():
        layer.weight[5] *= 100
        x = torch.randn(8, 64)
        exact = layer(x)
        plain, form = nn.Linear(64, 64), RowScaled(layer)
        plain.bias = layer.bias
        plain.weight.copy_(_rounded(layer.weight))
        form.layer.weight.copy_(_rounded(form.layer.weight))
        others = [row for row in range(64) if row != 5]
        lost, left = (float((made(x) - exact)[:, others].abs().mean()) for made in (plain, form))
    assert left < lost / 50


def _rounded(weight: torch.Tensor) -> torch.Tensor:
    """The weight in int8 with one scale."""
    scale = weight.abs().max() / 127
    return torch.round(weight / scale) * scale
