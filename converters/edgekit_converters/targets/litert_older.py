"""What a LiteRT program with one scale a tensor needs to answer on tflite-runtime as it does on ai-edge-litert."""

from __future__ import annotations

from typing import Any

ASYMMETRIC_SINCE = 9
"""Version of the operator FULLY_CONNECTED that knows ``asymmetric_quantize_inputs``."""


def ask_for_zero_points(content: Any) -> None:
    """Has inputs of linear layers quantized with a zero point, as ai-edge-litert does it whatever the program says.

    tflite-runtime does only what the program says: with a zero point of its own, each input uses all 256 steps. It needs as
    long, and the two runtimes then differ by a fifth of what they differ by otherwise.

    Args:
        content: The program as ``ModelT``, which is changed.
    """
    from ai_edge_litert import schema_py_generated as schema

    linear = schema.BuiltinOperator.FULLY_CONNECTED
    for code in content.operatorCodes:
        if code.builtinCode == linear:
            code.version = max(code.version, ASYMMETRIC_SINCE)
    for graph in content.subgraphs:
        for operator in graph.operators:
            if content.operatorCodes[operator.opcodeIndex].builtinCode == linear:
                operator.builtinOptions.asymmetricQuantizeInputs = True
