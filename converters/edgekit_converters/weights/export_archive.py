"""Archives of ``torch.export.save``. The weights and the graph's operators are read; nothing in them is run.

The layout is that of torch's ``export/pt2_archive`` as torch 2.13 writes it: raw tensors beside a JSON file that describes them.
"""

from __future__ import annotations

import json
import math
import re
import struct
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgekit_converters.weights import Stored
from edgekit_runtime.errors import CheckpointError

CONFIG = "/data/weights/model_weights_config.json"
GRAPH = "/models/model.json"
FLOATS = {6: torch.float16, 7: torch.float32, 8: torch.float64, 13: torch.bfloat16}
"""torch's serialized numbers of the element types that weights may have."""

PLAIN = {"padding": {0}, "stride": {1}, "dilation": {1}, "groups": {1}}
"""What the arguments of a convolution are unless the user says otherwise."""

MAX_JSON_BYTES = 32_000_000
DAMAGED = (KeyError, TypeError, AttributeError, ValueError, OSError, RuntimeError, EOFError, OverflowError)
"""What damaged bytes raise, by way of zipfile, json and torch."""


def is_export_archive(names: Sequence[str]) -> bool:
    """Whether a zip archive with these entries was written by ``torch.export.save``."""
    return any(name.endswith((CONFIG, GRAPH)) or name == "serialized_exported_program.json" for name in names)


def read_export_archive(path: Path) -> Stored:
    """The floating-point weights in the order of definition, and the graph's operators."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            place = next((name for name in names if name.endswith(CONFIG)), None)
            if place is None:
                raise CheckpointError(
                    f"{path} is an archive of torch.export by an older torch; save it again with torch 2.13, or save "
                    "model.state_dict()"
                )
            folder = place.removesuffix("model_weights_config.json")
            described = _json(archive, place)["config"]
            tensors = {
                name: tensor
                for name, meta in described.items()
                if (tensor := _tensor(archive, folder, meta)) is not None
            }
            model = next((name for name in names if name.endswith(GRAPH)), None)
            graph = None if model is None else tuple(_operators(_json(archive, model)))
    except CheckpointError:
        raise
    except (*DAMAGED, zipfile.BadZipFile, struct.error) as error:
        raise CheckpointError(f"{path} is a damaged archive of torch.export ({error}); save it again") from error
    return Stored(tensors, ordered=True, graph=graph)


def _json(archive: zipfile.ZipFile, name: str) -> Any:
    if archive.getinfo(name).file_size > MAX_JSON_BYTES:
        raise ValueError(f"{name} is larger than any model's")
    return json.loads(archive.read(name))


def _tensor(archive: zipfile.ZipFile, folder: str, entry: Any) -> Tensor | None:
    """One tensor; None if it is not of floating point."""
    meta = entry["tensor_meta"]
    dtype = FLOATS.get(meta["dtype"])
    if dtype is None:
        return None
    if entry["use_pickle"]:
        raise ValueError("it holds a pickled tensor")
    sizes, strides = ([int(number["as_int"]) for number in meta[key]] for key in ("sizes", "strides"))
    offset = int(meta["storage_offset"]["as_int"])
    place = archive.getinfo(folder + entry["path_name"])
    if place.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{place.filename} is compressed, which torch never does")
    reach = offset + 1 + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    needed = 0 if 0 in sizes else max(reach, math.prod(sizes)) * dtype.itemsize
    if min((*sizes, *strides, offset, 0)) < 0 or needed > place.file_size:
        raise ValueError(f"{place.filename} is shorter than described")
    flat = torch.frombuffer(bytearray(archive.read(place)), dtype=dtype)
    return flat.as_strided(sizes, strides, offset).clone()


def _operators(node: Any) -> Iterator[str]:
    """Operator names of a serialized graph: ``torch.ops.aten.conv1d.default`` is ``conv1d``, or ``conv1d with padding``."""
    for item in node["graph_module"]["graph"]["nodes"]:
        found = re.fullmatch(r"torch\.ops\.\w+\.(\w+)\.\w+", str(item["target"]))
        name = found.group(1) if found else str(item["target"]).rpartition(".")[2]
        changed = [key for key, value in _numbers(item).items() if value - PLAIN.get(key, value)]
        yield f"{name} with {changed[0]}" if changed and name.startswith("conv") else name


def _numbers(item: Any) -> dict[str, set[int]]:
    """The whole numbers among an operator's arguments, by the argument's name."""
    found: dict[str, set[int]] = {}
    for argument in item["inputs"]:
        value = argument["arg"]
        if "as_ints" in value:
            found[argument["name"]] = set(value["as_ints"])
        elif "as_int" in value:
            found[argument["name"]] = {value["as_int"]}
        elif "as_string" in value and argument["name"] == "padding":
            found["padding"] = {0 if value["as_string"] == "valid" else -1}
    return found
