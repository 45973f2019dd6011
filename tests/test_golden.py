"""The self-test of an engine: what passes and what does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgekit_runtime import jsonio
from edgekit_runtime.errors import BundleError, GoldenMismatchError
from edgekit_runtime.golden import Golden, GoldenText, check_golden

FILE = "model.tflite"
CLEAR = GoldenText("clearly good", (2, 5, 3), {FILE: (-1.0, 1.0), "model.pte": (9.0, 9.0)})
CLOSE = GoldenText("so so", (2, 4, 3), {FILE: (0.02, 0.05)})
BOTH = Golden((CLEAR, CLOSE))


def encode(text: str) -> list[int]:
    """The fake tokenizer: what the golden texts say."""
    return next(list(item.ids) for item in BOTH.texts if item.text == text)


def answering(**answers: Sequence[float]) -> Callable[[Sequence[int]], NDArray[np.float32]]:
    """A fake engine that is right but for the answers given."""

    def logits(ids: Sequence[int]) -> NDArray[np.float32]:
        name = "clear" if tuple(ids) == CLEAR.ids else "close"
        right = {"clear": CLEAR.logits[FILE], "close": CLOSE.logits[FILE]}
        return np.asarray((right | answers)[name], dtype=np.float32)

    return logits


def check(logits: Callable[[Sequence[int]], NDArray[np.float32]], golden: Golden = BOTH) -> None:
    check_golden(golden, FILE, encode=encode, logits=logits, engine="fake 1.0")


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"clear": (-1.045, 1.045)},
        {"clear": (-0.955, 0.955)},
        {"close": (0.06, 0.04)},  # another label, within rounding
    ],
)
def test_passes(answers: dict[str, Sequence[float]]) -> None:
    check(answering(**answers))


@pytest.mark.parametrize(
    "answers",
    [
        {"clear": (1.0, -1.0)},
        {"clear": (-1.06, 1.0)},
        {"clear": (-1.0, 1.06)},
        {"close": (0.02, 0.11)},
        {"close": (0.08, 0.05)},
        {"clear": (0.0, 0.0)},
        {"clear": (float("nan"), 1.0)},
        {"clear": (-1.0, float("nan"))},
        {"close": (float("nan"), float("nan"))},
        {"clear": (-1.0, float("inf"))},
        {"clear": (-1.0, 1.0, -5.0)},
        {"clear": (1.0,)},
        {"clear": ()},
    ],
)
def test_wrong_answers(answers: dict[str, Sequence[float]]) -> None:
    with pytest.raises(GoldenMismatchError, match=r"fake 1\.0 answers .* it runs model\.tflite wrongly") as caught:
        check(answering(**answers))
    assert "\n" not in str(caught.value)


logit = st.floats(-3, 3, width=32)
noise = st.floats(-0.0625, 0.0625, width=32)


@given(st.tuples(logit, logit, logit), st.tuples(noise, noise, noise))
def test_what_passes_is_close_and_keeps_every_clear_label(expected: Sequence[float], off: Sequence[float]) -> None:
    found = np.add(expected, off, dtype=np.float32)
    golden = Golden((GoldenText("clearly good", CLEAR.ids, {FILE: tuple(expected)}),))
    try:
        check(answering(clear=found), golden)
    except GoldenMismatchError:
        assert np.abs(off).max() > 0.0499
    else:
        second, first = np.sort(expected)[-2:]
        assert np.abs(off).max() < 0.0501
        assert first - second < 0.1 or found.argmax() == np.argmax(expected)


def test_one_wrong_answer_among_many_is_found() -> None:
    with pytest.raises(GoldenMismatchError, match="so so"):
        check(answering(close=(1.0, 0.0)))


@pytest.mark.parametrize("ids", [(), (2, 5), (2, 6, 3), (2, 5, 3, 0)])
def test_a_tokenizer_that_splits_otherwise(ids: tuple[int, ...]) -> None:
    with pytest.raises(GoldenMismatchError, match="splits the golden text 'clearly good' otherwise"):
        check_golden(BOTH, FILE, encode=lambda _: ids, logits=answering(), engine="fake 1.0")


# Texts that were stripped off


def test_of_a_text_that_was_stripped_off_the_ids_are_taken_as_they_are() -> None:
    none = BOTH.without_texts()
    asked: list[tuple[int, ...]] = []

    def logits(ids: Sequence[int]) -> NDArray[np.float32]:
        asked.append(tuple(ids))
        return answering()(ids)

    def refuse(text: str) -> list[int]:
        raise AssertionError(f"there is no text to encode, but {text!r} was")

    check_golden(none, FILE, encode=refuse, logits=logits, engine="fake 1.0")
    assert asked == [CLEAR.ids, CLOSE.ids]
    assert (BOTH.schema_version, none.schema_version) == (1, 3)
    assert Golden((CLEAR, none.texts[1])).schema_version == 3


def test_messages_name_the_number_of_a_text_that_was_stripped_off() -> None:
    with pytest.raises(GoldenMismatchError, match=r"fake 1\.0 answers \[1\.0, 0\.0\] to golden text 2, where"):
        check(answering(close=(1.0, 0.0)), BOTH.without_texts())
    bare = Golden((GoldenText(None, CLEAR.ids, {}),))
    with pytest.raises(BundleError, match=r"golden text 1 has no logits for model\.tflite"):
        check(answering(), bare)


def test_no_text_is_null_in_the_file_and_not_left_out() -> None:
    data = jsonio.to_bytes(BOTH.without_texts())
    assert b'"text": null' in data and b"clearly" not in data
    assert Golden.from_bytes(data, "golden.json") == BOTH.without_texts()
    with pytest.raises(BundleError, match=r"texts\[0\] has no 'text'"):
        Golden.from_bytes(b'{"texts": [{"ids": [1], "logits": {}}]}', "golden.json")


@pytest.mark.parametrize("logits", [{}, {"model.pte": (1.0, 0.0)}, {FILE: ()}, {FILE: (1.0,)}])
def test_golden_texts_without_logits_for_the_program(logits: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(BundleError, match=r"has no logits for model\.tflite"):
        check(answering(), Golden((GoldenText("clearly good", CLEAR.ids, logits),)))


def test_there_and_back() -> None:
    assert Golden.from_bytes(jsonio.to_bytes(BOTH), "golden.json") == BOTH


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", r"golden\.json is not valid JSON"),
        (b"{}", r"golden\.json has no 'texts'"),
        (b'{"texts": []}', r"golden\.json holds no golden texts"),
        (b'{"texts": [{"text": "a", "ids": ["1"], "logits": {}}]}', r"texts\[0\]\.ids\[0\] should be a whole number"),
        (b'{"texts": [{"text": "a", "ids": [1], "logits": {"m": ["x"]}}]}', r"logits\.m\[0\] should be a number"),
    ],
)
def test_no_golden_texts(data: bytes, match: str) -> None:
    with pytest.raises(BundleError, match=match):
        Golden.from_bytes(data, "golden.json")
