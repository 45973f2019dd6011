"""Whatever the user has, read as a TextModel: by what is in the file, not by its name (docs/checkpoints.md)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from edgekit_converters.architectures import SUPPORTED, RawCheckpoint, Recognised, recognise
from edgekit_converters.architectures.bert import exact_weights, own_shapes
from edgekit_converters.model import LONGEST, TextModel, TokenizerFile
from edgekit_converters.networks.bert import BertConfig
from edgekit_converters.networks.cnn import CnnConfig, cnn_shapes
from edgekit_converters.networks.families import FAMILIES
from edgekit_converters.tokenizer import check_fits, describe_tokenizer, find_tokenizer, read_tokenizer
from edgekit_converters.weights import Stored, read_stored
from edgekit_converters.weights.onnx_graph import OnnxGraph
from edgekit_converters.weights.state_dict import state_dict
from edgekit_runtime import jsonio
from edgekit_runtime.bundle import replacing
from edgekit_runtime.cleaning import check_cleaning
from edgekit_runtime.errors import BundleError, CheckpointError, FileError, OptionError, TokenizerError
from edgekit_runtime.filepart import file_bytes
from edgekit_runtime.manifest import HistoryStep

FORMAT = "edgekit-checkpoint"
FORMAT_VERSION = 1
ONNX_IN_FOLDER = "model.onnx"
"""What optimum writes; its graph tells what otherwise stands in config.json."""

FOLDER_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    ONNX_IN_FOLDER,
)
"""In a Hugging Face folder, the preferred one first."""

FILE_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".pt2", ".onnx")
DEFAULT_LABELS = ("negative", "positive")


@dataclass(frozen=True)
class ReadOptions:
    """What the user says of a checkpoint that is not in the file.

    Attributes:
        tokenizer: A vocab.txt, a tokenizer.json or a folder with one; None looks beside the checkpoint.
        labels: Names of the classes; None takes the checkpoint's.
        heads: Attention heads of a BERT or a relative; None takes the config's, or the custom for its width.
        pad_to: Length to which a CNN's training padded short texts; None if it did not.
        clean: Names of the cleaning steps that ran before the tokenizer in training; None takes the checkpoint's.
        stop_words: Words that the step ``stop-words`` removes; None takes the checkpoint's.
        trust: Whether the file may run code of its own: pickled modules and TorchScript are read only then.
    """

    tokenizer: Path | None = None
    labels: tuple[str, ...] | None = None
    heads: int | None = None
    pad_to: int | None = None
    clean: tuple[str, ...] | None = None
    stop_words: tuple[str, ...] | None = None
    trust: bool = False

    def __post_init__(self) -> None:
        if self.clean is not None:
            check_cleaning(self.clean, self.stop_words or ())


def read_checkpoint(path: str | Path, options: ReadOptions, say: Callable[[str], None]) -> TextModel:
    """Reads a checkpoint. No code that it carries is run, unless ``options.trust`` says so.

    Args:
        path: A Hugging Face folder, or a file with a state dict or an ONNX graph, or edgekit's own one-file checkpoint.
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
    stored = read_stored(_weights_file(path, say), trust=options.trust, say=say)
    if isinstance(stored.content.get("format"), str) and stored.content["format"] == FORMAT:
        return _from_own_format(path, stored.content, options, say)
    raw = _beside(path, stored, say)
    model_type = raw.config.get("model_type", "bert")
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise CheckpointError(
            f"{raw.config_source} says {model_type}, which is not supported; supported are {SUPPORTED}"
        )
    found = recognise(raw, options.heads, say)
    _check_options(found.config, options)
    tokenizer_path = find_tokenizer(options.tokenizer, raw.folder)
    tokenizer = read_tokenizer(tokenizer_path, say)
    _check_tokenizer(found.config, tokenizer, str(tokenizer_path), say)
    return TextModel(
        name=_name(path),
        config=found.config,
        weights=found.weights,
        tokenizer=tokenizer,
        labels=_labels(options.labels, raw.config, found.config.classes, say),
        pad_to=_pad_to(found, options, say),
        clean=options.clean or (),
        stop_words=options.stop_words or (),
        history=(_read_step(path, found.config, stored.onnx),),
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
        "stop_words": list(model.stop_words),
        "history": jsonio.encode(model.history),
    }
    with replacing(path) as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:  # how torch says that a write failed
            raise FileError(f"cannot write {path}: {error}; nothing was left behind") from error
    return path


def _read_step(path: Path, config: BertConfig | CnnConfig, graph: OnnxGraph | None = None) -> HistoryStep:
    more = () if graph is None else ("onnx",)
    tools = {tool: metadata.version(tool) for tool in ("torch", "tokenizers", *more)}
    return HistoryStep("read", {"file": path.name, **(graph.facts if graph else {}), **_plain(config)}, tools)


def _pad_to(found: Recognised, options: ReadOptions, say: Callable[[str], None]) -> int | None:
    """Length to which short texts are padded: a CNN's graph that takes one length alone tells it."""
    if options.pad_to is not None or found.length is None or isinstance(found.config, BertConfig):
        return options.pad_to
    say(
        f"the graph takes texts of {found.length} tokens alone: shorter ones are padded to that, and the padding counts, as by "
        f"--pad-to {found.length}; if training did not pad, say --pad-to 1"
    )
    return found.length


