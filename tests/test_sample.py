"""The built-in texts: enough of them, in both languages, and golden texts that meet every bucket."""

from __future__ import annotations

import dataclasses
import re

import pytest

from bundles import TEXT
from conftest import PIECES
from edgekit_converters.sample import golden_texts, sample_texts
from edgekit_converters.tokenizer import read_tokenizer
from edgekit_runtime.cleaning import STEPS
from edgekit_runtime.manifest import TextSpec
from edgekit_runtime.text import TextEncoder, load_tokenizer

CHINESE = re.compile(r"[\u4e00-\u9fff]")


def spec(buckets: tuple[int, ...], **changes: object) -> TextSpec:
    return dataclasses.replace(TEXT, max_length=buckets[-1], buckets=buckets, **changes)


def test_over_200_different_texts_in_both_languages_always_the_same():
    texts = sample_texts()
    assert len(set(texts)) == len(texts) > 200
    assert sum(bool(CHINESE.search(text)) for text in texts) >= 40
    assert sum(bool(re.search("[a-z]", text)) for text in texts) >= 100
    assert sample_texts() == texts
    assert "" in texts


@pytest.fixture(scope="module")
def counters(vocabulary):
    """Lengths by a vocabulary that spells English letter by letter, and by one that knows whole words only."""
    letters = load_tokenizer(read_tokenizer(vocabulary, lambda message: None).json)
    return {
        "wordpiece": lambda text: len(letters.encode(text).ids),
        "words": lambda text: len(text.split()),
    }


@pytest.mark.parametrize("buckets", [(16, 32, 64, 128), (128,), (16, 96), (32, 64, 128, 512), (20, 21, 22)], ids=str)
def test_golden_texts_meet_every_bucket_in_both_languages(counters, buckets):
    count = counters["wordpiece"]
    texts = golden_texts(count, spec(buckets))
    for floor, bucket in zip((0, *buckets), buckets, strict=False):
        inside = [text for text in texts if floor < count(text) <= bucket]
        assert any(CHINESE.search(text) for text in inside), f"no Chinese text for bucket {bucket}"
        assert any(re.fullmatch(r"[ -~]+", text) for text in inside), f"no English text for bucket {bucket}"
    assert any(count(text) > buckets[-1] for text in texts), "one text must be cut"
    assert len(texts) == len(set(texts))


def test_buckets_that_no_sentence_fits_are_passed_over(counters):
    for count in counters.values():
        texts = golden_texts(count, spec((3, 16)))
        assert "" in texts
        assert any(3 < count(text) <= 16 for text in texts)


def test_the_pieces_are_known_to_these_tests():
    assert {"ok", "good", "很", "好"} <= set(PIECES)


def test_each_cleaning_step_changes_the_ids_of_a_golden_text(vocabulary):
    tokenizer = read_tokenizer(vocabulary, lambda message: None).json
    for step in STEPS:
        changes = {"clean": (step,), "stop_words": ("the", "was") if step == "stop-words" else ()}
        cleaning, plain = (TextEncoder(tokenizer, spec((64,), **each)) for each in (changes, {}))
        texts = golden_texts(lambda text, encoder=cleaning: len(encoder.ids(text)), cleaning.spec)
        assert any(cleaning.ids(text) != plain.ids(text) for text in texts), step


def test_where_the_tokenizer_drops_these_words_its_own_fill_the_buckets():
    """A vocabulary of one foreign word, all else dropped, as Keras' Tokenizer does."""
    texts = golden_texts(lambda text: text.split().count("filmi"), spec((4, 16)), ["the", "filmi", "hyva"])
    counts = [text.split().count("filmi") for text in texts]
    assert any(0 < count <= 4 for count in counts)
    assert any(4 < count <= 16 for count in counts)
    assert any(count > 16 for count in counts)
