"""safetensors: one file, or several with an index of which tensor lies where."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from edgekit_converters.weights import Stored, read_stored
from edgekit_runtime.errors import CheckpointError
from edgekit_runtime.filepart import file_bytes


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of one file, by name in natural order: the file itself keeps none."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except (SafetensorError, struct.error, ValueError) as error:
        raise CheckpointError(f"{path} is damaged or was cut short ({error}); copy it again") from error
    return {name: tensors[name] for name in sorted(tensors, key=_natural)}


def read_index(path: Path, *, trust: bool, say: Callable[[str], None]) -> Stored:
    """The tensors of all files that an ``….index.json`` names, safetensors or torch's."""
    try:
        index: Any = json.loads(file_bytes(path))
        shards = sorted(set(index["weight_map"].values()))
        promised = set(index["weight_map"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{path} is no index of a sharded checkpoint ({error!r}); download it again") from error
    tensors: dict[Any, Any] = {}
    for shard in shards:
        if not isinstance(shard, str) or Path(shard).name != shard or len(shard) > 200 or shard.endswith(".json"):
            raise CheckpointError(f"{path} names {shard!r}, which is no file beside it; do not trust this checkpoint")
        if not (path.parent / shard).is_file():
            raise CheckpointError(f"{path} names {shard}, which is not beside it; download the missing part")
        part = read_stored(path.parent / shard, trust=trust, say=say)
        if part.onnx is not None:
            raise CheckpointError(
                f"{path} names {shard}, which is an ONNX file and no part of a checkpoint; give it alone"
            )
        tensors |= part.content
    if missing := sorted(promised - tensors.keys()):
        raise CheckpointError(f"{path} promises {missing[0]}, which no part holds; download the parts again")
    return Stored(
        {name: tensors[name] for name in sorted(tensors, key=lambda name: _natural(str(name)))}, ordered=False
    )


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts ``convs.10`` behind ``convs.9``."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
