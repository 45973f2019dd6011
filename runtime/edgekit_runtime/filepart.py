"""A part of a file: where the contents of a bundle's entry lie, and what they must be."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from edgekit_runtime.errors import BundleIntegrityError, FileError

CHUNK = 1 << 20

MOST_BYTES = 1 << 25
"""Of a file that is parsed as a whole: parsed, it takes up to thirty times as much memory."""


class Contents(Protocol):
    """A program as an engine gets it: in the bundle as it is, or sealed there and opened when it is asked for."""

    @property
    def name(self) -> str:
        """Its name, for messages."""

    @property
    def path(self) -> Path:
        """The bundle, for messages."""

    @property
    def size(self) -> int:
        """Its length, in bytes."""

    @property
    def cache_key(self) -> str | None:
        """The checksum by which what an engine makes of it may be kept on disk; None where nothing may."""

    def read(self) -> bytes:
        """All of it, as the manifest promises it."""

    def check(self) -> None:
        """Compares what is stored with its checksum."""

    def mapped(self) -> AbstractContextManager[FilePart]:
        """Where it lies in a file, to be opened within the block; a mapping of it stays."""


@dataclass(frozen=True)
class FilePart:
    """Contents that lie in one piece in a file, so that an engine may read or map them.

    Attributes:
        name: Their name, for messages.
        path: The file.
        offset: Where they begin, in bytes.
        size: Their length, in bytes.
        sha256: Their checksum, in lower-case hexadecimal.
        lasting: Whether the file is there to stay, so that it pays to keep on disk what an engine makes of it.
    """

    name: str
    path: Path
    offset: int
    size: int
    sha256: str
    lasting: bool = True

    @classmethod
    def write(cls, path: Path, data: bytes) -> FilePart:
        """Writes a file that holds these contents alone, for as long as somebody works on them."""
        path.write_bytes(data)
        return cls(path.name, path, 0, len(data), hashlib.sha256(data).hexdigest(), lasting=False)

    @property
    def cache_key(self) -> str | None:
        return self.sha256 if self.lasting else None

    def read(self) -> bytes:
        """The contents.

        Raises:
            BundleIntegrityError: They differ from their checksum.
            FileError: The file has gone or cannot be read.
        """
        with reading(self.path) as file:
            file.seek(self.offset)
            data = file.read(self.size)
        self._compare(len(data), hashlib.sha256(data).hexdigest())
        return data

    def check(self) -> None:
        """Compares the contents with their checksum, without holding them in memory.

        Raises:
            BundleIntegrityError, FileError: As :meth:`read`.
        """
        with reading(self.path) as file:
            self.check_in(file)

    def check_in(self, file: IO[bytes]) -> None:
        """The same for a file that is open already."""
        for _ in self._pieces(file, CHUNK):
            pass

    def chunks(self, size: int = CHUNK) -> Iterator[bytes]:
        """The contents in pieces of ``size`` bytes, of which the last may be shorter.

        Raises:
            BundleIntegrityError, FileError: As :meth:`read`; after the last piece, so that nobody may rely on one before.
        """
        with reading(self.path) as file:
            yield from self._pieces(file, size)

    @contextlib.contextmanager
    def mapped(self) -> Iterator[FilePart]:
        """Itself; who maps it compares the checksum."""
        yield self

    def _pieces(self, file: IO[bytes], size: int) -> Iterator[bytes]:
        file.seek(self.offset)
        digest, left = hashlib.sha256(), self.size
        while left and (chunk := file.read(min(left, size))):
            digest.update(chunk)
            left -= len(chunk)
            yield chunk
        self._compare(self.size - left, digest.hexdigest())

    def _compare(self, size: int, digest: str) -> None:
        if size != self.size or digest != self.sha256:
            raise BundleIntegrityError(
                f"{self.name} in {self.path} differs from its checksum: the file is damaged or was changed; "
                "copy it again or convert the model anew"
            )


def open_regular(path: str | os.PathLike[str]) -> IO[bytes]:
    """Opens a regular file for reading: a pipe would be waited for, and a device may have no end.

    Raises:
        OSError: There is none, it is of another kind, or it cannot be read.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is no file but a pipe or a device; save what it gives as a file")
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def file_bytes(path: str | os.PathLike[str], most_bytes: int = MOST_BYTES) -> bytes:
    """What a file of settings or a tokenizer holds: of a regular file of at most so many bytes.

    Raises:
        OSError: As :func:`open_regular`, or it is larger.
    """
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size > most_bytes:
            raise OSError(errno.EFBIG, f"it has more than {most_bytes >> 20} MiB, which no such file needs")
        return file.read(most_bytes)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[IO[bytes]]:
    """Opens a file for reading.

    Raises:
        FileError: It is missing, a folder, a pipe or a device, or cannot be read.
    """
    try:
        with open_regular(path) as file:
            yield file
    except FileNotFoundError:
        raise FileError(f"there is no file {path}; check the path") from None
    except IsADirectoryError:
        raise FileError(f"{path} is a folder, not a bundle; give the .edgekit file") from None
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from error
