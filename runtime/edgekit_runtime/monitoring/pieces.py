"""PieceCounter: how long a text is, and how much of it the tokenizer does not know."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit_runtime.text import TextEncoder


class PieceCounter:
    """Counts the ids of texts.

    Attributes:
        max_length: A text of so many tokens was cut, or just fits.

    Args:
        encoder: What made the ids.
    """

    def __init__(self, encoder: TextEncoder) -> None:
        spec = encoder.spec
        self.max_length = spec.max_length
        self._special = len(encoder.ids(""))
        self._unknown = spec.special_ids.get("unk") if spec.dropped is None else None

    def count(self, ids: Sequence[int]) -> tuple[int, int, int | None]:
        """Of one text's ids the tokens, the pieces, which are those that are not special, and the unknown ones of them.

        None where the tokenizer drops unknown words or has no id for them.
        """
        tokens = len(ids)
        return tokens, max(0, tokens - self._special), None if self._unknown is None else ids.count(self._unknown)
