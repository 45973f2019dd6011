"""A document of which a script writes one part, between two comments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgekit_runtime.bundle import replacing


@dataclass(frozen=True)
class Place:
    """The part of that name in a document."""

    document: Path
    name: str

    @classmethod
    def parse(cls, document: str, name: str) -> Place:
        """What ``--fill`` takes: an error now rather than after all the work.

        Raises:
            RuntimeError: As :func:`around`.
        """
        around(Path(document), name)
        return cls(Path(document), name)

    def fill(self, markdown: str) -> None:
        """As :func:`fill`."""
        fill(self.document, self.name, markdown)


def marks(name: str) -> tuple[str, str]:
    """The lines that a part begins after and ends before."""
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def fill(document: Path, name: str, markdown: str) -> None:
    """Puts Markdown in the place of what is between the marks; the rest of the document stays as it is.

    Raises:
        RuntimeError: There is no such document, or it has not exactly one such place.
        FileError: It cannot be written; it is as before.
    """
    before, after = around(document, name)
    begin, end = marks(name)
    with replacing(document) as file:
        file.write(f"{before}{begin}\n\n{markdown}\n\n{end}{after}".encode())


def around(document: Path, name: str) -> tuple[str, str]:
    """What is before and what is behind the marks of a part.

    Raises:
        RuntimeError: There is no such document, or it has not exactly one such place.
    """
    begin, end = marks(name)
    try:
        text = document.read_bytes().decode()
    except OSError as error:
        raise RuntimeError(f"cannot read {document}: {error.strerror}; give a document that has {begin}") from error
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise RuntimeError(f"{document} must have the lines {begin} and, below it, {end}, once each")
    return text.partition(begin)[0], text.partition(end)[2]
