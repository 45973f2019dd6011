"""Prediction: the answer to one text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgekit_runtime.combination import MAIN


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer to one text.

    Attributes:
        label: The most probable label.
        score: Its probability.
        scores: The probability of every label, in the model's order.
        model: Who answered: the role of a model of the bundle, ``main`` where there is one; ``average`` if all did.
    """

    label: str
    score: float
    scores: dict[str, float]
    model: str = MAIN


def prediction(labels: Sequence[str], probabilities: Sequence[float], model: str) -> Prediction:
    """The answer that probabilities give; of equal ones the first."""
    score = max(probabilities)
    return Prediction(labels[probabilities.index(score)], score, dict(zip(labels, probabilities, strict=True)), model)


def softmax(logits: Sequence[float]) -> list[float]:
    """Probabilities of logits."""
    highest = max(logits)
    weights = [math.exp(logit - highest) for logit in logits]
    total = sum(weights)
    return [weight / total for weight in weights]
