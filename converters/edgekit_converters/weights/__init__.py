"""What a checkpoint's file holds, read without running code of the file's: one module a file format."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit_runtime.errors import CheckpointError, FileError
from edgekit_runtime.filepart import open_regular

if TYPE_CHECKING:
    from edgekit_converters.weights.onnx_graph import OnnxGraph


@dataclass(frozen=True)
class Stored:
    """A file's content.

    Attributes:
        content: Tensors by name, or whatever else the dictionary held.
        ordered: Whether it is in the order of definition.
        graph: Names of the operators of its graph, where it has one.
        onnx: The graph itself, where it is an ONNX file.
    """

    content: Mapping[Any, Any]
    ordered: bool
    graph: tuple[str, ...] | None = None
    onnx: OnnxGraph | None = None


def read_stored(path: Path, *, trust: bool, say: Callable[[str], None]) -> Stored:
    """Reads a file by what is in it.

    Args:
        path: The file.
        trust: Whether the user trusts it so far that its code may run.
        say: Told of choices made for the user.

    Raises:
        FileError: It cannot be read.
        CheckpointError: It is damaged, or no checkpoint.
        UntrustedCheckpointError: Reading it would run code, and ``trust`` is not given.
    """
    from edgekit_converters.weights.onnx_file import is_onnx, read_onnx
    from edgekit_converters.weights.safetensors_file import read_index, read_safetensors
    from edgekit_converters.weights.torch_file import read_torch

    try:
        with open_regular(path) as file:
            head, size = file.read(16), os.fstat(file.fileno()).st_size
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from error
    if (
        head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size
    ):  # the length of the header; it may look like a pickle
        return Stored(read_safetensors(path), ordered=False)
    if head.startswith((b"PK\x03\x04", b"\x80")):  # by torch.save: a zip, or before torch 1.6 a bare pickle
        return read_torch(path, trust=trust, say=say)
    if head.lstrip().startswith(b"{") and path.name.endswith(".index.json"):
        return read_index(path, trust=trust, say=say)
    if is_onnx(head) or path.suffix == ".onnx":  # it has no mark of its own; a damaged one is told as such
        return read_onnx(path)
    raise CheckpointError(
        f"{path} is no checkpoint: it is neither a file of torch.save nor safetensors nor ONNX; give the model's weights"
    )
