"""Rows that cannot be used: an error with the line, or left out and counted."""

from __future__ import annotations

import json
from pathlib import Path

import datasets
import pytest

import datadoc
from edgekit_converters.data import DataOptions, read_labelled, read_rows
from edgekit_runtime.errors import DataError

NAMES = ("negative", "positive")

CSV = b"text,label\ngood,1\n%s\nbad,0\n"
LINES = b'{"text": "good", "label": 1}\n{"text": "worse", "label": 0}\n%s\n{"text": "bad", "label": 0}\n'

BAD = [
    # row of docs/data.md, file with one such row in line 3, why
    ("too few columns", CSV % b"alone", "1 columns are too few"),
    ("too few columns", CSV.replace(b",", b"\t") % b"alone", "1 columns are too few"),
    ("unknown label", CSV % b"x,maybe", "the label 'maybe' is none of negative, positive or 0 to 1"),
    ("unknown label", LINES % b'{"text": "x", "label": 7}', "the label '7' is none of"),
    ("unknown label", LINES % b'{"text": "x", "label": true}', "the label 'true' is none of"),
    ("no label", CSV % b"x,", "it has no label"),
    ("no label", LINES % b'{"text": "x", "label": null}', "it has no label"),
    ("no label", LINES % b'{"text": "x", "label": NaN}', "it has no label"),
    ("no label", LINES % b'{"text": "x"}', "it has no label"),
    ("no label", LINES % b'{"text": "x", "label": [1]}', "its label is '[1]', which is neither string nor number"),
    ("no text", LINES % b'{"text": null, "label": 1}', "it has no text"),
    ("no text", LINES % b'{"label": 1}', "it has no text"),
    ("no string", LINES % b'{"text": 5, "label": 1}', "its text is '5', which is no string"),
    ("no string", LINES % b'{"text": {"a": 1}, "label": 1}', "which is no string"),
    ("NUL byte", CSV % b"x\0y,1", "NUL"),
    ("NUL byte", CSV.replace(b",", b"\t") % b"x\0y\t1", "NUL"),
    ("NUL byte", LINES % b'{"text": "x\\u0000", "label": 1}', "NUL"),
    ("not decodable", CSV % b"caf\xe9,1", "it is not UTF-8; name the encoding with --encoding"),
    ("not decodable", LINES % b'{"text": "caf\xe9", "label": 1}', "it is not UTF-8; name the encoding with --encoding"),
    ("invalid JSON", LINES % b'{"text": "x", "label": 1', "it is no JSON (Expecting ',' delimiter at column 25)"),
    ("invalid JSON", LINES % b"[1]", "it is JSON, but no object"),
    ("invalid JSON", LINES % (b"[" * 100_000), "it is no JSON"),
]


def test_every_such_row_in_the_doc_is_tested() -> None:
    datadoc.each_is_tested("Rows that cannot be used", dict.fromkeys(row for row, _, _ in BAD))


@pytest.mark.parametrize(("row", "content", "because"), BAD)
def test_a_bad_row_is_an_error_or_is_skipped_and_counted(
    row: str, content: bytes, because: str, tmp_path: Path
) -> None:
    path = tmp_path / "data"
    path.write_bytes(content)
    with pytest.raises(DataError) as raised:
        read_labelled(path, NAMES)
    assert str(raised.value).startswith(f"{path}, line 3: ")
    assert because in str(raised.value)
    assert str(raised.value).endswith("; correct it, or leave such rows out with --skip-bad")

    said: list[str] = []
    data = read_labelled(path, NAMES, DataOptions(skip_bad=True), say=said.append)
    assert [text for text in data.texts if text != "worse"] == ["good", "bad"]
    assert (data.skipped, data.left_out) == (1, 0)
    assert len(said) == 1
    assert said[0].startswith(f"rows of {path} that cannot be used, and were skipped: 1; the first is {path}, line 3: ")


def test_rows_of_a_dataset_are_counted_from_1(tmp_path: Path) -> None:
    rows = [{"text": "good", "label": 1}, {"text": None, "label": 1}, {"text": "bad", "label": None}]
    datasets.Dataset.from_list(rows).save_to_disk(str(tmp_path / "saved"))
    with pytest.raises(DataError, match="saved, row 2: it has no text"):
        read_labelled(tmp_path / "saved", NAMES)
    data = read_labelled(tmp_path / "saved", NAMES, DataOptions(skip_bad=True))
    assert (data.texts, data.skipped) == (("good",), 2)


def test_rows_skipped_and_left_out_are_counted_apart(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("text,label\na,5\nb\nc,3\nd,9\ne,1\nf,3\n", encoding="utf-8")
    said: list[str] = []
    options = DataOptions(label_map="stars", skip_bad=True)
    data = read_labelled(path, NAMES, options, say=said.append)
    assert (data.texts, data.skipped, data.left_out) == (("a", "e"), 2, 2)
    assert [remark.removeprefix(f"rows of {path} that ")[:32] for remark in said] == [
        "cannot be used, and were skipped",
        "--label-map leaves out: 2",
    ]


def test_rows_as_written_are_skipped_and_counted_too(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("text,label\na,b\nc\n", encoding="utf-8")
    said: list[str] = []
    assert [row.text for row in read_rows(path, DataOptions(skip_bad=True), say=said.append)] == ["a"]
    assert "line 3: 1 columns are too few" in said[0]


@pytest.mark.parametrize(
    ("content", "because"),
    [
        ("text,label\na\nb\n", "has no examples: {}, line 2: 1 columns are too few"),
        ("text,label\na,x\nb,y\n", "has no example left: 2 rows cannot be used, 0 are left out"),
        ('{"text"\n{"text"\n', "has no examples: {}, line 1: it is no JSON"),
    ],
)
def test_a_file_of_nothing_but_bad_rows_is_an_error(content: str, because: str, tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as raised:
        read_labelled(path, NAMES, DataOptions(skip_bad=True))
    assert because.format(path) in str(raised.value)


@pytest.mark.parametrize("skip_bad", [False, True])
def test_a_quotation_mark_that_is_never_closed_is_an_error_since_it_swallows_the_rest(
    skip_bad: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data.csv"
    path.write_text('text,label\ngood,1\n"bad,0\n' + "fine,1\n" * 3000, encoding="utf-8")
    with pytest.raises(DataError, match=r"data\.csv, line 3: a quotation mark is never closed; close or remove it"):
        read_labelled(path, NAMES, DataOptions(skip_bad=skip_bad))
    monkeypatch.setattr("edgekit_converters.data.delimited.LINE_LIMIT", 10_000)
    with pytest.raises(DataError, match=r"line 3: a cell has more than .* is a quotation mark never closed"):
        read_labelled(path, NAMES, DataOptions(skip_bad=skip_bad))


def test_one_in_the_last_line_is_a_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text('text,label\ngood,1\n"bad,0\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"data\.csv, line 3: a quotation mark is never closed; correct it, or leave"):
        read_labelled(path, NAMES)
    data = read_labelled(path, NAMES, DataOptions(skip_bad=True))
    assert (data.texts, data.skipped) == (("good",), 1)


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekit_converters.data.textfile.LINE_LIMIT", 1 << 20)
    path = tmp_path / "data"
    path.write_text(json.dumps({"text": "a" * (1 << 21), "label": 1}), encoding="utf-8")
    with pytest.raises(DataError, match="line 1 has more than 1 million characters; put one example on a line"):
        read_labelled(path, NAMES, DataOptions(skip_bad=True))
