"""A part of a file: where the contents of a bundle's entry lie, and what they must be."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from edgekit_runtime.errors import BundleIntegrityError, FileError

CHUNK = 1 << 20


@dataclass(frozen=True)
class FilePart:
    """Contents that lie in one piece in a file, so that an engine may read or map them.

    Attributes:
        name: Their name, for messages.
        path: The file.
        offset: Where they begin, in bytes.
        size: Their length, in bytes.
        sha256: Their checksum, in lower-case hexadecimal.
    """

    name: str
    path: Path
    offset: int
    size: int
    sha256: str

    @classmethod
    def write(cls, path: Path, data: bytes) -> FilePart:
        """Writes a file that holds these contents alone."""
        path.write_bytes(data)
        return cls(path.name, path, 0, len(data), hashlib.sha256(data).hexdigest())

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
            file.seek(self.offset)
            digest, left = hashlib.sha256(), self.size
            while left and (chunk := file.read(min(left, CHUNK))):
                digest.update(chunk)
                left -= len(chunk)
        self._compare(self.size - left, digest.hexdigest())

    def _compare(self, size: int, digest: str) -> None:
        if size != self.size or digest != self.sha256:
            raise BundleIntegrityError(
                f"{self.name} in {self.path} differs from its checksum: the file is damaged or was changed; "
                "copy it again or convert the model anew"
            )


@contextlib.contextmanager
def reading(path: Path) -> Iterator[IO[bytes]]:
    """Opens a file for reading.

    Raises:
        FileError: It is missing, a folder, or cannot be read.
    """
    try:
        with open(path, "rb") as file:
            yield file
    except FileNotFoundError:
        raise FileError(f"there is no file {path}; check the path") from None
    except IsADirectoryError:
        raise FileError(f"{path} is a folder, not a bundle; give the .edgekit file") from None
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from error
