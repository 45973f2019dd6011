"""Whatever the user has, read as a TextModel: by what is in the file, not by its name (docs/checkpoints.md)."""

from __future__ import annotations

import json
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgekit_converters.architectures import (
    SUPPORTED,
    RawCheckpoint,
    bert_shapes,
    cnn_shapes,
    exact_weights,
    read_bert,
    read_cnn,
)
from edgekit_converters.model import TextModel, TokenizerFile
from edgekit_converters.networks.bert import BertConfig
from edgekit_converters.networks.cnn import CnnConfig
from edgekit_converters.tokenizer import check_fits, describe_tokenizer, find_tokenizer, read_tokenizer
from edgekit_runtime import jsonio
from edgekit_runtime.bundle import replacing
from edgekit_runtime.errors import (
    BundleError,
    CheckpointError,
    FileError,
    OptionError,
    TokenizerError,
    UntrustedCheckpointError,
)
from edgekit_runtime.manifest import HistoryStep

FORMAT = "edgekit-checkpoint"
FORMAT_VERSION = 1
FOLDER_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
DEFAULT_LABELS = ("negative", "positive")


@dataclass(frozen=True)
class ReadOptions:
    """What the user says of a checkpoint that is not in the file.

    Attributes:
        tokenizer: A vocab.txt, a tokenizer.json or a folder with one; None looks beside the checkpoint.
        labels: Names of the classes; None takes the checkpoint's.
        heads: Attention heads of a BERT; None takes the config's, or the custom for its width.
        pad_to: Length to which a CNN's training padded short texts; None if it did not.
        clean: Names of the cleaning steps that ran before the tokenizer in training; None takes the checkpoint's.
    """

    tokenizer: Path | None = None
    labels: tuple[str, ...] | None = None
    heads: int | None = None
    pad_to: int | None = None
    clean: tuple[str, ...] | None = None


def read_checkpoint(path: str | Path, options: ReadOptions, say: Callable[[str], None]) -> TextModel:
    """Reads a checkpoint. No code that it carries is run.

    Args:
        path: A Hugging Face folder, or a file with a state dict, or edgekit's own one-file checkpoint.
        options: What the file does not say.
        say: Told of choices made for the user.

    Raises:
        FileError: Nothing is there, or it cannot be read.
        CheckpointError: It is damaged, no checkpoint, or of an architecture that is not supported.
        UntrustedCheckpointError: It holds pickled objects, whose reading would run code.
        TokenizerError: There is no tokenizer, or it does not fit.
        OptionError: Labels, heads or padding contradict the weights.
    """
    path = Path(path)
    if not path.exists():
        raise FileError(f"there is no checkpoint {path}; check the path")
    file = _weights_file(path)
    content = _load_file(file)
    if content.get("format") == FORMAT:
        return _from_own_format(path, content, options, say)
    raw = _beside(path, _state_dict(path, content), ordered=not _is_safetensors(file))
    model_type = str(raw.config.get("model_type", "bert"))
    if model_type != "bert":
        raise CheckpointError(
            f"{raw.config_source} says {model_type}, which is not supported; supported are {SUPPORTED}"
        )
    if "bert.embeddings.word_embeddings.weight" in raw.weights:
        config: BertConfig | CnnConfig
        config, weights = read_bert(raw, options.heads, say)
    else:
        config, weights = read_cnn(raw)
    _check_options(config, options)
    tokenizer_path = find_tokenizer(options.tokenizer, raw.folder)
    tokenizer = read_tokenizer(tokenizer_path, say)
    _check_tokenizer(config, tokenizer, str(tokenizer_path), say)
    labels = _labels(options.labels, raw.config, config.classes, say)
    history = (_read_step(path, config),)
    return TextModel(
        _name(path), config, weights, tokenizer, labels, options.pad_to, clean=options.clean or (), history=history
    )


def save_checkpoint(model: TextModel, path: str | Path) -> Path:
    """Writes edgekit's one-file checkpoint: weights, sizes, tokenizer and labels, readable without trust.

    Raises:
        FileError: The place cannot be written; nothing is left behind.
    """
    path = Path(path)
    content = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "architecture": model.architecture,
        "config": _plain(model.config),
        "weights": {name: tensor.contiguous() for name, tensor in model.weights.items()},
        "tokenizer": model.tokenizer.json.decode(),
        "labels": list(model.labels),
        "pad_to": model.pad_to,
        "clean": list(model.clean),
        "history": jsonio.encode(model.history),
    }
    with replacing(path) as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:  # how torch says that a write failed
            raise FileError(f"cannot write {path}: {error}; nothing was left behind") from error
    return path


