"""Breaking safetensors, protobuf and flatbuffers by their structure."""

from __future__ import annotations

import json
import struct
from random import Random

from torture.blind import NUMBERS, flip, number, run
from torture.texts import json_value


def safetensors_header(rng: Random, data: bytes) -> bytes:
    """A header with other JSON, offsets, shapes or types, whose length fits or lies."""
    length = int.from_bytes(data[:8], "little")
    header, body = data[8 : 8 + length], data[8 + length :]
    kind = rng.randrange(6)
    if kind == 0:
        return (
            (rng.choice((*NUMBERS, length + 1, length - 1, len(data), len(data) - 8, 100_000_000)) % 2**64).to_bytes(
                8, "little"
            )
            + header
            + body
        )
    try:
        tree = json.loads(header)
        name = rng.choice([key for key in tree if key != "__metadata__"])
    except (ValueError, IndexError):
        return flip(rng, data)
    one = tree[name]
    if kind == 1:
        one["shape"] = rng.choice(
            ([2**62, 4], [2**32, 2**32], [0], [-1], [2**64], [], [1] * 10_000, one["shape"][::-1], [0, 2**63])
        )
    elif kind == 2:
        one["data_offsets"] = rng.choice(
            ([0, 2**64], [2**63, 0], [-1, 4], [0, 0], [4, 0], [len(body), len(body) + 4], [0, len(body)])
        )
    elif kind == 3:
        one["dtype"] = rng.choice(
            ("F64", "I64", "BOOL", "F8_E4M3", "F4", "U16", "BF16", "F16", "C64", "", "PICKLE", "I8")
        )
    elif kind == 4:
        tree[name + "x"] = dict(one)
    raw = json_value(rng, header) if kind == 5 else json.dumps(tree).encode()
    if rng.random() < 0.1:
        raw += b" " * (-len(raw) % 8)
    return len(raw).to_bytes(8, "little") + raw + body


NUMBERS_NOT = (
    b"\x00\x00\xc0\x7f",
    b"\x00\x00\x80\x7f",
    b"\x00\x00\x80\xff",
    b"\xff\xff\xff\xff",
    b"\x00\x7e\x00\x7e",
    b"\x01\x00\x00\x00",
    b"\xff\xff\x7f\x7f",
)
"""NaN, both infinities, NaN, half NaN, the least and the largest number, as float32."""


def not_numbers(rng: Random, data: bytes) -> bytes:
    """NaN, infinities and huge numbers among the weights."""
    value = rng.choice(NUMBERS_NOT)
    at = rng.randrange(0, max(4, len(data)), 4)
    count = rng.choice((1, 1, 16, 1000))
    return data[:at] + (value * count)[: max(0, len(data) - at)] + data[at + 4 * count :]


def protobuf_fields(rng: Random, data: bytes) -> bytes:
    """A field of a protobuf message, at some depth, with another number, length or place; lengths around it fit."""
    return _message(rng, data, rng.choice((0, 1, 1, 2, 2, 3, 3, 4, 5)))


def _message(rng: Random, data: bytes, depth: int) -> bytes:
    pieces = _pieces(data)
    if not pieces:
        return (
            run(rng, data)
            if data
            else rng.choice((b"", b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"A" * 20_000))
        )
    at = rng.randrange(len(pieces))
    if depth:
        nested = [index for index, (tag, _) in enumerate(pieces) if tag & 7 == 2]
        at = rng.choice(nested or [at])
    tag, value = pieces[at]
    kind = rng.randrange(9)
    if depth and tag & 7 == 2:
        pieces[at] = (tag, _message(rng, value, depth - 1))
    elif kind == 0:
        del pieces[at]
    elif kind == 1:
        pieces.insert(rng.randrange(len(pieces) + 1), pieces[at])
    elif kind == 2:
        pieces[at] = (tag & 7 | rng.randrange(1, 32) << 3, value)
    elif kind == 3:
        pieces += [pieces[at]] * rng.choice((100, 10_000))
    elif kind == 4 and tag & 7 == 2:
        for _ in range(rng.choice((50, 150, 5000))):
            value = _varint(tag) + _varint(len(value)) + value
            if len(value) > 1 << 18:
                break
        pieces[at] = (tag, value)
    elif kind == 5:
        pieces[at] = (tag & ~7 | rng.choice((0, 1, 2, 3, 4, 5, 6, 7)), value)
    elif tag & 7 == 0:
        pieces[at] = (tag, _varint(rng.choice((*NUMBERS, 2**64 - 2, 10**9))))
    else:
        pieces[at] = (tag, rng.choice((flip, run, number))(rng, value))
    lie = rng.randrange(len(pieces)) if pieces and rng.random() < 0.1 else -1
    return b"".join(_piece(tag, value, rng if index == lie else None) for index, (tag, value) in enumerate(pieces))


def _piece(tag: int, value: bytes, lie: Random | None) -> bytes:
    if tag & 7 != 2:
        return _varint(tag) + value
    length = len(value) if lie is None else lie.choice((*NUMBERS, len(value) + 1, max(0, len(value) - 1)))
    return _varint(tag) + _varint(length) + value


def _pieces(data: bytes) -> list[tuple[int, bytes]]:
    """Tag and value of each field; none if that is no message."""
    found, at = [], 0
    while at < len(data):
        try:
            tag, at = _read(data, at)
            if tag & 7 == 0:
                _, end = _read(data, at)
            elif tag & 7 == 2:
                size, at = _read(data, at)
                end = at + size
            else:
                end = at + {1: 8, 5: 4}[tag & 7]
        except (IndexError, KeyError):
            return []
        if end > len(data) or not tag >> 3 or len(found) > 5000:
            return []
        found.append((tag, data[at:end]))
        at = end
    return found


def _read(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise IndexError


def _varint(value: int) -> bytes:
    made = bytearray()
    value %= 1 << 64
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    made.append(value)
    return bytes(made)


def flatbuffer_words(rng: Random, data: bytes) -> bytes:
    """Offsets, lengths and numbers of a flatbuffer that lie: what is small is likely to be one of these."""
    if len(data) < 64:
        return flip(rng, data)
    words = [
        at
        for at in range(0, min(len(data) - 4, 200_000), 4)
        if 0 < int.from_bytes(data[at : at + 4], "little") <= len(data)
    ]
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.choice(words)
        old = int.from_bytes(changed[at : at + 4], "little")
        new = rng.choice(
            (
                0,
                1,
                -1,
                -4,
                old + 1,
                old - 1,
                old + 4,
                old * 2,
                len(data) - at,
                len(data),
                2**31 - 1,
                2**31,
                2**30,
                -at,
                rng.randrange(len(data)),
                old ^ 1,
            )
        )
        struct.pack_into("<I", changed, at, new % 2**32)
    return bytes(changed)


def flatbuffer_halves(rng: Random, data: bytes) -> bytes:
    """The 16-bit numbers of vtables, and bytes such as type codes, that lie."""
    if len(data) < 64:
        return flip(rng, data)
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(0, len(data) - 2, 2)
        small = int.from_bytes(changed[at : at + 2], "little")
        if small > 200 and rng.random() < 0.7:
            continue
        struct.pack_into(
            "<H",
            changed,
            at,
            rng.choice((0, 1, 2, 4, 255, 256, 65535, 32768, small + 2, small ^ 4, rng.randrange(200))) % 65536,
        )
    return bytes(changed) if changed != data else flatbuffer_words(rng, data)
