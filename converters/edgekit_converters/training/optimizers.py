"""The optimisers by name, as torch has them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from edgekit_converters.training.settings import TrainSettings


def optimizer_of(module: nn.Module, settings: TrainSettings, learning_rate: float) -> Optimizer:
    """The optimiser for all parameters; weight decay pulls on matrices and tables, not on biases and norms."""
    decayed = [parameter for parameter in module.parameters() if parameter.dim() > 1]
    others = [parameter for parameter in module.parameters() if parameter.dim() <= 1]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=learning_rate, fused=True)
    if settings.optimizer == "sgd":
        # fused, it cannot take a parameter that begins to learn later, as gradual unfreezing has it
        return torch.optim.SGD(groups, lr=learning_rate, momentum=settings.momentum, foreach=True)
    if settings.optimizer == "rmsprop":
        return torch.optim.RMSprop(groups, lr=learning_rate, momentum=settings.momentum, foreach=True)
    if settings.optimizer == "adagrad":
        return torch.optim.Adagrad(groups, lr=learning_rate, foreach=True)
    return torch.optim.Adadelta(groups, lr=learning_rate, foreach=True)
