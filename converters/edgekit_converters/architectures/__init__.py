"""Which network a state dict holds, by the names and shapes of its tensors, and its sizes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from edgekit_converters.networks.bert import BertConfig
from edgekit_converters.networks.cnn import CnnConfig
from edgekit_converters.networks.families import FAMILIES
from edgekit_runtime.errors import CheckpointError

if TYPE_CHECKING:
    from edgekit_converters.weights.onnx_graph import OnnxGraph

SUPPORTED = "BERT, DistilBERT and ELECTRA with a classification head, and Kim's TextCNN"


@dataclass(frozen=True)
class RawCheckpoint:
    """Tensors as stored, and what is known of them.

    Attributes:
        path: The file or folder.
        folder: Where its companions lie.
        weights: float32 tensors under their own names.
        config: A Hugging Face config.json; empty if there is none.
        config_source: Its path, for messages.
        ordered: Whether the weights are in the order in which the module defined them; safetensors keeps none.
        graph: The operators that its graph uses, where the file has a graph.
        onnx: The graph itself, where the file is ONNX; it holds the weights then.
    """

    path: Path
    folder: Path
    weights: Mapping[str, Tensor]
    config: Mapping[str, Any]
    config_source: str
    ordered: bool
    graph: tuple[str, ...] | None = None
    onnx: OnnxGraph | None = None


def check_order(
    raw: RawCheckpoint, names: Sequence[str], what: str, consequence: str, say: Callable[[str], None]
) -> None:
    """Refuses layers whose order the file does not keep and the names do not number.

    Args:
        raw: The checkpoint.
        names: Layers, in the order in which they are taken.
        what: What they are called.
        consequence: What would happen in another order.
        say: Told where the numbers were gone by.

    Raises:
        CheckpointError: The order is not known.
    """
    if raw.ordered or len(names) < 2:
        return
    if len({re.sub(r"\d+", "", name) for name in names}) > 1:
        raise CheckpointError(
            f"a safetensors file keeps no order, and the names {', '.join(names)} do not number the {what}, so that "
            f"{consequence} in {raw.path}: save the state dict by torch.save instead"
        )
    say(
        f"the {what} are taken in the order of their numbers, {', '.join(names)}, since a safetensors file keeps no other"
    )


@dataclass(frozen=True)
class Recognised:
    """A network that edgekit knows, with the weights under the names that ``TextModel`` has them.

    Attributes:
        config: Its sizes.
        weights: float32 tensors.
        length: The one length in tokens that its graph takes; None if it takes any, or there is no graph.
    """

    config: BertConfig | CnnConfig
    weights: Mapping[str, Tensor]
    length: int | None = None


def recognise(raw: RawCheckpoint, heads: int | None, say: Callable[[str], None]) -> Recognised:
    """Finds out what the weights are.

    Args:
        raw: The checkpoint.
        heads: Attention heads, where the user gave them.
        say: Told of choices made for the user.

    Raises:
        CheckpointError: They are of no supported architecture, or contradict the config.json beside them.
        OptionError: The number of heads is needed, or does not fit.
    """
    from edgekit_converters.architectures import bert, cnn, onnx_network

    if raw.onnx is not None:
        found = onnx_network.read_network(raw, raw.onnx, heads, say)
    else:
        found = bert.read_bert(raw, heads, say) if bert.body_of(raw) is not None else cnn.read_cnn(raw, say)
    return _two_classes(found, say) if found.config.classes == 1 else found


def _two_classes(found: Recognised, say: Callable[[str], None]) -> Recognised:
    """Makes one output z, to which a sigmoid belongs, into two: softmax of (-z/2, z/2) gives sigmoid(z) to the second."""
    say("the head has one output; it is taken for the sigmoid's input, and class 1 for the one that it speaks for")
    name = (
        FAMILIES[found.config.family].own_name("classifier.") if isinstance(found.config, BertConfig) else "classifier."
    )
    halves = {
        name + kind: torch.cat([-0.5 * found.weights[name + kind], 0.5 * found.weights[name + kind]])
        for kind in ("weight", "bias")
    }
    return replace(found, config=replace(found.config, classes=2), weights={**found.weights, **halves})
