"""What a manifest says of sealed programs: its key ``sealed`` (docs/bundle.md, "Sealed programs")."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgekit_runtime.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Mapping

CIPHER = "AES-256-GCM"
SCHEMA_VERSION = 3
"""The oldest schema in which it may stand: an older reader would hand the cipher text to an engine."""
SEGMENT_BYTES = 1 << 20
SMALLEST_SEGMENT, LARGEST_SEGMENT = 1 << 12, 1 << 24
SALT_BYTES, TAG_BYTES = 32, 16
MOST_SEGMENTS = 1 << 32

_KEY_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class SealedFile:
    """One encrypted entry.

    Attributes:
        salt: 32 random bytes in base64, which make its key its own.
        bytes: Its size before it was sealed.
    """

    salt: str
    bytes: int


@dataclass(frozen=True)
class Sealed:
    """How the programs of a bundle are encrypted.

    Attributes:
        cipher: ``AES-256-GCM``, a segment at a time.
        segment_bytes: Size of a segment before it was sealed; the last may be shorter.
        key_id: Names the key, in 16 hexadecimal digits, without telling it.
        files: Each encrypted entry, by name.
    """

    cipher: str
    segment_bytes: int
    key_id: str
    files: dict[str, SealedFile]

    def check(self, programs: Collection[str], stored_bytes: Mapping[str, int]) -> None:
        """Refuses what no reader could open, or what leaves a program open.

        Args:
            programs: Names of all programs of the bundle.
            stored_bytes: Size of each entry as it is stored.

        Raises:
            BundleError: Another cipher, sizes that do not fit, or other files than the programs.
        """
        if self.cipher != CIPHER:
            raise BundleError(
                f"manifest.json seals by {self.cipher!r}, and this edgekit knows {CIPHER}: "
                "upgrade it (pip install -U edgekit)"
            )
        if not SMALLEST_SEGMENT <= self.segment_bytes <= LARGEST_SEGMENT:
            raise BundleError(
                f"manifest.json: segment_bytes must lie between {SMALLEST_SEGMENT} and {LARGEST_SEGMENT}, "
                f"not {self.segment_bytes}"
            )
        if not _KEY_ID.fullmatch(self.key_id):
            raise BundleError("manifest.json: the key_id of sealed programs must be 16 hexadecimal digits")
        if set(self.files) != set(programs):
            raise BundleError(
                f"manifest.json must seal exactly its programs, {', '.join(sorted(set(programs)))}, "
                f"not {', '.join(sorted(self.files)) or 'none'}"
            )
        for name, file in self.files.items():
            if len(salt_of(file)) != SALT_BYTES:
                raise BundleError(f"manifest.json: the salt of {name} must be {SALT_BYTES} bytes in base64")
            count = segments(file.bytes, self.segment_bytes)
            if file.bytes < 0 or count > MOST_SEGMENTS or stored_bytes.get(name) != file.bytes + count * TAG_BYTES:
                raise BundleError(
                    f"manifest.json: {name} was {file.bytes} bytes before it was sealed, which does not fit its size"
                )


def salt_of(file: SealedFile) -> bytes:
    """The salt of a file; empty where its text is no base64."""
    try:
        return base64.b64decode(file.salt, validate=True)
    except (binascii.Error, ValueError):
        return b""


def segments(size: int, segment_bytes: int) -> int:
    """How many segments so many bytes make; none make one, which is empty."""
    return max(1, -(-size // segment_bytes))
