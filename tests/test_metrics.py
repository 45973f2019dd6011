"""Metrics against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from edgekit_converters.metrics import measure


@st.composite
def labellings(draw: st.DrawFn) -> tuple[list[int], list[int], int]:
    classes = draw(st.integers(2, 6))
    pairs = draw(st.lists(st.tuples(st.integers(0, classes - 1), st.integers(0, classes - 1)), min_size=1, max_size=40))
    return [true for true, _ in pairs], [found for _, found in pairs], classes


@given(labellings())
def test_figures_are_those_of_scikit_learn(labelling: tuple[list[int], list[int], int]) -> None:
    truth, predicted, classes = labelling
    metrics = measure(truth, predicted, classes)
    precision, recall, f1, _ = precision_recall_fscore_support(truth, predicted, average="macro", zero_division=0)
    assert metrics.accuracy == pytest.approx(accuracy_score(truth, predicted))
    assert (metrics.precision, metrics.recall, metrics.f1) == pytest.approx((precision, recall, f1))
    assert np.array_equal(metrics.confusion, confusion_matrix(truth, predicted, labels=range(classes)))
    assert metrics.examples == len(truth)


def test_a_class_that_is_never_right_counts_zero_and_one_that_never_occurs_counts_nothing() -> None:
    metrics = measure([0, 0, 1], [0, 0, 0], classes=3)
    assert metrics.accuracy == pytest.approx(2 / 3)
    assert metrics.precision == pytest.approx((2 / 3 + 0) / 2)
    assert metrics.recall == pytest.approx((1 + 0) / 2)
    assert metrics.f1 == pytest.approx((0.8 + 0) / 2)
    assert metrics.confusion == ((2, 0, 0), (1, 0, 0), (0, 0, 0))
