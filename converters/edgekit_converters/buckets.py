"""Padded lengths that suit the texts at hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import accumulate

from edgekit_converters.model import TextModel
from edgekit_converters.recipe import AUTO, Recipe
from edgekit_runtime.progress import Listener
from edgekit_runtime.text import TextEncoder

MOST_BUCKETS = 4
"""As many as the default has: each takes memory of its own when it is first used."""


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


def choose_buckets(lengths: Sequence[int], max_length: int, most: int = MOST_BUCKETS) -> tuple[int, ...]:
    """The buckets that pad these texts with the fewest tokens; of equally good choices the one with fewer.

    The time of an inference is taken as a fixed part and one proportional to the padded length. The fixed part is the
    same whatever is chosen, so that nothing but the expected length counts. The row tiles of a processor's kernels
    are left out: they differ from one processor to the next, and a bundle runs on many.

    Args:
        lengths: Of the texts in tokens, none over ``max_length``.
        max_length: The last bucket, whatever the texts are.
        most: Number of buckets at most, 1 or more.
    """
    counts = Counter(lengths)
    candidates = sorted({*counts, max_length})  # a bucket between two of them would only pad more than the lower one
    texts_up_to = [0, *accumulate(counts[length] for length in candidates)]

    @cache
    def best(end: int, most: int) -> tuple[int, tuple[int, ...]]:
        """Padded tokens and buckets for the texts of the first ``end`` lengths, the last of which is a bucket."""
        if end == 0:
            return 0, ()
        length, ways = candidates[end - 1], []
        for start in range(end) if most > 1 else (0,):
            tokens, buckets = best(start, most - 1)
            ways.append((tokens + (texts_up_to[end] - texts_up_to[start]) * length, (*buckets, length)))
        return min(ways, key=lambda way: (way[0], len(way[1])))

    return best(len(candidates), most)[1]


def expected_length(lengths: Sequence[int], buckets: Sequence[int]) -> float:
    """Padded tokens of a text on average."""
    return sum(next(bucket for bucket in buckets if bucket >= length) for length in lengths) / len(lengths)


def _listed(buckets: Sequence[int]) -> str:
    return ", ".join(map(str, buckets))
