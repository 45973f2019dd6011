"""Batch norm folded into the layer before it or behind it, which gives the same answer with nothing left to compute."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from edgekit_converters.architectures import RawCheckpoint, check_order
from edgekit_runtime.errors import CheckpointError

EPSILON = 1e-5
"""PyTorch's default; no tensor tells another."""

_PARTS = ("running_mean", "running_var", "weight", "bias")


@dataclass(frozen=True)
class _Norm:
    """y = scale · x + shift, for each of the features."""

    scale: Tensor
    shift: Tensor


def fold_batch_norms(
    raw: RawCheckpoint,
    weights: Mapping[str, Tensor],
    convolutions: Sequence[str],
    linears: Sequence[str],
    say: Callable[[str], None],
) -> dict[str, Tensor]:
    """The weights without their batch norms, which are folded away.

    Args:
        raw: The checkpoint, for messages.
        weights: All tensors by name.
        convolutions: Names of the parallel convolutions, without ``.weight``.
        linears: Names of the linear layers behind them, in order.
        say: Told where each was taken to stand.

    Raises:
        CheckpointError: A batch norm's place cannot be told.
    """
    weights = dict(weights)
    names = [name.removesuffix(".running_mean") for name in weights if name.endswith(".running_mean")]
    norms = {name: _take(name, weights) for name in names}
    for name, place in _places(raw, norms, weights, convolutions, linears, say).items():
        norm = norms[name]
        matrix, bias = weights[f"{place.layer}.weight"], weights.get(f"{place.layer}.bias")
        bias = torch.zeros(matrix.shape[0]) if bias is None else bias
        if place.behind:
            weights[f"{place.layer}.weight"] = matrix * norm.scale.reshape(-1, *[1] * (matrix.dim() - 1))
            weights[f"{place.layer}.bias"] = bias * norm.scale + norm.shift
        else:
            weights[f"{place.layer}.weight"] = matrix * norm.scale
            weights[f"{place.layer}.bias"] = bias + matrix @ norm.shift
        where = "behind" if place.behind else "before"
        say(f"the batch norm {name} is taken to stand right {where} {place.layer}, with PyTorch's eps of {EPSILON}")
    return weights


@dataclass(frozen=True)
class _Place:
    """Right behind a layer, before its activation; or right before one."""

    layer: str
    behind: bool


def _take(name: str, weights: dict[str, Tensor]) -> _Norm:
    mean, variance, *affine = (weights.pop(f"{name}.{part}", None) for part in _PARTS)
    assert mean is not None
    variance = torch.ones_like(mean) if variance is None else variance
    weight, bias = affine
    scale = torch.rsqrt(variance + EPSILON) * (1.0 if weight is None else weight)
    return _Norm(scale, (0.0 if bias is None else bias) - mean * scale)


def _places(
    raw: RawCheckpoint,
    norms: Mapping[str, _Norm],
    weights: Mapping[str, Tensor],
    convolutions: Sequence[str],
    linears: Sequence[str],
    say: Callable[[str], None],
) -> dict[str, _Place]:
    """Where each stands: by its number in a Sequential, else by its size and order."""
    places: dict[str, _Place] = {}
    for name in norms:
        place = _among_siblings(raw, name, (*convolutions, *linears), linears)
        if place is not None:
            places[name] = place
    rest = [name for name in norms if name not in places]
    alike = [name for name in rest if [len(norms[other].scale) for other in rest].count(len(norms[name].scale)) > 1]
    check_order(raw, alike, "batch norms", "they may belong to other layers", say)
    if len(rest) >= len(convolutions):
        fitting = [
            (name, layer)
            for name, layer in zip(rest, convolutions, strict=False)
            if len(norms[name].scale) == weights[f"{layer}.weight"].shape[0]
        ]
        if len(fitting) == len(convolutions):
            places |= {name: _Place(layer, behind=True) for name, layer in fitting}
            rest = rest[len(fitting) :]
    for name in rest:
        size = len(norms[name].scale)
        hidden = [layer for layer in linears[:-1] if weights[f"{layer}.weight"].shape[0] == size]
        if linears and size == weights[f"{linears[0]}.weight"].shape[1] and not hidden:
            places[name] = _Place(linears[0], behind=False)
        elif len(hidden) == 1:
            places[name] = _Place(hidden[0], behind=True)
        else:
            raise CheckpointError(
                f"where the batch norm {name} of {raw.path} stands cannot be told by its {size} features; put it into an "
                "nn.Sequential right behind its layer, or fold it before saving (torch.nn.utils.fusion)"
            )
    for name, place in places.items():
        matrix = weights[f"{place.layer}.weight"]
        if len(norms[name].scale) != matrix.shape[0 if place.behind else 1]:
            raise CheckpointError(
                f"the batch norm {name} of {raw.path} does not fit {place.layer}; the file is damaged"
            )
    return places


def _among_siblings(raw: RawCheckpoint, name: str, layers: Sequence[str], linears: Sequence[str]) -> _Place | None:
    """Where a batch norm stands in an nn.Sequential, by the numbers; None if no layer shares one with it."""
    parent, _, number = name.rpartition(".")
    numbers = {
        int(last): layer for layer in layers if (last := layer.removeprefix(f"{parent}.")).isdecimal() and parent
    }
    if not number.isdecimal() or not numbers:
        return None
    if int(number) - 1 in numbers:
        return _Place(numbers[int(number) - 1], behind=True)
    if numbers.get(int(number) + 1) in linears:
        return _Place(numbers[int(number) + 1], behind=False)
    raise CheckpointError(
        f"the batch norm {name} of {raw.path} stands neither right behind a layer nor right before a linear one, so that it "
        "cannot be folded away; an activation lies between"
    )
