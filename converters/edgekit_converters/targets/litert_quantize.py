"""What each scheme means to ai-edge-quantizer, which quantizes a finished LiteRT flatbuffer (docs/precisions.md).

A recipe of its names operators; where two of its entries fit an operator, the later one counts.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from typing import Any

from torch import nn

from edgekit_converters.quantspec import QuantSpec, Sample
from edgekit_runtime.engines.litert import SIGNATURE_PREFIX

ANYWHERE = ".*"
BLOCK = 32
"""Weights of an int4 row that share a scale."""


def quantize(model: bytes, network: nn.Module, output: str, quant: QuantSpec) -> bytes:
    """Quantizes a float32 model.

    Args:
        model: The flatbuffer.
        network: What it was lowered from.
        output: Name of the output with the logits.
        quant: A scheme other than ``none``, with its calibration.
    """
    recipe = _recipe(quant, network, f"^{SIGNATURE_PREFIX}[0-9]+_{output}")
    return quantize_by(recipe, model, quant.calibration)


def quantize_by(recipe: Any, model: bytes, samples: Sequence[Sample]) -> bytes:
    """Quantizes by any recipe of ai-edge-quantizer; ``samples`` are for one with static ranges."""
    from ai_edge_quantizer import quantizer

    with contextlib.redirect_stderr(sys.stdout):  # its progress bars go where the rest of the tools' output goes
        ranges = _ranges(model, recipe, samples) if recipe.need_calibration() else None
        result: Any = quantizer.Quantizer(bytearray(model), recipe.get_quantization_recipe()).quantize(ranges)
    return bytes(result.quantized_model)


def _recipe(quant: QuantSpec, network: nn.Module, output: str) -> Any:
    from ai_edge_quantizer import algorithm_manager, qtyping, recipe_manager

    operator, granularity = qtyping.TFLOperationName, qtyping.QuantGranularity
    algorithm = algorithm_manager.AlgorithmName
    recipe = recipe_manager.RecipeManager()
    everything, linear, table = operator.ALL_SUPPORTED, operator.FULLY_CONNECTED, operator.EMBEDDING_LOOKUP
    if quant.scheme == "fp16":
        recipe.add_weight_only_config(ANYWHERE, everything, num_bits=16, algorithm_key=algorithm.FLOAT_CASTING)
    elif quant.scheme == "int8-per-tensor":
        recipe.add_dynamic_config(ANYWHERE, everything, num_bits=8, granularity=granularity.TENSORWISE)
    else:
        recipe.add_dynamic_config(ANYWHERE, everything, num_bits=8)
    if quant.scheme == "int8-static":
        for name in (operator.CONV_2D, linear):
            recipe.add_static_config(ANYWHERE, name, activation_num_bits=8, weight_num_bits=8)
        # What is looked up gets one scale anyway; and logits with a range would cut the scores of surer texts.
        recipe.add_dynamic_config(ANYWHERE, table, num_bits=8, granularity=granularity.TENSORWISE)
        recipe.add_dynamic_config(output, linear, num_bits=8)
    elif quant.scheme == "int4":
        # Scales by least squared error: by the largest weight int4 loses twice as many answers. A table's scales a row
        # and zero points take 12 bytes, those a block less. Convolutions in int4 have no fast kernel.
        least_error = algorithm.OCTAV
        blocks = all(
            module.embedding_dim % BLOCK == 0 for module in network.modules() if isinstance(module, nn.Embedding)
        )
        by_row = granularity.BLOCKWISE_32 if blocks else granularity.CHANNELWISE
        recipe.add_dynamic_config(ANYWHERE, linear, num_bits=4, algorithm_key=least_error)
        recipe.add_dynamic_config(ANYWHERE, table, num_bits=4, granularity=by_row, algorithm_key=least_error)
        recipe.add_dynamic_config(output, linear, num_bits=8)
    return recipe


def _ranges(model: bytes, recipe: Any, samples: Sequence[Sample]) -> dict[str, Any]:
    """Least and greatest value of every tensor over all samples, each run in its own bucket.

    The buckets' graphs hold the same tensors in the same order, and a range is taken over all of them: weights and
    biases are shared, so that their scales must be too; and a bucket that no sample has is calibrated all the same.
    """
    import numpy as np
    from ai_edge_quantizer import calibrator
    from ai_edge_quantizer.utils import qsv_utils, tfl_flatbuffer_utils

    data: dict[str, list[dict[str, Any]]] = {}
    for sample in samples:
        key = f"{SIGNATURE_PREFIX}{sample.ids.shape[1]}"
        data.setdefault(key, []).append({"ids": sample.ids, "mask": sample.mask})
    measuring = calibrator.Calibrator(model, num_threads=1, qsv_update_func=qsv_utils.min_max_update)
    measuring.calibrate(data, recipe)
    found = measuring.get_model_qsvs()
    ranges: dict[str, Any] = {}
    graphs = tfl_flatbuffer_utils.read_model(model).subgraphs
    for tensors in zip(*(graph.tensors for graph in graphs), strict=True):
        names = [tensor.name.decode() for tensor in tensors]
        known = [found[name] for name in names if found.get(name)]
        if known:
            merged = {"min": np.minimum.reduce([each["min"] for each in known])}
            merged["max"] = np.maximum.reduce([each["max"] for each in known])
            ranges |= dict.fromkeys(names, merged)
    return ranges
