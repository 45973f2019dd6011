"""The lines of a text file, decoded."""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Iterator

from edgekit_converters.data.rows import BadRow, Say
from edgekit_converters.data.source import Source
from edgekit_runtime.errors import DataError

LINE_LIMIT = 1 << 24
"""Characters of the longest line; more would not fit into a small memory, and is no example."""

UNDECODABLE = "\udcff"
"""Stands for bytes that are not in the encoding. No decoder gives a lone surrogate, so it cannot be anything else."""

_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def _mark_undecodable(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return UNDECODABLE, error.end


codecs.register_error("edgekit.mark", _mark_undecodable)


class TextFile:
    """A source read as text.

    Attributes:
        source: The bytes.
        encoding: That in which they are read.
        beginning: The first characters.
    """

    def __init__(self, source: Source, encoding: str | None, say: Say | None) -> None:
        self.source, self._say = source, say
        self.encoding = encoding or _find_encoding(source, say)
        self.beginning = source.head[:1024].decode(self.encoding, "replace")

    def lines(self) -> Iterator[str]:
        """Each line with its end; bytes that cannot be decoded are UNDECODABLE.

        Raises:
            DataError: A line is too long to be one, or nothing is in the encoding.
        """
        for number, line in enumerate(self._parts(io.TextIOWrapper.readline), start=1):
            complete = line[-1:] in ("\r", "\n")
            if len(line) >= LINE_LIMIT - 1 and not complete:
                raise DataError(
                    f"{self.source.name}, line {number} has more than {LINE_LIMIT >> 20} million characters; "
                    "put one example on a line"
                )
            if not complete and self.source.grew():
                break
            yield line
        if self._say is not None and self.source.grew():
            self._say(
                f"{self.source.name} grew while it was read; its first {self.source.size} bytes were read, up to their last "
                "complete line"
            )

    def whole(self, limit: int) -> str | None:
        """All of it at once; None if it has more bytes than the limit."""
        parts = []
        for part in self._parts(io.TextIOWrapper.read):
            parts.append(part)
            if self.source.done > limit:
                return None
        return "".join(parts)

    def _parts(self, read: Callable[[io.TextIOWrapper, int], str]) -> Iterator[str]:
        text = io.TextIOWrapper(io.BufferedReader(self.source), self.encoding, errors="edgekit.mark", newline="")
        mark = "\ufeff"
        try:
            while part := read(text, LINE_LIMIT):
                yield part.removeprefix(mark)
                mark = ""
        except UnicodeError as error:  # what a codec says of the whole, such as a missing byte order mark
            raise DataError(
                f"{self.source.name} is not {self.encoding.upper()} ({error}); name its encoding with --encoding"
            ) from error

    def undecodable(self, line: int) -> BadRow:
        """A row in which UNDECODABLE was found."""
        return BadRow(
            line, f"it is not {self.encoding.upper()}; name the encoding with --encoding, such as gb18030 or latin-1"
        )


def _find_encoding(source: Source, say: Say | None) -> str:
    """UTF-8, unless the first bytes say otherwise: by a byte order mark, or, said aloud, as plainly Chinese in GB18030."""
    head = source.head
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding
    if head.count(0) * 4 > len(head):
        raise DataError(
            f"{source.name} has more NUL bytes than text has; if it is UTF-16, say --encoding utf-16-le or utf-16-be"
        )
    if say is not None and _decoded(head, "utf-8") is None and _is_chinese(_decoded(head, "gb18030")):
        say(f"{source.name} is not UTF-8 and is read as GB18030, in which it is Chinese; --encoding says otherwise")
        return "gb18030"
    return "utf-8"


def _decoded(head: bytes, encoding: str) -> str | None:
    """The text of the first bytes, the last character of which may be cut; None if they are not in this encoding."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return None


def _is_chinese(text: str | None) -> bool:
    """Whether nearly all that is not ASCII belongs to the 3755 common characters of GB 2312, its signs and full-width forms.

    These are in the order of their pronunciation, and Chinese text uses the last quarter too. Korean text, whose bytes
    lie in the same rows otherwise, does not.
    """
    pairs = [
        code
        for code in (character.encode("gb18030") for character in text or "" if character > "\x7f")
        if len(code) == 2
    ]
    rows = [first - 0xA0 for first, second in pairs if second > 0xA0]
    common = sum(16 <= row <= 55 for row in rows)
    signs = sum(1 <= row <= 3 for row in rows)
    late = sum(41 <= row <= 55 for row in rows)
    return common > 0 and common + signs >= 0.9 * len(pairs) and late >= 0.1 * common
