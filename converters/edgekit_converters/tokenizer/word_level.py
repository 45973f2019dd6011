"""The parts that a tokenizer of words or characters is made of: few enough for another reader (docs/bundle.md)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from edgekit_runtime.errors import TokenizerError

DROPPED = "[DROPPED]"
"""The piece that unknown words become where they are dropped; the runtime takes its id out again."""

EVERY_CHARACTER = r"[\x{0}-\x{10FFFF}]"
IDEOGRAPHS = r"[\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{F900}-\x{FAFF}\x{20000}-\x{3FFFF}]"

WHITE_SPACE = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
)
"""Where Python's ``str.split()`` parts words."""

Split = dict[str, Any]
"""One step that parts a text, as tokenizer.json has it."""


def word_level(vocabulary: Mapping[str, int], unknown: str | None, splits: Sequence[Split], *, lower: bool) -> bytes:
    """A ``tokenizer.json``: lower case, then the splits in order, then each part looked up whole.

    Args:
        vocabulary: Ids of the pieces.
        unknown: The piece that unknown parts become; None drops them.
        splits: What parts a text.
        lower: Whether to lower case first, each character for itself.

    Raises:
        TokenizerError: A piece has the reserved name.
    """
    if DROPPED in vocabulary:
        raise TokenizerError(f"{DROPPED} is a reserved name; rename that piece of the vocabulary")
    words = dict(vocabulary)
    if unknown is None:
        unknown = DROPPED
        words[DROPPED] = 1 + max(words.values(), default=0)
    content: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": {"type": "Lowercase"} if lower else None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": list(splits)},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": words, "unk_token": unknown},
    }
    return json.dumps(content, ensure_ascii=False).encode()


def removed(pattern: str) -> Split:
    """Text is parted where the pattern is met, and what meets it is dropped."""
    return _split(pattern, "Removed")


def isolated(pattern: str) -> Split:
    """Every piece of text that meets the pattern becomes a part of its own."""
    return _split(pattern, "Isolated")


def any_of(characters: Iterable[str], *, inside: Iterable[str] = ()) -> str:
    r"""A pattern that one of the characters meets.

    Characters are written as ``\x{…}`` alone, which Oniguruma and Java read alike.

    Args:
        characters: Which ones.
        inside: Those of them that belong to a word where they stand between characters that are none of them.
    """
    every, inner = set(characters), set(inside)
    if not inner:
        return f"[{_listed(every)}]"
    other, end = f"[{_listed(inner)}]", f"[^{_listed(every)}]"
    return f"[{_listed(every - inner)}]|(?<!{end}){other}|{other}(?!{end})"


def _split(pattern: str, behavior: str) -> Split:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": False}


def _listed(characters: Iterable[str]) -> str:
    ranges: list[list[int]] = []
    for code in sorted(map(ord, characters)):
        if ranges and code == ranges[-1][1] + 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(rf"\x{{{a:X}}}" if a == b else rf"\x{{{a:X}}}-\x{{{b:X}}}" for a, b in ranges)
