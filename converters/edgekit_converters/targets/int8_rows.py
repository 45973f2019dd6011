"""Weights as int8 rows, each with its scale: the largest magnitude of a row becomes 127."""

from __future__ import annotations

import torch
from torch import Tensor

HIGHEST = 127
LEAST_SCALE = torch.finfo(torch.float32).eps


def int8_rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    """(rows, width) weights as int8 of the same shape, and (rows,) float32 scales."""
    scales = (weight.abs().amax(dim=1) / HIGHEST).clamp(min=LEAST_SCALE)
    return torch.round(weight / scales[:, None]).to(torch.int8), scales
