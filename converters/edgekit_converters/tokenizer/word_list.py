"""Lists of words or characters as a ``tokenizer.json``. How they part a text is judged by the pieces, said aloud."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from edgekit_converters.tokenizer.word_level import (
    EVERY_CHARACTER,
    IDEOGRAPHS,
    WHITE_SPACE,
    Split,
    any_of,
    isolated,
    removed,
    word_level,
)
from edgekit_runtime.errors import TokenizerError

Say = Callable[[str], None]

PADDING = ("[PAD]", "<pad>", "<PAD>", "PAD", "_PAD_", "__PAD__")
UNKNOWN = ("[UNK]", "<unk>", "<UNK>", "<OOV>", "<oov>", "UNK", "OOV", "_UNK_", "__UNK__")
KERAS_FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
"""What Keras' Tokenizer drops unless told otherwise."""

STRAY = 0.01
"""A share of pieces up to this is taken for odd words rather than for a sign of what the list is."""

_ASCII_MARKS = frozenset(string.punctuation)
_MARKS = _ASCII_MARKS.union(
    *(
        map(chr, range(first, last + 1))
        for first, last in (
            *((0xA1, 0xBF), (0x2010, 0x2027), (0x2030, 0x205E), (0x3001, 0x3003), (0x3008, 0x301F)),
            *((0xFF01, 0xFF0F), (0xFF1A, 0xFF20), (0xFF3B, 0xFF40), (0xFF5B, 0xFF65)),
        )
    )
)
_SPECIAL = re.compile(r"<[A-Za-z0-9_/]+>|\[[A-Za-z0-9_]+\]")
_UNBROKEN = re.compile(f"[^{WHITE_SPACE}]+")
_IDEOGRAPH = "[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
_SUBWORDS = (("##", "WordPiece vocabulary without [UNK]"), ("Ġ", "BPE vocabulary"), ("▁", "SentencePiece vocabulary"))


def from_lines(lines: Sequence[str], source: str, say: Say) -> bytes:
    """A ``tokenizer.json`` for one piece a line, whose id is its line's number from 0.

    Raises:
        TokenizerError: It is no such list, or one of words that no simple rule finds in a text.
    """
    if not lines:
        raise TokenizerError(f"{source} holds no pieces; give the word list that the model was trained with")
    vocabulary: dict[str, int] = {}
    for index, piece in enumerate(lines):
        where = f"line {index + 1} of {source}"
        if not piece:
            raise TokenizerError(f"{where} is empty; if its id is the padding's, put <pad> there")
        if len(piece) > 1 and not _UNBROKEN.fullmatch(piece):
            raise TokenizerError(f"{where} holds white space ({piece[:30]!r}): it takes one word a line, and no counts")
        if vocabulary.setdefault(piece, index) != index:
            raise TokenizerError(f"{where} is {piece!r}, as is line {vocabulary[piece] + 1}; the list is damaged")
    return from_ids(vocabulary, source, say)


def from_ids(vocabulary: Mapping[str, int], source: str, say: Say) -> bytes:
    """A ``tokenizer.json`` for pieces with ids; ids from 1 are taken for the ``word_index`` of Keras.

    Raises:
        TokenizerError: They are words that no simple rule finds in a text.
    """
    try:
        "".join(vocabulary).encode()
    except UnicodeEncodeError as error:
        raise TokenizerError(
            f"{source} has a piece with half a character ({error.reason}); save it as UTF-8"
        ) from error
    pieces = [piece for piece in vocabulary if not _SPECIAL.fullmatch(piece) and piece not in (*PADDING, *UNKNOWN)]
    keras = min(vocabulary.values()) == 1
    unknown = next((piece for piece in UNKNOWN if piece in vocabulary), None)
    capitals = [piece for piece in pieces if piece != piece.lower()]
    lower = len(capitals) <= STRAY * len(pieces) and all(piece.isupper() for piece in capitals)  # NUM, URL: no words
    if all(len(piece) == 1 for piece in pieces):
        what, rule = "characters", _character_rule(spaces_count=keras or " " in vocabulary)
    else:
        _refuse_subwords(pieces, source)
        refuse_what_needs_a_segmenter(pieces, source)
        what, rule = "words", (_keras_rule(pieces) if keras else None) or _word_rule(pieces)
    say(
        f"{source} is taken for {'the word_index of Keras' if keras else 'a list'}: {len(vocabulary)} {what}, "
        f"{'lower case' if lower else 'case kept'}; {rule.told}; {fate(unknown)}"
    )
    return word_level(vocabulary, unknown, rule.splits, lower=lower)