def _read_step(path: Path, config: BertConfig | CnnConfig) -> HistoryStep:
    tools = {tool: metadata.version(tool) for tool in ("torch", "tokenizers")}
    return HistoryStep("read", {"file": path.name, **_plain(config)}, tools)


def _check_options(config: BertConfig | CnnConfig, options: ReadOptions) -> None:
    """Refuses what the architecture would ignore."""
    if isinstance(config, BertConfig) and options.pad_to is not None:
        raise OptionError("--pad-to is for CNNs: a BERT masks its padding, so that it never counts")
    if isinstance(config, CnnConfig) and options.heads is not None:
        raise OptionError("--heads is for BERTs: a CNN has no attention; drop it")
    if options.pad_to is not None and options.pad_to < 1:
        raise OptionError(f"--pad-to must be 1 or more, not {options.pad_to}")


def _check_tokenizer(
    config: BertConfig | CnnConfig, tokenizer: TokenizerFile, source: str, say: Callable[[str], None]
) -> None:
    check_fits(tokenizer, config.vocab_size, source, say)
    if isinstance(config, BertConfig) and not {"cls", "sep"} <= tokenizer.special_ids.keys():
        raise TokenizerError(f"{source} has no [CLS] and [SEP], which a BERT needs; give its own tokenizer")


def _plain(config: BertConfig | CnnConfig) -> dict[str, Any]:
    encoded: dict[str, Any] = jsonio.encode(config)
    return encoded


def _name(path: Path) -> str:
    return path.resolve().name if path.is_dir() else path.stem


def _weights_file(path: Path) -> Path:
    """The file itself, or the one with the weights in a Hugging Face folder."""
    if not path.is_dir():
        return path
    for name in FOLDER_WEIGHTS:
        if (path / name).is_file():
            return path / name
    raise CheckpointError(
        f"{path} is a folder without {' or '.join(FOLDER_WEIGHTS)}, so no Hugging Face model; "
        "give such a folder, or the checkpoint file itself"
    )


