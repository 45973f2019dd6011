"""Every form of file in docs/data.md gives the same examples."""

from __future__ import annotations

import gzip
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import datasets
import pyarrow
import pyarrow.parquet
import pytest

import datadoc
from edgekit_converters.data import DataOptions, read_labelled, read_rows, stream_labelled
from edgekit_runtime.errors import DataError, FileError, MissingExtraError, OptionError

NAMES = ("negative", "positive")
PAIRS = [("good, really\ngood", 1), ('a "bad" film', 0), ("电影很好👍", 1), ("", 0)]
LINE_PAIRS = [(text.replace("\n", " "), label) for text, label in PAIRS]
OBJECTS = [{"id": index, "text": text, "label": label} for index, (text, label) in enumerate(PAIRS)]


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def write_parquet(path: Path, items: list[dict[str, object]], **options: object) -> Path:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(items), path, **options)
    return path


def pairs(path: object, names: tuple[str, ...] = NAMES, **options: object) -> list[tuple[str, int]]:
    data = read_labelled(path, names, DataOptions(**options))
    return list(zip(data.texts, data.labels, strict=True))


Form = Callable[[Path, pytest.MonkeyPatch], object]


def csv_text() -> str:
    cells = [f'"{text.replace(chr(34), chr(34) * 2)}",{label}' for text, label in PAIRS]
    return "text,label\n" + "\n".join(cells) + "\n"


def csv(folder: Path, _: pytest.MonkeyPatch) -> Path:
    return write(folder / "data", csv_text())


def semicolons(folder: Path, _: pytest.MonkeyPatch) -> Path:
    cells = [f'"{text.replace(chr(34), chr(34) * 2)}";{label};0,5' for text, label in PAIRS]
    return write(folder / "data.csv", "text;label;weight\n" + "\n".join(cells) + "\n")


def tsv(folder: Path, _: pytest.MonkeyPatch) -> Path:
    return write(folder / "data", "text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in LINE_PAIRS))


def json_lines(folder: Path, _: pytest.MonkeyPatch) -> Path:
    lines = [json.dumps(item, ensure_ascii=index % 2 == 0) for index, item in enumerate(OBJECTS)]
    return write(folder / "data.csv", "\n\n".join(lines))


def json_array(folder: Path, _: pytest.MonkeyPatch) -> Path:
    return write(folder / "data", json.dumps(OBJECTS, indent=1))


def gzipped(folder: Path, _: pytest.MonkeyPatch) -> Path:
    path = folder / "data.jsonl"
    path.write_bytes(gzip.compress("".join(json.dumps(item) + "\n" for item in OBJECTS).encode()))
    return path


def stdin(_: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(csv_text().encode()))))
    return "-"


def parquet(folder: Path, _: pytest.MonkeyPatch) -> Path:
    return write_parquet(folder / "data.csv", OBJECTS)


def dataset_folder(folder: Path, _: pytest.MonkeyPatch) -> Path:
    datasets.Dataset.from_list(OBJECTS).save_to_disk(str(folder / "saved"))
    return folder / "saved"


FORMS: dict[str, Form] = {
    "csv": csv,
    "semicolons": semicolons,
    "tsv": tsv,
    "JSON lines": json_lines,
    "JSON array": json_array,
    "gzip": gzipped,
    "stdin": stdin,
    "parquet": parquet,
    "dataset folder": dataset_folder,
}


def test_every_form_in_the_doc_is_tested_here_or_with_the_hub() -> None:
    datadoc.each_is_tested("Forms", [*FORMS, "hub"])


