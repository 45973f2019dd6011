"""A shortcut for the commonest case: BERT's WordPiece tokenizer on plain ASCII text.

Between two inferences the library's tokenizer takes longer than its own work, since reading the model's weights has driven
its tables out of the processor's caches. Splitting ASCII into words is one regular expression, and most words have been
met before, so that their pieces come from a small cache. Everything else is left to the library.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from edgekit_runtime.errors import EdgekitError, TokenizerError

UNUSED = "\u16e5"
"""A runic letter, which hardly any vocabulary has."""

CACHED_WORDS = 16_384
"""At about 200 bytes a word the cache stays below 4 MB."""

LONG = 8
"""Characters for each token of the longest answer over which a text is long; English has four or five."""

# No control characters, which BERT's tokenizer removes, and no [, with which every special token begins.
_PLAIN = re.compile(r"[\t\n\r\x20-\x5a\x5c-\x7e]*")
_WORD = re.compile(r"[0-9A-Za-z]+|[!-/:-@\\-`{-~]")


class PlainWordPiece:
    """Token ids of plain ASCII texts, equal to the library's.

    Args:
        tokenizer: What :func:`shortcut` found fit for this; it encodes the words that were not met before.
        first: Ids that begin every text.
        last: Ids that end every text.
        lower_case: Whether the tokenizer lowers case.
        max_length: Longest answer, special tokens included.
    """

    def __init__(
        self, tokenizer: Tokenizer, first: list[int], last: list[int], *, lower_case: bool, max_length: int
    ) -> None:
        self._first, self._last = first, last
        self._lower_case = lower_case
        self._room = max_length - len(first) - len(last)
        self._pieces = functools.lru_cache(CACHED_WORDS)(
            lambda word: tuple(tokenizer.encode(word, add_special_tokens=False).ids)
        )

    def ids(self, text: str) -> list[int] | None:
        """Token ids, or None if the text is not plain ASCII."""
        if not _PLAIN.fullmatch(text):
            return None
        ids = self._first.copy()
        enough = self._room + len(ids)
        for word in self._words(text.lower() if self._lower_case else text):
            ids += self._pieces(word)
            if len(ids) > enough:
                del ids[enough:]
                break
        return ids + self._last

    def _words(self, text: str) -> Iterable[str]:
        """The words of a text; of a long one, whose end will be cut, one by one."""
        if len(text) <= LONG * self._room:
            return _WORD.findall(text)  # quicker for all of them
        return (match[0] for match in _WORD.finditer(text))


def shortcut(tokenizer: Tokenizer, max_length: int) -> PlainWordPiece | None:
    """The shortcut for a tokenizer, or None if it is not exactly BERT's.

    Args:
        tokenizer: The tokenizer, without truncation.
        max_length: Longest answer, special tokens included.
    """
    normalizer = tokenizer.normalizer
    if (
        not isinstance(tokenizer.model, WordPiece)
        or not isinstance(normalizer, BertNormalizer)
        or not normalizer.clean_text
        or not isinstance(tokenizer.pre_tokenizer, BertPreTokenizer)
        or not all(token.content.startswith("[") for token in tokenizer.get_added_tokens_decoder().values())
    ):
        return None
    first, last = special_ends(tokenizer)
    return PlainWordPiece(tokenizer, first, last, lower_case=normalizer.lowercase, max_length=max_length)


def library_failed(error: BaseException) -> BaseException:
    """What to raise where the tokenizers library failed: it raises bare Exceptions, and panics that are not even those."""
    if isinstance(error, EdgekitError) or not (
        isinstance(error, Exception) or type(error).__name__ == "PanicException"
    ):
        return error
    return TokenizerError(f"the tokenizers library fails on this tokenizer.json ({error}); save it anew")


def special_ends(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """The ids that a tokenizer puts before and behind every text.

    Raises:
        TokenizerError: It does something else, or cannot encode an unknown word.
    """
    try:
        empty, marked = tokenizer.encode("").ids, tokenizer.encode("a").ids
        word = tokenizer.encode("a", add_special_tokens=False).ids
        tokenizer.encode(UNUSED)
    except Exception as error:  # the library raises a bare Exception
        raise TokenizerError(
            f"the tokenizer.json cannot encode unknown words ({error}); give it a token for them (unk_token)"
        ) from error
    except BaseException as error:
        raise library_failed(error) from error
    for count in range(len(empty) + 1):
        if empty[:count] + word + empty[count:] == marked:
            return empty[:count], empty[count:]
    raise TokenizerError("the tokenizer.json adds special tokens within a text; such tokenizers are not supported")
