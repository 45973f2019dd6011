"""Models as their authors write them, and what they answer: what converted models are held against."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import BertConfig, BertForSequenceClassification, BertModel

from edgekit_converters.model import TextModel
from edgekit_converters.original import Original


class TextCnn(nn.Module):
    """Kim's TextCNN out of a tutorial: no padding index, no mask, whatever is in the batch counts."""

    def __init__(self, vocab_size: int, hidden: int, widths: Sequence[int], filters: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, hidden)
        self.convs = nn.ModuleList([nn.Conv1d(hidden, filters, width) for width in widths])
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(filters * len(widths), classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embedding(x).permute(0, 2, 1)
        x = torch.cat([F.relu(conv(x)).max(dim=2)[0] for conv in self.convs], dim=1)
        return self.fc(self.dropout(x))


class ArticleBert(nn.Module):
    """The classifier that the articles write around a BertModel."""

    def __init__(self, config: BertConfig, classes: int) -> None:
        super().__init__()
        self.bert = BertModel(config)
        self.fc = nn.Linear(config.hidden_size, classes)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        return self.fc(self.bert(ids, attention_mask=mask).pooler_output)


def text_cnn(vocab_size: int, widths: Sequence[int] = (2, 3, 4), *, filters: int = 8, classes: int = 2) -> TextCnn:
    torch.manual_seed(3)
    return TextCnn(vocab_size, 12, widths, filters, classes).eval()


def sharpened(module: nn.Module) -> nn.Module:
    """Makes a random BERT's attention and activations matter: a fresh one attends alike to all and bends nothing."""
    with torch.no_grad():
        for name, tensor in module.named_parameters():
            if ".encoder." in name and name.endswith("weight") and tensor.dim() == 2:
                tensor.mul_(6.0)
            if name.endswith("bias"):
                tensor.add_(torch.linspace(-0.3, 0.3, tensor.numel()))
    return module


def random_rows(vocab_size: int, lengths: Sequence[int], seed: int = 0) -> list[list[int]]:
    """Token ids of texts of the given lengths."""
    numbers = np.random.default_rng(seed)
    return [numbers.integers(0, vocab_size, length).tolist() for length in lengths]


@torch.inference_mode()
def answers(module: nn.Module, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
    """What a module answers to each text alone, unpadded."""
    logits = []
    for row in rows:
        ids = torch.tensor([row])
        if isinstance(module, BertForSequenceClassification):
            logits.append(module(ids, attention_mask=torch.ones_like(ids)).logits)
        elif isinstance(module, ArticleBert):
            logits.append(module(ids, torch.ones_like(ids)))
        else:
            logits.append(module(ids))
    return torch.cat(logits).numpy()


@torch.inference_mode()
def network_answers(model: TextModel, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
    """What the network that gets lowered answers to each text alone."""
    network = model.network()
    return torch.cat([network(torch.tensor([row]), torch.ones(1, len(row))) for row in rows]).numpy()


def original_answers(model: TextModel, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
    """What verification takes for the original's answers."""
    return Original(model).logits(rows, lambda done, total: None)
