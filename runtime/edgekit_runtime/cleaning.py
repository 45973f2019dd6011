"""Text cleaning before the tokenizer: named steps, the same on every device (docs/bundle.md).

The patterns are written so that Python, Java and Kotlin read them alike: no flags, and no class whose members depend on
the Unicode version (``\\s``, ``\\w``, ``\\b``) but for ``[\\s\\S]``, which is every character.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from edgekit_runtime.errors import BundleError, OptionError

Step = Callable[[str], str]

STOP_WORDS = "stop-words"
SIMPLIFIED_TABLE = Path(__file__).with_name("simplified.txt")

NAMED_CHARACTERS = {
    "amp": "&",
    "lt": "<",
    "gt": ">",
    "quot": '"',
    "apos": "'",
    "nbsp": " ",
    "hellip": "…",
    "ndash": "–",
    "mdash": "—",
    "lsquo": "‘",
    "rsquo": "’",
    "ldquo": "“",
    "rdquo": "”",
    "copy": "©",
    "reg": "®",
    "trade": "™",
    "euro": "€",
}

_SPACES = re.compile(r"[\t-\r ]+")
# What is not closed reaches to the end of the text, as in a browser; so no pattern looks at a character twice.
_UNSEEN = (
    re.compile(r"<!--[\s\S]*?(?:-->|(?![\s\S]))"),
    re.compile(
        r"<[Ss][Cc][Rr][Ii][Pp][Tt](?![0-9A-Za-z-])[^<>]*>"
        r"[\s\S]*?(?:</[Ss][Cc][Rr][Ii][Pp][Tt](?![0-9A-Za-z-])[^<>]*>|(?![\s\S]))"
    ),
    re.compile(
        r"<[Ss][Tt][Yy][Ll][Ee](?![0-9A-Za-z-])[^<>]*>"
        r"[\s\S]*?(?:</[Ss][Tt][Yy][Ll][Ee](?![0-9A-Za-z-])[^<>]*>|(?![\s\S]))"
    ),
    re.compile(r"<(?:/?[A-Za-z]|[!?])[^<>]*>"),
)
_REFERENCE = re.compile(rf"&(?:#([0-9]{{1,7}})|#[Xx]([0-9A-Fa-f]{{1,6}})|({'|'.join(NAMED_CHARACTERS)}));")
# Ends before punctuation, which belongs to the sentence around it, and before the first character that is not ASCII.
_URL = re.compile(
    r"(?:[Hh][Tt][Tt][Pp][Ss]?://|(?<![0-9A-Za-z])[Ww][Ww][Ww]\.)"
    r"[0-9A-Za-z](?:[!#-;=?-Z\[\]_a-z~]*[#-&*+\-/0-9=@-Z_a-z~])?"
)
_HANDLE = re.compile(r"(?<![0-9A-Za-z_@])@[0-9A-Za-z_@\u4e00-\u9fff]*[0-9A-Za-z_\u4e00-\u9fff]")
_HALF_WIDTH = {0x3000: 0x20, **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}}

_IDEOGRAPHS = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_BETWEEN_WORDS = (  # all of ASCII but letters, digits and the apostrophe; punctuation of Latin and Chinese
    r"\x00-&(-/:-@\[-`\{-\xbf\u2000-\u2018\u201a-\u206f\u3000-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
)
_WORD = re.compile(f"[{_IDEOGRAPHS}]|[^{_BETWEEN_WORDS}{_IDEOGRAPHS}]+")
_FOLDED: dict[int, str | int] = {ord("’"): "'", **{code: code + 32 for code in range(ord("A"), ord("Z") + 1)}}


def cleaner(clean: Sequence[str], stop_words: Sequence[str] = ()) -> Step | None:
    """The steps as one function, or None if there are none.

    Args:
        clean: Names of the steps, in order.
        stop_words: What the step ``stop-words`` drops.

    Raises:
        BundleError: This version does not have one of the steps.
    """
    if not clean:
        return None
    if unknown := [name for name in clean if name not in STEPS]:
        raise BundleError(f"this edgekit has no text cleaning named {', '.join(unknown)}: upgrade it")
    steps = [_dropping(stop_words) if name == STOP_WORDS else STEPS[name] for name in clean]

    def run(text: str) -> str:
        for step in steps:
            text = step(text)
        return text

    return run


def check_cleaning(clean: Sequence[str], stop_words: Sequence[str]) -> None:
    """Refuses steps that do not exist, and stop words without their step, or the step without them.

    Raises:
        OptionError: The message names what is valid.
    """
    if unknown := [name for name in clean if name not in STEPS]:
        raise OptionError(f"there is no cleaning step {', '.join(unknown)}; --clean takes {', '.join(STEPS)}")
    if len(set(clean)) != len(clean):
        raise OptionError(
            f"--clean {','.join(clean)} names a step twice; name each once, in the order in which they run"
        )
    if stop_words and STOP_WORDS not in clean:
        raise OptionError(
            f"--stop-words needs its step: name it among the others, --clean {','.join([*clean, STOP_WORDS])}"
        )
    if STOP_WORDS in clean and not stop_words:
        raise OptionError(
            f"the step {STOP_WORDS} needs its list: give a file with one word a line by --stop-words FILE"
        )
    if wrong := [word for word in stop_words if not is_stop_word(word)]:
        raise OptionError(
            f"the stop word {wrong[0]!r} is no single word in lower case; finding words of several Chinese characters "
            "would need a segmenter, which edgekit does not have: leave it out"
        )


def is_stop_word(word: str) -> bool:
    """Whether the step ``stop-words`` can meet the word: in its folded form, and one word to the step."""
    return word == folded(word) and _WORD.fullmatch(word) is not None


def folded(word: str) -> str:
    """A word as stop words are compared: A to Z in lower case, ``’`` as ``'``, and none of these at its ends."""
    return word.translate(_FOLDED).strip("'")


