"""Tensors of an ONNX file, whose declared sizes are held against the bytes before anything is allocated."""

from __future__ import annotations

import math
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor

from edgekit_runtime.errors import CheckpointError

DTYPES = {
    1: torch.float32,
    2: torch.uint8,
    3: torch.int8,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    10: torch.float16,
    11: torch.float64,
    16: torch.bfloat16,
}
"""ONNX's numbers of the element types that are read (TensorProto.DataType)."""

_LISTS = {1: "float_data", 7: "int64_data", 11: "double_data"}
"""Where values lie that are not raw; those of the other types lie in ``int32_data``, half floats by their bits."""

EXTERNAL = 1
"""TensorProto.DataLocation of data that lies in another file."""


def tensor_of(proto: Any, path: Path) -> Tensor:
    """A TensorProto as a tensor of its own memory, floating point as float32.

    Args:
        proto: onnx's TensorProto.
        path: The ONNX file, beside which external data lies.

    Raises:
        CheckpointError: It is of a type that is not read, or its data is missing, elsewhere or of another size.
    """
    what = f"the tensor {proto.name or 'without name'} of {path}"
    dtype = DTYPES.get(proto.data_type)
    if dtype is None or proto.HasField("segment"):
        raise CheckpointError(f"{what} is of the element type {proto.data_type}, which is not read; save it as float32")
    shape = list(proto.dims)
    if min(shape, default=0) < 0:
        raise CheckpointError(f"{what} has the shape {shape}; the file is damaged, export it again")
    needed = math.prod(shape) * dtype.itemsize
    if proto.data_location == EXTERNAL:
        flat = torch.frombuffer(_external(proto, path, what, needed), dtype=dtype) if needed else torch.empty(0)
    elif proto.raw_data or not needed:
        _check_size(what, len(proto.raw_data), needed)
        flat = torch.frombuffer(bytearray(proto.raw_data), dtype=dtype) if needed else torch.empty(0)
    else:
        flat = _listed(proto, dtype, what, needed)
    try:
        tensor = flat.reshape(shape)
    except (RuntimeError, TypeError, OverflowError) as error:  # torch, of an empty one with sizes past all bounds
        raise CheckpointError(f"{what} has the shape {shape}; the file is damaged, export it again") from error
    return tensor.float() if dtype.is_floating_point else tensor.to(dtype)


def _check_size(what: str, found: int, needed: int) -> None:
    if found != needed:
        raise CheckpointError(
            f"{what} declares {needed} bytes and holds {found}: the file is damaged or was cut short; export it again"
        )


def _listed(proto: Any, dtype: torch.dtype, what: str, needed: int) -> Tensor:
    """Values that stand in a list of their own type, or of int32."""
    values = getattr(proto, _LISTS.get(proto.data_type, "int32_data"))
    _check_size(what, len(values) * dtype.itemsize, needed)
    if dtype in (torch.float16, torch.bfloat16):
        return torch.tensor(values, dtype=torch.int32).to(torch.int16).view(dtype)
    return torch.tensor(values, dtype=torch.float64 if dtype.is_floating_point else torch.int64).to(dtype)


def _external(proto: Any, path: Path, what: str, needed: int) -> bytearray:
    """The bytes of a tensor that lie in a file beside the ONNX file."""
    entries = {entry.key: entry.value for entry in proto.external_data}
    location = entries.get("location", "")
    place = PurePosixPath(location.replace("\\", "/"))
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", needed))
        file = path.parent / place
        leaves = not location or place.is_absolute() or ".." in place.parts or ":" in location or "\0" in location
        if leaves or not file.resolve().is_relative_to(path.parent.resolve()):
            raise CheckpointError(
                f"{what} lies in {location[:200]!r}, outside the folder of the file; do not trust this file"
            )
        if offset < 0:
            raise ValueError(f"offset {offset}")
        _check_size(what, length, needed)
        if not file.is_file():
            raise CheckpointError(f"{what} lies in {location[:200]}, which is not beside it; copy that file there too")
        _check_size(what, min(length, max(0, file.stat().st_size - offset)), needed)
        data = bytearray(needed)
        with open(file, "rb") as opened:
            opened.seek(offset)
            _check_size(what, opened.readinto(data), needed)
    except (ValueError, OverflowError) as error:
        raise CheckpointError(f"{what} says where its data lies by {error}; export it again") from error
    except OSError as error:
        raise CheckpointError(f"cannot read {location[:200]} beside {path}: {error.strerror}") from error
    return data
