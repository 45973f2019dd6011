"""What a training on a model's answers reads: labelled text, and more text beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgekit_converters.data.options import DataOptions
from edgekit_converters.data.reading import LabelledText, read_labelled, read_texts
from edgekit_runtime.progress import Listener

PLAIN_TEXT = ".txt"


@dataclass(frozen=True)
class TrainingTexts:
    """What distilling and pruning learn from.

    Attributes:
        labelled: Labelled texts.
        unlabelled: More texts.
    """

    labelled: LabelledText
    unlabelled: tuple[str, ...] = ()


def read_training_texts(
    labels: Sequence[str],
    data: str | Path,
    unlabelled: Sequence[str | Path],
    options: DataOptions | None,
    listener: Listener,
) -> TrainingTexts:
    """Reads labelled text, and files without labels.

    What is said of columns holds for both, but for files without labels that are named ``.txt``.

    Args:
        labels: The model's classes.
        data: Labelled text, in any form of docs/data.md.
        unlabelled: Files whose labels, if they have such, are not read.
        options: What the files do not say.
        listener: Told of progress.

    Raises:
        DataError, FileError, OptionError, MissingExtraError: A file cannot be read, or has other labels.
    """
    listener.stage(f"Reading {data}")
    labelled = read_labelled(data, labels, options, say=listener.say)
    lines = replace(options or DataOptions(), text_column=None, header=None, split=None)
    more: list[str] = []
    for path in unlabelled:
        plain = str(path).lower().removesuffix(".gz").endswith(PLAIN_TEXT)
        more += read_texts(path, lines if plain else options, listener.say)
    return TrainingTexts(labelled, tuple(more))