@pytest.mark.parametrize("form", FORMS)
def test_a_form(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row of this name in docs/data.md. File names say nothing, or lie."""
    assert pairs(FORMS[form](tmp_path, monkeypatch)) == (LINE_PAIRS if form == "tsv" else PAIRS)


@pytest.mark.parametrize("form", FORMS)
def test_columns_are_chosen_in_every_form(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = FORMS[form](tmp_path, monkeypatch)
    with pytest.raises(DataError, match=r"has no text column 'body'; its (first line is|columns are) '.*text \| label"):
        pairs(path, text_column="body")
    path = FORMS[form](tmp_path, monkeypatch) if form == "stdin" else path
    by_number = (
        {"text_column": "2", "label_column": "3"} if form in HAS_ID else {"text_column": "1", "label_column": "2"}
    )
    assert [label for _, label in pairs(path, **by_number)] == [1, 0, 1, 0]


HAS_ID = {"JSON lines", "JSON array", "gzip", "parquet", "dataset folder"}


@pytest.mark.parametrize("name", ["a file with spaces.csv", "电影 评论.jsonl", "ümlaut.parquet"])
def test_paths_with_spaces_and_other_scripts(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maker = {".csv": csv, ".jsonl": json_lines, ".parquet": parquet}[Path(name).suffix]
    path = maker(tmp_path, monkeypatch)
    assert isinstance(path, Path)
    path = path.rename(tmp_path / name)
    assert pairs(path) == pairs(str(path)) == PAIRS


# JSON


def test_columns_of_json_are_those_of_the_first_objects_together(tmp_path: Path) -> None:
    path = write(tmp_path / "x", '{"id": 1, "label": 1, "text": "a"}\n{"text": "b", "stars": 0, "label": "negative"}\n')
    assert pairs(path) == [("a", 1), ("b", 0)]
    assert [row.line for row in read_rows(path)] == [1, 2]


def test_a_csv_whose_first_text_begins_as_json_is_a_csv(tmp_path: Path) -> None:
    assert pairs(write(tmp_path / "x", "[spoiler] good,1\n{bad,0\n")) == [("[spoiler] good", 1), ("{bad", 0)]


def test_an_array_that_is_broken_or_empty(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"begins as a JSON array and is none \(Expecting ',' delimiter at line 2"):
        pairs(write(tmp_path / "x", '[{"text": "a", "label": 1}\n {"text"'))
    with pytest.raises(DataError, match="is empty; it needs one object for each example"):
        pairs(write(tmp_path / "x", "[]"))


def test_an_array_counts_its_items(tmp_path: Path) -> None:
    path = write(tmp_path / "x", '[{"text": "a", "label": 1},\n\n {"text": "b"}]')
    with pytest.raises(DataError, match="x, row 2: it has no label"):
        pairs(path)


def test_an_array_on_one_line_may_be_longer_than_lines_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekit_converters.data.textfile.LINE_LIMIT", 1 << 10)
    path = write(tmp_path / "x", json.dumps(OBJECTS * 1000))
    assert pairs(path) == PAIRS * 1000


@pytest.mark.parametrize("indent", [None, 1])
def test_an_array_too_large_to_be_read_at_once_is_refused(
    indent: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgekit_converters.data.jsonrows.ARRAY_LIMIT", 1 << 20)
    path = write(tmp_path / "x", json.dumps([{"text": "a" * 3000, "label": 1}] * 400, indent=indent))
    with pytest.raises(DataError, match="is one JSON array of over 1 MiB; save it as JSON lines"):
        pairs(path)


# Parquet and datasets


def test_classes_of_a_dataset_have_names(tmp_path: Path) -> None:
    """The row "class names": here 0 is positive, so that reading ids would be wrong."""
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["POSITIVE", "negative"])}
    )
    dataset = datasets.Dataset.from_dict({"text": ["good", "bad"], "label": [0, 1]}, features=features)
    dataset.save_to_disk(str(tmp_path / "saved"))
    dataset.to_parquet(str(tmp_path / "saved.parquet"))
    assert pairs(tmp_path / "saved") == pairs(tmp_path / "saved.parquet") == [("good", 1), ("bad", 0)]
    assert read_labelled(tmp_path / "saved", None).names == ("POSITIVE", "negative")


def test_a_dataset_without_labels_for_some_rows(tmp_path: Path) -> None:
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["negative", "positive"])}
    )
    dataset = datasets.Dataset.from_dict({"text": ["good", "unknown", None], "label": [1, -1, 0]}, features=features)
    dataset.save_to_disk(str(tmp_path / "saved"))
    with pytest.raises(DataError, match="saved, row 2: it has no label"):
        pairs(tmp_path / "saved")
    assert pairs(tmp_path / "saved", skip_bad=True) == [("good", 1)]


def test_a_split_is_chosen(tmp_path: Path) -> None:
    parts = {name: datasets.Dataset.from_list([{"text": name, "label": 1}]) for name in ("train", "dev")}
    folder = tmp_path / "saved"
    datasets.DatasetDict(parts).save_to_disk(str(folder))
    with pytest.raises(DataError, match="has several splits; choose one with --split: train, dev"):
        pairs(folder)
    with pytest.raises(DataError, match="has no split 'test'; choose one with --split: train, dev"):
        pairs(folder, split="test")
    assert pairs(folder, split="dev") == [("dev", 1)]
    datasets.DatasetDict({"only": parts["dev"]}).save_to_disk(str(tmp_path / "one"))
    assert pairs(tmp_path / "one") == [("dev", 1)]
    with pytest.raises(DataError, match="has no split 'dev': it is a single one"):
        pairs(folder / "train", split="dev")


def test_categories_decimals_and_several_row_groups_of_parquet(tmp_path: Path) -> None:
    count = 2500
    table = pyarrow.table(
        {
            "text": pyarrow.array([f"text {index % 7}" for index in range(count)]).dictionary_encode(),
            "label": pyarrow.array([index % 2 for index in range(count)], pyarrow.float64()),
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "x", row_group_size=900)
    assert pairs(tmp_path / "x") == [(f"text {index % 7}", index % 2) for index in range(count)]
    stream = stream_labelled(tmp_path / "x", NAMES)
    next(iter(stream))
    assert stream.progress() == (1000, count)


def test_a_damaged_parquet_file(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "x", OBJECTS, compression="snappy")
    whole = path.read_bytes()
    path.write_bytes(whole[:-6])
    with pytest.raises(DataError, match=r"is a damaged parquet file \(.*\); write it again"):
        pairs(path)
    path.write_bytes(whole[:4] + bytes(200) + whole[204:])
    with pytest.raises(DataError, match=r"is a damaged parquet file"):
        pairs(path)


def test_parquet_from_stdin_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_parquet(tmp_path / "x", OBJECTS).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    with pytest.raises(DataError, match="parquet cannot be read from stdin"):
        pairs("-")


def test_a_damaged_dataset_folder(tmp_path: Path) -> None:
    datasets.Dataset.from_list(OBJECTS).save_to_disk(str(tmp_path / "saved"))
    next((tmp_path / "saved").glob("*.arrow")).write_bytes(b"nothing")
    with pytest.raises(DataError, match="saved holds a dataset that cannot be read: "):
        pairs(tmp_path / "saved")


# What cannot be read


@pytest.mark.parametrize(
    ("data", "because"),
    [
        (b"PK\x03\x04....", "a zip archive or an Excel workbook; unpack it"),
        (b"BZh91AY", "packed by bzip2"),
        (b"\xfd7zXZ\x00", "packed by xz"),
        (b"\x28\xb5\x2f\xfd", "packed by zstd"),
        (b"ARROW1\0\0", "an Arrow file"),
        (b"SQLite format 3\0....", "a database; export"),
        (gzip.compress(gzip.compress(b"text,label\na,1\n")), "packed by gzip twice"),
        (gzip.compress(b"text,label\na,1\n" * 999)[:-20], "packed by gzip and is damaged or cut short"),
        (b"\x1f\x8b" + bytes(30), "packed by gzip and is damaged"),
        (gzip.compress(b""), "is empty"),
    ],
)
def test_other_forms_are_named(data: bytes, because: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(data)
    with pytest.raises(DataError, match=because):
        pairs(tmp_path / "x.csv")


def test_an_option_that_says_nothing_of_the_form_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for form, option in [
        ("csv", {"split": "train"}),
        ("JSON lines", {"header": True}),
        ("parquet", {"encoding": "latin-1"}),
        ("dataset folder", {"header": False}),
    ]:
        with pytest.raises(OptionError, match=f"so that --{next(iter(option))} says nothing of it; drop the option"):
            pairs(FORMS[form](tmp_path / form, monkeypatch) if (tmp_path / form).mkdir() is None else "", **option)


def test_a_folder_that_cannot_be_entered_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="none that save_to_disk of datasets wrote"):
        pairs(tmp_path)


@pytest.mark.parametrize(
    ("header", "found"), [(None, [("good", 1)]), (True, [("good", 1)]), (False, [("text", 1), ("good", 1)])]
)
def test_whether_there_is_a_header_can_be_said(header: bool | None, found: object, tmp_path: Path) -> None:
    path = write(tmp_path / "x", "text,1\ngood,1\n")
    assert pairs(path, header=header, label_column="2", text_column="1") == found


def test_a_header_of_unknown_names_can_be_said(tmp_path: Path) -> None:
    path = write(tmp_path / "x", "comment,stars\ngood,1\n")
    assert pairs(path, header=True, text_column="1", label_column="2") == [("good", 1)]
    with pytest.raises(DataError, match="line 1: the label 'stars' is none of"):
        pairs(path, text_column="1", label_column="2")


@pytest.mark.parametrize("missing", ["pyarrow.parquet", "datasets"])
def test_the_extra_is_named_where_it_is_not_installed(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = (parquet if missing == "pyarrow.parquet" else dataset_folder)(tmp_path, monkeypatch)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtraError, match=r"which is not installed: pip install 'edgekit\[data\]'"):
        pairs(path)
