"""Which words made the answer: each word's weight by occlusion (docs/explain.md).

The text is classified whole and once without each word; a word's weight is what its absence costs the label. For images
that is occlusion (Zeiler and Fergus, 2014, arXiv 1311.2901), for text erasure (Li, Monroe and Jurafsky, 2016,
arXiv 1612.08220). It asks nothing of the engine but answers, so that it works wherever the bundle does.
"""

from __future__ import annotations

import bisect
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from edgekit_runtime.prediction import Prediction
from edgekit_runtime.text import TextEncoder

MAX_WORDS = 512
"""A text of more words is explained by groups of neighbours, at most this many."""

Span = tuple[int, int]

_ZERO_WIDTH_JOINER = "\u200d"
_REGIONAL_INDICATOR = re.compile("[\U0001f1e6-\U0001f1ff]")
_SKIN_TONE = re.compile("[\U0001f3fb-\U0001f3ff]")
_KEYCAP = "\u20e3"
_UNSPACED = re.compile(
    "[\u0e00-\u0fff"  # Thai, Lao, Tibetan
    "\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f"  # Myanmar
    "\u1780-\u17ff\u1950-\u19ff\u1a20-\u1aaf"  # Khmer, Tai Le, New Tai Lue, Tai Tham
    "\u3005-\u3007\u3021-\u3029\u3031-\u3035\u303b"  # marks that stand for Han characters
    "\u3041-\u312f\u31a0-\u31bf\u31f0-\u31ff\uff66-\uff9f"  # Hiragana, Katakana, Bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U0003ffff]"  # Han, rare Kana
)
"""Characters of scripts that put no spaces between words."""


@dataclass(frozen=True, slots=True)
class WordWeight:
    """One word of an explained text.

    Attributes:
        text: The word.
        start: Where it begins in the text as it was given, in characters (Unicode code points).
        end: Where it ends, exclusive.
        weight: The label's probability with the word minus without it, from -1 to 1; over 0 it speaks for the label.
    """

    text: str
    start: int
    end: int
    weight: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """An answer and what each word had to do with it.

    Attributes:
        prediction: The answer to the whole text.
        words: The words that the model saw, or any of several, in their order; those behind the cut at ``max_length`` are
            left out.
    """

    prediction: Prediction
    words: tuple[WordWeight, ...]


def explain(
    predict: Callable[[Sequence[str]], list[Prediction]], encoders: Sequence[TextEncoder], text: str
) -> Explanation:
    """Classifies a text whole and once with a space in each word's place; see :meth:`Classifier.explain`.

    Args:
        predict: Classifies several texts.
        encoders: Those of the models that answer; the one that sees most of the text says where it is cut.
        text: The text.
    """
    whole = predict([text])[0]
    seen = max((_seen(encoder, text) for encoder in encoders), key=len)
    spans = _grouped(list(words(seen)))
    answers = predict([f"{seen[:start]} {seen[end:]}" for start, end in spans])
    weights = [whole.score - answer.scores[whole.label] for answer in answers]
    return Explanation(
        whole,
        tuple(
            WordWeight(text[start:end], start, end, weight) for (start, end), weight in zip(spans, weights, strict=True)
        ),
    )


def words(text: str) -> Iterator[Span]:
    """Where the words of a text are.

    White space and punctuation part words, and a mark of punctuation is a word too. Scripts without spaces between words go
    by the character. What is read as one sign stays whole: a letter with its accents, an emoji of several code points, an
    apostrophe between letters, a point between digits, a mark or an emoji that is repeated.
    """
    begin, kind, previous = 0, "", 0
    for start, end in _signs(text):
        found = _kind(text, start, end)
        if kind == "word" and _inside_word(text, start, end):
            found = "word"
        if kind and (found != kind or kind == "single"):
            yield begin, previous
            kind = ""
        if not kind:
            begin, kind = start, found
        previous = end
    if kind:
        yield begin, previous


def _kind(text: str, start: int, end: int) -> str:
    """What a sign is: nothing to show (""), part of a word, a word by itself, or else the mark itself."""
    first = text[start]
    if first.isspace() or unicodedata.category(first) in ("Cc", "Cf"):
        return ""
    if _UNSPACED.match(first) or text[end - 1] == _KEYCAP:
        return "single"
    return "word" if unicodedata.category(first)[0] in "LN" or first == "_" else text[start:end]


def _inside_word(text: str, start: int, end: int) -> bool:
    """Whether the word before a mark goes on behind it, as in don't and 3.5; Unicode's own rules (UAX 29) have more."""
    mark, after = text[start:end], text[end : end + 1]
    if mark in ("'", "’"):
        return after.isalpha() and not _UNSPACED.match(after)
    return mark in (".", ",") and after.isdigit() and text[start - 1].isdigit()


def _signs(text: str) -> Iterator[Span]:
    """What a reader takes for one character, near enough: a base with what joins it."""
    start = 0
    for index in range(1, len(text) + 1):
        if index == len(text) or not _joins(text, start, index):
            yield start, index
            start = index


def _joins(text: str, start: int, index: int) -> bool:
    if text[start].isspace():
        return False
    character, before = text[index], text[index - 1]
    if unicodedata.category(character) in ("Mn", "Mc", "Me", "Cf") or _SKIN_TONE.match(character):
        return True
    if before == _ZERO_WIDTH_JOINER:
        return not character.isspace()
    if "\ud800" <= before <= "\udbff":  # two surrogates are one character, as the tokenizer will be told
        return "\udc00" <= character <= "\udfff"
    flag = _REGIONAL_INDICATOR.match(character) and _REGIONAL_INDICATOR.match(text[start])
    return bool(flag) and index == start + 1


def _seen(encoder: TextEncoder, text: str) -> str:
    """The text up to the cut; a word that the cut goes through is whole."""
    ids = encoder.ids(text)
    if len(ids) < encoder.spec.max_length:
        return text

    def reaches(end: int) -> bool:
        """Whether the cut comes before ``end``: what lies behind the cut does not change the ids."""
        return encoder.ids(text[:end]) == ids

    ends: list[int] = []
    for _, end in words(text):
        ends.append(end)
        if len(ends).bit_count() == 1 and reaches(end):  # asked at 1, 2, 4, … words, so that a long text costs no more
            break
    last = bisect.bisect_left(ends, True, key=reaches)
    return text[: ends[last]] if last < len(ends) else text


def _grouped(spans: list[Span]) -> list[Span]:
    """The words, or groups of neighbours of equal size where they are more than MAX_WORDS."""
    size = -(-len(spans) // MAX_WORDS) or 1
    groups = [spans[index : index + size] for index in range(0, len(spans), size)]
    return [(group[0][0], group[-1][1]) for group in groups]
