"""The checkpoint as it was given, run by the code that it was trained with: what verification compares with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit_converters.model import TextModel
from edgekit_converters.networks.bert import BertConfig
from edgekit_converters.networks.cnn import CnnConfig
from edgekit_runtime.errors import require

BATCH_TOKENS = 4096
"""Texts of like length are run together, about this many tokens at once."""


class PlainCnn(nn.Module):
    """Kim's TextCNN as tutorials write it: no mask, the text alone decides the length."""

    def __init__(self, config: CnnConfig) -> None:
        super().__init__()
        self.words = nn.Embedding(config.vocab_size, config.hidden)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(config.hidden, filters, width)
            for width, filters in zip(config.widths, config.filters, strict=True)
        )
        self.classifier = nn.Linear(sum(config.filters), config.classes)

    def forward(self, ids: Tensor) -> Tensor:
        """(B, L) ids of texts of one length to (B, classes) logits."""
        x = self.words(ids).transpose(1, 2)
        pooled = [F.relu(convolution(x)).max(dim=2).values for convolution in self.convolutions]
        logits: Tensor = self.classifier(torch.cat(pooled, dim=1))
        return logits


class Original:
    """Runs a checkpoint by its own code: transformers for a BERT, plain torch for a CNN."""

    def __init__(self, model: TextModel) -> None:
        self.max_length = model.position_limit
        self._pad_id = model.tokenizer.special_ids["pad"]
        self._min_length = model.min_length
        if isinstance(model.config, BertConfig):
            self._module: nn.Module = transformers_bert(model.config)
            self._masked = True
        else:
            self._module = PlainCnn(model.config)
            self._masked = False
        self._module.load_state_dict(dict(model.weights), assign=True, strict=True)
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
        result: Tensor = self._module(input_ids=ids, attention_mask=mask.long()).logits
        return result


def transformers_bert(config: BertConfig) -> nn.Module:
    """An uninitialised ``BertForSequenceClassification`` of the given sizes.

    Raises:
        MissingExtraError: transformers is not installed.
    """
    transformers = require("transformers", extra="convert", purpose="running the original BERT")
    settings = transformers.BertConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        intermediate_size=config.intermediate,
        max_position_embeddings=config.positions,
        layer_norm_eps=config.layer_norm_eps,
        hidden_act=config.activation,
        num_labels=config.classes,
    )
    module: nn.Module = transformers.BertForSequenceClassification(settings)
    return module


@torch.inference_mode()
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