def _check_options(config: BertConfig | CnnConfig, options: ReadOptions) -> None:
    """Refuses what the architecture would ignore."""
    if isinstance(config, BertConfig) and options.pad_to is not None:
        raise OptionError("--pad-to is for CNNs: a BERT masks its padding, so that it never counts")
    if isinstance(config, CnnConfig) and options.heads is not None:
        raise OptionError("--heads is for BERTs: a CNN has no attention; drop it")
    if options.pad_to is not None and not 1 <= options.pad_to <= LONGEST:
        raise OptionError(f"--pad-to must lie between 1 and {LONGEST}, not at {options.pad_to}")


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


def _weights_file(path: Path, say: Callable[[str], None]) -> Path:
    """The file itself, or the one with the weights in a folder."""
    if not path.is_dir():
        return path
    try:
        names = sorted(entry.name for entry in path.iterdir())
    except OSError as error:
        raise FileError(f"cannot read the folder {path}: {error.strerror}") from error
    found = [name for name in FOLDER_WEIGHTS if name in names]
    if found and found[0] != ONNX_IN_FOLDER and "config.json" not in names:
        raise CheckpointError(f"{path} is a folder without config.json, so no Hugging Face model")
    if not found:
        found = [name for name in names if name.endswith(FILE_SUFFIXES)]
        if len(found) > 1:
            raise CheckpointError(f"{path} holds {len(found)} checkpoints ({', '.join(found[:5])}); give one of them")
    if not found:
        inside = [name for name in names if re.fullmatch(r"checkpoint-\d+", name)]
        hint = (
            f"give one of the folders in it: {', '.join(inside[:5])}" if inside else "give such a folder, or the file"
        )
        raise CheckpointError(
            f"{path} is a folder without {' or '.join(FOLDER_WEIGHTS[::2])}, so no Hugging Face model; {hint}"
        )
    if len(found) > 1 or found[0] not in FOLDER_WEIGHTS:
        beside = f", and {', '.join(found[1:])} beside it is not" if len(found) > 1 else ""
        say(f"{found[0]} in {path} is read{beside}")
    return path / found[0]


def _beside(path: Path, stored: Stored, say: Callable[[str], None]) -> RawCheckpoint:
    """The weights, with the config.json that lies there."""
    folder = path if path.is_dir() else path.parent
    file = folder / "config.json"
    config: Any = {}
    if file.is_file():
        try:
            config = json.loads(file_bytes(file))
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"{file} is not valid JSON ({error}); correct it or move it away") from error
        except OSError as error:
            raise FileError(f"cannot read {file}: {error.strerror}") from error
        if not isinstance(config, dict):
            raise CheckpointError(f"{file} is no Hugging Face config; correct it or move it away")
    weights = state_dict(path, stored.content, say) if stored.onnx is None else {}
    source = str(file) if config else ""
    return RawCheckpoint(path, folder, weights, config, source, stored.ordered, stored.graph, stored.onnx)


def _labels(
    given: Sequence[str] | None, config: Mapping[str, Any], classes: int, say: Callable[[str], None]
) -> tuple[str, ...]:
    names: Sequence[str] | None = given
    if names is None:
        by_id = config.get("id2label")
        stated = [str(by_id.get(str(index), "")) for index in range(classes)] if isinstance(by_id, dict) else []
        if isinstance(by_id, dict) and len(by_id) != classes and not (len(by_id) == 1 and classes == 2):  # by a sigmoid
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
    if not isinstance(stored_weights := content.get("weights"), Mapping):
        raise CheckpointError(f"{path} holds no weights; it is damaged")
    raw = RawCheckpoint(path, path.parent, state_dict(path, stored_weights, say), {}, "", ordered=True)
    shapes = own_shapes(config) if isinstance(config, BertConfig) else cnn_shapes(config)
    weights = exact_weights(raw, raw.weights, shapes)
    if options.tokenizer is not None:
        tokenizer = read_tokenizer(find_tokenizer(options.tokenizer, path.parent), say)
    else:
        tokenizer = describe_tokenizer(str(content.get("tokenizer", "")).encode(), say, str(path))
    _check_tokenizer(config, tokenizer, str(options.tokenizer or path), say)
    stated = {"id2label": {str(index): name for index, name in enumerate(_strings(content, "labels"))}}
    labels = _labels(options.labels, stated, config.classes, say)
    pad_to = options.pad_to if options.pad_to is not None else content.get("pad_to")
    if pad_to is not None and not (type(pad_to) is int and 1 <= pad_to <= LONGEST):
        raise CheckpointError(f"{path} says pad_to {str(pad_to)[:40]!r}, which is no length; the file is damaged")
    if options.clean is not None:
        clean, stop_words = options.clean, options.stop_words or ()
    else:
        clean, stop_words = _strings(content, "clean"), options.stop_words or _strings(content, "stop_words")
    history = (*history, _read_step(path, config))
    return TextModel(_name(path), config, weights, tokenizer, labels, pad_to, clean, history, stop_words)


def _strings(content: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """A list of strings of edgekit's own format; checkpoints of older versions may lack it."""
    value = content.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise CheckpointError(f"{key} of the checkpoint is no list of strings; the file is damaged")
    return tuple(value)


@dataclass(frozen=True)
class _History:
    steps: tuple[HistoryStep, ...]
