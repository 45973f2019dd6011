"""Text to ids, mask and bucket."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundles import TEXT, tokenizer_json
from edgekit_runtime.errors import BundleError, TokenizerError
from edgekit_runtime.text import TextEncoder, load_tokenizer, well_formed

CLS, SEP, UNK, PAD = 2, 3, 1, 0
any_text = st.text(st.characters(), max_size=60)  # lone surrogates too

encoder = TextEncoder(tokenizer_json(), TEXT)


def test_ids_with_special_tokens() -> None:
    assert encoder.ids("A good film") == [CLS, 4, 5, 7, SEP]
    assert encoder.ids("好坏😀 badly zzz") == [CLS, 10, 11, 12, 6, 9, UNK, SEP]


@pytest.mark.parametrize(("words", "ids"), [(13, 15), (14, 16), (15, 16), (400, 16)])
def test_a_long_text_is_cut_at_max_length_and_keeps_its_special_tokens(words: int, ids: int) -> None:
    found = encoder.ids("good " * words)
    assert found == [CLS, *[5] * (ids - 2), SEP]


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\0", "\u200d"])
def test_a_text_of_nothing_is_its_special_tokens(text: str) -> None:
    assert encoder.ids(text) == [CLS, SEP]


def test_emoji_of_several_code_points() -> None:
    assert encoder.ids("a 👩‍👩‍👧 film") == [CLS, 4, UNK, 7, SEP]


@pytest.mark.parametrize("text", ["a \ud800 film", "\udfff", "a\udc80", "\ud83d"])
def test_lone_surrogates_become_the_replacement_character(text: str) -> None:
    assert "�" in well_formed(text)
    assert encoder.ids(text) == encoder.ids(well_formed(text))
    assert encoder.ids_of([text]) == [encoder.ids(text)]


def test_well_formed_text_is_left_alone_and_halves_that_belong_together_are_joined() -> None:
    assert well_formed("naïve 😀 电影") == "naïve 😀 电影"
    assert well_formed("a \ud83d\ude00 \udc00") == "a 😀 �"


def test_a_very_long_text() -> None:
    assert len(encoder.ids("good film " * 20_000)) == 16
    assert encoder.ids("x" * 200_000) == [CLS, UNK, SEP]


@given(any_text)
def test_any_text_gives_ids_that_fit(text: str) -> None:
    ids = encoder.ids(text)
    assert 2 <= len(ids) <= 16
    assert ids[0] == CLS and ids[-1] == SEP


@given(st.lists(any_text, max_size=6))
def test_a_batch_gives_what_single_calls_give_in_their_order(texts: list[str]) -> None:
    assert encoder.ids_of(texts) == [encoder.ids(text) for text in texts]


@pytest.mark.parametrize(("padding", "truncation"), [(64, None), (None, 4), (64, 4)])
def test_padding_and_truncation_of_the_tokenizer_are_set_aside(padding: int | None, truncation: int | None) -> None:
    own = TextEncoder(tokenizer_json(padding=padding, truncation=truncation), TEXT)
    for text in ("", "a good film", "very good " * 20):
        assert own.ids(text) == encoder.ids(text)
        assert own.ids_of([text, "bad"]) == encoder.ids_of([text, "bad"])
    assert len(load_tokenizer(tokenizer_json(padding=64, truncation=4)).encode("good " * 40).ids) == 42


@pytest.mark.parametrize(
    ("count", "length"), [(2, 4), (3, 4), (4, 4), (5, 8), (7, 8), (8, 8), (9, 16), (15, 16), (16, 16)]
)
def test_the_shortest_bucket_that_holds_the_text(count: int, length: int) -> None:
    ids = list(range(2, 2 + count))
    padded, mask = encoder.pad(ids, TEXT.buckets)
    assert padded.shape == mask.shape == (1, length)
    assert (padded.dtype, mask.dtype) == (np.dtype("int32"), np.dtype("float32"))
    assert padded[0].tolist() == ids + [PAD] * (length - count)
    assert mask[0].tolist() == [1.0] * count + [0.0] * (length - count)


def test_the_padding_is_the_specs_pad_id() -> None:
    spec = dataclasses.replace(TEXT, special_ids={"pad": 9})
    assert TextEncoder(tokenizer_json(), spec).pad([5], (4,))[0].tolist() == [[5, 9, 9, 9]]


def test_an_engine_that_takes_any_length_gets_no_padding() -> None:
    padded, mask = encoder.pad([2, 5, 3], None)
    assert padded.tolist() == [[2, 5, 3]]
    assert mask.tolist() == [[1.0, 1.0, 1.0]]


@pytest.mark.parametrize(("lengths", "length"), [(None, 6), ((4, 8, 16), 8), ((6, 16), 6)])
def test_padding_up_to_min_length_counts_as_text(lengths: tuple[int, ...] | None, length: int) -> None:
    least = TextEncoder(tokenizer_json(), dataclasses.replace(TEXT, min_length=6))
    padded, mask = least.pad([2, 5, 3], lengths)
    assert padded[0].tolist() == [2, 5, 3] + [PAD] * (length - 3)
    assert mask[0].tolist() == [1.0] * 6 + [0.0] * (length - 6)


def test_ids_that_no_length_holds() -> None:
    with pytest.raises(BundleError, match=r"a text of 9 tokens fits none of the lengths \(4, 8\)"):
        encoder.pad([5] * 9, (4, 8))


@pytest.mark.parametrize("data", [b"", b"{}", b"not json", b"\xff\xfe", b'{"model": {"type": "Unheard"}}'])
def test_no_tokenizer(data: bytes) -> None:
    with pytest.raises(TokenizerError, match=r"the tokenizer\.json cannot be read"):
        TextEncoder(data, TEXT)


def test_a_cleaning_step_of_a_newer_edgekit() -> None:
    with pytest.raises(BundleError, match="no text cleaning named html, urls: upgrade"):
        TextEncoder(tokenizer_json(), dataclasses.replace(TEXT, clean=("html", "urls")))
