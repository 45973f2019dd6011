"""Writes TensorFlow's TFLite files as litert-torch writes its own, so that a scheme means the same to the quantizer."""

from __future__ import annotations

from typing import Any

from edgekit_converters.targets.litert_shared import content_of, written


def as_litert_torch_writes(model: bytes) -> bytes:
    """The same model with its word table looked up, rather than gathered from, and its logits under their own names.

    The quantizer finds both by that: it leaves the table of GATHER in float32.

    Args:
        model: A .tflite file with a signature a length.
    """
    content = content_of(model)
    _look_up(content)
    for signature in content.signatureDefs:
        tensors = content.subgraphs[signature.subgraphIndex].tensors
        for output in signature.outputs:
            tensors[output.tensorIndex].name = signature.signatureKey + b"_" + output.name
    return written(content)


def _look_up(content: Any) -> None:
    """Makes EMBEDDING_LOOKUP of each GATHER of the rows of a constant table, by ids in one dimension."""
    from ai_edge_litert import schema_py_generated as schema

    kinds = schema.BuiltinOperator
    lookup = schema.OperatorCodeT()
    lookup.builtinCode = lookup.deprecatedBuiltinCode = kinds.EMBEDDING_LOOKUP
    lookup.version = 1
    found = False
    for graph in content.subgraphs:
        for operator in graph.operators:
            if content.operatorCodes[operator.opcodeIndex].builtinCode != kinds.GATHER:
                continue
            table, ids = (graph.tensors[index] for index in operator.inputs)
            options = operator.builtinOptions
            constant = content.buffers[table.buffer].data is not None
            if constant and len(table.shape) == 2 and len(ids.shape) == 1 and options.axis == options.batchDims == 0:
                operator.opcodeIndex = len(content.operatorCodes)
                operator.inputs = operator.inputs[::-1]
                operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.NONE, None
                found = True
    if found:
        content.operatorCodes.append(lookup)
