"""The checkpoint as it was given, run by the code that it was trained with: what verification compares with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit_converters.model import TextModel
from edgekit_converters.networks.bert import BertConfig, bert_shapes
from edgekit_converters.networks.cnn import Cnn
from edgekit_converters.networks.families import FAMILIES
from edgekit_converters.networks.head import Head
from edgekit_runtime.errors import require
from edgekit_runtime.progress import Listener
from edgekit_runtime.text import TextEncoder

BATCH_TOKENS = 4096
"""Texts of like length are run together, about this many tokens at once."""


class PlainCnn(Cnn):
    """Kim's TextCNN as tutorials write it: no mask, the text alone decides the length."""

    def forward(self, ids: Tensor) -> Tensor:  # type: ignore[override]
        """(B, L) ids of texts of one length to (B, classes) logits."""
        x = self.words(ids).transpose(1, 2)
        pooled = [F.relu(convolution(x)).max(dim=2).values for convolution in self.convolutions]
        logits: Tensor = self.classifier(self.head(torch.cat(pooled, dim=1)))
        return logits


class PretrainedBert(nn.Module):
    """A BERT or a relative by transformers, its first token's vector read by the head."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.body = transformers_body(config)
        self.head = Head(config.hidden, config.head_layers)
        self.classifier = nn.Linear(self.head.width, config.classes)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """(B, L) ids and mask to (B, classes) logits."""
        states = self.body(input_ids=ids, attention_mask=mask).last_hidden_state
        logits: Tensor = self.classifier(self.head(states[:, 0]))
        return logits

    def load(self, config: BertConfig, weights: Mapping[str, Tensor]) -> None:
        """Takes the weights of a checkpoint, all of them and no others."""
        family = FAMILIES[config.family]
        state = {}
        for name in bert_shapes(config):
            own = family.own_name(name)
            state[own.replace(f"{config.family}.", "body.", 1) if name.startswith("bert.") else name] = weights[own]
        self.load_state_dict(state, assign=True, strict=True)


class Original:
    """Runs a checkpoint by its own code: transformers for a BERT, plain torch for a CNN."""

    def __init__(self, model: TextModel) -> None:
        self.max_length = model.position_limit
        self._pad_id = model.tokenizer.special_ids["pad"]
        self._min_length = model.min_length
        if isinstance(model.config, BertConfig):
            bert = PretrainedBert(model.config)
            bert.load(model.config, model.weights)
            self._module: nn.Module = bert
            self._masked = True
        else:
            self._module = PlainCnn(model.config)
            self._module.load_state_dict(dict(model.weights), assign=True, strict=True)
            self._masked = False
        self._module.eval().requires_grad_(False)

    def logits(self, ids: Sequence[Sequence[int]], progress: Callable[[int, int], None]) -> NDArray[np.float32]:
        """Classifies texts.

        Args:
            ids: Token ids of each text, cut at ``max_length`` at most.
            progress: Told how many of how many texts are done.

        Returns:
            (texts, classes) logits, in order.
        """
        if not self._masked:
            return run_batches(
                ids, self._run_plain, progress, pad_id=self._pad_id, min_length=self._min_length, mix=False
            )
        return run_batches(ids, self._run_masked, progress, pad_id=self._pad_id, min_length=1)

    def _run_plain(self, ids: Tensor, mask: Tensor) -> Tensor:
        result: Tensor = self._module(ids)
        return result

    def _run_masked(self, ids: Tensor, mask: Tensor) -> Tensor:
        result: Tensor = self._module(ids, mask.long())
        return result


def transformers_config(config: BertConfig) -> Any:
    """The ``transformers`` config of the family, with these sizes.

    Raises:
        MissingExtraError: transformers is not installed.
    """
    transformers = require("transformers", extra="convert", purpose="running the original BERT")
    family = FAMILIES[config.family]
    sizes = {
        "hidden_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "intermediate_size": config.intermediate,
        "hidden_act": config.activation,
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.positions,
        "layer_norm_eps": config.layer_norm_eps,
        "embedding_size": config.embedding or config.hidden,
        "num_labels": config.classes,
    }
    return transformers.AutoConfig.for_model(
        config.family, **{family.setting(key): value for key, value in sizes.items()}
    )


def transformers_body(config: BertConfig) -> nn.Module:
    """The family's encoder without a head, uninitialised."""
    transformers = require("transformers", extra="convert", purpose="running the original BERT")
    without_pooler = {"add_pooling_layer": False} if config.family == "bert" else {}
    settings = transformers_config(config)
    body: nn.Module = transformers.AutoModel.from_config(settings, **without_pooler)
    _narrow(body, config)
    return body


def _narrow(body: nn.Module, config: BertConfig) -> None:
    """Gives a pruned model's linear layers their sizes; transformers' attention counts its heads by them."""
    own_name = FAMILIES[config.family].own_name
    for name, shape in bert_shapes(config).items():
        own = own_name(name).removeprefix(f"{config.family}.")
        if name.startswith("bert.encoder.") and body.get_parameter(own).shape != shape and len(shape) == 2:
            parent, _, last = own.removesuffix(".weight").rpartition(".")
            setattr(body.get_submodule(parent), last, nn.Linear(shape[1], shape[0]))


@torch.inference_mode()
def accuracy_of_original(
    given: TextModel, encoder: TextEncoder, ids: Sequence[list[int]], labels: Sequence[int], listener: Listener
) -> float:
    """Share of labelled texts that a checkpoint gets right by its own code, each cut at its own limit.

    Args:
        given: The checkpoint.
        encoder: Its own.
        ids: Of each text, none cut.
        labels: Class of each text.
        listener: Told of progress.
    """
    listener.stage(f"Running the original on {len(ids)} texts")
    if given.position_limit is not None:
        ids = [encoder.cut(row, given.position_limit) for row in ids]
    answers = Original(given).logits(ids, listener.progress).argmax(axis=1)
    return float((answers == np.asarray(labels)).mean())


def run_batches(
    ids: Sequence[Sequence[int]],
    run: Callable[[Tensor, Tensor], Tensor],
    progress: Callable[[int, int], None],
    *,
    pad_id: int,
    min_length: int,
    mix: bool = True,
) -> NDArray[np.float32]:
    """Runs texts of like length together.

    Args:
        ids: Token ids of each text.
        run: (B, L) int64 ids and (B, L) float32 mask to (B, classes) logits.
        progress: Told how many of how many texts are done.
        pad_id: Id that fills the rows.
        min_length: Shorter texts are padded to this length, and that padding counts as text.
        mix: Whether texts of different lengths may share a batch, padded and masked.

    Returns:
        (texts, classes) logits, in the order of ``ids``.
    """
    counts = [max(len(row), min_length) for row in ids]
    order = sorted(range(len(ids)), key=counts.__getitem__)
    results: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(ids)
    begin = 0
    while begin < len(order):
        end = begin + 1
        while end < len(order) and counts[order[end]] * (end - begin + 1) <= BATCH_TOKENS:
            if not mix and counts[order[end]] != counts[order[begin]]:
                break
            end += 1
        batch = order[begin:end]
        length = counts[batch[-1]]
        padded = torch.full((len(batch), length), pad_id, dtype=torch.int64)
        mask = torch.zeros(len(batch), length)
        for row, index in enumerate(batch):
            padded[row, : len(ids[index])] = torch.tensor(ids[index], dtype=torch.int64)
            mask[row, : counts[index]] = 1.0
        for index, logits in zip(batch, run(padded, mask).float().numpy(), strict=True):
            results[index] = logits
        begin = end
        progress(begin, len(order))
    return np.stack(results)
