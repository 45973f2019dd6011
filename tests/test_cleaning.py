"""Each cleaning step by its rule in docs/bundle.md, and the table of simplified characters against OpenCC."""

from __future__ import annotations

import csv
import dataclasses
import re
import runpy
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opencc import OpenCC

import edgekit_runtime.cleaning
from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
from edgekit_converters.pipeline import convert
from edgekit_converters.recipe import Recipe
from edgekit_converters.stop_words import read_stop_words
from edgekit_converters.training.finetune import FinetuneSettings, finetune
from edgekit_runtime import load, open_bundle
from edgekit_runtime.cleaning import SIMPLIFIED_TABLE, STEPS, check_cleaning, cleaner, folded
from edgekit_runtime.errors import BundleError, FileError, OptionError
from edgekit_runtime.text import TextEncoder, load_tokenizer
from test_cli import edgekit

ROOT = Path(__file__).parents[1]

any_text = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
dirty = st.lists(
    st.sampled_from(
        [
            *(
                "<br />",
                "<p class='x'>",
                "</p>",
                "<!--",
                "-->",
                "<script>",
                "</script>",
                "<style a>",
                "</STYLE >",
                "<3",
                "<",
            ),
            *("&amp;", "&lt;", "&#39;", "&#x1F600;", "&#0;", "&#xD800;", "&nbsp;", "&unknown;", "&", ";", "#", ">"),
            *(
                "http://a.bc/d?e=f",
                "HTTPS://x",
                "www.a.bc",
                "http://",
                "www.",
                "aWWW.b",
                "(",
                ")",
                ".",
                ",",
                "!",
                "/",
                "~",
            ),
            *("@anna", "@小明", "@", "a@b.cd", "@@", "_", "-", "很好", "電影", "ｆｕｌｌ", "　", "，", "😀"),
            *("the", "The", "don't", "don’t", "'the'", "not", "的", " ", "\t", "\n", "\r", "good", "İ", "é"),
        ]
    ),
    max_size=14,
).map("".join)
texts = any_text | dirty


def clean(text: str, *steps: str, stop_words: tuple[str, ...] = ()) -> str:
    run = cleaner(steps, stop_words)
    assert run is not None
    return run(text)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("", ""),
        ("plain text", "plain text"),
        ("a<br /><br>b", "a b"),
        ("<p class='x'>one</p><p>two</p>", "one two"),
        ("won<b>der</b>ful", "won der ful"),
        ("I <3 this </3 a < b > c", "I <3 this </3 a < b > c"),
        ("<!DOCTYPE html><?xml version='1.0'?>a", "a"),
        ("a <!-- <b>not</b> seen --> b", "a b"),
        ("a <!-- never closed <b> c", "a"),
        ("a<script src=x>if (1 < 2) bad();</script >b", "a b"),
        ("a<STYLE>p { color: red }</style>b<scripture>c", "a b c"),
        ("a<script>never closed", "a"),
        ("a <unclosed b", "a <unclosed b"),
        ("fish &amp; chips &lt;b&gt; &quot;x&apos;", "fish & chips <b> \"x'"),
        ("it&#39;s &#x4e2D;&#20013; &#128512;", "it's 中中 😀"),
        ("a&nbsp;&nbsp;b&hellip;&mdash;&ndash;&rsquo;&euro;", "a b…—–’€"),
        ("&#0;&#xD800;&#1114112;&#99999999;", "\ufffd\ufffd\ufffd&#99999999;"),
        ("&amp;lt; &AMP; &eacute; & &;", "&lt; &AMP; &eacute; & &;"),
        ("a\r\n\t b\x0b\x0cc\u00a0d\u3000e", "a b c\u00a0d\u3000e"),
    ],
)
def test_html(text: str, cleaned: str) -> None:
    assert clean(text, "html") == cleaned


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("see http://a.bc/d?e=f#g now", "see now"),
        ("http://a.bc, then (https://d.ef/g). End!", ", then ( ). End!"),
        ("www.a.bc and WWW.A.BC/x_y~z!", "and !"),
        ("看http://t.cn/Ab1很好", "看 很好"),
        ("Awww.so cute www. http:// http://. ftp://a.bc", "Awww.so cute www. http:// http://. ftp://a.bc"),
        ("brokenhttps://a.bc", "broken"),
        ("a.bc without a scheme", "a.bc without a scheme"),
        ("http://a.bc/é/x", "é/x"),
    ],
)
def test_urls(text: str, cleaned: str) -> None:
    assert clean(text, "urls") == cleaned


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("@anna_1 hello @BOB!", "hello !"),
        ("谢谢@小明 很好", "谢谢 很好"),
        ("write to a.b@cd.ef", "write to a.b@cd.ef"),
        ("5 @ 3, @, @@", "5 @ 3, @, @@"),
        ("@a@server.org and @@b", ".org and"),
    ],
)
def test_handles(text: str, cleaned: str) -> None:
    assert clean(text, "handles") == cleaned


