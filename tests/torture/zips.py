"""Breaking zip archives: names, links, sizes, bombs, and what is in them with sums made to fit."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from torture.blind import NUMBERS, cut, flip, number, run
from torture.pickles import code, lying, mutated
from torture.texts import deflated, json_value, text_junk

NAMES = (
    *(
        "../x",
        "../../../../x",
        "/x",
        "/etc/passwd",
        "a\\b",
        "C:\\x",
        "x\0y",
        "",
        ".",
        "..",
        "data.pkl",
        "naïve",
        "\n",
        "a" * 60_000,
        "-rf",
    ),
    *(
        "archive/data.pkl",
        "archive/data/0",
        "archive/version",
        "manifest.json",
        "constants.pkl",
        "archive/constants.pkl",
        "signature",
    ),
    *("archive/code/__torch__.py", "archive/.data/serialization_id", "archive/byteorder", "archive/data/../../../x"),
)


@dataclass
class Entry:
    """One entry as it will be written."""

    name: bytes
    data: bytes
    method: int = 0
    flags: int = 0
    size: int | None = None
    sum: int | None = None
    attributes: int = 0o644 << 16
    extra: bytes = b""


def entries_of(data: bytes) -> list[Entry]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [Entry(info.orig_filename.encode(), archive.read(info), extra=info.extra) for info in archive.infolist()]


def written(entries: list[Entry], comment: bytes = b"", count: int | None = None, align: int = 64) -> bytes:
    """A zip archive; sizes and sums are right unless an entry says otherwise."""
    out, directory = io.BytesIO(), io.BytesIO()
    for entry in entries:
        at, size = out.tell(), len(entry.data) if entry.size is None else entry.size
        total = zlib.crc32(entry.data) if entry.sum is None else entry.sum
        common = struct.pack(
            "<HHHHHIII",
            20,
            entry.flags | 0x800,
            entry.method,
            0,
            33,
            total,
            min(len(entry.data), 2**32 - 1),
            size % 2**32,
        )
        padding = -(at + 30 + len(entry.name) + 4) % align
        extra = struct.pack("<HH", 0xD935, padding) + bytes(padding)
        out.write(
            b"PK\x03\x04"
            + common
            + struct.pack("<HH", len(entry.name) % 65536, len(extra))
            + entry.name
            + extra
            + entry.data
        )
        directory.write(
            b"PK\x01\x02\x14\x03"
            + common
            + struct.pack("<HHHHHII", len(entry.name) % 65536, 0, 0, 0, 0, entry.attributes, at)
            + entry.name
        )
    start, table = out.tell(), directory.getvalue()
    number_of = len(entries) if count is None else count
    out.write(
        table
        + b"PK\x05\x06\0\0\0\0"
        + struct.pack("<HHIIH", number_of % 65536, number_of % 65536, len(table), start, len(comment))
        + comment
    )
    return out.getvalue()


def zip_entries(rng: Random, data: bytes) -> bytes:
    """Entries with other names, twice, as links, packed, bombs, or with sizes that lie."""
    entries = entries_or_none(data)
    if not entries:
        return flip(rng, data)
    at = rng.randrange(len(entries))
    entry = entries[at]
    kind = rng.randrange(10)
    if kind == 0:
        entry.name = rng.choice(NAMES).encode()
    elif kind == 1:
        entries.append(Entry(entry.name, rng.choice((entry.data, b"x", b""))))
    elif kind == 2:
        entries.append(Entry(rng.choice(NAMES).encode(), b"x"))
    elif kind == 3:
        entry.attributes, entry.data = 0o120777 << 16, b"/etc/passwd"
    elif kind == 4:
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        entry.sum, entry.size = zlib.crc32(entry.data), len(entry.data)
        entry.data, entry.method = packer.compress(entry.data) + packer.flush(), 8
    elif kind == 5:
        length = rng.choice((1 << 26, 1 << 30, 3 << 30))
        entry.data, entry.method, entry.size, entry.sum = (
            deflated(rng.choice((b"\0", b"[", b" ")), length),
            8,
            length,
            0,
        )
    elif kind == 6:
        entry.size = rng.choice(NUMBERS) % 2**32
    elif kind == 7:
        del entries[at]
    elif kind == 8:
        entries += [Entry(b"%d" % index, b"") for index in range(rng.choice((1000, 65536)))]
    else:
        entry.method, entry.flags = rng.choice((0, 1, 8, 9, 12, 14, 93, 99)), rng.choice((0, 1, 8, 0x41, 0x2000))
    rng.random() < 0.1 and rng.shuffle(entries)
    return written(entries, count=rng.choice(NUMBERS) if rng.random() < 0.05 else None)


def zip_fields(rng: Random, data: bytes) -> bytes:
    """One field of a header, of the directory or of its end that lies."""
    marks = {
        b"PK\x03\x04": (4, 6, 8, 14, 18, 22, 26, 28),
        b"PK\x01\x02": (6, 8, 10, 16, 20, 24, 28, 30, 32, 34, 38, 42),
        b"PK\x05\x06": (4, 6, 8, 10, 12, 16, 20),
    }
    wide = {14, 16, 18, 20, 22, 24, 38, 42, 12}
    mark = rng.choice(list(marks))
    places = []
    at = data.find(mark)
    while at >= 0 and len(places) < 3000:
        places.append(at)
        at = data.find(mark, at + 1)
    if not places:
        return number(rng, data)
    field = rng.choice(marks[mark])
    at, width = rng.choice(places) + field, 4 if field in wide else 2
    old = int.from_bytes(data[at : at + width], "little")
    new = rng.choice((*NUMBERS, old + 1, old - 1, old ^ (1 << rng.randrange(8 * width)), len(data), len(data) - 22)) % (
        1 << 8 * width
    )
    return data[:at] + new.to_bytes(width, "little") + data[at + width :]


def zip_inside(rng: Random, data: bytes) -> bytes:
    """The contents of one entry broken after their kind, with the sum that fits."""
    entries = entries_or_none(data)
    if not entries:
        return cut(rng, data)
    entry = rng.choice(entries)
    entry.data = rng.choice(_damages(entry))(rng, entry.data)
    return written(entries)


def zip_code(rng: Random, data: bytes) -> bytes:
    """A pickle with code, or one that lies, in the place of any entry or as one more."""
    entries = entries_or_none(data)
    made = code(rng) if rng.random() < 0.7 else lying(rng)
    pickled = [entry for entry in entries if entry.name.endswith(b".pkl")]
    kind = rng.randrange(4)
    if kind < 2 and pickled:
        rng.choice(pickled).data = made
    elif kind == 2 and entries:
        rng.choice(entries).data = made
    else:
        folder = entries[0].name.partition(b"/")[0] if entries else b"archive"
        entries.append(
            Entry(
                folder
                + rng.choice((b"/data.pkl", b"/constants.pkl", b"/data/weights/weight_0", b"/extra/x.pkl", b"/x.pt")),
                made,
            )
        )
    return written(entries)


def _damages(entry: Entry) -> tuple[Callable[[Random, bytes], bytes], ...]:
    if entry.name.endswith(b".pkl"):
        return (mutated, mutated, mutated, flip, cut)
    if entry.name.endswith(b".json"):
        return (json_value, json_value, json_value, text_junk, cut)
    return (flip, cut, run, number)


def entries_or_none(data: bytes) -> list[Entry]:
    """The entries, or none if that is no archive."""
    try:
        return entries_of(data)
    except Exception:  # another breaker was here before
        return []
