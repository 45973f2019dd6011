"""The networks for a target that takes every text in its own length: ids in, logits out, no padding and so no mask.

They compute what :mod:`networks.bert` and :mod:`networks.cnn` compute, with the same layers, in a form that ExecuTorch's
XNNPACK delegate takes in few pieces while the length stays open: no size but one is left to be worked out in a reshape,
query, key and value are products of their own rather than slices of one, and a convolution is a product over windows.
ONNX Runtime fuses the same form; query, key and value as one product are no faster there.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit_converters.networks.bert import Bert, EncoderLayer, LayerNorm, SelfAttention, linear_of
from edgekit_converters.networks.cnn import Cnn
from edgekit_converters.networks.head import activate


class UnpaddedNorm(nn.Module):
    """A layer norm without bias, as the one operator for which ExecuTorch has a kernel of its own."""

    def __init__(self, norm: LayerNorm) -> None:
        super().__init__()
        self.weight, self.eps = norm.weight, norm.eps

    def forward(self, x: Tensor) -> Tensor:
        """(1, L, width) to the same shape."""
        return F.layer_norm(x, self.weight.shape, self.weight, None, self.eps)


class UnpaddedAttention(nn.Module):
    """Multi-head attention of all tokens, or of the first alone, to all tokens."""

    def __init__(self, attention: SelfAttention) -> None:
        super().__init__()
        self.heads, self.head_width = attention.heads, attention.head_width
        self.query, self.key, self.value = attention.apart()
        self.output = attention.output

    def forward(self, readers: Tensor, x: Tensor) -> Tensor:
        """Maps (1, R, hidden), the tokens that read, and (1, L, hidden), those that are read, to (1, R, hidden)."""
        split = (-1, self.heads, self.head_width)
        query = self.query(readers).view(split).permute(1, 0, 2)
        key = self.key(x).view(split).permute(1, 2, 0)
        value = self.value(x).view(split).permute(1, 0, 2)
        weights = torch.softmax(torch.bmm(query, key), dim=-1)
        mixed = torch.bmm(weights, value).permute(1, 0, 2).contiguous()
        result: Tensor = self.output(mixed.view(1, -1, self.heads * self.head_width))
        return result


class UnpaddedLayer(nn.Module):
    """An encoder layer; see :class:`networks.bert.EncoderLayer`."""

    def __init__(self, layer: EncoderLayer) -> None:
        super().__init__()
        self.attention = UnpaddedAttention(layer.attention)
        self.attention_norm, self.output_norm = UnpaddedNorm(layer.attention_norm), UnpaddedNorm(layer.output_norm)
        self.up, self.down = layer.up, layer.down
        self.activation, self.first_only = layer.activation, layer.first_only

    def forward(self, x: Tensor) -> Tensor:
        """(1, L, hidden) to the same shape, or to (1, 1, hidden) in the last layer."""
        readers = x[:, :1] if self.first_only else x
        x = self.attention_norm(readers + self.attention(readers, x))
        result: Tensor = self.output_norm(x + self.down(activate(self.up(x), self.activation)))
        return result


class UnpaddedBert(nn.Module):
    """:class:`networks.bert.Bert` for one text of up to ``longest`` tokens."""

    def __init__(self, bert: Bert, longest: int) -> None:
        super().__init__()
        self.words: nn.Module = bert.words
        self.positions = nn.Parameter(F.pad(bert.positions[:longest], (0, 0, 0, max(0, longest - len(bert.positions)))))
        self.embedding_norm = UnpaddedNorm(bert.embedding_norm)
        self.project = bert.project
        self.layers = nn.ModuleList(UnpaddedLayer(layer) for layer in bert.layers)  # type: ignore[arg-type]
        self.head, self.classifier = bert.head, bert.classifier

    def forward(self, ids: Tensor) -> Tensor:
        """(1, L) int64 ids to (1, classes) float32 logits."""
        x = self.project(self.embedding_norm(self.words(ids) + self.positions[: ids.shape[1]]))
        for layer in self.layers:
            x = layer(x)
        logits: Tensor = self.classifier(self.head(x.view(1, x.shape[-1])))
        return logits


class UnpaddedCnn(nn.Module):
    """:class:`networks.cnn.Cnn` for one text; every window lies inside it."""

    def __init__(self, cnn: Cnn) -> None:
        super().__init__()
        self.words: nn.Module = cnn.words
        self.widths = cnn.config.widths
        self.windows = nn.ModuleList(
            linear_of(each.weight.transpose(1, 2).flatten(1), each.bias)  # type: ignore[arg-type, operator]
            for each in cnn.convolutions
        )
        self.head, self.classifier = cnn.head, cnn.classifier

    def forward(self, ids: Tensor) -> Tensor:
        """(1, L) int64 ids to (1, classes) float32 logits; L at least the widest kernel."""
        x = self.words(ids)
        length = x.shape[1]
        pooled = []
        for linear, width in zip(self.windows, self.widths, strict=True):
            shifted = [x[:, start : length - width + 1 + start] for start in range(width)]
            windows = torch.cat(shifted, dim=2) if width > 1 else x
            pooled.append(F.relu(linear(windows)).amax(dim=1))
        features = torch.cat(pooled, dim=1) if len(pooled) > 1 else pooled[0]
        logits: Tensor = self.classifier(self.head(features))
        return logits


def unpadded(network: Bert | Cnn, longest: int) -> UnpaddedBert | UnpaddedCnn:
    """The network's form without padding, in evaluation mode, with tensors of its own.

    Args:
        network: The network.
        longest: Longest text in tokens.
    """
    network = copy.deepcopy(network)
    form = UnpaddedBert(network, longest) if isinstance(network, Bert) else UnpaddedCnn(network)
    return form.eval().requires_grad_(False)


def open_lengths(network: Bert | Cnn, longest: int) -> range:
    """Lengths to export for.

    One token is a case of its own to torch.export, as is a single window of a CNN. What is exported for more is right for
    one as well, since no size is worked out beforehand.
    """
    least = 2 if isinstance(network, Bert) else 1 + network.config.min_length
    return range(least, max(least + 1, longest) + 1)


def export(form: nn.Module, lengths: range) -> torch.export.ExportedProgram:
    """Exports such a form, its length left open."""
    length = torch.export.Dim("length", min=lengths[0], max=lengths[-1])
    ids = torch.zeros(1, lengths[1], dtype=torch.int64)
    return torch.export.export(form, (ids,), dynamic_shapes=({1: length},))