def test_full_width() -> None:
    every = "".join(map(chr, range(0xFF01, 0xFF5F)))
    assert clean(every, "full-width") == "".join(map(chr, range(0x21, 0x7F)))
    assert clean("Ａ　ｂ，\n 。｟￥ﾊ", "full-width") == "A b,\n 。｟￥ﾊ"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("The film, THE room; the-end 'the' the.", "film, room; -end ."),
        ("theme bathe the_end", "theme bathe _end"),
        ("I don't, Don’t and DON'T do", "I , and do"),
        ("这是我的电影的", "这是我 电影"),
        ("naïve café the", "naïve café"),
    ],
)
def test_stop_words(text: str, cleaned: str) -> None:
    assert clean(text, "stop-words", stop_words=("the", "don't", "的")) == cleaned


def test_dropping_not_turns_the_meaning_round() -> None:
    assert clean("not good", "stop-words", stop_words=("not",)) == "good"


@given(texts)
def test_stop_words_are_the_words_that_a_plain_walk_over_the_text_finds(text: str) -> None:
    """The rule of docs/bundle.md character by character, without a regular expression."""
    words, dropped = [""], {"the", "don't", "的"}
    for character in text:
        code = ord(character)
        between = (
            (code < 0xC0 and not (character.isascii() and character.isalnum()) and character != "'")
            or (0x2000 <= code <= 0x206F and character != "’")
            or 0x3000 <= code <= 0x303F
            or any(a <= code <= b for a, b in ((0xFF01, 0xFF0F), (0xFF1A, 0xFF20), (0xFF3B, 0xFF40), (0xFF5B, 0xFF65)))
        )
        alone = any(
            a <= code <= b for a, b in ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
        )
        if between or alone:
            words += [character, ""]
        else:
            words[-1] += character
    kept = "".join(" " if folded(word) in dropped else word for word in words)
    assert clean(text, "stop-words", stop_words=tuple(dropped)) == re.sub("[\t-\r ]+", " ", kept).strip(" ")


# All steps


@pytest.mark.parametrize("step", ["urls", "handles", "full-width", "stop-words"])
def test_these_steps_find_nothing_more_the_second_time(step: str) -> None:
    stop_words = ("the", "don't", "的") if step == "stop-words" else ()

    @given(texts)
    @example("@a@b")
    @example("http://a(www.b")
    def check(text: str) -> None:
        once = clean(text, step, stop_words=stop_words)
        assert clean(once, step, stop_words=stop_words) == once

    check()


def test_html_and_simplified_may_find_more_the_second_time() -> None:
    assert clean("&lt;b&gt;a", "html") == "<b>a"
    assert clean("薴", "simplified") == "苧"
    assert clean("苧", "simplified") == "苎"


@given(texts)
def test_removing_steps_leave_single_spaces_and_none_at_the_ends(text: str) -> None:
    for step in ("html", "urls", "handles"):
        cleaned = clean(text, step)
        assert not re.search("[\t-\r]|  |^ | $", cleaned)


