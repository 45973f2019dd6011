"""The outermost fields of a protobuf message, without parsing what is in them.

The wire format is described at https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types that are in use."""

MOST_FIELDS = 100_000
"""More than a message of ours has; walking over millions takes long."""


@dataclass(frozen=True)
class Field:
    """Where a field lies.

    Attributes:
        number: Its number in the schema.
        wire: Its wire type.
        begin: Offset of its value, in bytes.
        end: Offset behind it.
    """

    number: int
    wire: int
    begin: int
    end: int


def fields(data: bytes | mmap, begin: int, end: int) -> Iterator[Field]:
    """Walks over the fields of the message between two offsets.

    Raises:
        ValueError: That is no protobuf message, it was cut short, or it has too many fields.
    """
    at, count = begin, 0
    while at < end:
        count += 1
        if count > MOST_FIELDS:
            raise ValueError(f"it has more than {MOST_FIELDS} parts")
        tag, at = _varint(data, at, end)
        number, wire = tag >> 3, tag & 7
        if not number:
            raise ValueError(f"byte {at} begins no field")
        start = at
        if wire == VARINT:
            _, at = _varint(data, at, end)
        elif wire == BYTES:
            size, start = _varint(data, at, end)
            at = start + size
        elif wire in (FIXED64, FIXED32):
            at += 8 if wire == FIXED64 else 4
        else:
            raise ValueError(f"byte {at} begins no field")
        if at > end:
            raise ValueError(f"{at - end} bytes are missing at its end")
        yield Field(number, wire, start, at)


def _varint(data: bytes | mmap, at: int, end: int) -> tuple[int, int]:
    """A number of seven bits a byte, and the offset behind it."""
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    raise ValueError(f"byte {at} is in no number")
