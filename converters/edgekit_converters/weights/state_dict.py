"""The weights of a model inside what a training script saved."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgekit_runtime.errors import CheckpointError

NESTED = ("state_dict", "model_state_dict", "model", "module", "net", "network", "weights")
"""Where training scripts keep the weights, the optimizer's state beside."""

NOT_THE_MODEL = re.compile(r"(criterion|loss|loss_fn|loss_function|[a-z_]*metrics?)\.")
"""What Lightning saves with a model: buffers of the loss, such as class weights."""

MOST_NESTING = 4
NOT_WEIGHTS = re.compile(r"(.*\.)?(position_ids|token_type_ids|num_batches_tracked|n_averaged)")
"""Tensors of whole numbers that say nothing of the answer."""

FAMILY_PREFIXES = ("bert", "distilbert", "electra")
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def state_dict(path: Path, content: Mapping[Any, Any], say: Callable[[str], None]) -> dict[str, Tensor]:
    """The floating-point tensors as float32, under the names that the module itself gives them.

    Args:
        path: The file, for messages.
        content: What it holds.
        say: Told of choices made for the user.

    Raises:
        CheckpointError: There are no weights, or they hold NaN or infinity.
    """
    found = _without_doubles(_find(content, say), say)
    if not any(tensor.is_floating_point() for tensor in found.values()):
        raise CheckpointError(f"{path} holds no weights; save model.state_dict()")
    weights = {name: _float32(path, name, tensor) for name, tensor in found.items() if not NOT_WEIGHTS.fullmatch(name)}
    left_out = [name for name in weights if NOT_THE_MODEL.match(name)]
    if left_out and len(left_out) < len(weights):
        say(f"{', '.join(left_out[:3])} belong to the training, not to the model, and are left out")
        weights = {name: tensor for name, tensor in weights.items() if name not in left_out}
    renamed = dict(zip(_bare_names(list(weights)), weights.values(), strict=True))
    if len(renamed) < len(weights):
        raise CheckpointError(f"{path} holds two models whose tensors have the same names; save one")
    return renamed


def _find(content: Mapping[Any, Any], say: Callable[[str], None], depth: int = 0) -> dict[str, Tensor]:
    """Tensors by name, out of the dictionary itself or of the one in it that holds the model."""
    others = []
    taken: dict[str, Tensor] = {}
    known = [key for key in NESTED if key in content]
    rest = [key for key in content if isinstance(key, str) and key not in NESTED and "optim" not in key]
    for key in (*known, *rest) if depth < MOST_NESTING else ():
        inner = _as_mapping(content[key])
        if inner is None:
            continue
        if key in rest or taken:
            others += [key] if any(isinstance(value, Tensor) for value in inner.values()) else []
        else:
            taken, at = _find(inner, say, depth + 1), key
    if taken:
        if others:
            say(f"the checkpoint holds tensors under {', '.join([at, *others])}; those under {at} are taken")
        return taken
    return {name: tensor for name, tensor in content.items() if isinstance(name, str) and isinstance(tensor, Tensor)}


def _without_doubles(tensors: dict[str, Tensor], say: Callable[[str], None]) -> dict[str, Tensor]:
    """The tensors without those that an earlier name has too: one layer under two names is one layer."""
    first: dict[object, str] = {}
    for name, tensor in tensors.items():
        place: object = name
        if tensor.layout is torch.strided and tensor.numel() > 1 and not tensor.is_meta:
            place = (tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
        if (other := first.setdefault(place, name)) != name:
            say(f"{name} is {other} under another name, and counts once")
    return {name: tensors[name] for name in first.values()}


def _as_mapping(value: Any) -> Mapping[Any, Any] | None:
    if isinstance(value, nn.Module):  # only where the user trusts the file
        return value.state_dict()
    return value if isinstance(value, Mapping) else None


def _float32(path: Path, name: str, tensor: Tensor) -> Tensor:
    stored = tensor.layout is torch.strided and not tensor.is_meta
    if tensor.dtype not in FLOATS or not stored or tensor.untyped_storage().nbytes() < tensor.numel() * tensor.itemsize:
        raise CheckpointError(
            f"{name} in {path} is stored as {str(tensor.dtype).removeprefix('torch.')} in a form that is not supported; save "
            "it as float32, float16 or bfloat16"
        )
    single = tensor.float()
    if not torch.isfinite(single).all():  # of float64 also what is too large for float32
        raise CheckpointError(f"{name} in {path} holds NaN or infinity: the training diverged; use another checkpoint")
    return single


def _bare_names(names: list[str]) -> list[str]:
    """Names without what torch.compile, DistributedDataParallel, Lightning or a wrapper of the user's puts before them."""
    names = [name.replace("_orig_mod.", "") for name in names]
    while len(shared := {name.partition(".")[0] for name in names}) == 1:
        prefix = shared.pop()
        inner = [name.partition(".")[2] for name in names]
        if prefix in FAMILY_PREFIXES or not all("." in name for name in inner):  # the model's own part, or a layer
            break
        names = inner
    return names
