"""Which network a state dict holds, by the names and shapes of its tensors, and its sizes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgekit_converters.networks.bert import BertConfig
from edgekit_converters.networks.cnn import CnnConfig
from edgekit_runtime.errors import CheckpointError, OptionError

SUPPORTED = "a BERT classifier (Hugging Face's names, or self.bert with self.fc) and a Kim TextCNN"
HEAD_WIDTH = 64
KNOWN_WIDTHS = (128, 256, 512, 768, 1024)
"""Hidden widths whose published BERTs all have heads of 64."""

OTHER_FAMILIES = ("roberta", "distilbert", "electra", "mobilebert", "albert", "xlnet", "deberta", "gpt2", "t5")
HEAD_NAMES = ("classifier", "fc", "classifier.0")


@dataclass(frozen=True)
class RawCheckpoint:
    """Tensors as stored, and what lies beside them.

    Attributes:
        path: The file or folder.
        folder: Where its companions lie.
        weights: float32 tensors under their own names.
        config: A Hugging Face config.json; empty if there is none.
        config_source: Its path, for messages.
        ordered: Whether the weights are in the order in which the module defined them; safetensors keeps none.
    """

    path: Path
    folder: Path
    weights: Mapping[str, Tensor]
    config: Mapping[str, Any]
    config_source: str
    ordered: bool


def read_bert(
    raw: RawCheckpoint, heads: int | None, say: Callable[[str], None]
) -> tuple[BertConfig, dict[str, Tensor]]:
    """Sizes and weights of a BERT classifier, its head renamed to ``classifier``."""
    weights = dict(raw.weights)
    heads_found = [name for name in HEAD_NAMES if f"{name}.weight" in weights]
    if not heads_found:
        raise CheckpointError(
            f"{raw.path} has a BERT but no classification head (classifier or fc): fine-tune it first, "
            "for example with edgekit finetune"
        )
    if heads_found[0] != "classifier":
        for kind in ("weight", "bias"):
            weights[f"classifier.{kind}"] = weights.pop(f"{heads_found[0]}.{kind}", torch.empty(0))
    words = weights["bert.embeddings.word_embeddings.weight"]
    types = _tensor(raw, weights, "bert.embeddings.token_type_embeddings.weight")
    if types.shape[0] != 2:
        raise CheckpointError(
            f"{raw.path} has {types.shape[0]} token type(s) where BERT has 2: it looks like a RoBERTa, which is not "
            f"supported; supported are {SUPPORTED}"
        )
    layers = 1 + max(
        (int(found.group(1)) for name in weights if (found := re.match(r"bert\.encoder\.layer\.(\d+)\.", name))),
        default=-1,
    )
    if not layers:
        raise CheckpointError(f"{raw.path} has a BERT without encoder layers; save the whole state dict")
    config = BertConfig(
        vocab_size=words.shape[0],
        hidden=words.shape[1],
        layers=layers,
        heads=_heads(words.shape[1], raw, heads, say),
        intermediate=_tensor(raw, weights, "bert.encoder.layer.0.intermediate.dense.weight").shape[0],
        positions=_tensor(raw, weights, "bert.embeddings.position_embeddings.weight").shape[0],
        classes=weights["classifier.weight"].shape[0],
        layer_norm_eps=float(raw.config.get("layer_norm_eps", 1e-12)),
        activation=str(raw.config.get("hidden_act", "gelu")),
    )
    _check_config(raw, config)
    return config, exact_weights(raw, weights, bert_shapes(config))


def bert_shapes(config: BertConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a ``BertForSequenceClassification``."""
    hidden, wide = config.hidden, config.intermediate
    shapes: dict[str, tuple[int, ...]] = {
        "bert.embeddings.word_embeddings.weight": (config.vocab_size, hidden),
        "bert.embeddings.position_embeddings.weight": (config.positions, hidden),
        "bert.embeddings.token_type_embeddings.weight": (2, hidden),
        "bert.embeddings.LayerNorm.weight": (hidden,),
        "bert.embeddings.LayerNorm.bias": (hidden,),
        "bert.pooler.dense.weight": (hidden, hidden),
        "bert.pooler.dense.bias": (hidden,),
        "classifier.weight": (config.classes, hidden),
        "classifier.bias": (config.classes,),
    }
    for index in range(config.layers):
        layer = f"bert.encoder.layer.{index}"
        for part, (rows, columns) in {
            "attention.self.query": (hidden, hidden),
            "attention.self.key": (hidden, hidden),
            "attention.self.value": (hidden, hidden),
            "attention.output.dense": (hidden, hidden),
            "intermediate.dense": (wide, hidden),
            "output.dense": (hidden, wide),
        }.items():
            shapes[f"{layer}.{part}.weight"] = (rows, columns)
            shapes[f"{layer}.{part}.bias"] = (rows,)
        for norm in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes[f"{layer}.{norm}.weight"] = shapes[f"{layer}.{norm}.bias"] = (hidden,)
    return shapes


