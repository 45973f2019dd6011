"""More lengths for a LiteRT file: lowering takes seconds a length, and the graphs differ in a few numbers only.

From the graphs of two lengths follows how every size depends on the length: it stays as it is, or it grows along a line.
What does not, or a pair of graphs that differ in more than numbers, is said to be unlike, and each length is lowered.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgekit_converters.targets.litert_shared import content_of, written
from edgekit_runtime.engines.litert import SIGNATURE_PREFIX


class UnlikeError(Exception):
    """The graphs of the two lengths do not tell what those of others are."""


def references(lengths: Sequence[int]) -> tuple[int, int] | None:
    """The two lengths to lower for all of these, or None where that saves nothing.

    The shorter one is odd: where a length equals another size of the network, the tools may store both as one number.

    Args:
        lengths: Ascending.
    """
    middle = (lengths[-1] // 2) | 1
    return (middle, lengths[-1]) if len(lengths) > 2 and lengths[0] <= middle < lengths[-1] else None


def with_lengths(model: bytes, lengths: Sequence[int]) -> bytes:
    """The file with a signature for each of these lengths.

    Args:
        model: A float32 .tflite file as litert-torch writes it, with the signatures of two lengths, the shorter first.
        lengths: The signatures it shall have, none over the longer of the two.

    Raises:
        UnlikeError: The two graphs do not tell what the others are.
    """
    content = content_of(model)
    signatures = {int(each.signatureKey[len(SIGNATURE_PREFIX) :]): each for each in content.signatureDefs}
    (low, short), (high, long) = ((n, content.subgraphs[each.subgraphIndex]) for n, each in sorted(signatures.items()))
    graphs: list[Any] = []
    defs: list[Any] = []
    for length in lengths:
        graphs.append(_Lengths(content, short, low, long, high, length).graph())
        made = copy.deepcopy(signatures[high])
        made.signatureKey, made.subgraphIndex = f"{SIGNATURE_PREFIX}{length}".encode(), len(defs)
        defs.append(made)
    content.subgraphs, content.signatureDefs = graphs, defs
    used = {tensor.buffer for graph in graphs for tensor in graph.tensors}
    used |= {each.buffer for each in content.metadata or ()}
    for index, buffer in enumerate(content.buffers):
        if index not in used:
            buffer.data = None
    return written(content)


class _Lengths:
    """Makes the graph of one length from those of two."""

    def __init__(self, content: Any, short: Any, low: int, long: Any, high: int, length: int) -> None:
        self.content, self.short, self.long = content, short, long
        self.low, self.high, self.length = low, high, length

    def graph(self) -> Any:
        short, long = self.short, self.long
        if len(short.tensors) != len(long.tensors) or len(short.operators) != len(long.operators):
            raise UnlikeError
        made = copy.copy(long)
        made.name = f"{SIGNATURE_PREFIX}{self.length}".encode()
        made.tensors = [self._tensor(*pair) for pair in zip(short.tensors, long.tensors, strict=True)]
        made.operators = [self._operator(*pair) for pair in zip(short.operators, long.operators, strict=True)]
        return made

    def _on_line(self, low: Any, high: Any) -> Any:
        """Whole numbers at the length, from those at the two lengths."""
        low, high = np.asarray(low), np.asarray(high)
        if low.shape != high.shape:
            raise UnlikeError
        slope, rest = np.divmod(high.astype(np.int64) - low, self.high - self.low)
        if rest.any():
            raise UnlikeError
        return (low + slope * (self.length - self.low)).astype(high.dtype)

    def _tensor(self, short: Any, long: Any) -> Any:
        if (short.type, short.shapeSignature is None) != (long.type, long.shapeSignature is None):
            raise UnlikeError
        made = copy.copy(long)
        before, own = (f"{SIGNATURE_PREFIX}{length}_".encode() for length in (self.high, self.length))
        name = long.name
        made.name = own + name[len(before) :] if name.startswith(before) else name + f";{self.length}".encode()
        if long.shape is not None:
            made.shape = self._on_line(short.shape, long.shape)
        if long.shapeSignature is not None:
            made.shapeSignature = self._on_line(short.shapeSignature, long.shapeSignature)
        made.buffer = self._buffer(short, long, made.shape)
        return made

    def _buffer(self, short: Any, long: Any, shape: Any) -> int:
        """Index of the buffer with the tensor's content at the length."""
        from ai_edge_litert import schema_py_generated as schema

        known: int = long.buffer
        low, high = (self.content.buffers[each.buffer].data for each in (short, long))
        if (low is None) != (high is None):
            raise UnlikeError
        if short.buffer == known or high is None or np.array_equal(low, high):
            return known
        low, high = bytes(low), bytes(high)
        if len(low) == len(high) and long.type == schema.TensorType.INT32:
            data = self._on_line(np.frombuffer(low, np.int32), np.frombuffer(high, np.int32)).tobytes()
        elif high.startswith(low):  # the first rows of a table
            data = high[: len(high) // int(np.prod(long.shape)) * int(np.prod(shape))]
        else:
            raise UnlikeError
        made = schema.BufferT()
        made.data = np.frombuffer(data, np.uint8)
        self.content.buffers.append(made)
        return len(self.content.buffers) - 1

    def _operator(self, short: Any, long: Any) -> Any:
        if short.opcodeIndex != long.opcodeIndex or any(
            list(one) != list(other) for one, other in ((short.inputs, long.inputs), (short.outputs, long.outputs))
        ):
            raise UnlikeError
        made = copy.copy(long)
        for kind in ("builtinOptions", "builtinOptions2"):
            low, high = getattr(short, kind, None), getattr(long, kind, None)
            if type(low) is not type(high):
                raise UnlikeError
            if high is not None:
                setattr(made, kind, self._options(low, high))
        return made

    def _options(self, short: Any, long: Any) -> Any:
        made = copy.copy(long)
        for name, high in vars(long).items():
            low = getattr(short, name)
            if isinstance(high, np.ndarray):
                setattr(made, name, self._on_line(low, high))
            elif low != high:
                raise UnlikeError
        return made
