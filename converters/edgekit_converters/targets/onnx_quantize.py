"""What each scheme means to ONNX Runtime (docs/onnx.md).

The network is prepared before its export, and onnxruntime's quantizer then takes the finished model's products. Two things
differ from its plain recipe:

- Weights have 7 bits. Processors with AVX2 but without VNNI add two products of uint8 activations and int8 weights in 16
  bits; of 8-bit weights these sums are cut off, and the answers of one file differ from one processor to the next.
- What enters a feed-forward layer is divided by the largest magnitude of each token before the product, and what comes out
  multiplied by it. ONNX quantizes all tokens of an activation with one scale, by ``DynamicQuantizeLinear``; one with an outlier
  would leave the others few bits.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit_converters.networks.unpadded import UnpaddedLayer
from edgekit_converters.quantspec import QuantSpec, Sample
from edgekit_converters.targets.int8_rows import int8_rows

LEAST_MAGNITUDE = 1e-9
"""What a token of zeros is divided by."""

FLOAT16_BYTES = 1024
"""Constants of this size or more become float16; smaller ones are not worth an operator."""

PREPROCESSED = ("onnx.quant.pre_process", "onnxruntime.quant")
"""Key and value by which the quantizer knows that shape inference, which it recommends, is not wanted."""


class Int8Table(nn.Module):
    """An embedding of int8 rows, each with its scale."""

    def __init__(self, table: nn.Embedding) -> None:
        super().__init__()
        rows, scales = int8_rows(table.weight)
        self.register_buffer("rows", rows)
        self.register_buffer("scales", scales[:, None])

    def forward(self, ids: Tensor) -> Tensor:
        """(1, L) int64 ids to (1, L, width) float32 vectors."""
        return F.embedding(ids, self.rows).float() * F.embedding(ids, self.scales)  # type: ignore[arg-type]


class TokenScaled(nn.Module):
    """A linear layer whose input has the largest magnitude 1 in every token."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias

    def forward(self, x: Tensor) -> Tensor:
        """(…, in) to (…, out)."""
        magnitude = x.abs().amax(dim=-1, keepdim=True).clamp(min=LEAST_MAGNITUDE)
        return torch.matmul(x / magnitude, self.weight.t()) * magnitude + self.bias


def prepare(network: nn.Module) -> None:
    """Gives a network the form that is quantized, in place; for the schemes in int8.

    Args:
        network: From :func:`networks.unpadded.unpadded`.
    """
    network.words = Int8Table(network.get_submodule("words"))  # type: ignore[arg-type]
    for module in network.modules():
        if isinstance(module, UnpaddedLayer):
            module.up, module.down = TokenScaled(module.up), TokenScaled(module.down)  # type: ignore[assignment]


def quantize(model: Any, quant: QuantSpec, name: str) -> Any:
    """Quantizes a model of a network that was prepared.

    Args:
        model: An ``onnx.ModelProto``, which is not changed.
        quant: A scheme other than ``none``, with its calibration.
        name: Name of the input with the ids.
    """
    if quant.scheme == "fp16":
        return _float16(model)
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.metadata_props.add(key=PREPROCESSED[0], value=PREPROCESSED[1])
    weights = {"per_channel": True, "reduce_range": True, "weight_type": QuantType.QInt8}
    with tempfile.TemporaryDirectory(prefix="edgekit-") as folder:
        made = Path(folder) / "quantized.onnx"
        if quant.scheme == "int8":
            quantize_dynamic(copy, made, op_types_to_quantize=["MatMul", "Gemm"], **weights)
        else:
            quantize_static(
                copy,
                made,
                _reader(quant.calibration, name),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=[
                    "MatMul"
                ],  # not Gemm, which makes the logits: a range would cut surer texts' scores
                activation_type=QuantType.QUInt8,
                extra_options={"MatMulConstBOnly": True, "OpTypesToExcludeOutputQuantization": ["MatMul"]},
                **weights,
            )
        return onnx.load(made)


def _reader(samples: Sequence[Sample], name: str) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """Gives each text in its own length, without its padding."""

        def __init__(self) -> None:
            self._inputs = self._each()

        def get_next(self) -> dict[str, NDArray[np.int64]] | None:
            return next(self._inputs, None)

        def _each(self) -> Iterator[dict[str, NDArray[np.int64]]]:
            for sample in samples:
                yield {name: sample.ids[:, : int(sample.mask.sum())].astype(np.int64)}

    return Reader()


def _float16(model: Any) -> Any:
    """Stores large constants as float16 and casts them back, which ONNX Runtime does once, when it loads the model."""
    import onnx
    from onnx import numpy_helper

    half = onnx.ModelProto()
    half.CopyFrom(model)
    casts = []
    for constant in half.graph.initializer:
        if constant.data_type == onnx.TensorProto.FLOAT and len(constant.raw_data) >= FLOAT16_BYTES:
            name = constant.name
            values = numpy_helper.to_array(constant).astype(np.float16)
            constant.CopyFrom(numpy_helper.from_array(values, f"{name}.float16"))
            casts.append(onnx.helper.make_node("Cast", [constant.name], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *half.graph.node]
    del half.graph.node[:]
    half.graph.node.extend(nodes)
    return half
