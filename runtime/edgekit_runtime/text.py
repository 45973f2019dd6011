"""Text to padded token ids, the same on every device."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders

from edgekit_runtime.cleaning import cleaner
from edgekit_runtime.errors import BundleError, TokenizerError
from edgekit_runtime.filepart import MOST_BYTES
from edgekit_runtime.manifest import TextSpec
from edgekit_runtime.wordpiece import library_failed, shortcut, special_ends

_NUMBER = re.compile(rb'"\s*:\s*(\d{1,20})')
"""The value of a key, where it is a whole number; of one with more digits the first ones, which are too many already."""


class TextEncoder:
    """Turns texts into the ids and masks that a program takes.

    What ``tokenizer.json`` says of padding and truncation is set aside: the text spec decides.

    Args:
        tokenizer_json: A Hugging Face ``tokenizer.json``.
        spec: Cleaning, lengths and special ids.

    Raises:
        TokenizerError: The file is no tokenizer, or one that adds its special tokens neither before nor behind the text, or
            it has ids that the model's word table has no row for.
        BundleError: The spec asks for a cleaning step that this version does not have.
    """

    def __init__(self, tokenizer_json: bytes, spec: TextSpec) -> None:
        self.spec = spec
        self._clean = cleaner(spec.clean, spec.stop_words)
        self._tokenizer = load_tokenizer(tokenizer_json)
        first, self._last = special_ends(self._tokenizer)
        if spec.vocab_size is not None:
            _check_rows(self._tokenizer, tokenizer_json, [*first, *self._last], spec.vocab_size, spec.dropped)
        self._shortcut = shortcut(self._tokenizer, spec.max_length)
        self._special = {*spec.special_ids.values(), spec.dropped}
        self._padding = [spec.special_ids["pad"]] * spec.max_length
        self._masks: dict[tuple[int, int], NDArray[np.float32]] = {}

    def ids(self, text: str) -> list[int]:
        """Token ids of one text, special tokens included, at most ``max_length`` of them."""
        if self._clean is not None:
            text = self._clean(well_formed(text))
        ids = self._quick_ids(text)
        try:
            return self.cut(self._kept(self._tokenizer.encode(well_formed(text)).ids)) if ids is None else ids
        except BaseException as error:
            raise library_failed(error) from error

    def ids_of(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of several texts, in their order, equal to those of :meth:`ids`.

        What takes the shortcut takes it here, too: even with nothing in its cache it is quicker than the library's batch.
        """
        if self._shortcut is None or self._clean is not None:
            return [self.cut(ids) for ids in self.whole_ids_of(texts)]
        quick = [self._quick_ids(text) for text in texts]
        others = iter(self.whole_ids_of([text for text, ids in zip(texts, quick, strict=True) if ids is None]))
        return [self.cut(next(others)) if ids is None else ids for ids in quick]

    def whole_ids_of(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of several texts as :meth:`ids_of` gives them, but none of them cut."""
        texts = [well_formed(text) for text in texts]
        if self._clean is not None:
            texts = [self._clean(text) for text in texts]
        try:
            return [self._kept(encoding.ids) for encoding in self._tokenizer.encode_batch(texts)]
        except BaseException as error:
            raise library_failed(error) from error

    def spelled(self, ids: Sequence[int]) -> str:
        """A text that has about these ids: what they stand for, without special tokens, and without what the tokenizer lost."""
        tokens = [self._tokenizer.id_to_token(number) for number in ids if number not in self._special]
        pieces = [token for token in tokens if token is not None]
        if self.spec.kind == "wordpiece":
            return str(decoders.WordPiece(cleanup=False).decode(pieces))
        return ("" if self.spec.kind == "char" else " ").join(pieces)

    def cut(self, ids: list[int], length: int | None = None) -> list[int]:
        """The first ids, special tokens at the end kept: at most ``length`` of them, by default ``max_length``."""
        length = self.spec.max_length if length is None else length
        if len(ids) <= length:
            return ids
        return ids[: max(0, length - len(self._last))] + self._last

    def pad(self, ids: Sequence[int], lengths: Sequence[int] | None) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Pads ids to the shortest length that holds them.

        Args:
            ids: Token ids of one text, at most ``max_length``.
            lengths: Ascending lengths that the engine takes; None if it takes any.

        Returns:
            ids (1, L) int32 and mask (1, L) float32, 1 where the text is and 0 where the padding is. Masks are shared:
            they must not be written to.

        Raises:
            BundleError: None of the lengths holds the ids, or the model's word table has no row for one.
        """
        count = len(ids)
        counted = max(count, self.spec.min_length)
        length = counted if lengths is None else next((length for length in lengths if length >= counted), 0)
        if length < counted:
            raise BundleError(f"a text of {counted} tokens fits none of the lengths {lengths}; convert the model anew")
        rows = self.spec.vocab_size
        if rows is not None and count and not 0 <= min(ids) <= max(ids) < rows:  # of short texts quicker than numpy
            raise BundleError(f"an id of this text is none of the {rows} that the model has; give it text")
        padded = np.array([[*ids, *self._padding[: length - count]]], dtype=np.int32)
        mask = self._masks.get((counted, length))
        if mask is None:
            mask = self._masks[counted, length] = _mask(counted, length)
        return padded, mask

    def _quick_ids(self, text: str) -> list[int] | None:
        """The ids of a cleaned text by the shortcut; None where it must be left to the library."""
        if self._shortcut is None:
            return None
        try:
            return self._shortcut.ids(text)
        except BaseException as error:
            raise library_failed(error) from error

    def _kept(self, ids: list[int]) -> list[int]:
        """The ids without those that stand for unknown words which are dropped."""
        dropped = self.spec.dropped
        return ids if dropped is None else [number for number in ids if number != dropped]


def _mask(counted: int, length: int) -> NDArray[np.float32]:
    mask = np.zeros((1, length), dtype=np.float32)
    mask[0, :counted] = 1.0
    mask.flags.writeable = False
    return mask


def _check_rows(tokenizer: Tokenizer, tokenizer_json: bytes, ends: list[int], rows: int, dropped: int | None) -> None:
    """Refuses a tokenizer with an id that the word table has no row for: ExecuTorch would end the process over it.

    All numbers of the file are looked at first, in half of the time that the library takes for a dictionary of the vocabulary;
    and the number of pieces, by which some kinds of tokenizers count their ids.
    """
    numbers = max(map(int, _NUMBER.findall(tokenizer_json)), default=0)
    if max([numbers, *ends]) < rows and tokenizer.get_vocab_size(with_added_tokens=True) <= rows:
        return
    ids = {*tokenizer.get_vocab(with_added_tokens=True).values(), *ends} - {dropped}
    if max(ids, default=0) >= rows:
        raise TokenizerError(
            f"the tokenizer.json has ids up to {max(ids)}, and the model's word table {rows} rows, whose ids end at "
            f"{rows - 1}: it is not this model's; convert the model anew with its own"
        )


def load_tokenizer(tokenizer_json: bytes) -> Tokenizer:
    """Reads a ``tokenizer.json`` and sets its own padding and truncation aside.

    Raises:
        TokenizerError: It is no tokenizer, or one that this version of ``tokenizers`` cannot read.
    """
    if len(tokenizer_json) > MOST_BYTES:
        raise TokenizerError(
            f"the tokenizer.json has {len(tokenizer_json)} bytes; none that edgekit reads needs over {MOST_BYTES >> 20} MiB"
        )
    try:
        tokenizer = Tokenizer.from_str(tokenizer_json.decode())
    except Exception as error:  # the library raises a bare Exception
        raise TokenizerError(
            f"the tokenizer.json cannot be read ({error}); save it anew with the tokenizers library"
        ) from error
    except BaseException as error:
        raise library_failed(error) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def well_formed(text: str) -> str:
    """The text with lone surrogates, which UTF-8 cannot hold, replaced by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
