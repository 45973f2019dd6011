"""What the learning rate does: it warms up, and then falls by one of five schedules."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau

from edgekit_converters.training.settings import TrainSettings

STEPS = (0.5, 0.75)
"""Shares of the training after which ``step`` divides by 10, as He et al. did (arXiv 1512.03385, section 4.2)."""

AFTER_WARMUP: dict[str, Callable[[float], float]] = {
    "linear": lambda done: 1.0 - done,
    "cosine": lambda done: 0.5 * (1.0 + math.cos(math.pi * done)),
    "step": lambda done: 0.1 ** sum(done >= share for share in STEPS),
    "constant": lambda done: 1.0,
}
"""Share of the peak when this share of the steps after the warm-up is done. ``plateau`` looks at the loss instead."""


class Plateau(ReduceLROnPlateau):
    """Halves the learning rate after each epoch that leaves the held-out loss no smaller; warms up before."""

    def __init__(self, optimizer: Optimizer, warmup_steps: int) -> None:
        super().__init__(optimizer, mode="min", factor=0.5, patience=0)
        self._warmup_steps = warmup_steps
        self._peaks = [group["lr"] for group in optimizer.param_groups]

    def before(self, step: int) -> None:
        """Sets the learning rate of a step of the warm-up, counted from 0."""
        if step <= self._warmup_steps:
            for group, peak in zip(self.optimizer.param_groups, self._peaks, strict=True):
                group["lr"] = peak * (step + 1) / (self._warmup_steps + 1)


def schedule_of(optimizer: Optimizer, settings: TrainSettings, steps: int) -> LRScheduler | Plateau:
    """The schedule for ``steps`` steps in all; the first of them is no step of learning rate 0."""
    warmup = round(settings.warmup * steps)
    if settings.schedule == "plateau":
        return Plateau(optimizer, warmup)
    shape = AFTER_WARMUP[settings.schedule]

    def share(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        return shape((step - warmup) / max(1, steps - warmup))

    return LambdaLR(optimizer, share)
