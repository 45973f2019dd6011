"""BERT, DistilBERT and ELECTRA: Hugging Face's classes, or a class of the user's own around their encoder."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from edgekit_converters.architectures import SUPPORTED, RawCheckpoint, Recognised, check_order
from edgekit_converters.architectures.linears import alike, chain
from edgekit_converters.networks.bert import BertConfig, bert_shapes
from edgekit_converters.networks.families import FAMILIES, Family
from edgekit_converters.networks.head import HeadLayer
from edgekit_runtime.errors import CheckpointError, OptionError

HEAD_WIDTH = 64
KNOWN_WIDTHS = (128, 256, 512, 768, 1024)
"""Hidden widths whose published BERTs all have heads of 64."""

OTHER_TASKS = ("cls.", "qa_outputs.", "discriminator_predictions.", "lm_head.")
OTHER_FAMILIES = ("roberta", "mobilebert", "albert", "xlnet", "deberta", "gpt2", "t5")
_WORDS = re.compile(r"(.*\.)?embeddings\.word_embeddings\.weight")


def body_of(raw: RawCheckpoint) -> str | None:
    """The prefix of the encoder's names, such as ``bert.``; None if there is no such encoder.

    Raises:
        CheckpointError: There are two, or one of another family.
    """
    bodies = [found.group(1) or "" for name in raw.weights if (found := _WORDS.fullmatch(name))]
    if len(bodies) > 1:
        raise CheckpointError(f"{raw.path} holds {len(bodies)} encoders ({', '.join(bodies)}); one is supported")
    if bodies and (other := other_family(raw)):
        raise CheckpointError(f"{raw.path} is a {other} model, which is not supported; supported are {SUPPORTED}")
    return bodies[0] if bodies else None


def other_family(raw: RawCheckpoint) -> str | None:
    """The name of a family that is known not to be supported, if the tensors' names give it away."""
    return next((family for family in OTHER_FAMILIES if any(family in name for name in raw.weights)), None)


def read_bert(raw: RawCheckpoint, heads: int | None, say: Callable[[str], None]) -> Recognised:
    """Sizes and weights of a classifier around an encoder."""
    prefix = body_of(raw)
    assert prefix is not None, "the caller has looked for it"
    kind = _family(raw, prefix)
    family = FAMILIES[kind]
    own_prefix = family.own_name("bert.embeddings.").removesuffix("embeddings.")
    weights = {
        (own_prefix + name.removeprefix(prefix) if name.startswith(prefix) else name): tensor
        for name, tensor in raw.weights.items()
    }
    layer = re.compile(re.escape(family.own_name("bert.encoder.layer.")) + r"(\d+)\.")
    layers = 1 + max((int(found.group(1)) for name in weights if (found := layer.match(name))), default=-1)
    if not layers:
        raise CheckpointError(f"{raw.path} has a BERT without encoder layers; save the whole state dict")

    def size(name: str) -> torch.Size:
        return _tensor(raw, weights, family.own_name(name)).shape

    if family.token_types and size("bert.embeddings.token_type_embeddings.weight")[0] != 2:
        raise CheckpointError(
            f"{raw.path} has {size('bert.embeddings.token_type_embeddings.weight')[0]} token type(s) where BERT has 2: "
            f"it looks like a RoBERTa, which is not supported; supported are {SUPPORTED}"
        )
    vocabulary, width = size("bert.embeddings.word_embeddings.weight")
    intermediate, hidden = size("bert.encoder.layer.0.intermediate.dense.weight")
    projected = family.own_name("bert.embeddings_project.weight") in weights
    head, weights = _head(raw, family, weights, hidden, own_prefix, say)
    config = BertConfig(
        vocab_size=vocabulary,
        hidden=hidden,
        layers=layers,
        heads=heads_of(hidden, raw, family, heads, say),
        intermediate=intermediate,
        positions=size("bert.embeddings.position_embeddings.weight")[0],
        classes=weights[family.own_name("classifier.weight")].shape[0],
        layer_norm_eps=_epsilon(raw),
        activation=str(raw.config.get(family.setting("hidden_act"), "gelu")),
        family=kind,
        embedding=width if projected else None,
        head=None if head == (HeadLayer(hidden, family.activation),) else head,
    )
    check_config(raw, config, family)
    _check_graph(raw, kind)
    if not raw.config:
        say(
            f"no config.json tells activation and layer-norm epsilon; {config.activation} and {config.layer_norm_eps} are taken"
        )
    return Recognised(config, exact_weights(raw, weights, own_shapes(config)))


