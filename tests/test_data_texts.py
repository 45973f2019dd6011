"""Texts alone: every form without its labels, and plain text (docs/data.md)."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest

import datadoc
from edgekit_converters.data import DataOptions, read_texts, read_training_texts
from edgekit_converters.pipeline import convert
from edgekit_converters.recipe import Recipe
from edgekit_runtime.bundle import open_bundle
from edgekit_runtime.errors import DataError, FileError, OptionError
from edgekit_runtime.progress import LogListener
from test_data_forms import FORMS, LINE_PAIRS, PAIRS, write, write_parquet

LINES = ["good, really good", 'a "bad" film, and long', "", "电影很好👍", '"never closed, again']


def lines_of_text(folder: Path) -> None:
    path = write(folder / "x.csv", "\ufeff" + "\r\n".join(LINES))
    said: list[str] = []
    assert read_texts(path, say=said.append) == tuple(line for line in LINES if line)
    assert said == [f"{path} is read as plain text, one text a line"]


def header_with_a_name(folder: Path) -> None:
    path = write(folder / "x.txt", "id,Review,stars\n" + '1,"good, really",\n2,bad\n')
    assert read_texts(path) == ("good, really", "bad")


def options(folder: Path) -> None:
    path = write(folder / "x.txt", "body\nthe film\n")
    assert read_texts(path) == ("body", "the film")
    assert read_texts(path, DataOptions(header=True)) == read_texts(path, DataOptions(text_column="body"))
    assert read_texts(path, DataOptions(header=True)) == ("the film",)
    assert read_texts(path, DataOptions(header=False)) == ("body", "the film")


def a_tab(folder: Path) -> None:
    path = write(folder / "x.txt", "7\tthe film\tx\n8\tthe meal\ty\n")
    with pytest.raises(DataError, match=r"no column that is known to hold the text; .* choose one with --text-column"):
        read_texts(path)
    assert read_texts(path, DataOptions(text_column="2")) == ("the film", "the meal")


def two_columns(folder: Path) -> None:
    path = write(folder / "x.txt", "1,good film\n0,bad film\n1,fine\n")
    assert read_texts(path) == ("good film", "bad film", "fine")
    named = write(folder / "y", "phrase,class\n" + "good film,yes\nbad film,no\na meal,no\nmeals,yes\n" * 2)
    with pytest.raises(DataError, match=r"its first line is 'phrase \| class': choose one with --text-column"):
        read_texts(named)  # too few to see which of the two are labels
    assert read_texts(named, DataOptions(text_column="1", header=True))[:2] == ("good film", "bad film")


def even_commas(folder: Path) -> None:
    path = write(folder / "x", "7,the film,a\n8,the meal,b\n9,it\n"[:-4] + "9,it,c\n")
    with pytest.raises(DataError, match=r"its first line is '7 \| the film \| a': choose one with --text-column"):
        read_texts(path)
    assert read_texts(path, DataOptions(text_column="2")) == ("the film", "the meal", "it")


def even_commas_in_txt(folder: Path) -> None:
    content = "well, a film\nso, a meal\n"
    packed = folder / "x.txt.gz"
    packed.write_bytes(gzip.compress(content.encode()))
    assert read_texts(write(folder / "x.txt", content)) == read_texts(packed) == ("well, a film", "so, a meal")


def one_column(folder: Path) -> None:
    items = [{"words": "good"}, {"words": "bad"}]
    datasets.Dataset.from_list(items).save_to_disk(str(folder / "saved"))
    lines = write(folder / "x.jsonl", "".join(json.dumps(item) + "\n" for item in items))
    for path in (lines, write(folder / "y", json.dumps(items)), write_parquet(folder / "z", items), folder / "saved"):
        assert read_texts(path) == ("good", "bad")
    quoted = write(folder / "q", 'text\n"good, really"\nbad\n')
    assert read_texts(quoted) == ("good, really", "bad")
    with pytest.raises(
        DataError, match="line 2: it has several columns and the header one; quote the text; correct it"
    ):
        read_texts(write(folder / "r", "text\ngood, really\nbad\n"))


KINDS: dict[str, Callable[[Path], None]] = {
    "lines of text": lines_of_text,
    "a header with a name for the text": header_with_a_name,
    "`--text-column` or `--header`": options,
    "a tab in its first line": a_tab,
    "two columns, one of labels": two_columns,
    "the same number of commas in all lines": even_commas,
    "the same, and a name in `.txt`": even_commas_in_txt,
    "one column": one_column,
}


def test_every_row_of_the_doc_is_tested_here() -> None:
    datadoc.each_is_tested("Texts alone", KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_of_the_doc(kind: str, tmp_path: Path) -> None:
    KINDS[kind](tmp_path)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_labelled_text_gives_its_texts(form, tmp_path, monkeypatch):
    texts = tuple(text for text, _ in (LINE_PAIRS if form == "tsv" else PAIRS))
    options = DataOptions(label_column="nowhere", label_map="stars")
    assert read_texts(FORMS[form](tmp_path, monkeypatch), options) == texts


def test_labels_may_be_missing_or_of_any_kind(tmp_path):
    items = [{"text": "a", "label": None}, {"text": "b", "label": [1]}, {"text": "c"}, {"text": "d", "label": "x\0"}]
    path = write(tmp_path / "x", "".join(json.dumps(item) + "\n" for item in items))
    assert read_texts(path, DataOptions(label_column="stars")) == ("a", "b", "c", "d")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no examples; it needs one text a row"),
        (b"\n \n", "has no examples; it needs one text a row"),
        (b"good\nb\x00d\n", "line 2: it holds a NUL byte; correct it, or leave such rows out with --skip-bad"),
        (b"good\nb\xffd\n", "line 2: it is not UTF-8; name the encoding with --encoding"),
        (b'{"text": 1}\n', "line 1: its text is '1', which is no string"),
        (b'{"text": null, "label": 1}\n', "line 1: it has no text"),
        (b"text\n", "has a header and no examples; it needs one example a line"),
        (b"PK\x03\x04", "is a zip archive or an Excel workbook"),
    ],
)
def test_what_cannot_be_read_is_an_error(tmp_path, content, message):
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(DataError) as refused:
        read_texts(path)
    assert message in str(refused.value)
    assert str(path) in str(refused.value)
    assert "label" not in str(refused.value)


def test_bad_rows_are_skipped_and_counted(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"good\nb\x00d\nb\xffd\nfine\n")
    said: list[str] = []
    assert read_texts(path, DataOptions(skip_bad=True), said.append) == ("good", "fine")
    assert "cannot be used, and were skipped: 2; the first is" in said[-1]


def test_options_that_mean_nothing_are_refused(tmp_path):
    with pytest.raises(FileError, match="there is no file"):
        read_texts(tmp_path / "none")
    with pytest.raises(OptionError, match="is no dataset, so that --split says nothing of it; drop the option"):
        read_texts(write(tmp_path / "x", "good\n"), DataOptions(split="train"))
    with pytest.raises(DataError, match="has no text column 'body'"):
        read_texts(write(tmp_path / "y", "good\nbad\n"), DataOptions(text_column="body"))


def test_encodings_are_those_of_labelled_text(tmp_path):
    path = tmp_path / "x"
    path.write_bytes("电影很好，服务也不错\n房间很差\n".encode("gb18030"))
    assert read_texts(path, DataOptions(encoding="gb18030")) == ("电影很好，服务也不错", "房间很差")
    path.write_bytes("电影很好\n房间, 很差\n".encode("utf-16"))
    assert read_texts(path) == ("电影很好", "房间, 很差")


def test_columns_are_those_of_labelled_text_and_not_of_plain_text_beside_it(tmp_path):
    labelled = write(tmp_path / "d.csv", "body,id,mood\ngood film,1,positive\nbad film,2,negative\n")
    plain = write(tmp_path / "more.txt", "so, so\n\nwell, well\n")
    table = write(tmp_path / "more.csv", "id,body\n3,fine\n")
    said = DataOptions(text_column="body", label_column="mood", header=True)
    read = read_training_texts(("negative", "positive"), labelled, (plain, table), said, LogListener())
    assert (read.labelled.texts, read.labelled.labels) == (("good film", "bad film"), (1, 0))
    assert read.unlabelled == ("so, so", "well, well", "fine")
    with pytest.raises(DataError, match="body"):
        read_training_texts(
            ("negative", "positive"), labelled, (write(tmp_path / "x.csv", "id\n3\n"),), said, LogListener()
        )


def test_plain_text_calibrates_a_conversion(cnn_checkpoint, tmp_path):
    path = write(tmp_path / "reviews.txt", "a good film, really\nwhat a bad room\n电影很好\n")
    recipe = Recipe(buckets="auto", max_length=48, quantize="none")
    made = convert(cnn_checkpoint, tmp_path / "x.edgekit", recipe=recipe, calibrate=path)
    lower = open_bundle(made.bundle).manifest.history[-1]
    assert lower.settings["data"]["calibrate"]["file"] == "reviews.txt"
    assert lower.settings["resolved"]["buckets"][0] < 16