def _head(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(16)
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from error


def _is_safetensors(path: Path) -> bool:
    return _head(path)[8:9] == b"{"


def _load_file(path: Path) -> dict[str, Any]:
    if _head(path).startswith((b"PK\x03\x04", b"\x80")):  # by torch.save: a zip, or before torch 1.6 a bare pickle
        return _load_torch(path)
    if _is_safetensors(path):
        return _load_safetensors(path)
    raise CheckpointError(
        f"{path} is no checkpoint: it is neither a file of torch.save nor safetensors; give the model's weights"
    )


def _load_safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
        return {name: tensors[name] for name in sorted(tensors, key=_natural)}  # the file itself keeps no order
    except (SafetensorError, struct.error, ValueError) as error:
        raise CheckpointError(f"{path} is damaged or was cut short ({error}); copy it again") from error


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts ``convs.10`` behind ``convs.9``."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def _load_torch(path: Path) -> dict[str, Any]:
    names = _archive_names(path)
    if "manifest.json" in names:
        raise CheckpointError(f"{path} is already a bundle; give the checkpoint that it was made from")
    if any(name.endswith("/constants.pkl") for name in names):
        raise UntrustedCheckpointError(
            f"{path} is a TorchScript archive, which carries code; save model.state_dict() instead"
        )
    try:
        with open(path, "rb") as file, warnings.catch_warnings():  # given a path, torch would go by its suffix
            warnings.simplefilter("ignore")  # torch remarks on the pickle protocol before it refuses the file
            content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"(?:GLOBAL|global) ([\w.]+)", str(error))
        holds = f" ({found.group(1)})" if found else ""
        raise UntrustedCheckpointError(
            f"{path} holds pickled Python objects{holds}, not only tensors, and reading them would run code from the "
            "file: it was not read; save model.state_dict() instead of the model"
        ) from error
    except Exception as error:  # damaged bytes make torch raise whatever comes up, OSError and IndexError too
        reason = str(error).strip().splitlines()
        raise CheckpointError(
            f"{path} is damaged or was cut short ({reason[0][:100] if reason else type(error).__name__}); copy it again"
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, not a state dict; save model.state_dict()")
    return content


def _archive_names(path: Path) -> list[str]:
    """Entries of a zip archive; none if it is no archive, or a damaged one, of which torch.load says more."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, OSError, struct.error):
        return []


def _state_dict(path: Path, content: Mapping[Any, Any]) -> dict[str, Tensor]:
    """The floating-point tensors as float32, without the prefix that DistributedDataParallel leaves."""
    weights = {}
    for name, tensor in content.items():
        if isinstance(name, str) and isinstance(tensor, Tensor) and tensor.is_floating_point():
            if not torch.isfinite(tensor).all():
                raise CheckpointError(
                    f"{name} in {path} holds NaN or infinity: the training diverged; use another checkpoint"
                )
            weights[name.removeprefix("module.")] = tensor.float()
    if not weights:
        raise CheckpointError(f"{path} holds no weights; save model.state_dict()")
    return weights


def _beside(path: Path, weights: Mapping[str, Tensor], *, ordered: bool) -> RawCheckpoint:
    folder = path if path.is_dir() else path.parent
    file = folder / "config.json"
    if not file.is_file():
        if path.is_dir():
            raise CheckpointError(f"{path} is a folder without config.json, so no Hugging Face model")
        return RawCheckpoint(path, folder, weights, {}, "", ordered)
    try:
        config = json.loads(file.read_bytes())
    except ValueError as error:
        raise CheckpointError(f"{file} is not valid JSON ({error}); correct it or move it away") from error
    except OSError as error:
        raise FileError(f"cannot read {file}: {error.strerror}") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{file} is no Hugging Face config; correct it or move it away")
    return RawCheckpoint(path, folder, weights, config, str(file), ordered)


def _labels(
    given: Sequence[str] | None, config: Mapping[str, Any], classes: int, say: Callable[[str], None]
) -> tuple[str, ...]:
    if classes < 2:
        raise CheckpointError("the head has one output; a classifier with two or more classes is expected")
    names: Sequence[str] | None = given
    if names is None:
        by_id = config.get("id2label")
        stated = [str(by_id.get(str(index), "")) for index in range(classes)] if isinstance(by_id, dict) else []
        if isinstance(by_id, dict) and len(by_id) != classes:
            raise CheckpointError(
                f"config.json names {len(by_id)} labels and the head has {classes} outputs; give --labels"
            )
        if stated and not all(re.fullmatch(r"LABEL_\d+", name) for name in stated):
            names = stated
    if names is None and classes == 2:
        names = DEFAULT_LABELS
        say(f"the checkpoint does not name its labels; class 0 is taken for {names[0]}, 1 for {names[1]} (--labels)")
    if names is None:
        raise OptionError(
            f"the checkpoint does not name its {classes} classes: give --labels A,B,… in the head's order"
        )
    if len(names) != classes:
        raise OptionError(
            f"{len(names)} labels are given and the head has {classes} outputs: give --labels with {classes}"
        )
    if len(set(names)) != classes or not all(names):
        raise OptionError(f"the labels {', '.join(names)} must differ and none may be empty")
    return tuple(names)


def _from_own_format(
    path: Path, content: Mapping[str, Any], options: ReadOptions, say: Callable[[str], None]
) -> TextModel:
    version = content.get("version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has checkpoint version {version}, and this edgekit reads {FORMAT_VERSION}: upgrade it"
        )
    known: dict[str, type[BertConfig] | type[CnnConfig]] = {"bert": BertConfig, "cnn": CnnConfig}
    sizes = known.get(str(content.get("architecture")))
    if sizes is None:
        raise CheckpointError(
            f"{path} holds a {content.get('architecture')!r}, which this edgekit does not know: upgrade it"
        )
    try:
        config: BertConfig | CnnConfig = jsonio.decode(sizes, content.get("config"), f"{path}: config")
        history = jsonio.decode(_History, {"steps": content.get("history", [])}, str(path)).steps
    except BundleError as error:
        raise CheckpointError(str(error)) from error
    _check_options(config, options)
    if isinstance(config, BertConfig) and options.heads not in (None, config.heads):
        raise OptionError(f"--heads {options.heads} contradicts {path}, which says {config.heads}; drop it")
    weights = _state_dict(path, content.get("weights", {}))
    raw = RawCheckpoint(path, path.parent, weights, {}, "", ordered=True)
    shapes = bert_shapes(config) if isinstance(config, BertConfig) else cnn_shapes(config)
    weights = exact_weights(raw, weights, shapes)
    if options.tokenizer is not None:
        tokenizer = read_tokenizer(find_tokenizer(options.tokenizer, path.parent), say)
    else:
        tokenizer = describe_tokenizer(str(content.get("tokenizer", "")).encode(), say, str(path))
    _check_tokenizer(config, tokenizer, str(options.tokenizer or path), say)
    stated = {"id2label": {str(index): name for index, name in enumerate(content.get("labels", []))}}
    labels = _labels(options.labels, stated, config.classes, say)
    pad_to = options.pad_to if options.pad_to is not None else content.get("pad_to")
    clean = options.clean if options.clean is not None else tuple(map(str, content.get("clean", ())))
    history = (*history, _read_step(path, config))
    return TextModel(_name(path), config, weights, tokenizer, labels, pad_to, clean, history)


@dataclass(frozen=True)
class _History:
    steps: tuple[HistoryStep, ...]
