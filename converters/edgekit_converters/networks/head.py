"""The layers between what a network has read and its classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit_runtime.errors import CheckpointError

ACTIVATIONS = ("gelu", "gelu_new", "relu", "tanh")
"""As Hugging Face names them; ``gelu`` is by erf, ``gelu_new`` by tanh."""


@dataclass(frozen=True)
class HeadLayer:
    """A linear layer before the classifier: its outputs, and the activation behind it."""

    width: int
    activation: str

    def __post_init__(self) -> None:
        check_activation(self.activation)


class Head(nn.ModuleList):
    """The linear layers before the classifier, each with its activation. Often there are none."""

    def __init__(self, features: int, layers: Sequence[HeadLayer]) -> None:
        widths = [features, *(layer.width for layer in layers)]
        super().__init__(nn.Linear(before, after) for before, after in pairwise(widths))
        self.activations = tuple(layer.activation for layer in layers)
        self.width = widths[-1]

    def forward(self, x: Tensor) -> Tensor:
        """(B, features) to (B, width)."""
        for layer, activation in zip(self, self.activations, strict=True):
            x = activate(layer(x), activation)
        return x


def head_shapes(features: int, layers: Sequence[HeadLayer], classes: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the weights of ``head.N`` and of ``classifier``, by the layer's name."""
    widths = [features, *(layer.width for layer in layers), classes]
    names = [*(f"head.{index}" for index in range(len(layers))), "classifier"]
    return {name: (after, before) for name, (before, after) in zip(names, pairwise(widths), strict=True)}


def activate(x: Tensor, name: str) -> Tensor:
    """Applies one of ACTIVATIONS."""
    if name == "relu":
        return F.relu(x)
    if name == "tanh":
        return torch.tanh(x)
    return F.gelu(x, approximate="tanh" if name == "gelu_new" else "none")


def check_activation(name: str) -> None:
    """Refuses what :func:`activate` does not know."""
    if name not in ACTIVATIONS:
        raise CheckpointError(f"the activation {name} is not supported; supported are {', '.join(ACTIVATIONS)}")
