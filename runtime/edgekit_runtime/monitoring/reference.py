"""Reference: how answers were spread over labels, scores and lengths when all was well. Counts only, no text."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgekit_runtime import jsonio
from edgekit_runtime.errors import BundleError
from edgekit_runtime.monitoring.histogram import CONFIDENCE, TOKENS, UNKNOWN, count_in

MOST_EDGES = 1000
_MOST_TEXTS = 2**53


@dataclass(frozen=True)
class Spread:
    """How many values lay in which range.

    Attributes:
        edges: Where the ranges end, ascending, each with its own end; the last range, behind them, has none.
        counts: One more than edges.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Reference:
    """What a window of answers is compared with.

    Attributes:
        texts: How many texts were counted.
        labels: Answers by label, in the order of the bundle's labels.
        confidence: Texts by the answer's score.
        tokens: By length in tokens, special tokens included, as the model saw them: cut at ``max_length``.
        unknown: By the share of pieces that the tokenizer does not know; null where it drops them or knows all.
    """

    texts: int
    labels: tuple[int, ...]
    confidence: Spread
    tokens: Spread
    unknown: Spread | None

    def check(self, classes: int, where: str) -> None:
        """Refuses what cannot be such counts.

        Raises:
            BundleError: The counts and edges do not fit together or to the number of classes.
        """
        spreads = (self.confidence, self.tokens, *(() if self.unknown is None else (self.unknown,)))
        counts = (self.labels, *(spread.counts for spread in spreads))
        if (
            not 1 <= self.texts <= _MOST_TEXTS
            or len(self.labels) != classes
            or any(min(each, default=-1) < 0 or sum(each) != self.texts for each in counts)
            or not all(_sound(spread) for spread in spreads)
        ):
            raise BundleError(
                f"{where} should count the same texts by label, confidence, tokens and unknown pieces, and does not; the "
                "file is damaged or was edited"
            )

    def to_json(self) -> str:
        """The reference as JSON, as a bundle's manifest has it."""
        return jsonio.to_bytes(self).decode()

    @classmethod
    def from_json(cls, text: str) -> Reference:
        """Reads what :meth:`to_json` wrote.

        Raises:
            BundleError: It is no reference.
        """
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BundleError(f"the reference is not valid JSON ({error}); write it anew") from error
        reference = jsonio.decode(cls, raw, "the reference")
        reference.check(len(reference.labels), "the reference")
        return reference


def _sound(spread: Spread) -> bool:
    return (
        1 <= len(spread.edges) <= MOST_EDGES
        and len(spread.counts) == len(spread.edges) + 1
        and all(one < other for one, other in itertools.pairwise(spread.edges))
        and bool(np.isfinite(spread.edges).all())
    )


def make_reference(
    classes: int,
    labels: npt.NDArray[np.int64],
    confidence: npt.NDArray[np.float64],
    tokens: npt.NDArray[np.float64],
    unknown: npt.NDArray[np.float64],
) -> Reference:
    """Counts answers.

    Args:
        classes: How many labels there are.
        labels: (texts,) index of each answer's label.
        confidence: (texts,) its score.
        tokens: (texts,) the text's length.
        unknown: (texts,) share of unknown pieces, NaN where it is not known.
    """
    known = not np.isnan(unknown).any()
    return Reference(
        texts=len(labels),
        labels=tuple(np.bincount(labels, minlength=classes).tolist()),
        confidence=Spread(CONFIDENCE, count_in(CONFIDENCE, np.nan_to_num(confidence))),
        tokens=Spread(TOKENS, count_in(TOKENS, tokens)),
        unknown=Spread(UNKNOWN, count_in(UNKNOWN, unknown)) if known else None,
    )


def reference_of(
    probabilities: npt.NDArray[np.float64], pieces: Sequence[tuple[int, int, int | None]]
) -> Reference | None:
    """The reference that a model's answers to real texts give.

    Args:
        probabilities: (texts, classes).
        pieces: Of each text the tokens, the pieces, and the unknown ones among them, as ``PieceCounter`` counts them.
    """
    if not len(pieces):
        return None
    counted = np.array(pieces, dtype=np.float64)  # None becomes NaN
    return make_reference(
        probabilities.shape[1],
        probabilities.argmax(axis=1),
        probabilities.max(axis=1),
        counted[:, 0],
        counted[:, 2] / np.maximum(counted[:, 1], 1),
    )
