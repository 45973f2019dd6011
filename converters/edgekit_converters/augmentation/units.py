"""Texts as words, or as characters where a script puts no spaces between words."""

from __future__ import annotations

import itertools
import math
import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese characters and kana
_MARKS = (
    re.escape(string.punctuation)
    + "\xa1-\xbf\u2010-\u205e\u3001-\u3004\u3008-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
)
_LETTER = rf"[^\s{_UNSPACED}{_MARKS}]"
_UNIT = re.compile(rf"(\s*)([{_UNSPACED}]|{_LETTER}+(?:['’]{_LETTER}+)*|[{_MARKS}])")
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_IS_WORD = re.compile(rf"[{_UNSPACED}]|{_LETTER}")

LEAST_PAIRS = 5
ATTRACTION = 0.4
"""Two characters that stand together so often, and attract each other so much, are a word."""


class Unit(NamedTuple):
    """A word, a punctuation mark, or a character of an unspaced script, and the white space before it."""

    gap: str
    text: str


def units(text: str) -> list[Unit]:
    """Takes a text apart; nothing is lost but white space at its end."""
    return [Unit(gap, found) for gap, found in _UNIT.findall(text)]


def is_unspaced(unit: str) -> bool:
    """Whether it is of a script without spaces: Chinese characters or kana."""
    return _IS_UNSPACED.match(unit) is not None


def has_word(text: str) -> bool:
    """Whether there is anything but punctuation and white space in a text or a unit."""
    return _IS_WORD.search(text) is not None


def with_pairs(texts: Sequence[list[Unit]]) -> list[list[Unit]]:
    """The same texts, but that two characters which belong together are one unit: most Chinese words have two.

    Which do is seen by the texts themselves, by normalised pointwise mutual information (Bouma 2009, Normalized
    (pointwise) mutual information in collocation extraction): 0 by chance, 1 if neither is ever without the other. Where
    three could pair, the two do that attract each other more.
    """
    single: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for parts in texts:
        single.update(unit.text for unit in parts if is_unspaced(unit.text))
        pairs.update(
            (a.text, b.text)
            for a, b in itertools.pairwise(parts)
            if not b.gap and is_unspaced(a.text) and is_unspaced(b.text)
        )
    total = sum(single.values())
    attraction = {}
    for (a, b), count in pairs.items():
        if count >= LEAST_PAIRS:
            strength = math.log(count * total / (single[a] * single[b])) / math.log(total / count)
            if strength >= ATTRACTION:
                attraction[a, b] = strength
    return [_paired(parts, attraction) for parts in texts]


def _paired(parts: list[Unit], attraction: Mapping[tuple[str, str], float]) -> list[Unit]:
    strengths = [0.0 if b.gap else attraction.get((a.text, b.text), 0.0) for a, b in itertools.pairwise(parts)]
    if not any(strengths):
        return parts
    strengths += [0.0, 0.0]
    found = []
    place = 0
    while place < len(parts):
        pair = strengths[place] > 0 and strengths[place] >= strengths[place + 1]
        found.append(Unit(parts[place].gap, parts[place].text + parts[place + 1].text) if pair else parts[place])
        place += 2 if pair else 1
    return found
