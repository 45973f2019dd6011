"""Padded lengths that suit the texts at hand."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from edgekit_converters.model import TextModel
from edgekit_converters.recipe import AUTO, Recipe
from edgekit_runtime.progress import Listener
from edgekit_runtime.text import TextEncoder

MOST_BUCKETS = 10
WORTH = 0.01
"""Share of the expected time that a bucket more must save: it costs seconds of conversion, and about 0.1 MB of a BERT."""

ROWS = (4, 5, 16)
"""Tokens that an int8 product takes at once: on ARM, on x86-64 with AVX512-VNNI, on x86-64 with AMX."""

FIXED_TOKENS = 5.0
"""The part of an inference's time that does not grow with the length, as the tokens that take as long."""


def fit_buckets(recipe: Recipe, model: TextModel, texts: Sequence[str], listener: Listener) -> Recipe:
    """The recipe with buckets for these texts in place of ``auto``; any other as it is.

    Args:
        recipe: Settings of the conversion.
        model: Whose tokenizer counts the tokens.
        texts: Such as the device will meet; at least one where the recipe says ``auto``.
        listener: Told what was chosen.

    Raises:
        OptionError: The recipe's lengths contradict the model.
    """
    if recipe.buckets != AUTO:
        return recipe
    default = replace(recipe, buckets=None).text_spec(model, listener)
    encoder = TextEncoder(model.tokenizer.json, default)
    lengths = [max(len(ids), default.min_length) for ids in encoder.ids_of(texts)]
    buckets = choose_buckets(lengths, default.max_length)
    listener.say(
        f"the buckets are {_listed(buckets)}: a text is padded to {expected_length(lengths, buckets):.1f} tokens on "
        f"average over {len(lengths)} texts, with {_listed(default.buckets)} to {expected_length(lengths, default.buckets):.1f}"
    )
    return replace(recipe, buckets=buckets, max_length=default.max_length)


def choose_buckets(
    lengths: Sequence[int], max_length: int, most: int = MOST_BUCKETS, worth: float = WORTH
) -> tuple[int, ...]:
    """The buckets with which these texts take least time, :func:`cost`, each of them worth its place.

    A bucket is the longest of the lengths that cost the same, so that texts a little longer than those at hand fit too.

    Args:
        lengths: Of the texts in tokens, none over ``max_length``.
        max_length: The last bucket, whatever the texts are.
        most: Number of buckets at most, 1 or more.
        worth: Share of the expected time that every bucket must take off it.
    """
    counts = Counter(min(_longest_alike(length), max_length) for length in lengths)
    candidates = sorted({*counts, max_length})  # one between two of them would be no cheaper than the upper one
    texts_up_to = [0, *accumulate(counts[length] for length in candidates)]
    costs = [cost(length) for length in candidates]
    # For each candidate: what the texts up to it cost with so many buckets, that one the last, and which they are.
    cheapest: list[tuple[float, tuple[int, ...]]] = [
        (texts_up_to[end + 1] * costs[end], (length,)) for end, length in enumerate(candidates)
    ]
    total, chosen = cheapest[-1]
    rated = [(total, chosen)]
    for count in range(2, min(most, len(candidates)) + 1):
        cheapest = [
            min(
                (
                    (before + (texts_up_to[end + 1] - texts_up_to[start]) * costs[end], (*buckets, length))
                    for start, (before, buckets) in enumerate(cheapest[:end], 1)
                ),
                default=(math.inf, ()),
            )
            for end, length in enumerate(candidates)
        ]
        total, chosen = cheapest[-1]
        rated.append((total * (1 - worth) ** -(count - 1), chosen))
    return min(rated, key=lambda way: way[0])[1]


def cost(length: int) -> float:
    """Time of an inference of so many tokens, in those of one token, on the mean of the processors of ROWS.

    A fixed part, and rows that are filled up to whole tiles.
    """
    return FIXED_TOKENS + sum(-(-length // rows) * rows for rows in ROWS) / len(ROWS)


def expected_length(lengths: Sequence[int], buckets: Sequence[int]) -> float:
    """Padded tokens of a text on average."""
    return sum(next(bucket for bucket in buckets if bucket >= length) for length in lengths) / len(lengths)


def _longest_alike(length: int) -> int:
    """The longest length that costs no more than this one."""
    return min(-(-length // rows) * rows for rows in ROWS)


def _listed(buckets: Sequence[int]) -> str:
    return ", ".join(map(str, buckets))