def _tidy(text: str) -> str:
    """Runs of ASCII white space become one space, and none is left at the ends."""
    return _SPACES.sub(" ", text).strip(" ")


def _html(text: str) -> str:
    for pattern in _UNSEEN:
        text = pattern.sub(" ", text)
    return _tidy(_REFERENCE.sub(_character, text))


def _character(found: re.Match[str]) -> str:
    decimal, hexadecimal, name = found.groups()
    if name is not None:
        return NAMED_CHARACTERS[name]
    code = int(decimal) if decimal is not None else int(hexadecimal, 16)
    return chr(code) if 0 < code < 0xD800 or 0xE000 <= code <= 0x10FFFF else "\ufffd"


def _urls(text: str) -> str:
    return _tidy(_URL.sub(" ", text))


def _handles(text: str) -> str:
    return _tidy(_HANDLE.sub(" ", text))


def _half_width(text: str) -> str:
    return text.translate(_HALF_WIDTH)


def _simplified(text: str) -> str:
    return text.translate(_simplified_characters())


@functools.cache
def _simplified_characters() -> dict[int, str]:
    lines = SIMPLIFIED_TABLE.read_text(encoding="utf-8").splitlines()
    return {ord(line[0]): line[1] for line in lines if not line.startswith("#")}


def _dropping(stop_words: Sequence[str]) -> Step:
    dropped = frozenset(stop_words)

    def run(text: str) -> str:
        return _tidy(_WORD.sub(lambda found: " " if folded(found[0]) in dropped else found[0], text))

    return run


STEPS: dict[str, Step] = {
    "html": _html,
    "urls": _urls,
    "handles": _handles,
    "full-width": _half_width,
    "simplified": _simplified,
    STOP_WORDS: _dropping(()),
}
"""Every step by its name; ``stop-words`` stands here without its words."""
