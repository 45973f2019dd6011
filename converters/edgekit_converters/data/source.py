"""The bytes of a file or of stdin, unpacked."""

from __future__ import annotations

import errno
import gzip
import io
import os
import stat
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from edgekit_runtime.errors import DataError, FileError

STDIN, HUB = "-", "hf:"
"""The name of stdin, and what names of the Hugging Face Hub begin with: all other names are paths."""

GZIP = b"\x1f\x8b"
HEAD_BYTES = 1 << 16

BOMB_BYTES, MOST_RATIO = 1 << 23, 200
"""What gzip unpacks to more than either is no text, which shrinks to a tenth or so, but a few bytes said over and over."""


class Source(io.RawIOBase):
    """Bytes whose first can be looked at, and of a file only those that it had when it was opened.

    Attributes:
        name: The file, for messages.
        head: The first bytes, up to 64 KiB.
        size: Bytes of the file when it was opened; None where that is not known.
        done: Bytes that were read.
    """

    def __init__(self, stream: BinaryIO, name: str, size: int | None = None) -> None:
        super().__init__()
        self._stream, self.name, self.size, self.done = stream, name, size, 0
        head = b""
        while len(head) < HEAD_BYTES and (more := self._next(HEAD_BYTES - len(head))):
            head += more
        self.head = self._ahead = head

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data, self._ahead = self._ahead[: len(buffer)], self._ahead[len(buffer) :]
        data = data or self._next(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def grew(self) -> bool:
        """Whether the file has more bytes by now than when it was opened."""
        return self.size is not None and os.fstat(self._stream.fileno()).st_size > self.size

    def progress(self) -> tuple[int, int] | None:
        """How many of how many bytes were read."""
        return None if self.size is None else (self.done, self.size)

    def _next(self, count: int) -> bytes:
        if self.size is not None:
            count = min(count, self.size - self.done)
        data = self._stream.read(count) if count else b""
        if count and not data and self.size is not None:
            raise DataError(f"{self.name} became shorter while it was read; read it again when it is complete")
        self.done += len(data)
        return data


class Unpacked(Source):
    """What gzip packed into a source."""

    def __init__(self, packed: Source) -> None:
        self._packed = packed
        super().__init__(cast("BinaryIO", gzip.GzipFile(fileobj=packed)), packed.name)

    def progress(self) -> tuple[int, int] | None:
        return self._packed.progress()

    def _next(self, count: int) -> bytes:
        data = super()._next(count)
        if self.done > BOMB_BYTES and self.done > MOST_RATIO * self._packed.done:
            raise DataError(
                f"{self.name} unpacks to over {MOST_RATIO} times its size, as no text does; do not trust this file"
            )
        return data


@contextmanager
def open_source(name: str) -> Iterator[Source]:
    """The bytes of a file, or for ``-`` of stdin; what gzip packed is unpacked.

    Raises:
        FileError: There is no such file, or it cannot be read.
        DataError: What gzip packed is damaged.
    """
    try:
        with _opened(name) as source:
            yield Unpacked(source) if source.head.startswith(GZIP) else source
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError(
            f"{shown(name)} was packed by gzip and is damaged or cut short ({error}); pack it again"
        ) from error
    except FileNotFoundError:
        raise FileError(f"there is no file {name}; check the path") from None
    except OSError as error:
        raise FileError(f"cannot read {shown(name)}: {error.strerror}") from error


@contextmanager
def _opened(name: str) -> Iterator[Source]:
    if name == STDIN:
        yield Source(sys.stdin.buffer, shown(name))
        return
    with open(name, "rb", buffering=0) as stream:
        status = os.fstat(stream.fileno())
        if stat.S_ISBLK(status.st_mode) or (
            stat.S_ISCHR(status.st_mode) and not stream.isatty() and not _is_null(status)
        ):
            raise OSError(errno.EINVAL, "it is a device, which may have no end")
        known = stat.S_ISREG(status.st_mode) and status.st_size  # a pipe has no size, a file under /proc says 0
        yield Source(cast("BinaryIO", stream), name, status.st_size if known else None)


def _is_null(status: os.stat_result) -> bool:
    with open(os.devnull, "rb") as null:
        return os.fstat(null.fileno()).st_rdev == status.st_rdev


def shown(name: str) -> str:
    """The name of a file, for messages."""
    return "stdin" if name == STDIN else name
