"""How well a bundle classifies labelled text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgekit_converters.data import DataOptions, read_labelled
from edgekit_converters.metrics import Metrics, measure
from edgekit_runtime.classifier import Classifier


@dataclass(frozen=True)
class Evaluation(Metrics):
    """What ``edgekit eval --json`` prints: the metrics, and the engine that answered."""

    engine: str


def evaluate(
    classifier: Classifier,
    data: str | Path,
    options: DataOptions | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Classifies labelled texts and compares.

    Args:
        classifier: An open bundle.
        data: A csv or tsv file.
        options: What the file does not say.
        progress: Told how many of how many texts are done.

    Raises:
        FileError, DataError: The file is missing or no labelled text.
    """
    labelled = read_labelled(data, classifier.labels, options)
    predicted = []
    for text in labelled.texts:
        predicted.append(classifier.labels.index(classifier(text).label))
        if progress is not None:
            progress(len(predicted), len(labelled.texts))
    metrics = measure(labelled.labels, predicted, len(classifier.labels))
    return Evaluation(**vars(metrics), engine=classifier.engine.name)
