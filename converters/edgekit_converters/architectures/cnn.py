"""Kim's TextCNN as people write it: by the shapes of its tensors, since attribute names are free."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from edgekit_converters.architectures import SUPPORTED, RawCheckpoint, Recognised, check_order
from edgekit_converters.architectures.batch_norm import fold_batch_norms
from edgekit_converters.architectures.bert import other_family
from edgekit_converters.architectures.linears import alike, chain
from edgekit_converters.networks.cnn import CnnConfig
from edgekit_converters.networks.head import HeadLayer
from edgekit_runtime.errors import CheckpointError

OPERATORS = frozenset(
    # what computes
    {"embedding", "conv1d", "conv2d", "convolution", "_convolution", "batch_norm", "relu", "linear", "addmm", "mm", "t"}
    | {"max", "amax", "max_pool1d", "max_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d"}
    | {"sigmoid", "softmax", "log_softmax", "dropout", "feature_dropout"}
    # what only moves
    | {"cat", "stack", "permute", "transpose", "unsqueeze", "squeeze", "select", "slice", "view", "reshape", "flatten"}
    | {"contiguous", "clone", "detach", "alias", "to", "copy", "size", "sym_size", "getitem", "Int", "NumToTensor"}
)
"""What a Kim TextCNN may do, where a graph tells; anything else would change the answer."""


def read_cnn(raw: RawCheckpoint, say: Callable[[str], None]) -> Recognised:
    """Sizes and weights of a TextCNN: tables, parallel convolutions over them, linear layers over all their filters."""
    _check_graph(raw)
    weights = dict(raw.weights)
    convolutions = [name for name, tensor in weights.items() if name.endswith(".weight") and tensor.dim() in (3, 4)]
    if not convolutions:
        raise CheckpointError(f"the architecture of {raw.path} is {_what_else(raw)}; supported are {SUPPORTED}")
    total = sum(weights[name].shape[0] for name in convolutions)
    tables, linears = _tables_and_linears(weights, total)
    layers = [name.removesuffix(".weight") for name in (*convolutions, *linears)]
    weights = fold_batch_norms(raw, weights, layers[: len(convolutions)], layers[len(convolutions) :], say)
    known = {*tables, *(f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias"))}
    strange = [name for name in weights if name not in known]
    if not tables or not linears or strange:
        extra = f", and {', '.join(strange[:3])}" if strange else ""
        raise CheckpointError(
            f"{raw.path} is no Kim TextCNN: a table, parallel convolutions directly over it and linear layers that follow one "
            f"another from their {total} filters are expected, and {len(tables)} tables, {len(convolutions)} convolutions "
            f"and {len(linears)} such layers were found{extra}"
        )
    check_order(raw, convolutions, "convolutions", "the head may read other filters", say)
    check_order(raw, tables, "tables", "the convolutions may read other channels", say)
    check_order(raw, alike(weights, linears), "linear layers", "they may follow one another otherwise", say)
    if len({weights[name].shape[0] for name in tables}) > 1:
        raise CheckpointError(
            f"the tables {', '.join(tables)} of {raw.path} differ in rows; one vocabulary is supported"
        )
    widths = [weights[name].shape[1] for name in tables]
    kernels = [as_conv1d(raw, name, weights[name], widths) for name in convolutions]
    say(
        f"{raw.path.name} is taken for Kim's TextCNN: parallel convolutions without padding, each with a ReLU and the maximum "
        "over time, joined in the order of definition; only labelled texts (--eval) show whether it is"
    )
    for name in linears[:-1]:
        say(f"{name} is taken to be followed by a ReLU; labelled texts (--eval) show whether it is")
    config = CnnConfig(
        vocab_size=weights[tables[0]].shape[0],
        hidden=sum(widths),
        widths=tuple(kernel.shape[2] for kernel in kernels),
        filters=tuple(kernel.shape[0] for kernel in kernels),
        classes=weights[linears[-1]].shape[0],
        head=tuple(HeadLayer(weights[name].shape[0], "relu") for name in linears[:-1]),
    )
    found = {"words.weight": torch.cat([weights[name] for name in tables], dim=1)}
    matrices = {f"convolutions.{index}": (name, kernels[index]) for index, name in enumerate(convolutions)}
    matrices |= {f"head.{index}": (name, weights[name]) for index, name in enumerate(linears[:-1])}
    matrices["classifier"] = (linears[-1], weights[linears[-1]])
    for layer, (name, matrix) in matrices.items():
        bias = weights.get(f"{name.removesuffix('.weight')}.bias")
        found[f"{layer}.weight"] = matrix.contiguous()
        found[f"{layer}.bias"] = torch.zeros(matrix.shape[0]) if bias is None else bias
    return Recognised(config, found)


def _tables_and_linears(weights: Mapping[str, Tensor], total: int) -> tuple[list[str], list[str]]:
    """Which matrices are embedding tables, and the linear layers in their order; empty lists where they fit nowhere."""
    matrices = {name: tensor for name, tensor in weights.items() if name.endswith(".weight") and tensor.dim() == 2}
    linears = {name: tensor for name, tensor in matrices.items() if f"{name.removesuffix('.weight')}.bias" in weights}
    if not linears:  # a head without biases: what is as wide as the filters, and not as tall as a vocabulary
        linears = {name: tensor for name, tensor in matrices.items() if tensor.shape[1] == total > tensor.shape[0]}
    return [name for name in matrices if name not in linears], chain(linears, total) or []


def as_conv1d(raw: RawCheckpoint, name: str, weight: Tensor, widths: Sequence[int]) -> Tensor:
    """A convolution's weight as (filters, token vector, kernel width); the tables' vectors stand one behind the other."""
    channels = sum(widths)
    if weight.dim() == 3 and weight.shape[1] == channels:
        return weight
    if weight.dim() == 4:
        filters, inputs, height, width = weight.shape
        if set(widths) == {width} and inputs == len(widths):  # over (B, tables, L, width)
            return weight.transpose(2, 3).reshape(filters, channels, height)
        if set(widths) == {height} and inputs == len(widths):  # over (B, tables, width, L)
            return weight.reshape(filters, channels, width)
        if inputs == channels and 1 in (height, width):  # over (B, width, L, 1) or (B, width, 1, L)
            return weight.reshape(filters, channels, height * width)
    raise CheckpointError(
        f"{name} of {raw.path} is {tuple(weight.shape)}, and the token vectors are {' + '.join(map(str, widths))} wide: "
        "only convolutions directly over the embedding are supported"
    )


def _check_graph(raw: RawCheckpoint) -> None:
    if raw.graph is None:
        return
    used = {operator.rstrip("_") for operator in raw.graph}
    missing = [] if "relu" in used else ["no relu"]
    if strange := [*missing, *sorted(used - OPERATORS)]:
        raise CheckpointError(
            f"the graph of {raw.path} has {', '.join(strange[:5])}, unlike Kim's TextCNN: its answer would be another; "
            f"supported are {SUPPORTED}"
        )


def _what_else(raw: RawCheckpoint) -> str:
    family = other_family(raw)
    if family:
        return f"a {family} model"
    if any("weight_ih_l" in name for name in raw.weights):
        return "a recurrent network (LSTM or GRU)"
    return f"none that is known (first tensors: {', '.join(list(raw.weights)[:3])})"
