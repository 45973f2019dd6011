"""The threshold of a cascade: as low as it may be, and not lower for luck."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit_converters.combining.threshold import find_threshold
from edgekit_runtime.errors import DataError, GateError, OptionError


def texts(*groups: tuple[int, float, int, int, int]) -> dict[str, Any]:
    """Groups of (number, score, student's label, main's label, true label), as the arguments of find_threshold."""
    scores, student, main, truth = (np.repeat([g[i] for g in groups], [g[0] for g in groups]) for i in (1, 2, 3, 4))
    return {"scores": scores.astype(float), "student": student, "main": main, "truth": truth}


def test_the_student_answers_down_to_where_it_begins_to_err() -> None:
    data = texts((500, 0.99, 1, 1, 1), (300, 0.9, 0, 0, 0), (200, 0.6, 0, 1, 1))
    found = find_threshold(**data, keep=0.99)
    assert (found.threshold, found.share) == (0.9, 0.8)
    assert (found.accuracy, found.accuracy_student, found.accuracy_main, found.examples) == (1.0, 0.8, 1.0, 1000)


def test_the_order_of_the_texts_does_not_matter() -> None:
    data = texts((400, 0.95, 1, 1, 1), (20, 0.8, 0, 1, 1), (300, 0.7, 1, 1, 1), (100, 0.55, 0, 1, 1))
    order = np.random.default_rng(0).permutation(820)
    assert find_threshold(**{name: values[order] for name, values in data.items()}) == find_threshold(**data)


def test_what_the_student_gets_right_alone_pays_for_what_it_gets_wrong() -> None:
    worse = texts((1000, 0.9, 1, 1, 1), (20, 0.8, 0, 1, 1), (10, 0.7, 1, 1, 1))
    better = texts((1000, 0.9, 1, 1, 1), (10, 0.8, 0, 1, 1), (10, 0.8, 1, 0, 1), (10, 0.7, 1, 1, 1))
    assert find_threshold(**worse, keep=0.99).threshold == 0.9
    found = find_threshold(**better, keep=0.99)
    assert (found.threshold, found.share) == (0.7, 1.0)
    assert found.accuracy == found.accuracy_main == pytest.approx(1020 / 1030)


def test_equal_scores_are_answered_by_the_same_model() -> None:
    data = texts((500, 0.9, 1, 1, 1), (100, 0.8, 1, 1, 1), (100, 0.8, 0, 1, 1))
    assert find_threshold(**data, keep=0.99).threshold == 0.9


def test_a_lucky_stretch_behind_a_failure_counts_for_nothing() -> None:
    data = texts((500, 0.9, 1, 1, 1), (30, 0.8, 0, 1, 1), (30, 0.7, 1, 0, 1), (500, 0.6, 1, 1, 1))
    assert find_threshold(**data, keep=0.99).threshold == 0.9


def test_one_standard_error_is_kept_in_hand() -> None:
    """9 texts lost of 1000 are within 1 %, but not with the square root of 10 on top; 6 with that of 7 are."""
    for wrong, kept in ((9, False), (6, True)):
        data = texts((500, 0.9, 1, 1, 1), (wrong, 0.8, 0, 1, 1), (500 - wrong, 0.8, 1, 1, 1))
        assert (find_threshold(**data, keep=0.99).threshold == 0.8) is kept


def test_without_labels_it_goes_by_agreement() -> None:
    data = texts((900, 0.9, 1, 1, 0), (50, 0.8, 0, 1, 0), (50, 0.7, 1, 1, 0))
    del data["truth"]
    found = find_threshold(**data, keep=0.98)
    assert (found.threshold, found.accuracy, found.accuracy_main, found.accuracy_student) == (0.9, 1.0, 1.0, 0.95)


def test_the_promise_holds_on_other_texts_of_the_same_kind() -> None:
    """Of 200 cascades found on 2000 texts each, five of six keep what was asked for, as one standard error has it."""
    generator = np.random.default_rng(1)

    def draw(number: int) -> dict[str, Any]:
        scores = generator.uniform(0.5, 1.0, number)
        truth = generator.integers(0, 2, number)
        wrong = generator.uniform(size=number) > scores  # a calibrated student
        main_wrong = generator.uniform(size=number) < 0.05
        student, main = np.where(wrong, 1 - truth, truth), np.where(main_wrong, 1 - truth, truth)
        return {"scores": scores, "student": student, "main": main, "truth": truth}

    all_of_them = draw(400_000)
    main_accuracy = (all_of_them["main"] == all_of_them["truth"]).mean()
    kept, shares = [], []
    for _ in range(200):
        found = find_threshold(**draw(2000), keep=0.99)
        sure = all_of_them["scores"] >= found.threshold
        answers = np.where(sure, all_of_them["student"], all_of_them["main"])
        kept.append((answers == all_of_them["truth"]).mean() / main_accuracy)
        shares.append(found.share)
    assert np.mean(np.array(kept) >= 0.99) > 0.8
    assert np.mean(shares) > 0.1  # and still the student answers something: about 26 % would be right here


def test_too_few_texts_say_how_many_would_do() -> None:
    with pytest.raises(
        GateError, match=r"^80 held-out texts show at best that 98\.75% .* not 99\.50%: give 200 or more"
    ):
        find_threshold(**texts((80, 0.9, 1, 1, 1)))
    assert find_threshold(**texts((201, 0.9, 1, 1, 1))).share == 1.0


def test_a_student_that_errs_where_it_is_surest() -> None:
    with pytest.raises(GateError, match="since the student errs where it is surest: train it further, or ask for less"):
        find_threshold(**texts((100, 1.0, 0, 1, 1), (900, 0.9, 1, 1, 1)), keep=0.95)


def test_a_bigger_model_that_is_never_right() -> None:
    with pytest.raises(GateError, match=r"at best that 0\.00% .* is kept"):
        find_threshold(**texts((100, 0.9, 1, 1, 0)))


@pytest.mark.parametrize("keep", [0.0, 1.0, -1.0, 1.5, float("nan")])
def test_keep_is_a_share(keep: float) -> None:
    with pytest.raises(OptionError, match="between 0 and 1"):
        find_threshold(**texts((1000, 0.9, 1, 1, 1)), keep=keep)


@pytest.mark.parametrize("score", [float("nan"), 0.0, -0.1, 1.1])
def test_scores_are_probabilities(score: float) -> None:
    with pytest.raises(DataError, match="no probabilities"):
        find_threshold(**texts((1000, 0.9, 1, 1, 1), (1, score, 1, 1, 1)))


def test_as_many_of_each() -> None:
    data = texts((10, 0.9, 1, 1, 1))
    for changes in ({"scores": np.ones(9)}, {"student": np.ones(9, int)}, {"main": np.ones(9, int)}, {"truth": [1]}):
        with pytest.raises(DataError, match="one or more held-out texts"):
            find_threshold(**data | changes)
    with pytest.raises(DataError, match="one or more held-out texts, not 0 scores"):
        find_threshold(np.array([]), np.array([], int), np.array([], int))


@given(st.integers(0, 2**32 - 1), st.integers(1, 400), st.integers(2, 4), st.floats(0.5, 0.99))
@settings(max_examples=60, deadline=None)
def test_what_is_told_is_what_the_threshold_gives(seed: int, number: int, classes: int, keep: float) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.integers(50, 100, number) / 100
    truth = generator.integers(0, classes, number)
    student, main = (
        np.where(generator.uniform(size=number) < right, truth, generator.integers(0, classes, number))
        for right in (0.8, 0.9)
    )
    try:
        found = find_threshold(scores, student, main, truth, keep=keep)
    except GateError:
        return
    sure = scores >= found.threshold
    assert found.share == sure.mean()
    assert found.accuracy == pytest.approx((np.where(sure, student, main) == truth).mean())
    assert found.accuracy >= keep * found.accuracy_main