def own_shapes(config: BertConfig) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor by its name in the checkpoint's family."""
    own_name = FAMILIES[config.family].own_name
    return {own_name(name): shape for name, shape in bert_shapes(config).items()}


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
            f"{raw.path} holds {', '.join(strange[:3])}, which no such classifier has: its answer would be lost; "
            f"supported are {SUPPORTED}"
        )
    return {name: weights[name] for name in shapes}


def _family(raw: RawCheckpoint, prefix: str) -> str:
    """The family, by the names of the encoder's parts; a config.json must agree."""
    rest = [name.removeprefix(prefix) for name in raw.weights if name.startswith(prefix)]
    if any(name.startswith("transformer.layer.") for name in rest):
        found = "distilbert"
    elif prefix.endswith("electra.") or "embeddings_project.weight" in rest:
        found = "electra"
    else:
        found = "bert"
    stated = raw.config.get("model_type", found)
    if stated != found:
        raise CheckpointError(
            f"{raw.config_source} says {stated}, and the weights are a {found}'s: they are not of one model; put the "
            "right config.json there"
        )
    return found


def _head(
    raw: RawCheckpoint,
    family: Family,
    weights: dict[str, Tensor],
    hidden: int,
    own_prefix: str,
    say: Callable[[str], None],
) -> tuple[tuple[HeadLayer, ...], dict[str, Tensor]]:
    """The layers before the classifier, and all weights with the head's under the family's names."""
    own_layer = family.own_name("head.0.").removesuffix(".")
    layers: dict[str, HeadLayer] = {}
    if any(f"{own_layer}.{kind}" in weights for kind in ("weight", "bias")):
        layers[own_layer] = HeadLayer(_tensor(raw, weights, f"{own_layer}.weight").shape[0], family.activation)
    else:
        say(f"{raw.path.name} has no {own_layer}; the head is taken to read the first token's vector as it is")
    outside = {
        name.removesuffix(".weight"): tensor
        for name, tensor in weights.items()
        if name.endswith(".weight") and tensor.dim() == 2 and not name.startswith((own_prefix, f"{own_layer}."))
    }
    if task := next((name for name in outside if f"{name}.".startswith(OTHER_TASKS)), None):
        raise CheckpointError(f"{raw.path} has {task}, the head of another task; fine-tune it to classify texts first")
    if not outside:
        raise CheckpointError(
            f"{raw.path} has an encoder and no classification head: fine-tune it first, for example with edgekit finetune"
        )
    order = chain(outside, hidden)
    if order is None:
        raise CheckpointError(
            f"the linear layers {', '.join(outside)} of {raw.path} do not follow one another from width {hidden}; "
            f"supported are {SUPPORTED}"
        )
    *between, classifier = order
    for name in between:
        layers[name] = HeadLayer(outside[name].shape[0], "relu")
        say(f"{name} is taken to be followed by a ReLU; labelled texts (--eval) show whether it is")
    check_order(raw, alike(outside, order), "linear layers", "they may follow one another otherwise", say)
    if layers and not raw.path.is_dir():
        first, behind = next(iter(layers)), next(iter(layers.values())).activation
        say(
            f"{first} is taken to read the first token's vector, with {behind} behind it, as Hugging Face's classifier has it; "
            "labelled texts (--eval) show whether it does"
        )
    inside = {name: f"head.{index}" for index, name in enumerate(layers)} | {classifier: "classifier"}
    moved = {f"{name}.{kind}" for name in inside for kind in ("weight", "bias")}
    renamed = {name: tensor for name, tensor in weights.items() if name not in moved}
    for name, ours in inside.items():
        matrix = weights[f"{name}.weight"]
        renamed[family.own_name(f"{ours}.weight")] = matrix
        renamed[family.own_name(f"{ours}.bias")] = weights.get(f"{name}.bias", torch.zeros(matrix.shape[0]))
    return tuple(layers.values()), renamed