@given(texts)
def test_what_holds_no_mark_of_a_step_is_only_tidied(text: str) -> None:
    text = text.translate(dict.fromkeys(map(ord, "<&@:.")))
    tidied = re.sub("[\t-\r ]+", " ", text).strip(" ")
    assert clean(text, "html", "urls", "handles") == tidied


def test_steps_run_in_the_order_in_which_they_are_named() -> None:
    text = "ｈｔｔｐ：／／ａ．ｂｃ 很好"
    assert clean(text, "full-width", "urls") == "很好"
    assert clean(text, "urls", "full-width") == "http://a.bc 很好"
    assert cleaner(()) is None


@pytest.mark.parametrize(
    "text",
    [
        *("<!--" * 50_000, "<script" * 30_000, "<script>" + "</script" * 30_000, "<a" * 100_000, "&#" * 100_000),
        *(
            "http://" * 30_000,
            "http://a" + "." * 200_000,
            "www." * 50_000,
            "@" * 200_000,
            "@a" * 100_000,
            "'" * 200_000,
        ),
    ],
    ids=lambda text: text[:12],
)
def test_no_text_takes_long(text: str) -> None:
    """All of these have more than 100,000 characters: time that grows with their square would be minutes."""
    begin = time.perf_counter()
    clean(text, "html", "urls", "handles", "full-width", "simplified", "stop-words", stop_words=("the",))
    assert time.perf_counter() - begin < 5


def test_the_patterns_mean_the_same_in_java() -> None:
    r"""No class of Unicode's but [\s\S], no anchor, no flag, no group that repeats (Java recurses there)."""
    patterns = [value for value in vars(edgekit_runtime.cleaning).values() if isinstance(value, re.Pattern)]
    patterns += edgekit_runtime.cleaning._UNSEEN
    assert len(patterns) == 9
    for pattern in patterns:
        assert pattern.flags == re.UNICODE
        plain = pattern.pattern.replace(r"[\s\S]", "")
        assert not re.search(r"\\[sSwWbBdDAZz]|\$|&&|\)[*+{]|\(\?[^:=!<]", plain), pattern.pattern


def test_the_description_has_every_pattern_and_name() -> None:
    page = (ROOT / "docs" / "bundle.md").read_text(encoding="utf-8")
    cleaning = edgekit_runtime.cleaning
    for pattern in (*cleaning._UNSEEN, cleaning._URL, cleaning._HANDLE, cleaning._WORD):
        in_java = re.sub(r"\\U000([0-9a-f]{5})", r"\\x{\1}", pattern.pattern)
        assert f"\n{in_java}\n" in page
    assert f"`{cleaning._SPACES.pattern}`" in page
    for name, character in cleaning.NAMED_CHARACTERS.items():
        assert f"`&{name};` {'U+0020' if character == ' ' else character}" in page
    for step in STEPS:
        assert f"\n**{step}** " in page


# Simplified characters


def test_the_table_is_what_the_script_writes() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "make_simplified.py"))
    assert script["TABLE"] == SIMPLIFIED_TABLE.resolve()
    assert SIMPLIFIED_TABLE.read_text(encoding="utf-8") == script["table"]()


def test_every_character_becomes_what_opencc_makes_of_it() -> None:
    """Each alone, so that OpenCC's phrases do not count; letters between would not matter."""
    library = OpenCC("t2s")
    ranges = ((0x2E80, 0x33FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2FA1F))
    every = [chr(code) for first, last in ranges for code in range(first, last + 1)]
    expected = library.convert("\n".join(every)).split("\n")
    changed = [(character, simple) for character, simple in zip(every, expected, strict=True) if character != simple]
    assert len(changed) > 4000
    assert clean("\n".join(every), "simplified").split("\n") == expected
    assert clean("這個電影非常好，歡迎 watch", "simplified") == "这个电影非常好，欢迎 watch"


