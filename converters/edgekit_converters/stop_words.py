"""A file of stop words: one word a line."""

from __future__ import annotations

from pathlib import Path

from edgekit_runtime.cleaning import folded, is_stop_word
from edgekit_runtime.errors import FileError, OptionError
from edgekit_runtime.filepart import file_bytes


def read_stop_words(path: str | Path) -> tuple[str, ...]:
    """The words of a file, each once, in lower case; empty lines are passed over.

    Raises:
        FileError: The file cannot be read.
        OptionError: It is no UTF-8, holds no word, or something that is not one word.
    """
    try:
        lines = file_bytes(path).decode("utf-8-sig").splitlines()
    except OSError as error:
        raise FileError(f"cannot read the stop words {path}: {error.strerror}; check --stop-words") from error
    except UnicodeDecodeError as error:
        raise OptionError(
            f"the stop words {path} are not UTF-8 (byte {error.start}); save the file as UTF-8"
        ) from error
    words = {number: folded(line.strip()) for number, line in enumerate(lines, start=1) if line.strip()}
    if not words:
        raise OptionError(f"{path} holds no stop words; write one word a line")
    wrong = [number for number, word in words.items() if not is_stop_word(word)]
    if wrong:
        raise OptionError(
            f"line {wrong[0]} of {path} ({lines[wrong[0] - 1].strip()[:30]!r}) is not one word, and {len(wrong)} of its "
            f"{len(words)} lines are not: a stop word has no spaces or punctuation within, and of Chinese words of "
            "several characters edgekit finds none; remove those lines"
        )
    return tuple(dict.fromkeys(words.values()))