def heads_of(hidden: int, raw: RawCheckpoint, family: Family, given: int | None, say: Callable[[str], None]) -> int:
    """The number of attention heads, which is in no shape; a wrong one answers wrongly without an error."""
    stated = raw.config.get(family.setting("num_attention_heads"))
    if given is not None:
        if given < 1 or hidden % given:
            raise OptionError(f"--heads {given} does not divide the width {hidden}; plausible are {_plausible(hidden)}")
        if isinstance(stated, int) and stated != given:
            raise OptionError(f"--heads {given} contradicts {raw.config_source}, which says {stated}; drop one of them")
        return given
    if stated is not None and (isinstance(stated, bool) or not isinstance(stated, int)):
        raise CheckpointError(
            f"{raw.config_source} says {str(stated)[:40]!r} heads; it is a whole number: correct it there"
        )
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


def _epsilon(raw: RawCheckpoint) -> float:
    value = raw.config.get("layer_norm_eps", 1e-12)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value < 1.0:
        raise CheckpointError(f"{raw.config_source} says layer_norm_eps {str(value)[:40]!r}; it is a small number")
    return float(value)


def _check_graph(raw: RawCheckpoint, kind: str) -> None:
    """Refuses a graph that pools otherwise than by the first token, or bends what its family does not."""
    foreign = {"mean", "max", "amax"} | (set() if kind == "bert" else {"tanh"})
    if strange := sorted(foreign & {operator.rstrip("_") for operator in raw.graph or ()}):
        raise CheckpointError(
            f"the graph of {raw.path} has {', '.join(strange)}, unlike a {kind} classifier that reads the first token: its "
            f"answer would be another; supported are {SUPPORTED}"
        )


def _plausible(hidden: int) -> str:
    """Head counts whose heads are 16 to 128 wide, the usual widths first."""
    counts = [hidden // width for width in range(16, 129) if hidden % width == 0]
    usual = [hidden // width for width in (64, 32) if hidden % width == 0]
    return ", ".join(str(count) for count in dict.fromkeys([*usual, *sorted(counts)])) or "none: check the width"


def check_config(raw: RawCheckpoint, config: BertConfig, family: Family) -> None:
    """Refuses a config.json that is not of these weights, or asks for what the network does not do."""
    sizes = {
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden,
        "num_hidden_layers": config.layers,
        "intermediate_size": config.intermediate,
        "max_position_embeddings": config.positions,
    }
    for key, found in ((family.setting(key), size) for key, size in sizes.items()):
        if raw.config.get(key, found) != found:
            raise CheckpointError(
                f"{raw.config_source} says {key} {raw.config[key]}, and the weights have {found}: "
                "they are not of one model; put the right config.json there"
            )
    tasks = raw.config.get("architectures")
    named = [str(task) for task in tasks] if isinstance(tasks, list) else []
    if raw.path.is_dir() and named and not any(task.endswith("ForSequenceClassification") for task in named):
        raise CheckpointError(
            f"{raw.config_source} says {', '.join(named)}, which is no classifier of texts; fine-tune it for that first, and if "
            "it is one all the same, correct architectures there"
        )
    if raw.config.get("is_decoder"):
        raise CheckpointError(
            f"{raw.config_source} says is_decoder; attention to what comes before alone is not supported"
        )
    if raw.config.get("position_embedding_type", "absolute") != "absolute":
        raise CheckpointError(f"{raw.config_source} asks for relative positions, which are not supported")
    if raw.config.get("problem_type") in ("multi_label_classification", "regression"):
        raise CheckpointError(
            f"{raw.config_source} says {raw.config['problem_type']}; only one label a text out of several is supported"
        )


def _tensor(raw: RawCheckpoint, weights: Mapping[str, Tensor], name: str) -> Tensor:
    try:
        return weights[name]
    except KeyError:
        raise CheckpointError(f"{raw.path} lacks {name}: save the whole state dict of the model") from None
