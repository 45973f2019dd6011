"""Long texts cut into sentences: a model of short texts learns more from them than from whole reviews."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from edgekit_converters.augmentation.units import Unit, has_word, units
from edgekit_runtime.errors import OptionError

LONGEST = 40

_LINES = re.compile(r"[\r\n\u2028\u2029]+|(?:<br\s*/?>\s*)+", re.IGNORECASE)
_CLOSING = "[\"'”’»)\\]）】」』]*"
_END = re.compile(rf"[.!?…]+{_CLOSING}(?=\s)|[。！？…]+{_CLOSING}")
_ABBREVIATION = re.compile(r"(?:^|\W)(?:[a-z]|mr|mrs|ms|dr|st|vs|jr|sr|prof|etc|e\.g|i\.e)\s?\.$", re.IGNORECASE)
_PAUSES = frozenset(",;:，；：、")


def sentences(texts: Iterable[str], longest: int = LONGEST) -> list[str]:
    """The sentences of texts, each once, in their order.

    A sentence ends at ``.!?…`` before white space, at ``。！？…``, and at the end of a line or an HTML ``<br>``, but not
    behind an initial or an abbreviation such as ``Mr.``

    Args:
        texts: Texts of any length.
        longest: Most words of a sentence, or Chinese characters; longer ones are cut, at a comma if there is one.

    Raises:
        OptionError: ``longest`` is below 1.
    """
    if longest < 1:
        raise OptionError(f"sentences of at most {longest} words cannot be made; give 1 or more")
    parts = (part for text in texts for line in _LINES.split(text) for part in _sentences(line))
    return list(dict.fromkeys(short for part in parts for short in _shortened(part, longest)))


def _sentences(line: str) -> Iterator[str]:
    begin = 0
    for end in _END.finditer(line):
        if not _ABBREVIATION.search(line, begin, end.end()):
            yield line[begin : end.end()]
            begin = end.end()
    yield line[begin:]


def _shortened(sentence: str, longest: int) -> Iterator[str]:
    parts = units(sentence)
    while parts:
        cut = len(parts) if _words(parts) <= longest else _place(parts, longest)
        piece, parts = parts[:cut], parts[cut:]
        if _words(piece):
            yield "".join(gap + text for gap, text in piece).strip()


def _words(parts: list[Unit]) -> int:
    return sum(has_word(unit.text) for unit in parts)


def _place(parts: list[Unit], longest: int) -> int:
    """Where to cut: behind the last pause in the second half of what may stay, else behind its last word."""
    words = pause = 0
    for place, unit in enumerate(parts):
        words += has_word(unit.text)
        if words > longest:
            return pause or place
        if unit.text in _PAUSES and 2 * words >= longest:
            pause = place + 1
    return len(parts)
