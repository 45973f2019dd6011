"""Whether a TFLite file that other tools wrote is what was asked for: operators, signatures, answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from edgekit_converters.targets.litert_shared import content_of
from edgekit_runtime.engines.litert import SIGNATURE_PREFIX
from edgekit_runtime.errors import LoweringError

MAX_DIFFERENCE = 1e-3
"""Of float32 logits, which other orders of adding explain."""


def check_operators(model: bytes) -> None:
    """Refuses a model with operators that are none of TFLite's own: no phone and no board has them.

    Raises:
        LoweringError: The message names them.
    """
    from ai_edge_litert import schema_py_generated as schema

    codes = content_of(model).operatorCodes
    foreign = {
        (code.customCode or b"?").decode() for code in codes if code.builtinCode == schema.BuiltinOperator.CUSTOM
    }
    if foreign:
        raise LoweringError(
            f"TensorFlow left operators that TFLite has not: {', '.join(sorted(foreign))}; such a program runs on no device: "
            "leave --route out"
        )


def check_signatures(model: bytes, buckets: tuple[int, ...], output: str, classes: int) -> None:
    """Refuses a model whose signatures, or the names, types or shapes of their tensors, are others than those asked for.

    Raises:
        LoweringError: The message names the first difference.
    """
    asked = {
        f"{SIGNATURE_PREFIX}{length}": {
            "ids": ("int32", (1, length)),
            "mask": ("float32", (1, length)),
            output: ("float32", (1, classes)),
        }
        for length in buckets
    }
    interpreter = _interpreter(model)
    found = {}
    for name in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(name)
        tensors = {**runner.get_input_details(), **runner.get_output_details()}
        found[name] = {
            key: (np.dtype(each["dtype"]).name, tuple(map(int, each["shape"]))) for key, each in tensors.items()
        }
    for name in sorted(asked.keys() | found.keys()):
        if asked.get(name) != found.get(name):
            raise LoweringError(
                f"the TFLite file is not what was asked for: its signature {name} has {found.get(name)}, "
                f"not {asked.get(name)}; leave --route out"
            )


def check_answers(model: bytes, network: nn.Module, buckets: tuple[int, ...], vocabulary: int, output: str) -> None:
    """Compares a float32 model with the network, on a short text and a full one of each length.

    Args:
        model: The model.
        network: What it was made from.
        buckets: Its lengths.
        vocabulary: Rows of the word table.
        output: Name of the logits.

    Raises:
        LoweringError: A logit differs by more than rounding explains.
    """
    interpreter = _interpreter(model)
    choose = np.random.default_rng(0)
    for length in buckets:
        runner = interpreter.get_signature_runner(f"{SIGNATURE_PREFIX}{length}")
        for tokens in (max(1, length // 3), length):
            ids, mask = np.zeros((1, length), np.int32), np.zeros((1, length), np.float32)
            ids[0, :tokens] = choose.integers(vocabulary, size=tokens)
            mask[0, :tokens] = 1.0
            wanted = network(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
            difference = float(np.abs(runner(ids=ids, mask=mask)[output] - wanted).max())
            if not difference <= MAX_DIFFERENCE:  # nor is NaN
                raise LoweringError(
                    f"the TFLite file answers otherwise than the network: at length {length} a logit differs by "
                    f"{difference:.2g}, which is more than {MAX_DIFFERENCE}; leave --route out"
                )


def _interpreter(model: bytes) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(model_content=model, num_threads=1)