def refuse_what_needs_a_segmenter(pieces: Collection[str], source: str) -> None:
    """Refuses words of several Chinese characters, which nothing in a text parts.

    Raises:
        TokenizerError: More than a stray few of the pieces are such words.
    """
    several = [piece for piece in pieces if re.search(_IDEOGRAPH * 2, piece)]
    if len(several) > STRAY * len(pieces):
        raise TokenizerError(
            f"{source} has {len(several)} words of several Chinese characters, such as {several[0]}: to find them in a "
            "text takes a segmenter, which edgekit does not have; train on single characters or with WordPiece instead"
        )


def fate(unknown: str | None) -> str:
    """What becomes of unknown words, for the user."""
    return "unknown ones are dropped" if unknown is None else f"unknown ones become {unknown}"


@dataclass(frozen=True)
class _Rule:
    """How text is parted: splits in order, and the same in words."""

    splits: tuple[Split, ...]
    told: str


def _character_rule(*, spaces_count: bool) -> _Rule:
    if spaces_count:
        return _Rule((isolated(EVERY_CHARACTER),), "every character counts, spaces too")
    return _Rule((removed(any_of(WHITE_SPACE)), isolated(EVERY_CHARACTER)), "it has no space, so spaces are dropped")


def _keras_rule(pieces: Iterable[str]) -> _Rule | None:
    """Keras' own rule, unless the pieces hold what it would have dropped."""
    if not set("".join(pieces)).isdisjoint(KERAS_FILTERS):
        return None
    return _Rule((removed(any_of(KERAS_FILTERS + " ")),), "punctuation is dropped, as Keras does by default")


def _word_rule(pieces: Collection[str]) -> _Rule:
    """The first rule by which every piece of the list can come out of a text."""
    single = {piece for piece in pieces if len(piece) == 1}
    chinese = (isolated(IDEOGRAPHS),) if any(re.match(_IDEOGRAPH, piece) for piece in single) else ()
    inside, elsewhere, _ = _marks(pieces, _ASCII_MARKS)
    if elsewhere <= {"'"}:
        ends = {*_ASCII_MARKS, *WHITE_SPACE} - elsewhere
        return _Rule((removed(any_of(ends, inside=inside & ends)), *chinese), "punctuation is dropped")
    inside, elsewhere, example = _marks([piece for piece in pieces if len(piece) > 1], _MARKS)
    if not elsewhere:
        marks = (_MARKS - {"_"}) | {piece for piece in single if not piece.isalnum()} | inside
        splits = (removed(any_of(WHITE_SPACE)), isolated(any_of(marks, inside=inside)), *chinese)
        return _Rule(splits, "each punctuation mark counts as a word")
    return _Rule((removed(any_of(WHITE_SPACE)),), f"white space alone parts words, since {example!r} is one of them")


def _marks(pieces: Iterable[str], marks: Collection[str]) -> tuple[set[str], set[str], str]:
    """Marks between two letters of a piece ("don't"), marks elsewhere ("good.", "..."), and a piece with one of those."""
    inside: set[str] = set()
    elsewhere: set[str] = set()
    example, gaps = "", {" ", *marks}
    for piece in pieces:
        if piece.isalnum():
            continue
        for before, mark, after in zip(f" {piece}", piece, f"{piece[1:]} ", strict=False):
            if mark in marks:
                letters = before not in gaps and after not in gaps
                (inside if letters else elsewhere).add(mark)
                example = example or ("" if letters else piece)
    return inside, elsewhere, example


def _refuse_subwords(pieces: Collection[str], source: str) -> None:
    for sign, name in _SUBWORDS:
        if sum(piece.startswith(sign) for piece in pieces) > STRAY * len(pieces):
            raise TokenizerError(
                f"{source} has pieces that begin with {sign}, so it is no word list but a {name}; "
                "give the tokenizer.json that the model was trained with"
            )