def _heads(hidden: int, raw: RawCheckpoint, given: int | None, say: Callable[[str], None]) -> int:
    """The number of attention heads, which is in no shape; a wrong one answers wrongly without an error."""
    stated = raw.config.get("num_attention_heads")
    if given is not None:
        if given < 1 or hidden % given:
            raise OptionError(f"--heads {given} does not divide the width {hidden}; plausible are {_plausible(hidden)}")
        if isinstance(stated, int) and stated != given:
            raise OptionError(f"--heads {given} contradicts {raw.config_source}, which says {stated}; drop one of them")
        return given
    if isinstance(stated, int):
        if stated < 1 or hidden % stated:
            raise CheckpointError(f"{raw.config_source} says {stated} heads, which do not divide the width {hidden}")
        return stated
    if hidden in KNOWN_WIDTHS:
        heads = hidden // HEAD_WIDTH
        say(
            f"no config.json says the number of attention heads; {heads} are taken, the custom at width {hidden} (--heads)"
        )
        return heads
    raise OptionError(
        f"{raw.path} does not say how many attention heads it has, and a wrong number answers wrongly without an error: "
        f"put its config.json beside it, or give --heads; at width {hidden} plausible are {_plausible(hidden)}"
    )


def _plausible(hidden: int) -> str:
    """Head counts whose heads are 16 to 128 wide, the usual widths first."""
    counts = [hidden // width for width in range(16, 129) if hidden % width == 0]
    usual = [hidden // width for width in (64, 32) if hidden % width == 0]
    return ", ".join(str(count) for count in dict.fromkeys([*usual, *sorted(counts)])) or "none: check the width"


def _check_config(raw: RawCheckpoint, config: BertConfig) -> None:
    """Refuses a config.json that is not of these weights, or asks for what the network does not do."""
    sizes = {
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden,
        "num_hidden_layers": config.layers,
        "intermediate_size": config.intermediate,
        "max_position_embeddings": config.positions,
    }
    for key, found in sizes.items():
        if raw.config.get(key, found) != found:
            raise CheckpointError(
                f"{raw.config_source} says {key} {raw.config[key]}, and the weights have {found}: "
                "they are not of one model; put the right config.json there"
            )
    if raw.config.get("position_embedding_type", "absolute") != "absolute":
        raise CheckpointError(f"{raw.config_source} asks for relative positions, which are not supported")
    if raw.config.get("problem_type") in ("multi_label_classification", "regression"):
        raise CheckpointError(
            f"{raw.config_source} says {raw.config['problem_type']}; only one label a text out of several is supported"
        )


def read_cnn(raw: RawCheckpoint) -> tuple[CnnConfig, dict[str, Tensor]]:
    """A Kim TextCNN by its shapes: one table, parallel Conv1d over it, one linear layer over their filters."""
    tables = {name: tensor for name, tensor in raw.weights.items() if name.endswith(".weight") and tensor.dim() == 2}
    convolutions = [name for name, tensor in raw.weights.items() if name.endswith(".weight") and tensor.dim() == 3]
    if not convolutions:
        family = next((family for family in OTHER_FAMILIES if any(family in name for name in raw.weights)), None)
        what = (
            f"a {family} model" if family else f"none that is known (first tensors: {', '.join(list(raw.weights)[:3])})"
        )
        raise CheckpointError(f"the architecture of {raw.path} is {what}; supported are {SUPPORTED}")
    filters = [raw.weights[name].shape[0] for name in convolutions]
    channels = {raw.weights[name].shape[1] for name in convolutions}
    fitting = [name for name, tensor in tables.items() if tensor.shape[1] == sum(filters) > tensor.shape[0]]
    biased = [name for name in fitting if f"{name.removesuffix('.weight')}.bias" in raw.weights]
    heads = biased if len(fitting) > 1 else fitting  # a small table may have the head's width, but no bias
    embeddings = [name for name in tables if name not in heads]
    known = {name.removesuffix(".weight") for name in (*tables, *convolutions)}
    strange = [name for name in raw.weights if name.rpartition(".")[0] not in known]
    if len(channels) != 1 or len(heads) != 1 or len(embeddings) != 1 or strange:
        extra = f", and {', '.join(strange[:3])}" if strange else ""
        raise CheckpointError(
            f"{raw.path} is no Kim TextCNN: one embedding, parallel Conv1d over it and one linear layer over all "
            f"{sum(filters)} filters are expected, and {len(embeddings)} tables, {len(convolutions)} convolutions and "
            f"{len(heads)} such layers were found{extra}"
        )
    if not raw.ordered and len({re.sub(r"\d+", "", name) for name in convolutions}) > 1:
        raise CheckpointError(
            f"a safetensors file keeps no order, and the names {', '.join(convolutions)} do not number the convolutions, so "
            f"that the head of {raw.path} may read other filters: save the state dict by torch.save instead"
        )
    table, head = tables[embeddings[0]], tables[heads[0]]
    if {table.shape[1]} != channels:
        raise CheckpointError(
            f"{raw.path} has token vectors of {table.shape[1]} and convolutions over {channels.pop()} channels; "
            "only convolutions directly over the embedding are supported"
        )
    config = CnnConfig(
        vocab_size=table.shape[0],
        hidden=table.shape[1],
        widths=tuple(raw.weights[name].shape[2] for name in convolutions),
        filters=tuple(filters),
        classes=head.shape[0],
    )
    weights = {"words.weight": table, "classifier.weight": head}
    layers = {f"convolutions.{index}": name for index, name in enumerate(convolutions)} | {"classifier": heads[0]}
    for ours, theirs in layers.items():
        weights[f"{ours}.weight"] = raw.weights[theirs]
        bias = raw.weights.get(f"{theirs.removesuffix('.weight')}.bias")
        weights[f"{ours}.bias"] = torch.zeros(raw.weights[theirs].shape[0]) if bias is None else bias
    return config, weights


def _tensor(raw: RawCheckpoint, weights: Mapping[str, Tensor], name: str) -> Tensor:
    try:
        return weights[name]
    except KeyError:
        raise CheckpointError(f"{raw.path} lacks {name}: save the whole state dict of the model") from None


def exact_weights(
    raw: RawCheckpoint, weights: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Tensor]:
    """Those tensors and no others, in those shapes."""
    for name, shape in shapes.items():
        found = tuple(_tensor(raw, weights, name).shape)
        if found != shape:
            raise CheckpointError(f"{name} in {raw.path} is {found}, where {shape} is expected; the file is damaged")
    if strange := [name for name in weights if name not in shapes]:
        raise CheckpointError(
            f"{raw.path} holds {', '.join(strange[:3])}, which no BERT classifier has: its answer would be lost; "
            f"supported are {SUPPORTED}"
        )
    return {name: weights[name] for name in shapes}


def cnn_shapes(config: CnnConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a CNN under the names of ``networks.cnn``."""
    shapes: dict[str, tuple[int, ...]] = {"words.weight": (config.vocab_size, config.hidden)}
    for index, (width, filters) in enumerate(zip(config.widths, config.filters, strict=True)):
        shapes[f"convolutions.{index}.weight"] = (filters, config.hidden, width)
        shapes[f"convolutions.{index}.bias"] = (filters,)
    shapes["classifier.weight"] = (config.classes, sum(config.filters))
    shapes["classifier.bias"] = (config.classes,)
    return shapes
