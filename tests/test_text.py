"""Text to ids, mask and bucket."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from bundles import TEXT, tokenizer_json
from edgekit_converters.tokenizer.word_level import any_of, removed, word_level
from edgekit_runtime.cleaning import cleaner
from edgekit_runtime.errors import BundleError, TokenizerError
from edgekit_runtime.manifest import TextSpec
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


def test_a_batch_leaves_to_the_library_only_what_the_shortcut_does(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[list[str]] = []
    whole = TextEncoder.whole_ids_of
    monkeypatch.setattr(TextEncoder, "whole_ids_of", lambda self, texts: left.append(texts) or whole(self, texts))
    texts = ["a good film", "电影 " * 40, "very bad", "[SEP] good", "good " * 40]
    assert encoder.ids_of(texts) == [encoder.ids(text) for text in texts]
    assert left == [[texts[1], texts[3]]]


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


@pytest.mark.parametrize("clean", [("html", "emoji"), ("emoji",), ("HTML",)])
def test_a_cleaning_step_of_a_newer_edgekit(clean: tuple[str, ...]) -> None:
    with pytest.raises(BundleError, match=r"no text cleaning named (emoji|HTML): upgrade"):
        TextEncoder(tokenizer_json(), dataclasses.replace(TEXT, clean=clean))


# Cleaning

CLEANING = dataclasses.replace(
    TEXT, clean=("html", "full-width", "urls", "handles", "simplified", "stop-words"), stop_words=("very", "的")
)
cleaning = TextEncoder(tokenizer_json(), CLEANING)
before_it = cleaner(CLEANING.clean, CLEANING.stop_words)


def test_cleaning_runs_before_the_tokenizer_and_before_the_shortcut() -> None:
    dirty = "<b>A</b> very good&#32;film http://a.b/bad @bad"
    assert dirty.isascii()
    assert cleaning.ids(dirty) == [CLS, 4, 5, 7, SEP]
    assert encoder.ids(dirty) != cleaning.ids(dirty)
    assert cleaning.ids("Ａ　ｇｏｏｄ　<i>ｆｉｌｍ</i>") == [CLS, 4, 5, 7, SEP]


def test_a_text_of_which_cleaning_leaves_nothing_is_the_empty_text() -> None:
    assert cleaning.ids("<br/> http://a.b @someone very") == encoder.ids("")
    assert cleaning.ids_of(["<br/>"]) == encoder.ids_of([""])


@given(
    any_text
    | st.lists(st.sampled_from(["<b>", "http://a.b", "@c", "very", "好", "壞", "ｇｏｏｄ", "&amp;"])).map(" ".join)
)
def test_the_ids_are_those_of_the_cleaned_text(text: str) -> None:
    assert before_it is not None
    cleaned = before_it(well_formed(text))
    assert cleaning.ids(text) == encoder.ids(cleaned)
    assert cleaning.ids_of([text]) == encoder.ids_of([cleaned])
    assert cleaning.whole_ids_of([text]) == encoder.whole_ids_of([cleaned])


# What is not cut, and what is dropped


@given(st.lists(any_text | st.just("good film " * 20), max_size=4))
def test_whole_ids_once_cut_are_the_ids(texts: list[str]) -> None:
    whole = encoder.whole_ids_of(texts)
    assert [encoder.cut(ids) for ids in whole] == encoder.ids_of(texts)
    library = load_tokenizer(tokenizer_json())
    assert whole == [library.encode(well_formed(text)).ids for text in texts]
    library.enable_truncation(7)
    assert [encoder.cut(ids, 7) for ids in whole] == [library.encode(well_formed(text)).ids for text in texts]


def test_dropped_ids_are_gone_before_the_text_is_cut_and_padded() -> None:
    words = word_level({"good": 1, "film": 2}, None, [removed(any_of(" "))], lower=True)
    spec = dataclasses.replace(
        TEXT, kind="wordlevel", special_ids={"pad": 0}, max_length=4, buckets=(2, 4), min_length=2, dropped=3
    )
    dropping = TextEncoder(words, spec)
    assert dropping.ids("a b c d e Good x film y") == [1, 2]
    assert dropping.ids("x y") == []
    assert dropping.ids("good film good film good x") == [1, 2, 1, 2]
    assert dropping.ids_of(["x", "a good film"]) == [[], [1, 2]]
    assert dropping.whole_ids_of(["good x " * 6]) == [[1] * 6]
    padded, mask = dropping.pad(dropping.ids("x"), spec.buckets)
    assert (padded.tolist(), mask.tolist()) == ([[0, 0]], [[1.0, 1.0]])


def test_a_tokenizer_that_cannot_encode_unknown_words() -> None:
    broken = word_level({"good": 1}, "[UNK]", [removed(any_of(" "))], lower=True)
    with pytest.raises(TokenizerError, match="cannot encode unknown words"):
        TextEncoder(broken, TEXT)


# The rows of the word table

ROWS = 4 + 9
"""As many as the tokenizer of ``bundles`` has pieces."""


def spec_of(rows: int | None, **changes: Any) -> TextSpec:
    return dataclasses.replace(TEXT, vocab_size=rows, **changes)


def with_vocabulary(**ids: int) -> bytes:
    """The tokenizer with other ids for some pieces, and with more pieces."""
    content = json.loads(tokenizer_json())
    content["model"]["vocab"] |= ids
    return json.dumps(content).encode()


def with_added(number: int) -> bytes:
    """The tokenizer with a token added to its vocabulary at the next free id, and called ``number`` in the file."""
    content = json.loads(tokenizer_json())
    token = {"id": number, "content": "[NEW]", "special": True}
    content["added_tokens"].append(dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False) | token)
    content["model"]["vocab"]["[NEW]"] = number
    return json.dumps(content).encode()


def with_template(number: int) -> bytes:
    """The tokenizer with an id behind every text that no piece has."""
    content = json.loads(tokenizer_json())
    content["post_processor"]["special_tokens"]["[SEP]"]["ids"] = [number]
    return json.dumps(content).encode()


@pytest.mark.parametrize("rows", [ROWS, ROWS + 3, 2**31 - 1, None])
def test_a_tokenizer_whose_ids_all_have_a_row(rows: int | None) -> None:
    assert TextEncoder(tokenizer_json(padding=64), spec_of(rows)).ids("a good film") == encoder.ids("a good film")


@pytest.mark.parametrize(
    ("data", "rows", "last"),
    [
        (tokenizer_json(), ROWS - 1, ROWS - 1),
        (with_vocabulary(film=ROWS), ROWS, ROWS),
        (with_vocabulary(film=4_000_000_000), 2**31 - 1, 4_000_000_000),
        (with_vocabulary(new=10**6), ROWS + 1, 10**6),
        (with_added(ROWS), ROWS, ROWS),
        (with_added(10**9), ROWS + 100, 10**9),
        (with_template(ROWS), ROWS, ROWS),
        (with_template(10**6), 10**6, 10**6),
    ],
)
def test_a_tokenizer_with_an_id_that_has_no_row(data: bytes, rows: int, last: int) -> None:
    with pytest.raises(TokenizerError, match=rf"has ids up to {last}, and the model's word table {rows} rows"):
        TextEncoder(data, spec_of(rows))
    TextEncoder(data, spec_of(None))


def test_a_tokenizer_that_counts_its_ids_by_position() -> None:
    data = Tokenizer(models.Unigram([("<unk>", 0.0), ("a", -1.0), ("b", -2.0)], unk_id=0)).to_str().encode()
    TextEncoder(data, spec_of(4))
    with pytest.raises(TokenizerError, match="has ids up to 2, and the model's word table 2 rows"):
        TextEncoder(data, dataclasses.replace(spec_of(2), special_ids={"pad": 0}))


def test_an_id_that_is_dropped_needs_no_row() -> None:
    data = word_level({"good": 1}, None, [removed(any_of(" "))], lower=True)
    spec = spec_of(2, special_ids={"pad": 0}, dropped=2, kind="wordlevel")
    assert TextEncoder(data, spec).ids("good film good") == [1, 1]
    with pytest.raises(TokenizerError, match="has ids up to 2"):
        TextEncoder(data, dataclasses.replace(spec, dropped=None))


@pytest.mark.parametrize("ids", [[2, ROWS, 3], [2, 10**6, 3], [2, -1, 3], [-(2**31)], [2**31 - 1]])
@pytest.mark.parametrize("lengths", [None, (4, 8, 16)])
def test_no_other_id_is_handed_to_an_engine(ids: list[int], lengths: tuple[int, ...] | None) -> None:
    bounded = TextEncoder(tokenizer_json(), spec_of(ROWS))
    with pytest.raises(BundleError, match=f"none of the {ROWS} that the model has"):
        bounded.pad(ids, lengths)
    assert bounded.pad([0, ROWS - 1], lengths)[0][0, :2].tolist() == [0, ROWS - 1]
    assert bounded.pad([], None)[0].size == 1
