"""Kim's convolutional sentence classifier (2014, arXiv 1408.5882), written to be exported.

Parallel convolutions of several widths over the token vectors, ReLU, maximum over time, linear layers.
A window counts only where it lies wholly inside the text, so every padded length gives the same answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit_converters.networks.head import Head, HeadLayer, head_shapes
from edgekit_runtime.errors import CheckpointError


@dataclass(frozen=True)
class CnnConfig:
    """Sizes of a TextCNN.

    Attributes:
        vocab_size: Rows of the embedding table.
        hidden: Width of the token vectors.
        widths: Kernel widths in tokens, in the order in which the head expects their filters.
        filters: Filters of each kernel width.
        classes: Number of labels.
        head: Layers between the filters' maxima and the classifier.
    """

    vocab_size: int
    hidden: int
    widths: tuple[int, ...]
    filters: tuple[int, ...]
    classes: int
    head: tuple[HeadLayer, ...] = ()

    def __post_init__(self) -> None:
        if (
            not self.widths
            or len(self.widths) != len(self.filters)
            or min(*self.widths, *self.filters, self.hidden) < 1
        ):
            raise CheckpointError("a CNN needs a width and a number of filters for each convolution, all of 1 or more")

    @property
    def min_length(self) -> int:
        """Shortest text that every kernel can read, in tokens."""
        return max(self.widths)


class Cnn(nn.Module):
    """The classifier: token ids and mask in, logits out."""

    def __init__(self, config: CnnConfig) -> None:
        super().__init__()
        self.config = config
        self.words = nn.Embedding(config.vocab_size, config.hidden)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(config.hidden, filters, width)
            for width, filters in zip(config.widths, config.filters, strict=True)
        )
        self.head = Head(sum(config.filters), config.head)
        self.classifier = nn.Linear(self.head.width, config.classes)

    def forward(self, ids: Tensor, mask: Tensor, dropout: float = 0.0) -> Tensor:
        """Classifies token ids.

        Args:
            ids: (B, L) int32 or int64, padded on the right; L at least the widest kernel.
            mask: (B, L) float32, 1 for tokens that count and 0 for padding after them.
            dropout: Share of the pooled features that training drops.

        Returns:
            (B, classes) float32 logits.
        """
        x = self.words(ids).transpose(1, 2)
        pooled = []
        for convolution, width in zip(self.convolutions, self.config.widths, strict=True):
            inside = mask[:, None, width - 1 :]
            pooled.append((F.relu(convolution(x)) * inside).amax(dim=2))
        features = torch.cat(pooled, dim=1)
        logits: Tensor = self.classifier(self.head(F.dropout(features, dropout) if dropout else features))
        return logits


def cnn_shapes(config: CnnConfig) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor of a CNN, by name."""
    shapes: dict[str, tuple[int, ...]] = {"words.weight": (config.vocab_size, config.hidden)}
    for index, (width, filters) in enumerate(zip(config.widths, config.filters, strict=True)):
        shapes[f"convolutions.{index}.weight"] = (filters, config.hidden, width)
        shapes[f"convolutions.{index}.bias"] = (filters,)
    for name, shape in head_shapes(sum(config.filters), config.head, config.classes).items():
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = shape, shape[:1]
    return shapes


def load_cnn(config: CnnConfig, weights: Mapping[str, Tensor]) -> Cnn:
    """Builds the network from weights under the names of :func:`cnn_shapes`."""
    with torch.device("meta"):
        network = Cnn(config)
    network.load_state_dict(dict(weights), assign=True)
    return network.eval().requires_grad_(False)
