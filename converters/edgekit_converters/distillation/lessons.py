"""What a student learns from: labelled texts, texts made of them, and more texts without labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgekit_converters.augmentation.augment import AugmentSettings, augment
from edgekit_converters.augmentation.sentences import sentences
from edgekit_converters.data import LabelledText
from edgekit_converters.model import TextModel
from edgekit_converters.training.examples import split
from edgekit_converters.training.settings import TrainSettings
from edgekit_runtime.errors import DataError
from edgekit_runtime.progress import Listener
from edgekit_runtime.text import load_tokenizer

MASK_TOKEN = "[MASK]"
LONG = 95
"""In per cent: texts without labels that are longer than so many of the labelled ones are cut into sentences."""


@dataclass(frozen=True)
class Lessons:
    """Texts for a student.

    Attributes:
        texts: What it learns from: labelled texts, then those without labels, then those that were made.
        labels: True class ids of the labelled ones.
        held_out: What chooses the best epoch; none of it among ``texts``.
        held_out_labels: Its true class ids.
        unlabelled: How many were given without labels.
        made: How many were made.
    """

    texts: tuple[str, ...]
    labels: tuple[int, ...]
    held_out: tuple[str, ...]
    held_out_labels: tuple[int, ...]
    unlabelled: int = 0
    made: int = 0

    @property
    def labelled(self) -> tuple[str, ...]:
        """The labelled texts."""
        return self.texts[: len(self.labels)]


def lessons_of(
    data: LabelledText,
    teacher: TextModel,
    settings: TrainSettings,
    *,
    unlabelled: Sequence[str],
    augmentation: AugmentSettings,
    listener: Listener,
) -> Lessons:
    """Splits the labelled texts and adds the others.

    Args:
        data: Labelled texts with the teacher's labels.
        teacher: Whose answers will be asked for.
        settings: The split.
        unlabelled: More texts; long ones are cut into sentences if the labelled ones are short.
        augmentation: How new texts are made.
        listener: Told of progress.

    Raises:
        DataError: There are too few examples.
    """
    parts = split(data.labels, settings)
    held_out = tuple(data.texts[index] for index in parts.held_out)
    met = {_words(text) for text in held_out}
    train = [index for index in parts.train if _words(data.texts[index]) not in met]
    texts = [data.texts[index] for index in train]
    met.update(map(_words, texts))
    more = _new(_as_long_as(texts, _new(unlabelled, set(met))), met)
    made: list[str] = []
    if augmentation.copies:
        listener.stage(f"Making texts from {len(texts)}")
        made = _new(augment(texts, augmentation, mask_token=_mask_token(teacher), seed=settings.seed), met)
    return Lessons(
        texts=(*texts, *more, *made),
        labels=tuple(data.labels[index] for index in train),
        held_out=held_out,
        held_out_labels=tuple(data.labels[index] for index in parts.held_out),
        unlabelled=len(more),
        made=len(made),
    )


def check_labels(data: LabelledText, model: TextModel) -> None:
    """Refuses data with other labels than the model's.

    Raises:
        DataError: The message has both.
    """
    if data.names and data.names != model.labels:
        raise DataError(
            f"{data.source} has the labels {', '.join(data.names)} and the model {', '.join(model.labels)}: "
            "give data with the model's labels, or name them by --labels or --label-map"
        )


def _words(text: str) -> str:
    """What two texts have in common that differ in white space alone, or in case."""
    return " ".join(text.casefold().split())


def _new(texts: Sequence[str], met: set[str]) -> list[str]:
    """Those of the texts that are not met yet, each once; they are then."""
    found = []
    for text in texts:
        if (words := _words(text)) not in met:
            met.add(words)
            found.append(text)
    return found


def _as_long_as(labelled: Sequence[str], unlabelled: Sequence[str]) -> list[str]:
    """The texts without labels, cut into sentences where they are longer than nearly all labelled ones."""
    if not unlabelled:
        return []
    longest = float(np.percentile([len(text) for text in labelled], LONG))
    return [part for text in unlabelled for part in (sentences([text]) if len(text) > longest else [text])]


def _mask_token(teacher: TextModel) -> str | None:
    """How the teacher's tokenizer lets a word be masked in a text, if it does."""
    tokenizer = load_tokenizer(teacher.tokenizer.json)
    number = tokenizer.token_to_id(MASK_TOKEN)
    return MASK_TOKEN if tokenizer.encode(MASK_TOKEN, add_special_tokens=False).ids == [number] else None
