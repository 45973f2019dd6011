"""Writes a LiteRT flatbuffer anew with everything that it repeats stored once.

Every signature has a graph of its own, and the tools write the row scales and zero points of the word table, 12 bytes a
row, into each of them: for a small model that is half of the file. A flatbuffer may refer to one vector from many
places, and readers do not notice.
"""

from __future__ import annotations

from typing import Any

import numpy as np

FILE_IDENTIFIER = b"TFL3"
BUFFER_ALIGNMENT = 16
"""Of the constants, in bytes; what the schema asks for."""


def with_shared_vectors(model: bytes) -> bytes:
    """The same model, in which equal vectors of numbers are one.

    Args:
        model: A .tflite file of less than 2 GiB.

    Returns:
        A .tflite file whose tensors, operators and answers are those of ``model``.
    """
    return written(content_of(model))


def content_of(model: bytes) -> Any:
    """A .tflite file of less than 2 GiB as the schema's ``ModelT``, which can be changed."""
    from ai_edge_litert import schema_py_generated as schema

    content = schema.ModelT.InitFromPackedBuf(model, 0)
    for buffer in content.buffers:
        if buffer.size and buffer.offset > 1:  # it lies behind the flatbuffer; 1 stands for an empty one
            buffer.data = np.frombuffer(model, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    return content


def written(content: Any) -> bytes:
    """A ``ModelT`` as a .tflite file, equal vectors of numbers stored once."""
    builder = _sharing_builder()
    builder.Finish(content.Pack(builder), file_identifier=FILE_IDENTIFIER)
    return bytes(builder.Output())


def _sharing_builder() -> Any:
    import flatbuffers

    class SharingBuilder(flatbuffers.Builder):  # type: ignore[misc]
        """Gives a vector that it has written before the place of the first one."""

        def __init__(self) -> None:
            super().__init__(1 << 20)
            self._written: dict[tuple[str, bytes], int] = {}

        def CreateNumpyVector(self, x: Any) -> int:  # noqa: N802 - the name is the library's
            key = (x.dtype.str, x.tobytes())
            if key not in self._written:
                self._written[key] = self._bytes(key[1]) if x.dtype == np.uint8 else super().CreateNumpyVector(x)
            return self._written[key]

        def _bytes(self, data: bytes) -> int:
            self.StartVector(1, len(data), BUFFER_ALIGNMENT)
            self.head -= len(data)
            self.Bytes[self.head : self.head + len(data)] = data
            self.vectorNumElems = len(data)
            place: int = self.EndVector()
            return place

    return SharingBuilder()
