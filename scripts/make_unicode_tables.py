"""Writes the tables by which the Android app splits text: android-demo/app/src/main/resources/dev/edgekit/text/.

What is a letter, a mark, a space or a capital changes with the version of Unicode, and an Android phone has that of its
year. So the app brings its own table, unicode.txt, asked out of the tokenizers library code point by code point: then the
phone answers as Python does, whatever either knows of Unicode. Beside it goes a copy of simplified.txt.

unicode.txt has lines of a key and its entries, in hexadecimal:

    removed, white, punctuation, chinese, mark    A or A-B: code points that BERT removes (control characters), that part words, …
    order-K       A or A-B: code points of canonical combining class K (Unicode Standard Annex 15), K decimal
    lower         A=B, or A-C=B for a run: lower case, B may be several code points joined by +
    decomposed    A=B+C: the full canonical decomposition, but for Hangul syllables, whose is computed

Example:
    python scripts/make_unicode_tables.py
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from tokenizers.normalizers import NFD, BertNormalizer, Lowercase
from tokenizers.pre_tokenizers import BertPreTokenizer

ROOT = Path(__file__).parents[1]
RESOURCES = ROOT / "android-demo" / "app" / "src" / "main" / "resources" / "dev" / "edgekit" / "text"
SIMPLIFIED = ROOT / "runtime" / "edgekit_runtime" / "simplified.txt"
HANGUL = range(0xAC00, 0xAC00 + 11172)
CODE_POINTS = [*range(0xD800), *range(0xE000, 0x40000), *range(0xE0000, 0x110000)]
"""All but surrogates and the planes 4 to 13, where nothing is; tests/golden/codepoints.json has those, too."""


def tables() -> dict[str, str]:
    """The files by their names."""
    return {"unicode.txt": unicode_table(), "simplified.txt": SIMPLIFIED.read_text(encoding="utf-8")}


def unicode_table() -> str:
    """The whole of unicode.txt."""
    decompose, chinese = NFD().normalize_str, _bert(handle_chinese_chars=True)
    parts = BertPreTokenizer().pre_tokenize_str
    decomposed = _changed(decompose)
    whole = [code for code in CODE_POINTS if code not in decomposed]
    count = {code: len(parts(f"a{chr(code)}b")) for code in CODE_POINTS}
    white = {code for code, number in count.items() if number == 2}
    removed = _giving("ab", _bert(clean_text=True), CODE_POINTS)
    spaced = _giving("a b", _bert(clean_text=True), CODE_POINTS)
    if spaced != white - removed:
        raise SystemExit("the library's two notions of white space differ: the app needs a table for each")
    lines = [
        *_lines("removed", _ranges(removed)),
        *_lines("white", _ranges(white)),
        *_lines("punctuation", _ranges(code for code, number in count.items() if number == 3)),
        *_lines("chinese", _ranges(code for code in CODE_POINTS if chinese(chr(code)) == f" {chr(code)} ")),
        *_lines("mark", _ranges(_giving("ab", _bert(strip_accents=True), whole))),
    ]
    for number, codes in sorted(_combining_classes(whole).items()):
        lines += _lines(f"order-{number}", _ranges(codes))
    lines += _lines("lower", _runs(_changed(Lowercase().normalize_str)))
    lines += _lines("decomposed", (f"{code:x}={_joined(to)}" for code, to in decomposed.items() if code not in HANGUL))
    header = "# Made by scripts/make_unicode_tables.py, which describes it, of what the tokenizers library does.\n"
    return header + "".join(f"{line}\n" for line in lines)


def _bert(
    *, clean_text: bool = False, handle_chinese_chars: bool = False, strip_accents: bool = False
) -> Callable[[str], str]:
    normalizer = BertNormalizer(
        clean_text=clean_text, handle_chinese_chars=handle_chinese_chars, strip_accents=strip_accents, lowercase=False
    )
    return normalizer.normalize_str


def _giving(expected: str, normalize: Callable[[str], str], codes: Iterable[int]) -> set[int]:
    """The code points which, between a and b, give this."""
    return {code for code in codes if normalize(f"a{chr(code)}b") == expected}


def _changed(normalize: Callable[[str], str]) -> dict[int, str]:
    return {code: to for code in CODE_POINTS if (to := normalize(chr(code))) != chr(code)}


def _combining_classes(codes: Sequence[int]) -> dict[int, list[int]]:
    """Code points by their combining class: the one with whose marks they never change places.

    Marks that Python's unicodedata puts into each class are compared with, those of them that the library moves at all.
    """
    order = NFD().normalize_str
    lowest, highest = "\u0334", "\u0345"  # classes 1 and 240

    def moves(mark: str) -> bool:
        return order(mark + lowest) != mark + lowest or order(highest + mark) != highest + mark

    marks = [chr(code) for code in codes if moves(chr(code))]
    known = {unicodedata.combining(mark): mark for mark in reversed(marks) if unicodedata.combining(mark)}
    found: dict[int, list[int]] = {}
    for mark in marks:
        same = [k for k, other in known.items() if order(mark + other) + order(other + mark) == mark + other * 2 + mark]
        if len(same) != 1:
            raise SystemExit(f"U+{ord(mark):04X} is of a combining class that no known mark has")
        found.setdefault(same[0], []).append(ord(mark))
    return found


def _ranges(codes: Iterable[int]) -> Iterator[str]:
    return (f"{first:x}" if first == last else f"{first:x}-{last:x}" for first, last in _stretches(codes))


def _stretches(codes: Iterable[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for code in sorted(codes):
        if found and code == found[-1][1] + 1:
            found[-1] = (found[-1][0], code)
        else:
            found.append((code, code))
    return found


def _runs(changed: Mapping[int, str]) -> Iterator[str]:
    """Stretches that move by the same distance, and single code points that become several."""
    distances: dict[int, list[int]] = {}
    for code, to in changed.items():
        if len(to) == 1:
            distances.setdefault(ord(to) - code, []).append(code)
        else:
            yield f"{code:x}={_joined(to)}"
    for distance, codes in sorted(distances.items()):
        for first, last in _stretches(codes):
            end = "" if first == last else f"-{last:x}"
            yield f"{first:x}{end}={first + distance:x}"


def _joined(text: str) -> str:
    return "+".join(f"{ord(letter):x}" for letter in text)


def _lines(key: str, entries: Iterable[str]) -> list[str]:
    lead = f"{key} "
    return textwrap.wrap(" ".join(entries), 120, initial_indent=lead, subsequent_indent=lead, break_on_hyphens=False)


if __name__ == "__main__":
    for name, content in tables().items():
        RESOURCES.mkdir(parents=True, exist_ok=True)
        (RESOURCES / name).write_text(content, encoding="utf-8", newline="\n")
