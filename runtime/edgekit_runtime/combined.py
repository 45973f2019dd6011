"""Several models that answer as one: a cascade or an average (docs/combining.md)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgekit_runtime.classifier import Classifier
from edgekit_runtime.combination import AVERAGE, CASCADE, MAIN
from edgekit_runtime.manifest import Manifest, TextSpec
from edgekit_runtime.prediction import Prediction, prediction


class Combined(Classifier):
    """The models of a bundle that answer together.

    ``engine``, ``encoder``, ``program``, ``logits`` and ``predict_ids`` are those of the model of role ``main``, alone.

    Args:
        manifest: What the bundle says of itself.
        members: The models, in the order in which they are asked.
    """

    def __init__(self, manifest: Manifest, members: Sequence[Classifier]) -> None:
        main = next(member for member in members if member.role == MAIN)
        super().__init__(manifest, main.engine, main.encoder, main.program)
        self._lock = main._lock
        self._members = tuple(members)
        self._first = members[0].encoder
        specs = [member.encoder.spec for member in members]
        self._new_ids = (False, *(not same_ids(one, other) for one, other in itertools.pairwise(specs)))

    @property
    def members(self) -> tuple[Classifier, ...]:
        return self._members

    def close(self) -> None:
        for member in self._members:
            member.close()


class Cascade(Combined):
    """Asks the first model, and the next one only where it is not sure: its score lies under the threshold.

    That is the cascade of Viola and Jones (2001); the highest probability as the measure of doubt is the one of
    Hendrycks and Gimpel (2017, arXiv 1610.02136).
    """

    def __init__(self, manifest: Manifest, members: Sequence[Classifier]) -> None:
        super().__init__(manifest, members)
        assert manifest.combine is not None and manifest.combine.threshold is not None
        self._threshold = manifest.combine.threshold

    def _answer(self, text: str, ids: Sequence[int]) -> Prediction:
        for member, new_ids in zip(self._members, self._new_ids, strict=True):
            if new_ids:
                ids = member.encoder.ids(text)
            answer = member.predict_ids(ids)
            if answer.score >= self._threshold:
                break
        return answer

    def _answers(self, texts: Sequence[str], rows: Sequence[Sequence[int]]) -> list[Prediction]:
        answers: dict[int, Prediction] = {}
        ids: dict[int, Sequence[int]] = dict(enumerate(rows))
        unsure: Sequence[int] = range(len(texts))
        for member, new_ids in zip(self._members, self._new_ids, strict=True):
            if new_ids:
                ids = dict(zip(unsure, member.encoder.ids_of([texts[index] for index in unsure]), strict=True))
            answers |= {index: member.predict_ids(ids[index]) for index in unsure}
            unsure = [index for index in unsure if not answers[index].score >= self._threshold]  # not <, for NaN
        return [answers[index] for index in range(len(texts))]


class Average(Combined):
    """Asks all models and answers the mean of their probabilities.

    Of the probabilities and not of the logits: those have no common scale, and the model whose logits happen to be large,
    as a student's are that learned at a temperature, would outvote the others. The mean of probabilities is the uniform
    mixture of deep ensembles (Lakshminarayanan et al., 2017, arXiv 1612.01474).
    """

    def _answer(self, text: str, ids: Sequence[int]) -> Prediction:
        answers = []
        for member, new_ids in zip(self._members, self._new_ids, strict=True):
            if new_ids:
                ids = member.encoder.ids(text)
            answers.append(member.predict_ids(ids))
        return self._mean(answers)

    def _answers(self, texts: Sequence[str], rows: Sequence[Sequence[int]]) -> list[Prediction]:
        columns = []
        for member, new_ids in zip(self._members, self._new_ids, strict=True):
            if new_ids:
                rows = member.encoder.ids_of(texts)
            columns.append([member.predict_ids(ids) for ids in rows])
        return [self._mean(answers) for answers in zip(*columns, strict=True)]

    def _mean(self, answers: Sequence[Prediction]) -> Prediction:
        probabilities = np.mean([list(answer.scores.values()) for answer in answers], axis=0)
        return prediction(self.labels, probabilities.tolist(), AVERAGE)


KINDS: dict[str, type[Combined]] = {CASCADE: Cascade, AVERAGE: Average}
"""Kind of a combination to the class that answers so."""


def same_ids(one: TextSpec, other: TextSpec) -> bool:
    """Whether two models of a bundle give every text the same ids: only their padding may differ."""
    return replace(one, buckets=other.buckets, min_length=other.min_length) == other
