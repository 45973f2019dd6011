"""Drift: what moved is told from what is chance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.reviews import short_reviews
from edgekit_converters.sample import sample_texts
from edgekit_runtime import Classifier, load
from edgekit_runtime.monitoring.drift import (
    ALARM,
    MIN_TEXTS,
    NO_REFERENCE,
    NONE,
    TOO_FEW,
    WARNING,
    chi_squared_quantile,
    drift_of,
    noise_limit,
    psi,
)
from edgekit_runtime.monitoring.histogram import CONFIDENCE, TOKENS, UNKNOWN, count_in
from edgekit_runtime.monitoring.monitor import Monitor
from edgekit_runtime.monitoring.reference import Reference
from edgekit_runtime.monitoring.snapshot import Snapshot

PAIRS = (
    st.integers(1, 20)
    .flatmap(lambda ranges: st.tuples(*[st.lists(st.integers(0, 10**6), min_size=ranges, max_size=ranges)] * 2))
    .filter(lambda pair: all(map(sum, pair)))
)


@given(PAIRS)
def test_psi_is_no_less_than_0_and_the_same_both_ways(pair: tuple[list[int], list[int]]) -> None:
    one, other = pair
    assert psi(one, other) >= -1e-12
    assert psi(one, other) == pytest.approx(psi(other, one), abs=1e-12)
    assert psi(one, one) == 0


@given(PAIRS)
def test_psi_does_not_go_by_ranges_that_are_empty_in_both(pair: tuple[list[int], list[int]]) -> None:
    one, other = pair
    assert psi([0, *one, 0], [0, *other, 0]) == pytest.approx(psi(one, other), abs=1e-12)
    assert noise_limit([0, *one, 0], [0, *other, 0]) == noise_limit(one, other)


def test_psi_by_hand() -> None:
    """Shares of 1/4 and 3/4 against 3/4 and 1/4, so that half a count added to each hardly matters."""
    assert psi([250_000, 750_000], [750_000, 250_000]) == pytest.approx(2 * 0.5 * np.log(3), rel=1e-4)


@pytest.mark.parametrize(("freedom", "quantile"), [(1, 6.635), (2, 9.210), (5, 15.086), (15, 30.578), (100, 135.807)])
def test_the_quantiles_of_chi_squared_are_those_of_the_tables(freedom: int, quantile: float) -> None:
    assert chi_squared_quantile(0.99, freedom) == pytest.approx(quantile, rel=0.01)


def drawn(random: np.random.Generator, texts: int) -> dict[str, tuple[int, ...]]:
    """Counts of texts from one source: two labels, most scores near 1, log-normal lengths, few unknown pieces."""
    unknown = np.where(random.random(texts) < 0.1, random.beta(1, 15, texts), 0.0)
    return {
        "labels": tuple(np.bincount(random.integers(0, 2, texts), minlength=2).tolist()),
        "confidence": count_in(CONFIDENCE, 1 - random.beta(0.4, 6, texts) * 0.5),
        "tokens": count_in(TOKENS, np.minimum(np.rint(random.lognormal(3, 0.6, texts)) + 2, 128.0)),
        "unknown": count_in(UNKNOWN, unknown),
    }


@pytest.mark.parametrize(
    ("reference", "window", "most_warnings", "most_alarms"),
    [(872, 2000, 0.0, 0.0), (872, 500, 0.0, 0.0), (872, MIN_TEXTS, 0.04, 0.0), (80, MIN_TEXTS, 0.05, 0.025)],
)
def test_where_nothing_moves_alarms_are_as_rare_as_the_page_says(
    reference: int, window: int, most_warnings: float, most_alarms: float
) -> None:
    """Each measure passes its limit in one of a hundred windows, so all four together in four at most."""
    random = np.random.default_rng(0)
    levels, over = [], 0
    for _ in range(600):
        before, now = drawn(random, reference), drawn(random, window)
        drift = drift_of({name: (before[name], now[name]) for name in before}, window)
        levels.append(drift.level)
        over += sum(drift.psi[name] > drift.limits[name] for name in before)  # type: ignore[operator]
    assert 0.002 < over / len(levels) / 4 < 0.015, "the limit is the 99 % quantile indeed"
    assert sum(level != NONE for level in levels) / len(levels) <= most_warnings
    assert levels.count(ALARM) / len(levels) <= most_alarms


def test_levels() -> None:
    def level(*shares: float, texts: int = 10_000) -> str:
        counts = [int(share * texts) for share in shares]
        return drift_of({"labels": ([5000, 5000], counts), "unknown": None}, texts).level

    assert level(0.5, 0.5) == level(0.55, 0.45) == NONE
    assert level(0.66, 0.34) == WARNING
    assert level(0.75, 0.25) == level(1.0, 0.0) == ALARM
    assert level(0.66, 0.34, texts=MIN_TEXTS - 1) == TOO_FEW
    few = {"labels": ([6, 4], [140, 60])}
    assert psi(*few["labels"]) < noise_limit(*few["labels"]), "ten texts of reference show nothing"


@pytest.fixture(scope="module")
def english() -> list[str]:
    """Film reviews in an order that has nothing to do with their labels."""
    texts = [text for text, _ in short_reviews()]
    return [texts[index] for index in np.random.default_rng(1).permutation(len(texts))[:2400]]


@pytest.fixture(scope="module")
def reference(bundle: Path, english: Sequence[str]) -> Reference:
    """What the classifier answers to English film reviews."""
    with load(bundle, monitor=True) as classify:
        classify.predict(english[:1200])
        return classify.monitor.reference_of_window()


@pytest.fixture(scope="module")
def classifier(bundle: Path) -> Classifier:
    return load(bundle)


def watched(classifier: Classifier, reference: Reference | None, texts: Sequence[str]) -> Snapshot:
    monitor = Monitor(classifier.labels, reference, window=600)
    classifier.watch(monitor)
    classifier.predict(texts)
    return monitor.snapshot()


def test_other_film_reviews_are_no_drift(classifier: Classifier, reference: Reference, english: list[str]) -> None:
    for begin in (1200, 1800):
        drift = watched(classifier, reference, english[begin : begin + 600]).drift
        assert (drift.level, drift.window) == (NONE, 600), drift


def test_another_language_is_an_alarm(classifier: Classifier, reference: Reference) -> None:
    chinese = [text for text in sample_texts() if any("\u4e00" <= character <= "\u9fff" for character in text)]
    snapshot = watched(classifier, reference, chinese * 8)
    assert snapshot.drift.level == ALARM
    assert snapshot.drift.psi["tokens"] > 0.25  # type: ignore[operator]


def test_texts_of_one_label_only_are_an_alarm(classifier: Classifier, reference: Reference, english: list[str]) -> None:
    answered = [
        text for text, answer in zip(english, classifier.predict(english), strict=True) if answer.label == "negative"
    ]
    drift = watched(classifier, reference, answered[:600]).drift
    assert drift.level == ALARM and drift.psi["labels"] > 0.25  # type: ignore[operator]


def test_much_longer_texts_are_an_alarm(classifier: Classifier, reference: Reference, english: list[str]) -> None:
    drift = watched(classifier, reference, [" ".join(english[index : index + 4]) for index in range(600)]).drift
    assert drift.level == ALARM and drift.psi["tokens"] > 0.25  # type: ignore[operator]


def test_the_window_forgets(classifier: Classifier, reference: Reference, english: list[str]) -> None:
    monitor = Monitor(classifier.labels, reference, window=600)
    classifier.watch(monitor)
    classifier.predict(["good"] * 700)
    assert monitor.snapshot().drift.level == ALARM
    classifier.predict(english[1200:1800])
    assert monitor.snapshot().drift.level == NONE


def test_without_a_reference_or_texts_enough_nothing_is_said(
    classifier: Classifier, reference: Reference, english: list[str]
) -> None:
    found = watched(classifier, None, english[:300]).drift
    assert (found.level, found.window, found.psi, found.limits) == (NO_REFERENCE, 300, {}, {})
    found = watched(classifier, reference, english[: MIN_TEXTS - 1]).drift
    assert (found.level, found.window, found.psi) == (TOO_FEW, MIN_TEXTS - 1, {})


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=300))
def test_the_sum_of_ranges_is_all(values: list[float]) -> None:
    for edges in (CONFIDENCE, UNKNOWN, TOKENS):
        counts = count_in(edges, np.array(values))
        assert sum(counts) == len(values) and len(counts) == len(edges) + 1
        assert counts[0] == sum(value <= edges[0] for value in values)
