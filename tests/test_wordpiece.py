"""The shortcut for plain ASCII gives the library's ids, and stands aside for everything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from conftest import PIECES
from edgekit_converters.sample import sample_texts
from edgekit_converters.tokenizer.bert import bert_tokenizer
from edgekit_runtime.text import load_tokenizer
from edgekit_runtime.wordpiece import PlainWordPiece, shortcut

CASED = (*PIECES, "The", "ok_", "OK", "G", "##O")


def pair(*, cased: bool = False, max_length: int = 64) -> tuple[PlainWordPiece, Tokenizer]:
    pieces = CASED if cased else PIECES
    tokenizer = load_tokenizer(
        bert_tokenizer({piece: index for index, piece in enumerate(pieces)}, lower_case=not cased)
    )
    tokenizer.enable_truncation(max_length)
    quick = shortcut(tokenizer, max_length)
    assert quick is not None
    return quick, tokenizer


@pytest.mark.parametrize("cased", [False, True])
@pytest.mark.parametrize("max_length", [3, 8, 64])
def test_ids_equal_the_library_on_plain_ascii(cased: bool, max_length: int) -> None:
    quick, tokenizer = pair(cased=cased, max_length=max_length)
    words = st.sampled_from(
        [*PIECES[5:25], "The", "OK", "GO", "don't", "a_b", "3.14", "x" * 99, "x" * 101, "\t", "\r\n"]
    )
    plain = st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="[")

    @given(st.one_of(st.text(plain), st.lists(words).map(" ".join), st.lists(words).map("".join)))
    def check(text: str) -> None:
        assert quick.ids(text) == tokenizer.encode(text).ids

    check()


@given(st.text())
def test_an_answer_is_the_librarys_or_none(text: str) -> None:
    quick, tokenizer = PAIR
    ids = quick.ids(text)
    assert ids is None or ids == tokenizer.encode(text).ids


PAIR = pair()


@pytest.mark.parametrize(
    "text", ["[MASK]", "a [SEP] b", "café", "很好", "a\x00b", "a\x0bb", "a\x7fb", "a\u2028b", "👍"]
)
def test_what_is_not_plain_is_left_to_the_library(text: str) -> None:
    assert pair()[0].ids(text) is None


def test_most_english_texts_take_the_shortcut() -> None:
    quick, tokenizer = pair()
    english = [text for text in sample_texts() if text.isascii()]
    assert len(english) > 100
    assert all(quick.ids(text) == tokenizer.encode(text).ids for text in english)


def test_other_tokenizers_have_no_shortcut() -> None:
    vocabulary = {piece: index for index, piece in enumerate(PIECES)}
    tokenizer = load_tokenizer(bert_tokenizer(vocabulary, lower_case=True))
    tokenizer.add_tokens(["ok"])
    assert shortcut(tokenizer, 8) is None
    tokenizer = load_tokenizer(bert_tokenizer(vocabulary, lower_case=True))
    tokenizer.normalizer = None
    assert shortcut(tokenizer, 8) is None


def test_of_a_long_text_only_what_is_kept_is_split() -> None:
    quick, tokenizer = pair(max_length=8)
    for words in (5, 6, 7, 20, 5_000):
        text = "a good film, " * words
        assert quick.ids(text) == tokenizer.encode(text).ids
    assert quick.ids("good " * 100_000 + "電") is None, "all of it is looked at"
