"""Explanations: the words of a text, and what their absence costs the label, on a real model."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import edgekit_runtime as ek
from bundles import with_manifest
from edgekit_runtime import jsonio
from edgekit_runtime.explain import MAX_WORDS, words
from test_cli import SCRIPT, edgekit

FAMILY, SCOTLAND = "👩‍👩‍👧", "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"


@pytest.fixture(scope="module")
def classify(bundle: Path) -> Iterator[ek.Classifier]:
    with ek.load(bundle) as classifier:
        yield classifier


@pytest.fixture(scope="module")
def short(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ek.Classifier]:
    """The same model, told that it takes 16 tokens, [CLS] and [SEP] among them."""
    entry = jsonio.encode(ek.open_bundle(bundle).manifest.main)
    entry["text"] |= {"max_length": 16, "buckets": [16]}
    path = tmp_path_factory.mktemp("short") / "short.edgekit"
    with ek.load(with_manifest(bundle, path, models=[entry]), verify=False) as classifier:
        yield classifier


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the film\twas \n good", ["the", "film", "was", "good"]),
        ("Good, bad; (ugly)!!!", ["Good", ",", "bad", ";", "(", "ugly", ")", "!!!"]),
        ("don't l’été 'so'", ["don't", "l’été", "'", "so", "'"]),
        ("3.5/10, 1,000. x.y", ["3.5", "/", "10", ",", "1,000", ".", "x", ".", "y"]),
        ("well-made a_b ++--", ["well", "-", "made", "a_b", "++", "--"]),
        ("这个电影很很好！ok", ["这", "个", "电", "影", "很", "很", "好", "！", "ok"]),
        ("ラーメンがいい", ["ラ", "ー", "メ", "ン", "が", "い", "い"]),
        ("ดีที่สุด", ["ดี", "ที่", "สุ", "ด"]),
        ("한국어 हिन्दी Превосходно", ["한국어", "हिन्दी", "Превосходно"]),
        ("cafe\u0301 نمی‌خواهم", ["cafe\u0301", "نمی‌خواهم"]),
        (f"a{FAMILY}b👍🏽👍🏽👍🇫🇷🇩🇪", ["a", FAMILY, "b", "👍🏽👍🏽", "👍", "🇫🇷", "🇩🇪"]),
        (f"❤️x1️⃣2{SCOTLAND}", ["❤️", "x", "1️⃣", "2", SCOTLAND]),
        ("a\u200b \x00\u200b\ufeff b", ["a\u200b", "b"]),
        ("a\ud800 \ud83d\ude00b\udc00", ["a", "\ud800", "\ud83d\ude00", "b", "\udc00"]),
        (" \t\n", []),
        ("", []),
    ],
)
def test_words_of_a_text(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in words(text)] == expected


def test_the_word_that_decides_weighs_most(classify: ek.Classifier) -> None:
    explanation = classify.explain("the film was good")
    assert explanation.prediction == classify("the film was good")
    assert explanation.prediction.label == "positive"
    assert max(explanation.words, key=lambda word: word.weight).text == "good"
    blamed = classify.explain("the film was bad")
    assert blamed.prediction.label == "negative"
    assert max(blamed.words, key=lambda word: word.weight).text == "bad"


@pytest.mark.parametrize(
    "text",
    [
        "the film was good",
        "good,bad,  good film!",
        "电影很好",
        f"an awful phone {FAMILY} , really awful ",
        "good \ud800 ok",
    ],
)
def test_a_weight_is_the_probability_with_the_word_minus_without(classify: ek.Classifier, text: str) -> None:
    explanation = classify.explain(text)
    whole = classify(text)
    assert len(explanation.words) >= 3
    for word in explanation.words:
        assert text[word.start : word.end] == word.text
        without = classify(text[: word.start] + " " + text[word.end :]).scores[whole.label]
        assert word.weight == pytest.approx(whole.score - without, abs=1e-7)
    assert len({word.weight for word in explanation.words}) > 1


def test_texts_with_no_word_and_with_one(classify: ek.Classifier) -> None:
    for text in ("", "  \n"):
        assert classify.explain(text) == ek.Explanation(classify(text), ())
    (word,) = classify.explain("good").words
    whole = classify("good")
    assert (word.text, word.start, word.end) == ("good", 0, 4)
    assert word.weight == pytest.approx(whole.score - classify("").scores[whole.label], abs=1e-7)


def test_words_behind_the_cut_are_left_out_and_do_not_slide_in(short: ek.Classifier) -> None:
    """14 words fit. Without one of them the text gets shorter; the one behind the cut does not take its place."""
    kept, text = "the film was ok " * 3 + "the film", "the film was ok " * 3 + "the film awful, good 电影很差 " * 20
    explanation = short.explain(text)
    assert [word.text for word in explanation.words] == kept.split()
    assert explanation.prediction == short(text) == short(kept)
    for word in explanation.words:
        without = short(kept[: word.start] + " " + kept[word.end :]).scores[explanation.prediction.label]
        assert word.weight == pytest.approx(explanation.prediction.score - without, abs=1e-7)


def test_a_word_that_the_cut_goes_through_is_the_last(short: ek.Classifier) -> None:
    word = "t" + "e" * 40
    assert len(short.encoder.ids(f"the {word}")) == 16, "the word must be of many tokens"
    assert [part.text for part in short.explain(f"the film {word} bad").words] == ["the", "film", word]


def test_a_text_that_just_fits_is_explained_whole(short: ek.Classifier) -> None:
    text = "the film was ok " * 3 + "the film "
    assert len(short.encoder.ids(text)) == 16
    assert len(short.explain(text).words) == 14


def test_the_number_of_classifications_is_bounded(classify: ek.Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signs that the tokenizer drops never reach the cut, so that only this bound holds."""
    text, batches = "good" + " \ufffd" * (2 * MAX_WORDS), []
    predict = classify._unwatched
    monkeypatch.setattr(classify, "_unwatched", lambda texts: batches.append(len(texts)) or predict(texts))
    explanation = classify.explain(text)
    assert len(classify.encoder.ids(text)) == 3
    assert sum(batches) - 1 == len(explanation.words) == (2 * MAX_WORDS + 1 + 2) // 3
    assert explanation.words[0].text == "good \ufffd \ufffd"
    assert explanation.words[0].weight > 0.05 > explanation.words[1].weight == 0
    assert explanation.words[-1].end == len(text)


