"""Texts of the user's, labelled or not: what activations are calibrated on, and what lengths are chosen by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgekit_converters.quantspec import Sample
from edgekit_converters.recipe import AUTO, Recipe
from edgekit_runtime.errors import OptionError
from edgekit_runtime.text import TextEncoder

MOST_SAMPLES = 256
"""Of more texts the ranges hardly grow."""


def check_calibration(recipe: Recipe, calibrate: str | Path | None, eval_data: str | Path | None) -> None:
    """Refuses data that is missing, or that would change nothing.

    Raises:
        OptionError: The message says what to give or to drop.
    """
    if recipe.quant.calibrated and calibrate is None:
        raise OptionError(
            f"{recipe.scheme} takes the ranges of its activations from texts: give some with --calibrate DATA; "
            "a few hundred are enough, and their labels do not count"
        )
    if recipe.buckets == AUTO and calibrate is None and eval_data is None:
        raise OptionError(
            "--buckets auto goes by the lengths of texts: give some with --calibrate DATA or --eval DATA, or name the buckets"
        )
    if calibrate is not None and not recipe.quant.calibrated and recipe.buckets != AUTO:
        raise OptionError(
            f"--calibrate changes nothing for {recipe.scheme}: drop it, or ask for --quantize int8-static or --buckets auto"
        )


def choose_samples(encoder: TextEncoder, texts: Sequence[str], most: int = MOST_SAMPLES) -> tuple[Sample, ...]:
    """At most so many texts, from all over the list and in equal parts from every bucket as far as it has enough.

    The choice depends on the texts alone, so that the same texts give the same program.
    """
    by_length: dict[int, list[Sample]] = {}
    for ids in encoder.ids_of(texts):
        sample = Sample(*encoder.pad(ids, encoder.spec.buckets))
        by_length.setdefault(sample.ids.shape[1], []).append(sample)
    chosen: list[Sample] = []
    fewest_first = sorted(by_length.values(), key=len)
    for place, samples in enumerate(fewest_first):
        count = min(len(samples), (most - len(chosen)) // (len(fewest_first) - place))
        chosen += (samples[index * len(samples) // count] for index in range(count))
    return tuple(chosen)