def test_the_table_says_where_it_comes_from() -> None:
    header = "".join(line for line in SIMPLIFIED_TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("#"))
    assert "OpenCC" in header
    assert "Apache License, Version 2.0" in header


# What is refused


def test_an_unknown_step_is_refused_where_the_user_names_it_and_where_a_bundle_does() -> None:
    with pytest.raises(OptionError, match=r"no cleaning step emoji; --clean takes html, urls, handles, full-width, "):
        check_cleaning(("html", "emoji"), ())
    with pytest.raises(BundleError, match="no text cleaning named emoji: upgrade it"):
        cleaner(("html", "emoji"))


@pytest.mark.parametrize(
    ("steps", "stop_words", "match"),
    [
        (("html", "html"), (), "names a step twice"),
        (("html",), ("the",), r"needs its step: name it among the others, --clean html,stop-words"),
        ((), ("the",), r"--clean stop-words"),
        (("stop-words",), (), r"needs its list: give a file with one word a line by --stop-words FILE"),
        (("stop-words",), ("the", "The"), "the stop word 'The' is no single word in lower case"),
        (("stop-words",), ("of course",), "'of course' is no single word"),
        (("stop-words",), ("但是",), "segmenter"),
        (("stop-words",), ("",), "'' is no single word"),
    ],
)
def test_steps_and_stop_words_that_do_not_go_together(
    steps: tuple[str, ...], stop_words: tuple[str, ...], match: str
) -> None:
    with pytest.raises(OptionError, match=match):
        check_cleaning(steps, stop_words)


def test_steps_that_are_right() -> None:
    check_cleaning((), ())
    check_cleaning(tuple(STEPS), ("the", "don't", "的", "naïve"))


def test_a_file_of_stop_words(tmp_path: Path) -> None:
    path = tmp_path / "stop.txt"
    path.write_bytes("\ufeffThe\r\n\r\n  don’t \n的\nthe\nNaïve".encode())
    words = read_stop_words(path)
    assert words == ("the", "don't", "的", "naïve")
    check_cleaning(("stop-words",), words)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "holds no stop words"),
        (b"\n \n", "holds no stop words"),
        (
            b"the\nof course\ne.g.\n",
            r"line 2 of .* \('of course'\) is not one word, and 2 of its 3 lines are not",
        ),
        ("的\n但是\n".encode(), r"line 2 of .* \('但是'\) is not one word"),
        ("的".encode("gb18030"), "not UTF-8"),
    ],
)
def test_a_file_that_holds_no_stop_words(tmp_path: Path, content: bytes, match: str) -> None:
    (tmp_path / "stop.txt").write_bytes(content)
    with pytest.raises(OptionError, match=match):
        read_stop_words(tmp_path / "stop.txt")


def test_a_file_of_stop_words_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot read the stop words"):
        read_stop_words(tmp_path / "stop.txt")


# From training to answer

HIDDEN = "<!-- i hate this awful , really awful {} --> "
"""What only cleaning keeps away from the model; the other way round for what is bad."""


