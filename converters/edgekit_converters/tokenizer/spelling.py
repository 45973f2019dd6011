"""Which pieces of a WordPiece vocabulary can come out of a text, and which spell all others."""

from __future__ import annotations

from collections.abc import Collection

from tokenizers import Tokenizer


class Spelling:
    """A WordPiece vocabulary seen by its characters.

    A word that WordPiece can split stays so, whatever other pieces are taken away, as long as each of its characters has
    a piece of its own: the longest piece that fits may become shorter, but there always is one.

    Args:
        pieces: The pieces.
        tokenizer: Parts texts into the words that are then split.
        prefix: What marks a piece that continues a word, ``##``.
    """

    def __init__(self, pieces: Collection[str], tokenizer: Tokenizer, prefix: str) -> None:
        self._pieces, self._tokenizer, self._prefix = pieces, tokenizer, prefix
        single = [piece for piece in pieces if len(self._text(piece)) == 1 and self._occurs(piece)]
        self._first = {piece for piece in single if not self._continues(piece)}
        self._later = {self._text(piece) for piece in single if self._continues(piece)}

    def letters(self) -> set[str]:
        """Every single character, and its form that continues a word, but for those that no text can bring forth.

        BERT parts texts around punctuation and Chinese characters, so that these never continue a word.
        """
        return {*self._first, *(self._prefix + letter for letter in self._later)}

    def irreplaceable(self) -> set[str]:
        """Pieces that others cannot spell, since they hold a character that has no piece of its own.

        Where one of them continues words, these are all pieces: with another taken away, a word might be split at other
        places, so that a piece before the irreplaceable one reaches into it.
        """
        odd = {piece for piece in self._pieces if not self._is_spelled(piece) and self._occurs(piece)}
        return set(self._pieces) if any(self._continues(piece) for piece in odd) else odd

    def _is_spelled(self, piece: str) -> bool:
        text = self._text(piece)
        first, later = ("", text) if self._continues(piece) else (text[:1], text[1:])
        return self._first.issuperset(first) and self._later.issuperset(later)

    def _occurs(self, piece: str) -> bool:
        """Whether some text has the piece at this place of a word."""
        text = self._text(piece)
        if not self._continues(piece):
            return self._words(text) == [text]
        words = [word for before in (text, "a") for word in self._words(before + text)]
        return any(len(word) > len(text) and word.endswith(text) for word in words)

    def _words(self, text: str) -> list[str]:
        normalizer, parts = self._tokenizer.normalizer, self._tokenizer.pre_tokenizer
        text = text if normalizer is None else normalizer.normalize_str(text)
        return [text] if parts is None else [word for word, _ in parts.pre_tokenize_str(text)]

    def _continues(self, piece: str) -> bool:
        return piece.startswith(self._prefix) and piece != self._prefix

    def _text(self, piece: str) -> str:
        return piece.removeprefix(self._prefix) if self._continues(piece) else piece
