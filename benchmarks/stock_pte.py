"""The peers of edgekit's .pte: the same model by ExecuTorch's stock recipe ``xnnpack_pt2e_int8_dynamic_per_channel``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgekit_converters.networks.bert import MASKED, Bert, EncoderLayer, LayerNorm
from edgekit_converters.networks.head import activate
from edgekit_converters.targets.tools import running


class TextbookLayer(nn.Module):
    """An encoder layer as textbooks write it; edgekit's own is :class:`networks.bert.EncoderLayer`."""

    def __init__(self, layer: EncoderLayer) -> None:
        super().__init__()
        attention = layer.attention
        self.heads, self.head_width = attention.heads, attention.head_width
        self.query, self.key, self.value = attention.apart()
        self.output, self.up, self.down = attention.output, layer.up, layer.down
        self.attention_norm, self.output_norm = _norm(layer.attention_norm), _norm(layer.output_norm)
        self.activation = layer.activation

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Maps (B, L, hidden), and a (B, 1, 1, L) bias, to (B, L, hidden)."""
        batch, length, _ = x.shape
        query, key, value = (
            linear(x).view(batch, length, self.heads, self.head_width).transpose(1, 2)
            for linear in (self.query, self.key, self.value)
        )
        weights = torch.softmax(torch.matmul(query, key.transpose(2, 3)) + bias, dim=-1)
        mixed = torch.matmul(weights, value).transpose(1, 2).flatten(2)
        x = self.attention_norm(x + self.output(mixed))
        result: Tensor = self.output_norm(x + self.down(activate(self.up(x), self.activation)))
        return result


class TextbookBert(nn.Module):
    """The network as textbooks write it: query, key and value apart, 4-D attention, ``nn.LayerNorm``, every layer in full.

    It gives what :class:`networks.bert.Bert` gives.
    """

    def __init__(self, bert: Bert) -> None:
        super().__init__()
        self.words, self.positions, self.project = bert.words, bert.positions, bert.project
        self.embedding_norm = _norm(bert.embedding_norm)
        self.layers = nn.ModuleList(TextbookLayer(layer) for layer in bert.layers)
        self.head, self.classifier = bert.head, bert.classifier

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """(B, L) ids and mask to (B, classes) logits."""
        x = self.project(self.embedding_norm(self.words(ids) + self.positions[: ids.shape[1]]))
        bias = ((1.0 - mask) * MASKED)[:, None, None, :]
        for layer in self.layers:
            x = layer(x, bias)
        logits: Tensor = self.classifier(self.head(x[:, 0]))
        return logits


def textbook(bert: Bert) -> TextbookBert:
    """The textbook form of a network, with its weights, in evaluation mode."""
    return TextbookBert(bert).eval().requires_grad_(False)


def export_fixed(network: nn.Module, length: int, out: Path) -> Path:
    """Exports for one length, by the recipe as it is: ``executorch.export.export(network, inputs, recipe)``.

    Raises:
        LoweringError: ExecuTorch cannot.
    """
    with running("executorch"):
        from executorch.export import export

        session = export(network, [_inputs(length)], _recipe())
        out.write_bytes(session.get_pte_buffer())
    return out


def export_open(network: nn.Module, longest: int, out: Path) -> Path:
    """Exports for 2 to ``longest`` tokens, with the recipe's quantizer, partitioner and settings.

    Its session cannot: it captures the network for quantizing without asking for open lengths.

    Raises:
        LoweringError: ExecuTorch cannot.
    """
    with running("executorch"):
        from executorch.exir import to_edge_transform_and_lower
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

        recipe = _recipe()
        length = torch.export.Dim("length", min=2, max=longest)
        example, shapes = _inputs(longest), ({1: length}, {1: length})
        (quantizer,) = recipe.quantization_recipe.quantizers
        prepared = prepare_pt2e(torch.export.export(network, example, dynamic_shapes=shapes).module(), quantizer)
        prepared(*example)
        program = to_edge_transform_and_lower(
            torch.export.export(convert_pt2e(prepared), example, dynamic_shapes=shapes),
            partitioner=recipe.lowering_recipe.partitioners,
            compile_config=recipe.lowering_recipe.edge_compile_config,
        ).to_executorch(recipe.executorch_backend_config)
        out.write_bytes(program.buffer)
    return out


def _recipe() -> Any:
    from executorch.backends.xnnpack.recipes import XNNPackRecipeType  # registers the backend's recipes, too
    from executorch.export import ExportRecipe

    return ExportRecipe.get_recipe(XNNPackRecipeType.PT2E_INT8_DYNAMIC_PER_CHANNEL)


def _inputs(length: int) -> tuple[Tensor, Tensor]:
    return torch.zeros(1, length, dtype=torch.int64), torch.ones(1, length)


def _norm(norm: LayerNorm) -> nn.LayerNorm:
    """With a bias of zeros: edgekit's network has moved each bias into the layers that read it."""
    made = nn.LayerNorm(norm.weight.numel(), eps=norm.eps, device="meta")
    made.weight, made.bias = nn.Parameter(norm.weight.clone()), nn.Parameter(torch.zeros_like(norm.weight))
    return made