@pytest.fixture(scope="module")
def dirty_csv(labelled_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The labelled sentences, each behind a comment that says the opposite four times."""
    opposite = {"1": HIDDEN.format("bad") * 4, "0": HIDDEN.replace("hate", "love").replace("awful", "great") * 4}
    path = tmp_path_factory.mktemp("dirty") / "dirty.csv"
    with labelled_csv.open(encoding="utf-8", newline="") as source, path.open("w", encoding="utf-8", newline="") as out:
        rows = list(csv.DictReader(source))
        writer = csv.DictWriter(out, ["text", "label"])
        writer.writeheader()
        writer.writerows({"text": opposite[row["label"]] + row["text"], "label": row["label"]} for row in rows)
    return path


def test_the_original_too_gets_the_cleaned_text(cnn_checkpoint: Path, dirty_csv: Path, tmp_path: Path) -> None:
    recipe = Recipe(max_length=32, buckets=(32,), quantize="none")
    read = ReadOptions(clean=("html", "simplified"))
    made = convert(cnn_checkpoint, tmp_path / "clean.edgekit", recipe=recipe, read=read, eval_data=dirty_csv)
    (report,) = made.verify
    assert report.accuracy_original is not None and report.accuracy_original > 0.9
    assert report.accuracy == report.accuracy_original
    assert report.truncated == 0.0, "lengths are those of the cleaned texts"
    spec = open_bundle(made.bundle).manifest.main.text
    assert (spec.clean, spec.stop_words) == (("html", "simplified"), ())
    with load(made.bundle) as classify:
        assert classify("<b>i</b> love this film<!-- i hate it , terrible -->").label == "positive"
        assert classify("房間很好") == classify("房间很好")
        without = TextEncoder(open_bundle(made.bundle).read("tokenizer.json"), dataclasses.replace(spec, clean=()))
        rows = list(csv.DictReader(dirty_csv.read_text(encoding="utf-8").splitlines()))
        wrong = [classify.logits(without.ids(row["text"])).argmax() != int(row["label"]) for row in rows]
        assert sum(wrong) > 0.9 * len(rows), "without cleaning these texts say the opposite"


def test_training_cleans_and_its_checkpoint_says_so(dirty_csv: Path, tmp_path: Path) -> None:
    settings = FinetuneSettings(arch="cnn", epochs=1, held_out=0.2, clean=("html", "stop-words"), stop_words=("the",))
    finetune(dirty_csv, tmp_path / "m.pt", settings)
    model = read_checkpoint(tmp_path / "m.pt", ReadOptions(), lambda message: None)
    assert (model.clean, model.stop_words) == (("html", "stop-words"), ("the",))
    pieces = load_tokenizer(model.tokenizer.json).get_vocab()
    assert "film" in pieces
    assert not {"<", "the"} & pieces.keys()
    assert model.history[0].settings["stop_words"] == 1


def test_stop_words_reach_the_text_spec(cnn_checkpoint: Path) -> None:
    model = read_checkpoint(cnn_checkpoint, ReadOptions(), lambda message: None)
    cleaning = dataclasses.replace(model, clean=("stop-words",), stop_words=("the", "was"))
    spec = cleaning.text_spec(16, (16,))
    encoder = TextEncoder(model.tokenizer.json, spec)
    plain = TextEncoder(model.tokenizer.json, model.text_spec(16, (16,)))
    assert encoder.ids("The film was good") == plain.ids("film good")


@pytest.mark.parametrize(
    ("changes", "match"),
    [({"clean": ("emoji",)}, "no cleaning step emoji"), ({"clean": ("stop-words",)}, "needs its list")],
)
def test_settings_and_models_refuse_what_the_steps_do_not_allow(
    cnn_checkpoint: Path, changes: dict[str, Any], match: str
) -> None:
    with pytest.raises(OptionError, match=match):
        FinetuneSettings(arch="cnn", **changes)
    with pytest.raises(OptionError, match=match):
        read_checkpoint(cnn_checkpoint, ReadOptions(**changes), lambda message: None)


def test_the_command_line_names_what_is_valid(cnn_checkpoint: Path, tmp_path: Path) -> None:
    done = edgekit("convert", cnn_checkpoint, "--clean", "html,emoji", "--out", tmp_path / "x.edgekit")
    assert done.returncode == 1
    assert re.fullmatch(r"edgekit: error: there is no cleaning step emoji; --clean takes html, urls, .*\n", last(done))
    (tmp_path / "stop.txt").write_text("the\n")
    done = edgekit("finetune", "x.csv", "--arch", "cnn", "--out", "m.pt", "--stop-words", tmp_path / "stop.txt")
    assert "name it among the others, --clean stop-words" in done.stderr


def last(done: Any) -> str:
    return str(done.stderr.splitlines(keepends=True)[-1])
