"""Sealing: programs encrypted a segment at a time (docs/bundle.md, "Sealed programs").

The segments are those of the STREAM construction (Hoang, Reyhanitabar, Rogaway and Vizár 2015, "Online Authenticated-Encryption
and its Nonce-Reuse Misuse-Resistance"): each has its number and whether it is the last in its nonce, so that none can be moved,
left out or added. A file's key comes of the sealing key by the KDF in counter mode of NIST SP 800-108.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import io
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from edgekit_runtime.errors import FileError, SealError, require
from edgekit_runtime.filepart import FilePart, reading
from edgekit_runtime.trust.sealed import TAG_BYTES, Sealed, salt_of, segments

_LABEL = b"edgekit seal 1"
_KEY_BITS = 256
_NO_EXECUTION = 0x8  # MFD_NOEXEC_SEAL, which Linux before 6.3 does not know


@dataclass(frozen=True)
class SealedPart:
    """A sealed program in a bundle: contents that are opened in memory, and nowhere else.

    Attributes:
        stored: Where it lies, encrypted.
        sealed: How the bundle is sealed.
        key: Gives the sealing key, of the right id.
    """

    stored: FilePart
    sealed: Sealed
    key: Callable[[], bytes]

    @property
    def name(self) -> str:
        """Its name, for messages."""
        return self.stored.name

    @property
    def path(self) -> Path:
        """The bundle, for messages."""
        return self.stored.path

    @property
    def size(self) -> int:
        """Its length in bytes, opened."""
        return self.sealed.files[self.name].bytes

    @property
    def cache_key(self) -> str | None:
        """None: nothing that is made of it, opened, lies on a disk."""
        return None

    def check(self) -> None:
        """Compares what is stored with its checksum, which takes no key."""
        self.stored.check()

    def read(self) -> bytes:
        """The program, opened in memory. It is there once all of it is authentic, and once only.

        Raises:
            SealError: There is no key or a wrong one, or the contents were changed.
            BundleIntegrityError, FileError: As of a :class:`FilePart`.
        """
        opened = io.BytesIO()
        for piece in self._opened():
            opened.write(piece)
        return opened.getvalue()  # the very buffer, not a copy

    @contextlib.contextmanager
    def mapped(self) -> Iterator[FilePart]:
        """The program as a file to be opened or mapped within the block.

        On Linux it lies in anonymous memory that has no name on any disk; elsewhere in a private file in a private folder,
        which is removed when the block ends: a mapping stays.

        Raises:
            As :meth:`read`.
        """
        digest = hashlib.sha256()
        with _private_file() as (file, path):
            try:
                for piece in self._opened():
                    digest.update(piece)
                    file.write(piece)
                file.flush()
            except OSError as error:
                raise FileError(f"there is no room to open {self.name} of {self.path}: {error.strerror}") from error
            _freeze(file)
            yield FilePart(self.name, path, 0, self.size, digest.hexdigest(), lasting=False)

    def _opened(self) -> Iterator[bytes]:
        """The program a segment at a time; who takes them must use none before the last one came."""
        key = file_key(self.key(), salt_of(self.sealed.files[self.name]), self.name)
        with reading(self.path) as file:
            self.stored.check_in(file)
            file.seek(self.stored.offset)
            count = segments(self.size, self.sealed.segment_bytes)
            cipher, left = _cipher(key), self.size
            invalid: type[Exception] = require(
                "cryptography.exceptions", extra="trust", purpose="a sealed bundle"
            ).InvalidTag
            for index in range(count):
                size = min(self.sealed.segment_bytes, left)
                left -= size
                try:
                    yield cipher.decrypt(_nonce(index, index == count - 1), file.read(size + TAG_BYTES), None)
                except invalid as error:
                    raise SealError(
                        f"{self.name} in {self.path} is not what was sealed with the key {self.sealed.key_id}: segment "
                        f"{index + 1} of {count} was changed or moved; do not trust this file"
                    ) from error


def encrypted(pieces: Iterable[bytes], size: int, key: bytes, segment_bytes: int) -> Iterator[bytes]:
    """What is stored of a file, a segment at a time.

    Args:
        pieces: The file in pieces of ``segment_bytes``.
        size: Its size in bytes.
        key: Its own key, used for nothing else.
        segment_bytes: Size of a segment; the last may be shorter.
    """
    cipher, last = _cipher(key), segments(size, segment_bytes) - 1
    if size == 0:
        yield cipher.encrypt(_nonce(0, True), b"", None)
    for index, piece in enumerate(pieces):
        yield cipher.encrypt(_nonce(index, index == last), piece, None)


def file_key(master: bytes, salt: bytes, name: str) -> bytes:
    """The key of one file: NIST SP 800-108 in counter mode with HMAC-SHA256, whose first block is enough."""
    fixed = _LABEL + b"\0" + salt + name.encode() + _KEY_BITS.to_bytes(4, "big")
    return hmac.digest(master, (1).to_bytes(4, "big") + fixed, "sha256")


def _nonce(index: int, last: bool) -> bytes:
    return bytes(7) + index.to_bytes(4, "big") + bytes([last])


def _cipher(key: bytes) -> Any:
    ciphers = require("cryptography.hazmat.primitives.ciphers.aead", extra="trust", purpose="a sealed bundle")
    return ciphers.AESGCM(key)


@contextlib.contextmanager
def _private_file() -> Iterator[tuple[IO[bytes], Path]]:
    """A file that nobody else can open, and its path; gone when the block ends and what maps it is closed."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(_memory(), "w+b") as file:
            yield file, Path(f"/proc/self/fd/{file.fileno()}")
        return
    with tempfile.TemporaryDirectory(prefix="edgekit-") as folder:  # for its owner alone
        handle, name = tempfile.mkstemp(dir=folder)
        with os.fdopen(handle, "w+b") as file:
            yield file, Path(name)


def _memory() -> int:
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        try:
            return os.memfd_create("edgekit", flags | _NO_EXECUTION)
        except OSError:
            return os.memfd_create("edgekit", flags)
    except OSError as error:
        raise FileError(
            f"the system gives no memory for a sealed program: {error.strerror}; use another engine"
        ) from error


def _freeze(file: IO[bytes]) -> None:
    """Makes anonymous memory unchangeable, for this process too."""
    if hasattr(os, "memfd_create"):
        import fcntl

        fcntl.fcntl(file.fileno(), fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