def test_a_text_must_be_a_string(classify: ek.Classifier) -> None:
    with pytest.raises(TypeError, match="must be a string, not int"):
        classify.explain(3)  # type: ignore[arg-type]


def test_json_has_the_words(bundle: Path, classify: ek.Classifier) -> None:
    done = edgekit("predict", bundle, "--explain", "--json", "the film was good", "")
    assert (done.returncode, done.stderr) == (0, "")
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert list(first) == ["text", "label", "score", "scores", "words"]
    assert [tuple(word) for word in first["words"]] == [("text", "start", "end", "weight")] * 4
    assert first["words"] == [
        pytest.approx(word) for word in jsonio.encode(classify.explain("the film was good").words)
    ]
    assert second["words"] == []


def test_for_the_eye_each_word_has_a_signed_number(bundle: Path, classify: ek.Classifier) -> None:
    done = edgekit("predict", bundle, "--explain", "-", stdin="the film was good\n\n电影很差".encode())
    assert (done.returncode, done.stderr) == (0, "")
    answer, weights, empty, chinese, signs = done.stdout.splitlines()
    assert answer.startswith("positive\t")
    expected = [f"{word.text} {word.weight:+.4f}" for word in classify.explain("the film was good").words]
    assert weights == "    " + "  ".join(expected)
    assert empty.endswith("\t")
    assert chinese.startswith("negative\t")
    assert [part[0] for part in signs.strip().split("  ")] == list("电影很差")


def test_a_terminal_gets_the_same_in_colour(bundle: Path) -> None:
    arguments = [SCRIPT, "predict", bundle, "--explain", "the film was good"]
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | {"TERM": "xterm-256color"}
    with subprocess.Popen(arguments, stdout=theirs, env=environment) as process:
        os.close(theirs)
        output = b""
        try:
            while chunk := os.read(ours, 4096):
                output += chunk
        except OSError:  # how Linux says that the other side has closed
            pass
        assert process.wait(60) == 0
    os.close(ours)
    assert b"\x1b[32mgood\x1b[0m" in output
    plain = edgekit("predict", bundle, "--explain", "the film was good").stdout
    assert "\x1b" not in plain
