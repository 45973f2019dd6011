"""The callers' keys, as a file of lines ``NAME KEY``."""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from pathlib import Path

from edgekit_runtime.errors import FileError, OptionError

SHORTEST = 16
"""Characters that a key must have: the keys are kept as plain SHA-256, which is enough for what nobody can guess."""


class ApiKeys:
    """The keys of a file. Only their digests are kept.

    Raises:
        FileError: The file cannot be read, or others than its owner can read or change it.
        OptionError: A line is no ``NAME KEY``, a key is too short or there twice, or there is none.
    """

    def __init__(self, path: Path) -> None:
        try:
            with open(path, encoding="utf-8") as file:
                mode = os.fstat(file.fileno()).st_mode
                if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
                    raise FileError(f"others can read the keys in {path}: chmod 600 {path}")
                lines = file.read(1 << 20).splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
            raise FileError(f"cannot read the keys in {path}: {reason}") from error
        digests: dict[bytes, str] = {}
        for number, line in enumerate(lines, 1):
            fields = line.split()
            if not fields or fields[0].startswith("#"):
                continue
            if len(fields) != 2:
                raise OptionError(f"line {number} of {path} is no NAME KEY")
            name, key = fields
            if len(key) < SHORTEST or not key.isascii():
                raise OptionError(
                    f"line {number} of {path}: the key of {name!r} needs {SHORTEST} ASCII characters or more; "
                    "make one with: openssl rand -hex 32"
                )
            if digests.setdefault(_digest(key.encode()), name) != name or list(digests.values()).count(name) > 1:
                raise OptionError(f"line {number} of {path}: a name or key that is there already")
        if not digests:
            raise OptionError(f"{path} has no key; write lines of NAME KEY")
        self._digests = tuple(digests)

    def knows(self, key: bytes) -> bool:
        """Whether it is one of the keys; takes as long for every wrong one."""
        digest = _digest(key)
        found = False
        for known in self._digests:
            found |= hmac.compare_digest(known, digest)
        return found


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
