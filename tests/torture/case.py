"""What is thrown at a reader: files, one of which it is given."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any


@dataclass(frozen=True)
class Place:
    """Something that is no regular file: ``folder``, ``fifo``, ``link`` (to ``to``) or ``hard`` (to ``to``)."""

    kind: str
    to: str = ""


@dataclass(frozen=True)
class Case:
    """Files by name and what the reader is given of them; an empty name is the folder.

    Attributes:
        files: Contents by relative name.
        given: What the reader reads.
        note: What was done to them.
        options: What the reader is told besides.
    """

    files: Mapping[str, bytes | Place]
    given: str
    note: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    def with_file(self, name: str, content: bytes | Place, note: str) -> Case:
        return replace(self, files={**self.files, name: content}, note=f"{self.note}; {note}" if self.note else note)

    def write(self, folder: Path) -> Path:
        """Writes the files and returns the path that the reader gets."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            elif content.kind == "folder":
                path.mkdir()
            elif content.kind == "fifo":
                os.mkfifo(path)
            elif content.kind == "link":
                path.symlink_to(content.to)
            else:
                os.link(folder / content.to, path)
        return folder / self.given if self.given else folder


Breaker = Callable[[Random, Case, "Case"], Case]
"""Breaks a valid case; the second one is another valid case of the reader, to take pieces from."""

Damage = Callable[[Random, bytes], bytes]
"""Breaks the contents of one file."""


def of_bytes(damage: Damage) -> Breaker:
    """A breaker that damages one of the files, the given one half of the time."""

    def broken(rng: Random, case: Case, other: Case) -> Case:
        names = [name for name, content in case.files.items() if isinstance(content, bytes)]
        name = case.given if case.given in names and (len(names) == 1 or rng.random() < 0.5) else rng.choice(names)
        content = case.files[name]
        assert isinstance(content, bytes)
        try:
            return case.with_file(name, damage(rng, content), f"{damage.__name__} {name}")
        except Exception:  # a file of another form than this damage is for
            at = rng.randrange(len(content) + 1)
            return case.with_file(name, content[:at] + rng.randbytes(8) + content[at + 8 :], f"bytes {name}")

    broken.__name__ = damage.__name__
    return broken
