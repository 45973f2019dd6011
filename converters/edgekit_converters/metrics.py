"""Accuracy, precision, recall and F1 of a classifier, in numpy alone so that ``edgekit eval`` runs on a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Metrics:
    """How well labels were predicted.

    Attributes:
        examples: Number of texts.
        accuracy: Share of right labels.
        precision: Macro average; a class that is never predicted counts 0.
        recall: Macro average over the classes that occur or are predicted, as the other averages are.
        f1: Macro average.
        confusion: Rows are true classes, columns predicted ones, entries counts.
    """

    examples: int
    accuracy: float
    precision: float
    recall: float
    f1: float
    confusion: tuple[tuple[int, ...], ...]


def measure(truth: Sequence[int], predicted: Sequence[int], classes: int) -> Metrics:
    """Compares predicted with true class ids, all in ``range(classes)``; at least one."""
    confusion = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(confusion, (np.asarray(truth), np.asarray(predicted)), 1)
    return summarise(confusion)


def summarise(confusion: npt.NDArray[np.int64]) -> Metrics:
    """The figures of a square matrix of counts, true classes in rows and predicted ones in columns; at least one text."""
    examples = int(confusion.sum())
    right = np.diag(confusion).astype(float)
    in_truth, in_predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    precision = right / np.maximum(in_predicted, 1)
    recall = right / np.maximum(in_truth, 1)
    f1 = 2 * right / np.maximum(in_truth + in_predicted, 1)
    occurring = (in_truth + in_predicted) > 0
    return Metrics(
        examples=examples,
        accuracy=float(right.sum() / examples),
        precision=float(precision[occurring].mean()),
        recall=float(recall[occurring].mean()),
        f1=float(f1[occurring].mean()),
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
    )
