"""Files of ``torch.save``, ``torch.jit.save`` and ``torch.export.save``."""

from __future__ import annotations

import argparse
import collections
import importlib
import pathlib
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgekit_converters.weights import Stored
from edgekit_converters.weights.export_archive import is_export_archive, read_export_archive
from edgekit_runtime.errors import CheckpointError, UntrustedCheckpointError

TRUST = (
    "if you know who made it, --trust-checkpoint reads it all the same, and then code in the file may do on this machine "
    "whatever you may"
)


def read_torch(path: Path, *, trust: bool, say: Callable[[str], None]) -> Stored:
    """Reads a file of one of torch's own formats."""
    entries = _archive_entries(path)
    names = [entry.filename for entry in entries]
    if "manifest.json" in names:
        raise CheckpointError(f"{path} is already a bundle; give the checkpoint that it was made from")
    if is_export_archive(names):
        return read_export_archive(path)
    if any(name.endswith("/constants.pkl") for name in names):
        return _read_torchscript(path, trust=trust)
    if packed := [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]:
        raise CheckpointError(f"{packed[0]} in {path} is compressed, which torch never does; do not trust this file")
    try:
        content = _load(path)
    except pickle.UnpicklingError as error:
        found = re.search(r"(?:GLOBAL|global) ([\w.]+)", str(error))
        holds = f" ({found.group(1)})" if found else ""
        if not trust:
            raise UntrustedCheckpointError(
                f"{path} holds pickled Python objects{holds}, not only tensors, and reading them would run code from the "
                f"file: it was not read; save model.state_dict() instead of the model; {TRUST}"
            ) from error
        content = _load_trusted(path)
        say(f"{path.name} was read by running what is pickled in it, since --trust-checkpoint was given")
    if isinstance(content, nn.Module):
        content = content.state_dict()
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, not a state dict; save model.state_dict()")
    return Stored(content, ordered=True)


def _load(path: Path) -> Any:
    """Unpickles tensors, plain values and a few harmless types that training scripts leave beside the weights."""
    try:
        with (
            open(path, "rb") as file,  # given a path, torch would go by its suffix
            warnings.catch_warnings(),
            torch.serialization.safe_globals(_harmless()),
        ):
            warnings.simplefilter("ignore")  # torch remarks on the pickle protocol before it refuses the file
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # damaged bytes make torch raise whatever comes up, OSError and IndexError too
        reason = str(error).strip().splitlines()
        raise CheckpointError(
            f"{path} is damaged or was cut short ({reason[0][:100] if reason else type(error).__name__}); copy it again"
        ) from error


def _harmless() -> list[Any]:
    """Types whose unpickling only stores values: numpy's numbers, argparse's options, paths."""
    scalar: Any = importlib.import_module("numpy._core.multiarray").scalar  # what numpy pickles its numbers by
    dtypes = [type(np.dtype(code)) for code in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?")]
    return [
        argparse.Namespace,
        collections.OrderedDict,
        np.dtype,
        *dtypes,
        *((scalar, f"{module}.multiarray.scalar") for module in ("numpy._core", "numpy.core")),
        pathlib.PosixPath,
        pathlib.PurePosixPath,
    ]


def _load_trusted(path: Path) -> Any:
    try:
        with open(path, "rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(file, map_location="cpu", weights_only=False)
    except (AttributeError, ModuleNotFoundError) as error:
        raise CheckpointError(
            f"{path} was pickled with classes that are not importable here ({error}): run edgekit with PYTHONPATH at the "
            "folder of the training code, or save model.state_dict() there"
        ) from error
    except Exception as error:  # code of the file's own may raise anything
        raise CheckpointError(f"{path} cannot be unpickled ({type(error).__name__}: {error}); copy it again") from error


def _read_torchscript(path: Path, *, trust: bool) -> Stored:
    if not trust:
        raise UntrustedCheckpointError(
            f"{path} is a TorchScript archive, which carries code; save model.state_dict() instead; {TRUST}"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch calls TorchScript deprecated
            load: Any = torch.jit.load
            module = load(str(path), map_location="cpu").eval()
        graph = tuple(
            node.kind().partition("::")[2] for node in _nodes(module.inlined_graph) if "aten::" in node.kind()
        )
    except (RuntimeError, ValueError, EOFError) as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(f"{path} is no TorchScript archive that this torch reads ({reason[:100]})") from error
    return Stored(module.state_dict(), ordered=True, graph=graph)


def _nodes(graph: Any) -> list[Any]:
    """Every node of a TorchScript graph, those inside branches too."""
    return [inner for node in graph.nodes() for inner in (node, *(n for block in node.blocks() for n in _nodes(block)))]


def _archive_entries(path: Path) -> list[zipfile.ZipInfo]:
    """Entries of a zip archive; none if it is no archive, or a damaged one, of which torch.load says more."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, OSError, struct.error):
        return []
