"""What a shared library says about itself: the machine it is for, and the libraries that it needs."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from errors import ApkError

MACHINES = {"arm64-v8a": 183, "x86_64": 62}
"""ELF's number (e_machine) of each ABI."""

PT_LOAD, PT_DYNAMIC, DT_NEEDED, DT_STRTAB = 1, 2, 1, 5


@dataclass(frozen=True)
class Elf:
    """One library.

    Attributes:
        machine: ELF's number.
        needed: Names of libraries.
        page_bytes: The largest memory page on which it can be loaded.
    """

    machine: int
    needed: tuple[str, ...]
    page_bytes: int


def read_elf(name: str, contents: bytes) -> Elf:
    """Reads a 64-bit little-endian library (System V ABI, chapters 4 and 5).

    Raises:
        ApkError: It is none.
    """
    if contents[:6] != b"\x7fELF\x02\x01":
        raise ApkError(f"{name} is no 64-bit ELF library; build it for {' or '.join(MACHINES)}")
    try:
        return _read(contents)
    except (struct.error, ValueError, IndexError) as error:
        raise ApkError(f"{name} is cut short or damaged ({error}); fetch it again") from error


def _read(contents: bytes) -> Elf:
    (machine,) = struct.unpack_from("<H", contents, 18)
    (table,) = struct.unpack_from("<Q", contents, 32)
    size, count = struct.unpack_from("<HH", contents, 54)
    headers = [struct.unpack_from("<IIQQQQQQ", contents, table + index * size) for index in range(count)]
    loaded = [header for header in headers if header[0] == PT_LOAD]
    entries: list[tuple[int, int]] = []
    for header in headers:
        if header[0] == PT_DYNAMIC:
            entries = list(struct.iter_unpack("<QQ", contents[header[2] : header[2] + header[5]]))
    strings = next((value for tag, value in entries if tag == DT_STRTAB), 0)
    offset = next((strings - at + start for _, _, start, at, _, held, _, _ in loaded if at <= strings < at + held), 0)
    needed = [offset + value for tag, value in entries if tag == DT_NEEDED]
    return Elf(
        machine,
        tuple(contents[start : contents.index(b"\0", start)].decode() for start in needed),
        min((header[7] for header in loaded), default=0),
    )
