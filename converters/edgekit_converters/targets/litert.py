"""LiteRT (TFLite): litert-torch lowers, ai-edge-quantizer quantizes the finished flatbuffer.

One signature a length bucket; the signatures share their weights.
"""

from __future__ import annotations

import contextlib
from importlib import metadata
from typing import ClassVar

import torch
from torch import nn

from edgekit_converters.networks.row_scaled import with_row_factors
from edgekit_converters.quantspec import QuantSpec
from edgekit_converters.targets import Lowered
from edgekit_converters.targets.litert_lengths import UnlikeError, references, with_lengths
from edgekit_converters.targets.litert_older import ask_for_zero_points
from edgekit_converters.targets.litert_quantize import quantize
from edgekit_converters.targets.litert_shared import content_of, with_shared_vectors, written
from edgekit_converters.targets.tools import interrupts_deferred, require_tools, running
from edgekit_runtime.engines.litert import DISTRIBUTION, SIGNATURE_PREFIX
from edgekit_runtime.errors import OptionError
from edgekit_runtime.manifest import Program, TensorSpec
from edgekit_runtime.progress import Listener

FILE = "model.tflite"
TOOLS = ("litert-torch", "litert-converter", "ai-edge-quantizer", "ai-edge-litert", "torch")
OUTPUT = "output_0"
PURPOSE = "lowering to litert"
PER_TENSOR = "int8-per-tensor"

REFUSED: dict[tuple[str, str | None], str] = {
    ("int8-static", "bert"): (
        "with all activations in int8 it got 71 % of SST-2 right instead of 89 %, and with only the products in int8 it "
        "was larger than int8, no faster and less right (docs/precisions.md): use --quantize int8, or leave --target litert out"
    ),
}
"""Scheme and architecture to what was measured."""


class LiteRtTarget:
    """Lowers to a .tflite program."""

    name: ClassVar[str] = "litert"
    schemes: ClassVar[tuple[str, ...]] = ("int8", "int8-per-tensor", "int8-static", "int4", "fp16", "none")

    def check(self, quant: QuantSpec, architecture: str | None = None) -> None:
        if quant.scheme not in self.schemes:
            raise OptionError(f"litert cannot do {quant.scheme}; it can do {', '.join(self.schemes)}")
        if reason := REFUSED.get((quant.scheme, architecture)):
            raise OptionError(f"litert does not support {quant.scheme} for {architecture}, because {reason}")
        require_tools(TOOLS, PURPOSE)

    def lower(self, network: nn.Module, buckets: tuple[int, ...], quant: QuantSpec, listener: Listener) -> Lowered:
        classes = int(network(torch.zeros(1, buckets[-1], dtype=torch.int32), torch.ones(1, buckets[-1])).shape[1])
        with interrupts_deferred(), running("litert-torch"):
            if quant.scheme == PER_TENSOR:
                content = content_of(quantize(_convert(with_row_factors(network), buckets), network, OUTPUT, quant))
                ask_for_zero_points(content)
                data = written(content)
            else:
                data = _convert(network, buckets)
                if quant.scheme != "none":
                    data = with_shared_vectors(quantize(data, network, OUTPUT, quant))
        tools = {tool: metadata.version(tool) for tool in TOOLS}
        return Lowered(describe(quant.scheme, classes), data, tools)


def describe(scheme: str, classes: int) -> Program:
    """A LiteRT program as the manifest tells of it, by whichever route it was made."""
    return Program(
        engine=LiteRtTarget.name,
        file=FILE,
        scheme=scheme,
        min_engine=f"{DISTRIBUTION} {metadata.version(DISTRIBUTION)}",
        right_on=(DISTRIBUTION,),
        inputs=(TensorSpec("ids", "ids", "int32", (1, "L")), TensorSpec("mask", "mask", "float32", (1, "L"))),
        outputs=(TensorSpec(OUTPUT, "logits", "float32", (1, classes)),),
    )


def _convert(network: nn.Module, buckets: tuple[int, ...]) -> bytes:
    """The float32 file, its graphs made from those of two lengths where that is possible."""
    if pair := references(buckets):
        with contextlib.suppress(UnlikeError):
            return with_lengths(_convert_each(network, pair), buckets)
    return _convert_each(network, buckets)


def _convert_each(network: nn.Module, buckets: tuple[int, ...]) -> bytes:
    import litert_torch

    converter = litert_torch.Converter()
    for length in buckets:
        sample = {"ids": torch.zeros(1, length, dtype=torch.int32), "mask": torch.ones(1, length)}
        converter.add_signature(f"{SIGNATURE_PREFIX}{length}", network, sample_kwargs=sample)
    content: bytes = converter.convert().model_content()
    return content
