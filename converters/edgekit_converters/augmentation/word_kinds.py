"""Words of the same kind, told by the company that they keep, so that no part-of-speech tagger is needed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgekit_converters.augmentation.units import has_word, is_unspaced

Ids = NDArray[np.int64]

NEIGHBOURS = 128
"""Only how often a word stands beside these, the most frequent ones, is counted: they show its place in a sentence."""

LEAST_COUNT = 5
MOST_WORDS = 20_000
"""Rarer words, and those past so many, are of no kind: too little is known of them."""

COMPONENTS = 50
ROUNDS = 15


class WordKinds:
    """Kinds of words, each with how often its words occur.

    A word is the square roots of its shares of left and of right neighbours (Hellinger's distance), reduced to their
    principal components; kinds are the clusters of these by k-means, as many as the square root of the number of words.
    That parts nouns, verbs, adjectives and names well enough for swaps, as Schütze did (1995, Distributional part-of-speech
    tagging). Words of unspaced scripts, numbers and other words are never of one kind; punctuation has none.

    Args:
        words: Every word of the texts by its id, most frequent first.
        counts: (words,) how often each occurs.
        ids: (n,) ids of all texts one after the other, with the id ``len(words)`` before, between and behind them.
    """

    def __init__(self, words: Sequence[str], counts: Ids, ids: Ids) -> None:
        known = int((counts[:MOST_WORDS] >= LEAST_COUNT).sum())
        chosen = np.array([number for number in range(known) if has_word(words[number])], dtype=np.int64)
        self._kind = np.full(len(words) + 1, -1, dtype=np.int64)
        if len(chosen) < 2:
            return
        company = _company(ids, known, len(words))[chosen]
        clusters = _clusters(company, np.sqrt(counts[chosen]), round(len(chosen) ** 0.5))
        shapes = np.array([_shape(words[number]) for number in chosen])
        kinds = np.unique(clusters * 3 + shapes, return_inverse=True)[1]
        order = np.argsort(kinds, kind="stable")
        self._kind[chosen] = kinds
        self._members = chosen[order]
        self._ends = np.cumsum(counts[self._members])
        last = np.cumsum(np.bincount(kinds)) - 1
        self._high = self._ends[last]
        self._low = np.concatenate([[0], self._high[:-1]])

    def has_kind(self, ids: Ids) -> NDArray[np.bool_]:
        """Which words are of a kind."""
        known: NDArray[np.bool_] = self._kind[ids] >= 0
        return known

    def draw(self, ids: Ids, rng: np.random.Generator) -> Ids:
        """A word of the same kind for each, a frequent one more often; it may be the same."""
        if not len(ids):
            return ids
        kinds = self._kind[ids]
        at = rng.integers(self._low[kinds], self._high[kinds])
        return self._members[np.searchsorted(self._ends, at, side="right")]

    def members(self, number: int) -> list[int]:
        """The ids of all words of a word's kind; none if it has none."""
        kind = self._kind[number]
        return [] if kind < 0 else np.flatnonzero(self._kind == kind).tolist()


def _company(ids: Ids, known: int, outside: int) -> NDArray[np.float64]:
    """(known, 2 · contexts) square roots of the shares of a word's neighbours; an edge of the text is one too."""
    contexts = min(NEIGHBOURS, outside) + 2
    context = np.minimum(ids, contexts - 2)
    context[ids == outside] = contexts - 1
    sides = []
    for words, beside in ((ids[1:], context[:-1]), (ids[:-1], context[1:])):
        met = words < known
        counts = np.bincount(words[met] * contexts + beside[met], minlength=known * contexts).reshape(known, contexts)
        sides.append(np.sqrt(counts / np.maximum(1, counts.sum(axis=1, keepdims=True))))
    return np.hstack(sides)


def _clusters(points: NDArray[np.float64], weights: NDArray[np.float64], count: int) -> Ids:
    """The cluster of each point by k-means; nothing in it is left to chance.

    It begins far apart (k-means++, Arthur and Vassilvitskii 2007), rather among frequent words, whose company is known well.
    """
    points = points - points.mean(axis=0)
    points = points @ np.linalg.eigh(points.T @ points)[1][:, -COMPONENTS:]
    centres = _far_apart(points, weights, count)
    nearest: Ids = np.zeros(len(points), dtype=np.int64)
    for _ in range(ROUNDS):
        nearest = ((centres * centres).sum(axis=1) - 2 * points @ centres.T).argmin(axis=1)
        sizes = np.bincount(nearest, minlength=count)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, points)
        centres = np.where(sizes[:, None] > 0, sums / np.maximum(1, sizes)[:, None], centres)
    return nearest


def _far_apart(points: NDArray[np.float64], weights: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(0)
    chosen = [0]
    apart = np.full(len(points), np.inf)
    while len(chosen) < count:
        apart = np.minimum(apart, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
        reached = np.cumsum(apart * weights)
        chosen.append(int(np.searchsorted(reached, rng.random() * reached[-1], side="right")) % len(points))
    return points[chosen]


def _shape(word: str) -> int:
    if is_unspaced(word):
        return 0
    return 1 if any(character.isdecimal() for character in word) else 2
