"""BERT, DistilBERT and ELECTRA in an ONNX graph: followed from the logits back to the token ids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from edgekit_converters.architectures import RawCheckpoint, Recognised
from edgekit_converters.architectures.bert import check_config, exact_weights, heads_of, own_shapes
from edgekit_converters.architectures.onnx_embeddings import Tables, tables_of
from edgekit_converters.architectures.onnx_encoder import EncoderLayer, encoder_layer, first_token
from edgekit_converters.architectures.onnx_layers import Classifier, Layers, Linear, Norm
from edgekit_converters.networks.bert import BertConfig
from edgekit_converters.networks.families import FAMILIES
from edgekit_converters.networks.head import HeadLayer
from edgekit_runtime.errors import CheckpointError


@dataclass(frozen=True)
class FoundBert:
    """A BERT and what its graph's inputs are for: names of those with the token ids and with the token types."""

    network: Recognised
    ids: str
    type_ids: str | None


def bert_of(
    raw: RawCheckpoint, layers: Layers, head: Classifier, heads: int | None, say: Callable[[str], None]
) -> FoundBert:
    """The network that ends with ``head``.

    Args:
        raw: The checkpoint, with the config.json beside it.
        layers: Its graph.
        head: The end of it.
        heads: Attention heads, where the user gave them.
        say: Told of choices made for the user.

    Raises:
        CheckpointError: It is no such network, or contradicts the config.json.
        OptionError: The number of heads is needed, or does not fit.
    """
    at = first_token(layers, head.features)
    found: list[EncoderLayer] = []
    while (layer := encoder_layer(layers, at)) is not None:
        found.insert(0, layer[0])
        at = layer[1]
    if not found:
        layers.unrecognised(at, "the layer norm behind a feed-forward layer")
    project = layers.linear(at)
    norm = layers.norm(project.source if project else at)
    if norm is None:
        layers.unrecognised(at, "the layer norm of the embeddings")
    tables = tables_of(layers, norm.source)
    kind = _family(raw, tables, project, head)
    family = FAMILIES[kind]
    hidden = len(found[0].linears["attention.self.query"].bias)
    told = {
        "layer_norm_eps": _agreed(
            raw, "layer-norm epsilon", [norm, *(n for each in found for n in each.norms.values())]
        ),
        family.setting("hidden_act"): _one(raw, "activations", {each.activation for each in found}),
        family.setting("num_attention_heads"): _one(raw, "numbers of heads", {each.heads for each in found}),
    }
    _check_told(raw, told)
    counted = told[family.setting("num_attention_heads")]
    by_graph = replace(raw, config={family.setting("num_attention_heads"): counted}, config_source=str(raw.path))
    config = BertConfig(
        vocab_size=len(tables.words),
        hidden=hidden,
        layers=len(found),
        heads=heads_of(hidden, raw if counted is None else by_graph, family, heads, say),
        intermediate=len(found[0].linears["intermediate.dense"].bias),
        positions=len(tables.positions),
        classes=len(head.last.bias),
        layer_norm_eps=told["layer_norm_eps"],
        activation=told[family.setting("hidden_act")],
        family=kind,
        embedding=None if project is None else tables.words.shape[1],
        head=_own_head(head, hidden, family.activation),
    )
    key = family.setting("max_position_embeddings")
    stated = {name: value for name, value in raw.config.items() if tables.whole or name != key}
    check_config(replace(raw, config=stated), config, family)
    if not tables.whole:
        say(
            f"the graph of {raw.path.name} takes texts of {len(tables.positions)} tokens and holds no further positions"
        )
    weights = {family.own_name(name): tensor for name, tensor in _weights(tables, norm, project, found, head).items()}
    if not family.token_types:
        weights.pop(family.own_name("bert.embeddings.token_type_embeddings.weight"), None)
    return FoundBert(Recognised(config, exact_weights(raw, weights, own_shapes(config))), tables.ids, tables.type_ids)


def _own_head(head: Classifier, hidden: int, activation: str) -> tuple[HeadLayer, ...] | None:
    """The layers before the classifier; None if they are the family's own."""
    layers = tuple(layer for _, layer in head.layers)
    return None if layers == (HeadLayer(hidden, activation),) else layers


def _weights(
    tables: Tables, norm: Norm, project: Linear | None, found: list[EncoderLayer], head: Classifier
) -> dict[str, Tensor]:
    """Every tensor by its name inside edgekit."""
    types = torch.zeros(2, tables.words.shape[1]) if tables.types is None else tables.types
    weights = {
        "bert.embeddings.word_embeddings.weight": tables.words,
        "bert.embeddings.position_embeddings.weight": tables.positions,
        "bert.embeddings.token_type_embeddings.weight": types,
    }
    linears = {f"head.{index}": linear for index, (linear, _) in enumerate(head.layers)} | {"classifier": head.last}
    norms = {"bert.embeddings.LayerNorm": norm}
    if project is not None:
        linears["bert.embeddings_project"] = project
    for index, layer in enumerate(found):
        linears |= {f"bert.encoder.layer.{index}.{name}": linear for name, linear in layer.linears.items()}
        norms |= {f"bert.encoder.layer.{index}.{name}": each for name, each in layer.norms.items()}
    parts: dict[str, Linear | Norm] = {**linears, **norms}
    for name, part in parts.items():
        weights[f"{name}.weight"], weights[f"{name}.bias"] = part.weight.contiguous(), part.bias
    return weights


def _family(raw: RawCheckpoint, tables: Tables, project: Linear | None, head: Classifier) -> str:
    """The family, by the tables and the head; a config.json must agree."""
    if project is not None:
        possible = ["electra"]
    elif tables.types is not None:
        possible = ["bert", "electra"]
    else:
        possible = ["distilbert"] if tables.whole else ["bert", "electra", "distilbert"]
    stated = raw.config.get("model_type")
    if stated in possible:
        return str(stated)
    if stated is not None:
        raise CheckpointError(
            f"{raw.config_source} says {stated}, and the graph is a {possible[0]}'s: they are not of one model; put the right "
            "config.json there"
        )
    own = [layer.activation for _, layer in head.layers]
    return next((kind for kind in possible if own == [FAMILIES[kind].activation]), possible[0])


def _agreed(raw: RawCheckpoint, what: str, norms: list[Norm]) -> float:
    """The one epsilon of all norms, without float32's rounding: 1e-12 is stored as 9.999999960041972e-13."""
    return float(_one(raw, what, {float(f"{norm.epsilon:.6g}") for norm in norms}))


def _one(raw: RawCheckpoint, what: str, found: set[Any]) -> Any:
    if len(found) > 1:
        raise CheckpointError(
            f"the layers of {raw.path} have different {what} ({', '.join(sorted(map(str, found)))}); one for all is supported"
        )
    return found.pop()


def _check_told(raw: RawCheckpoint, told: dict[str, Any]) -> None:
    """Refuses a config.json that says otherwise than the graph."""
    for key, found in told.items():
        stated = raw.config.get(key, found)
        if found is not None and stated != found and not (key == "layer_norm_eps" and _close(stated, found)):
            raise CheckpointError(
                f"{raw.config_source} says {key} {str(stated)[:40]}, and the graph has {found}: they are not of one model; put "
                "the right config.json there"
            )


def _close(stated: Any, found: float) -> bool:
    return isinstance(stated, float | int) and abs(stated - found) <= 1e-4 * abs(found)
