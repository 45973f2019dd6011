"""What fine-tuning starts from: a pretrained encoder, a classifier of any form, or nothing but texts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from edgekit_converters.checkpoint import FOLDER_WEIGHTS, ONNX_IN_FOLDER, ReadOptions, read_checkpoint
from edgekit_converters.model import TextModel
from edgekit_converters.networks.bert import BertConfig
from edgekit_converters.networks.cnn import CnnConfig
from edgekit_converters.networks.families import FAMILIES
from edgekit_converters.tokenizer import check_fits, find_tokenizer, read_tokenizer
from edgekit_converters.training.learners import fresh_weights
from edgekit_converters.training.wordpiece import train_wordpiece
from edgekit_runtime.errors import CheckpointError, FileError, OptionError, TokenizerError
from edgekit_runtime.progress import Listener

CNN_VOCABULARY = 8000
CNN_HIDDEN = 64
CNN_WIDTHS = (2, 3, 4, 5)
CNN_FILTERS = 64
UNNAMED = ("0", "1")
"""Stands for the classes of an encoder until the data names them."""


@dataclass(frozen=True)
class Base:
    """What ``--base`` names: the model, and whether it is a classifier; if not, its labels mean nothing yet."""

    model: TextModel
    classifies: bool


def read_base(path: Path, labels: Sequence[str] | None, seed: int, listener: Listener) -> Base:
    """Reads what ``--base`` names.

    Args:
        path: A Hugging Face folder with an encoder or a classifier, or whatever ``read_checkpoint`` reads.
        labels: Names of the classes that are wanted; None leaves it to the classifier.
        seed: Of the weights that an encoder lacks.
        listener: Told of choices.

    Raises:
        FileError: There is nothing that can be read.
        CheckpointError: It is damaged, or of a family that is not supported.
        TokenizerError: There is no tokenizer, or it does not fit.
    """
    if not path.is_file() and not (path / "config.json").is_file():
        raise FileError(f"{path} is no Hugging Face folder: it has no config.json; give the pretrained model by --base")
    if path.is_dir() and (encoder := _encoder(path, seed, listener.say)) is not None:
        return Base(encoder, classifies=False)
    options = ReadOptions(labels=tuple(labels) if labels else None)
    try:
        return Base(_classifier(path, options, listener), classifies=True)
    except OptionError:
        if labels is None:
            raise
    model = _classifier(path, ReadOptions(), listener)
    listener.say(f"{path} tells {model.config.classes} classes apart; for {len(labels)} its last layer begins anew")
    return Base(for_classes(model, labels, seed), classifies=True)


def _classifier(path: Path, options: ReadOptions, listener: Listener) -> TextModel:
    model = read_checkpoint(path, options, listener.say)
    return replace(model, history=model.history[:-1])  # the reading, which the step of the training tells of too


def for_classes(model: TextModel, names: Sequence[str], seed: int) -> TextModel:
    """The model for those classes: the layers whose shape that changes begin anew."""
    config = replace(model.config, classes=len(names))
    weights = {
        name: model.weights[name] if model.weights[name].shape == tensor.shape else tensor
        for name, tensor in fresh_weights(config, seed).items()
    }
    return replace(model, config=config, weights=weights, labels=tuple(names))


def fresh_cnn(texts: Sequence[str], names: Sequence[str], seed: int, listener: Listener) -> TextModel:
    """A small untrained CNN with a vocabulary learnt from the texts."""
    tokenizer = train_wordpiece(texts, CNN_VOCABULARY, listener)
    filters = (CNN_FILTERS,) * len(CNN_WIDTHS)
    config = CnnConfig(tokenizer.size, CNN_HIDDEN, CNN_WIDTHS, filters, len(names))
    return TextModel("cnn", config, fresh_weights(config, seed), tokenizer, tuple(names))


def _encoder(folder: Path, seed: int, say: Callable[[str], None]) -> TextModel | None:
    """A pretrained encoder with a fresh head, or None if the folder has a classifier."""
    held = [name for name in FOLDER_WEIGHTS if (folder / name).is_file()]
    if held == [ONNX_IN_FOLDER]:  # a classifier, or refused when it is read
        return None
    import transformers

    named = _config(folder)
    family = named.get("model_type", "bert")
    if family not in FAMILIES:
        raise CheckpointError(f"{folder} is a {family}; only BERTs, DistilBERTs and ELECTRAs can be fine-tuned here")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        body, found = transformers.AutoModel.from_pretrained(
            folder, local_files_only=True, dtype=torch.float32, output_loading_info=True
        )
    except Exception as error:  # transformers passes on whatever the reader of the weights raises
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise CheckpointError(f"{folder} cannot be read as a BERT ({reason[0]})") from error
    tasks = [str(task) for task in named.get("architectures") or []]
    classifies = not tasks or any(task.endswith("ForSequenceClassification") for task in tasks)
    if classifies and any(name.startswith("classifier.") for name in found["unexpected_keys"]):
        return None
    if missing := sorted(name for name in found["missing_keys"] if not name.startswith("pooler.")):
        raise CheckpointError(f"{folder} cannot be read as a BERT (it lacks {missing[0]}); copy the whole model again")
    config = _sizes(body.config, family)
    path = find_tokenizer(None, folder)
    tokenizer = read_tokenizer(path, say)
    check_fits(tokenizer, config.vocab_size, str(path), say)
    if not {"cls", "sep"} <= tokenizer.special_ids.keys():
        raise TokenizerError(f"{path} has no [CLS] and [SEP], which a BERT needs; give its own tokenizer")
    weights = fresh_weights(config, seed)
    for name, tensor in body.state_dict().items():
        if name not in found["missing_keys"] and f"{family}.{name}" in weights:
            if weights[f"{family}.{name}"].shape != tensor.shape:
                raise CheckpointError(
                    f"{name} in {folder} is {tuple(tensor.shape)}, which is no BERT's; it is not supported"
                )
            weights[f"{family}.{name}"] = tensor
    return TextModel(folder.resolve().name, config, weights, tokenizer, UNNAMED)


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{folder / 'config.json'} cannot be read ({error}); copy the model again") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{folder / 'config.json'} is no Hugging Face config; copy the model again")
    return config


def _sizes(found: Any, kind: str) -> BertConfig:
    """Sizes by a config of transformers."""
    family = FAMILIES[kind]

    def size(key: str) -> Any:
        return getattr(found, family.setting(key))

    width = getattr(found, "embedding_size", size("hidden_size"))
    return BertConfig(
        vocab_size=found.vocab_size,
        hidden=size("hidden_size"),
        layers=size("num_hidden_layers"),
        heads=size("num_attention_heads"),
        intermediate=size("intermediate_size"),
        positions=found.max_position_embeddings,
        classes=len(UNNAMED),
        layer_norm_eps=getattr(found, "layer_norm_eps", 1e-12),
        activation=size("hidden_act"),
        family=kind,
        embedding=None if width == size("hidden_size") else width,
    )
