"""What each scheme means to ExecuTorch: operators of ``quantized_decomposed`` that its XNNPACK delegate recognises.

A table of word vectors and, in ``int8``, every linear layer are replaced before the export by modules that hold int8
weights with one scale a row. That saves the detour over a graph with observers, and asks for one export rather than two.
Scales are symmetric: the largest magnitude of a row becomes 127.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit_converters.quantspec import Sample
from edgekit_converters.targets.int8_rows import HIGHEST, LEAST_SCALE, int8_rows

LOWEST = -128


class Int8Table(nn.Module):
    """An embedding of int8 rows, each with its scale.

    Rows are looked up as bytes and scaled inside the delegate. ExecuTorch's own operator for such tables, ``embedding_byte``,
    gives the same bits and takes longer (docs/performance.md).
    """

    rows: Tensor
    scales: Tensor

    def __init__(self, table: nn.Embedding) -> None:
        super().__init__()
        rows, scales = int8_rows(table.weight)
        self.register_buffer("rows", rows)
        self.register_buffer("scales", scales.unsqueeze(1))

    def forward(self, ids: Tensor) -> Tensor:
        """(1, L) int64 ids to (1, L, width) float32 vectors."""
        rows = torch.ops.quantized_decomposed.dequantize_per_tensor(
            F.embedding(ids, self.rows), 1.0, 0, LOWEST, HIGHEST, torch.int8
        )
        found: Tensor = rows * F.embedding(ids, self.scales)
        return found


class Int8Linear(nn.Module):
    """A linear layer of int8 rows whose input is quantized as it comes.

    XNNPACK takes a scale and a zero point for every token, although the operators here, run by PyTorch, take one for all.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        rows, scales = int8_rows(linear.weight)
        self.register_buffer("rows", rows)
        self.register_buffer("scales", scales)
        self.register_buffer("zeros", torch.zeros(len(scales), dtype=torch.int64))
        self.bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        """(…, in) to (…, out)."""
        ops, byte = torch.ops.quantized_decomposed, torch.int8
        scale, zero = ops.choose_qparams(x, LOWEST, HIGHEST, LEAST_SCALE, byte)
        quantized = ops.quantize_per_tensor(x, scale, zero, LOWEST, HIGHEST, byte)
        x = ops.dequantize_per_tensor(quantized, scale, zero, LOWEST, HIGHEST, byte)
        weight = ops.dequantize_per_channel(self.rows, self.scales, self.zeros, 0, LOWEST, HIGHEST, byte)
        return F.linear(x, weight, self.bias)


def quantize_weights(network: nn.Module, scheme: str) -> None:
    """Replaces what holds weights, in place.

    Args:
        network: From :func:`networks.unpadded.unpadded`.
        scheme: ``int8``; or ``int8-static``, which leaves all linear layers but the classifier to :func:`calibrate`:
            logits with a range would cut the scores of surer texts.
    """
    # Imported for its effect: it registers the operators.
    from executorch.exir.passes import _quant_patterns_and_replacements  # noqa: F401

    network.words = Int8Table(network.get_submodule("words"))  # type: ignore[arg-type]
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.Linear) and (scheme == "int8" or name == "classifier"):
            parent, _, attribute = name.rpartition(".")
            setattr(network.get_submodule(parent), attribute, Int8Linear(module))


def calibrate(exported: Any, samples: Sequence[Sample]) -> nn.Module:
    """Gives the linear layers of an exported network int8 weights, and inputs and outputs with ranges from samples.

    Args:
        exported: A ``torch.export.ExportedProgram`` that takes (1, L) int64 ids.
        samples: Texts that are run through it, without their padding.

    Returns:
        The network to be exported anew.
    """
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    layers = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=False)
    quantizer = XNNPACKQuantizer().set_module_type(nn.Linear, layers)
    observed = prepare_pt2e(exported.module(), quantizer)
    for sample in samples:
        observed(torch.from_numpy(sample.ids[:, : int(sample.mask.sum())]).long())
    converted: nn.Module = convert_pt2e(observed)
    return converted
