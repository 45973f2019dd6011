"""Breaking bytes whatever they mean."""

from __future__ import annotations

import struct
from random import Random

from torture.case import Breaker, Case, Place, of_bytes

NUMBERS = (
    0,
    1,
    2,
    3,
    7,
    8,
    127,
    128,
    255,
    256,
    4095,
    4096,
    65535,
    65536,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63 - 1,
    2**64 - 1,
)
MARKS = (
    b"\n",
    b"PK\x01\x02",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"{",
    b"}",
    b",",
    b'"',
    b"\x80\x02",
    b"\x00\x00\x00\x00",
    b"PAR1",
)
DEVICES = (
    "/dev/zero",
    "/dev/null",
    "/dev/full",
    "/dev/urandom",
    "/dev/tty",
    "/proc/self/mem",
    "/proc/self/environ",
    "/nowhere",
)


def cut(rng: Random, data: bytes) -> bytes:
    """Cut anywhere, near an end, or where something begins."""
    if not data:
        return b"\0"
    kind = rng.randrange(4)
    if kind == 0:
        return data[: rng.randrange(len(data))]
    if kind == 1:
        return data[: max(0, len(data) - rng.randint(1, 64))]
    if kind == 2:
        return data[: rng.randint(0, min(64, len(data)))]
    mark = rng.choice(MARKS)
    places = [at for at in range(len(data)) if data.startswith(mark, at)][:2000] if len(data) < 1 << 18 else []
    at = rng.choice(places) if places else rng.randrange(len(data))
    return data[: at + rng.choice((0, 0, 1, len(mark)))] if rng.random() < 0.8 else data[at:]


def flip(rng: Random, data: bytes) -> bytes:
    """A few bits, often in the head or the tail, where the structure is."""
    changed = bytearray(data or b"\0")
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16, 64))):
        changed[_place(rng, len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def run(rng: Random, data: bytes) -> bytes:
    """A run of bytes set, taken out, put in or said twice."""
    length = rng.choice((1, 2, 4, 8, 16, 100, 1000, 4096))
    at = _place(rng, len(data) + 1)
    fill = rng.choice((b"\0", b"\xff", b"A", b"\x80", b"\n", b'"', b"[", b"9"))
    piece = rng.choice((fill * length, rng.randbytes(length), data[at : at + length]))
    kind = rng.randrange(3)
    if kind == 0:
        return data[:at] + piece + data[at + len(piece) :]
    return data[:at] + piece + data[at:] if kind == 1 else data[:at] + data[at + length :]


def number(rng: Random, data: bytes) -> bytes:
    """A number that lies, in some width and order."""
    value, width = rng.choice(NUMBERS), rng.choice((1, 2, 4, 4, 4, 8))
    if rng.random() < 0.2:
        value = (value + rng.randint(-3, 3)) % (1 << 64)
    if rng.random() < 0.15:
        value = len(data) + rng.randint(-4, 4)
    at = _place(rng, len(data) + 1)
    if rng.random() < 0.7:
        at -= at % width
    raw = struct.pack(rng.choice("<<<>") + "Q", value & (2**64 - 1))
    part = (value & ((1 << 8 * width) - 1)).to_bytes(width, rng.choice(("little", "little", "little", "big")))
    return data[:at] + (part or raw) + data[at + width :]


def whole(rng: Random, data: bytes) -> bytes:
    """Another content altogether."""
    return rng.choice(
        (
            *(
                b"",
                b"\0",
                b"\n",
                b"{}",
                b"[]",
                b"null",
                b"PK\x05\x06" + bytes(18),
                b"\x80\x04.",
                b"\x80\x02}q\x00.",
                b"\x1f\x8b\x08\x00",
            ),
            *(
                b"[" * 100_000,
                b'{"a":' * 50_000,
                b"\xff" * 4096,
                b"\0" * 65536,
                b"\xef\xbb\xbf",
                b"\xff\xfe",
                b"-" * 100_000,
            ),
            *(data * 2, data[::-1], data.upper(), data.replace(b"\0", b""), b"#!/bin/sh\n" + data, data + b"\n" * 1000),
            *(rng.randbytes(rng.choice((1, 10, 1000, 20_000))), bytes(8) + data, data[: len(data) // 2] * 2),
            *(b"\x08\x07" + data, (2**40).to_bytes(8, "little") + b"{", (2).to_bytes(8, "little") + b"{}"),
        )
    )


def splice(rng: Random, case: Case, other: Case) -> Case:
    """The beginning of one valid file and the end of another."""
    name = _file(rng, case)
    data = case.files[name]
    pieces = [content for content in (*other.files.values(), *case.files.values()) if isinstance(content, bytes)]
    second = rng.choice(pieces)
    assert isinstance(data, bytes)
    at, to = (rng.randrange(len(each) + 1) for each in (data, second))
    return case.with_file(name, data[:at] + second[to:], f"splice {name}")


def place(rng: Random, case: Case, other: Case) -> Case:
    """Something else than a file: a folder, a pipe without a writer, a device, a link to nothing or to itself."""
    name = case.given if case.given and rng.random() < 0.6 else _file(rng, case)
    kind = rng.randrange(5)
    if kind == 0:
        return case.with_file(name, Place("folder"), f"folder {name}")
    if kind == 1 and case.options.get("pipes", True):
        return case.with_file(name, Place("fifo"), f"pipe {name}")
    if kind == 2:
        return case.with_file(name, Place("link", name.rpartition("/")[2]), f"link to itself {name}")
    device = rng.choice(DEVICES)
    return case.with_file(name, Place("link", device), f"{name} is {device}")


def missing(rng: Random, case: Case, other: Case) -> Case:
    """One of several files is not there, or has another's content."""
    name = _file(rng, case)
    if len(case.files) > 1 and rng.random() < 0.5:
        return Case(
            {key: data for key, data in case.files.items() if key != name}, case.given, f"without {name}", case.options
        )
    content = rng.choice([data for data in (*other.files.values(), *case.files.values()) if isinstance(data, bytes)])
    return case.with_file(name, content, f"another's content in {name}")


def _file(rng: Random, case: Case) -> str:
    return rng.choice([name for name, content in case.files.items() if isinstance(content, bytes)])


def _place(rng: Random, length: int) -> int:
    """An offset: in the head and the tail more often than between."""
    if length <= 1:
        return 0
    kind = rng.randrange(4)
    if kind == 0:
        return rng.randrange(min(length, 256))
    return length - 1 - rng.randrange(min(length, 512)) if kind == 1 else rng.randrange(length)


BLIND: tuple[Breaker, ...] = (*(of_bytes(each) for each in (cut, flip, run, number, whole)), splice, place, missing)
