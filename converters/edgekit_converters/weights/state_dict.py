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
    found = _find(content, say)
    weights = {name: _float32(path, name, tensor) for name, tensor in found.items() if tensor.is_floating_point()}
    if not weights:
        raise CheckpointError(f"{path} holds no weights; save model.state_dict()")
    left_out = [name for name in weights if NOT_THE_MODEL.match(name)]
    if left_out and len(left_out) < len(weights):
        say(f"{', '.join(left_out[:3])} belong to the training, not to the model, and are left out")
        weights = {name: tensor for name, tensor in weights.items() if name not in left_out}
    renamed = dict(zip(_bare_names(list(weights)), weights.values(), strict=True))
    if len(renamed) < len(weights):
        raise CheckpointError(f"{path} holds two models whose tensors have the same names; save one")
    return renamed


def _find(content: Mapping[Any, Any], say: Callable[[str], None]) -> dict[str, Tensor]:
    """Tensors by name, out of the dictionary itself or of the one in it that holds the model."""
    nested = {
        key: value for key in NESTED if (value := _as_mapping(content.get(key))) is not None and _find(value, _mute)
    }
    if not nested:
        return {
            name: tensor for name, tensor in content.items() if isinstance(name, str) and isinstance(tensor, Tensor)
        }
    first, *others = nested
    if others:
        say(f"the checkpoint holds weights under {', '.join(nested)}; those under {first} are taken")
    return _find(nested[first], say)


def _as_mapping(value: Any) -> Mapping[Any, Any] | None:
    if isinstance(value, nn.Module):  # only where the user trusts the file
        return value.state_dict()
    return value if isinstance(value, Mapping) else None


def _mute(message: str) -> None:
    """Keeps a remark that comes again."""


def _float32(path: Path, name: str, tensor: Tensor) -> Tensor:
    if tensor.dtype not in FLOATS or tensor.layout is not torch.strided or tensor.is_meta:
        raise CheckpointError(
            f"{name} in {path} is stored as {str(tensor.dtype).removeprefix('torch.')} in a form that is not supported; save "
            "it as float32, float16 or bfloat16"
        )
    if not torch.isfinite(tensor).all():
        raise CheckpointError(f"{name} in {path} holds NaN or infinity: the training diverged; use another checkpoint")
    return tensor.float()


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
