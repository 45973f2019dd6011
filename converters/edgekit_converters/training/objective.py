"""What training makes small."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor
from torch.nn import functional as F


class Objective(Protocol):
    """A loss of logits, given the classes or what a teacher says of the same texts."""

    def __call__(self, logits: Tensor, labels: Tensor | None, targets: Tensor | None) -> Tensor:
        """The mean over the batch.

        Args:
            logits: (B, classes) float32.
            labels: (B,) int64 class ids, where the rows have them.
            targets: (B, classes) float32, where the rows have them.

        Returns:
            A scalar.
        """


@dataclass(frozen=True)
class CrossEntropy:
    """Cross entropy with the labels, a share of the truth spread over all classes (arXiv 1512.00567)."""

    label_smoothing: float = 0.0

    def __call__(self, logits: Tensor, labels: Tensor | None, targets: Tensor | None) -> Tensor:
        assert labels is not None, "rows for cross entropy have labels"
        return F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
