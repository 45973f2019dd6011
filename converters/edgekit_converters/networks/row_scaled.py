"""A network that loses little by weights with one scale a tensor.

Where a few rows of a weight are much larger than the others (in fine-tuned BERTs a few neurons of the second feed-forward
layers, by a factor of forty), one scale for all of them leaves the others next to no bits. So every row is divided by its
largest weight, and what comes out is multiplied by it again: the same function, by one cheap operator more a layer, and
the weights that are quantized have rows of the same range. That is what scales per channel do, written into the network.
Nagel et al. (2019, arXiv 1906.04721) move such factors into the next layer, which softmax, GELU and sums do not allow.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class RowScaled(nn.Module):
    """A linear layer or a convolution whose rows reach from −1 to 1, and the factors that are multiplied on behind it."""

    def __init__(self, layer: nn.Linear | nn.Conv1d) -> None:
        super().__init__()
        largest = layer.weight.flatten(1).abs().amax(dim=1)
        factors = torch.where(largest > 0, largest, 1.0)
        broadcast = factors.view(-1, *(1 for _ in layer.weight.shape[1:]))
        self.layer = copy.deepcopy(layer)
        self.layer.weight = _constant(layer.weight / broadcast)
        if layer.bias is not None:
            self.layer.bias = _constant(layer.bias / factors)
        self.factors = _constant(factors if isinstance(layer, nn.Linear) else factors[:, None])

    def forward(self, x: Tensor) -> Tensor:
        """What the layer gives, to the rounding of float32."""
        result: Tensor = self.layer(x) * self.factors
        return result


def with_row_factors(network: nn.Module) -> nn.Module:
    """The same network with every linear layer and convolution in that form; ``network`` stays as it is."""
    same = {id(tensor): tensor for tensor in network.parameters()}  # what is not rewritten is shared, not copied
    changed = copy.deepcopy(network, same)
    for parent in list(changed.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.Linear | nn.Conv1d):
                setattr(parent, name, RowScaled(child))
    return changed


def _constant(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor.detach(), requires_grad=False)
