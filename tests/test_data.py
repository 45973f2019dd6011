"""Labelled text out of the csv and tsv files that people have."""

from __future__ import annotations

import itertools

import pytest

from edgekit_converters.data import DataOptions, infer_labels, read_labelled, read_rows
from edgekit_runtime.errors import DataError, FileError

NAMES = ("negative", "positive")
TEXTS = ("text", "sentence", "review", "content")
LABELS = ("label", "sentiment", "polarity", "target")


def write(folder, content, name="data.csv"):
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def pairs(path, **columns):
    data = read_labelled(path, NAMES, DataOptions(**columns))
    return list(zip(data.texts, data.labels, strict=True))


# Columns


@pytest.mark.parametrize(("text", "label"), list(itertools.product(TEXTS, LABELS)))
@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_columns_are_found_by_name_in_any_order_and_case(tmp_path, text, label, suffix):
    tab = "\t" if suffix == "tsv" else ","
    forth = write(tmp_path, tab.join([text, label]) + "\n" + tab.join(["good film", "1"]), f"forth.{suffix}")
    back = write(
        tmp_path,
        tab.join(["id", label.upper(), "x", f" {text.title()} "]) + "\n" + tab.join(["9", "1", "0", "good film"]),
        f"back.{suffix}",
    )
    assert pairs(forth) == pairs(back) == [("good film", 1)]


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
@pytest.mark.parametrize("labels", [("0", "1"), ("negative", "POSITIVE")])
@pytest.mark.parametrize("label_first", [True, False])
def test_two_columns_without_a_header_in_both_orders(tmp_path, suffix, labels, label_first):
    rows = [("dull", labels[0]), ("good", labels[1]), ("bad", labels[0])]
    tab = "\t" if suffix == "tsv" else ","
    lines = [tab.join(row[::-1] if label_first else row) for row in rows]
    path = write(tmp_path, "\n".join(lines) + "\n", f"data.{suffix}")
    assert pairs(path) == [("dull", 0), ("good", 1), ("bad", 0)]


@pytest.mark.parametrize("label_first", [True, False])
def test_two_columns_with_labels_yet_unknown_are_told_apart_by_repetition(tmp_path, label_first):
    rows = [(f"text number {index}", ("gut", "schlecht")[index % 2]) for index in range(20)]
    path = write(tmp_path, "\n".join(",".join(row[::-1] if label_first else row) for row in rows))
    assert [(row.text, row.label) for row in read_rows(path)] == rows


def test_two_columns_that_look_alike_are_refused(tmp_path):
    path = write(tmp_path, "good,bad\nfine,poor\n")
    with pytest.raises(DataError, match=r"no column that is known to hold the text.*--text-column NAME"):
        read_rows(path)
    assert [row.label for row in read_rows(path, DataOptions(label_column="1"))] == ["good", "fine"]


def test_columns_are_chosen_by_name_or_by_number(tmp_path):
    path = write(tmp_path, "text,label,Comment,stars\na,0,good film,1\n")
    assert pairs(path, text_column="comment", label_column="STARS") == [("good film", 1)]
    assert pairs(path, text_column="3", label_column="4") == [("good film", 1)]
    assert pairs(path, label_column="4") == [("a", 1)]
    other = write(tmp_path, "comment,stars\ngood film,1\n", "other.csv")
    assert pairs(other, text_column="comment", label_column="2") == [("good film", 1)]
    bare = write(tmp_path, "7,good film,1\n8,bad film,0\n", "bare.csv")
    assert pairs(bare, text_column="2", label_column="3") == [("good film", 1), ("bad film", 0)]


@pytest.mark.parametrize(("role", "chosen"), [("text", "body"), ("label", "0"), ("label", "3"), ("text", "-1")])
def test_a_chosen_column_that_is_not_there_is_refused(tmp_path, role, chosen):
    path = write(tmp_path, "text,label\ngood,1\n")
    with pytest.raises(DataError, match=f"has no {role} column '{chosen}'; its first line is 'text | label'"):
        read_rows(path, DataOptions(**{f"{role}_column": chosen}))


def test_the_same_column_twice_is_refused(tmp_path):
    path = write(tmp_path, "text,label\ngood,1\n")
    with pytest.raises(DataError, match="text and label would be the same column 2; choose two"):
        read_rows(path, DataOptions(text_column="label"))


@pytest.mark.parametrize(
    ("content", "role"), [("text,stars\ngood,1\n", "label"), ("a,b,c\n", "text"), ("text\ngood\n", "label")]
)
def test_a_column_that_cannot_be_found_is_refused(tmp_path, content, role):
    with pytest.raises(DataError, match=f"no column that is known to hold the {role}.*--{role}-column NAME"):
        read_rows(write(tmp_path, content))


# Cells


def test_a_quoted_cell_may_hold_commas_quotes_and_newlines(tmp_path):
    path = write(tmp_path, 'text,label\r\n"good, ""very""\nreally",1\r\nbad,0\r\n')
    assert pairs(path) == [('good, "very"\nreally', 1), ("bad", 0)]
    assert [row.line for row in read_rows(path)] == [3, 4]


def test_a_tsv_may_hold_bare_quotation_marks(tmp_path):
    lines = ['"good" they said\t1', 'a "\t0', '"\t1', '"whole, ""quoted"""\t0', '5" screen, good\t1']
    path = write(tmp_path, "sentence\tlabel\n" + "\n".join(lines) + "\n", "data.tsv")
    assert pairs(path) == [
        ('"good" they said', 1),
        ('a "', 0),
        ('"', 1),
        ('whole, "quoted"', 0),
        ('5" screen, good', 1),
    ]


def test_tabs_are_seen_whatever_the_name(tmp_path):
    assert pairs(write(tmp_path, "text\tlabel\ngood, really\t1\n", "data.csv")) == [("good, really", 1)]
    assert pairs(write(tmp_path, "text\tlabel\ngood, really\t1\n", "data")) == [("good, really", 1)]
    assert pairs(write(tmp_path, 'text,label\n"a\tb",1\n', "data.tsv")) == [("a\tb", 1)]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    assert pairs(write(tmp_path, b"\xef\xbb\xbftext,label\ngood,1\n")) == [("good", 1)]


def test_blank_lines_are_passed_over_and_empty_texts_kept(tmp_path):
    path = write(tmp_path, "text,label\n\ngood,1\n , \n,0\n\n")
    assert pairs(path) == [("good", 1), ("", 0)]
    assert [row.line for row in read_rows(path)] == [3, 5]


def test_chinese_and_emoji_come_through(tmp_path):
    assert pairs(write(tmp_path, "review,label\n电影很好👍,1\n")) == [("电影很好👍", 1)]


def test_a_cell_of_a_megabyte_is_read(tmp_path):
    assert len(pairs(write(tmp_path, f"text,label\n{'good ' * 200_000},1\n"))[0][0]) == 1_000_000


# Labels


def test_labels_are_names_in_any_case_or_ids(tmp_path):
    path = write(tmp_path, "text,label\na,Positive\nb,NEGATIVE\nc,1\nd,0\ne, positive \n")
    assert [label for _, label in pairs(path)] == [1, 0, 1, 0, 1]


@pytest.mark.parametrize("label", ["neutral", "2", "-2", "0.5"])
def test_an_unknown_label_names_its_line(tmp_path, label):
    path = write(tmp_path, f'text,label\n"two\nlines",1\nbad,{label}\n')
    with pytest.raises(
        DataError, match=rf"data\.csv, line 4: the label '{label}' is none of negative, positive or 0 to 1"
    ):
        read_labelled(path, NAMES)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ("01", NAMES),
        ("210", ("0", "1", "2")),
        (["pos", "neg", "pos"], ("neg", "pos")),
        (["b", "a", "1"], ("1", "a", "b")),
        ([str(index) for index in range(12)], tuple(str(index) for index in range(12))),
    ],
)
def test_names_of_the_classes_are_inferred(tmp_path, labels, names):
    rows = read_rows(write(tmp_path, "text,label\n" + "".join(f"t,{label}\n" for label in labels)))
    assert infer_labels(rows) == names


@pytest.mark.parametrize(
    ("labels", "message"), [("111", "all examples have the label '1'"), ("12", "must count from 0"), ("02", "0, 2")]
)
def test_classes_that_cannot_be_inferred(tmp_path, labels, message):
    rows = read_rows(write(tmp_path, "text,label\n" + "".join(f"t,{label}\n" for label in labels)))
    with pytest.raises(DataError, match=message):
        infer_labels(rows)


# Files


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff", " , \n"])
def test_an_empty_file_is_refused(tmp_path, content):
    with pytest.raises(DataError, match="is empty; it needs one example a line"):
        read_labelled(write(tmp_path, content), NAMES)


def test_a_header_alone_is_refused(tmp_path):
    with pytest.raises(DataError, match="has a header and no examples"):
        read_labelled(write(tmp_path, "text,label\n"), NAMES)


def test_a_line_with_too_few_columns_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"data\.csv, line 3: 1 columns are too few"):
        read_labelled(write(tmp_path, "text,label\ngood,1\nbad\n"), NAMES)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(FileError, match=r"there is no file .*nowhere\.csv"):
        read_labelled(tmp_path / "nowhere.csv", NAMES)
    with pytest.raises(FileError, match="is a folder, and none that save_to_disk of datasets wrote; give a file"):
        read_labelled(tmp_path, NAMES)


def test_columns_by_number_under_a_header_of_unknown_names(tmp_path):
    path = tmp_path / "stars.csv"
    path.write_text("comment,stars\n" + "good film,1\nbad film,0\n" * 3, encoding="utf-8")
    rows = read_rows(path, DataOptions(text_column="1", label_column="2"))
    assert [row.label for row in rows] == ["1", "0"] * 3
    assert rows[0].text == "good film"


def test_a_first_line_that_is_an_example_stays_one(tmp_path):
    path = tmp_path / "plain.csv"
    path.write_text("good film,1\nbad film,0\n" * 2, encoding="utf-8")
    assert len(read_rows(path, DataOptions(text_column="1", label_column="2"))) == 4
    path.write_text("good film,rare\nbad film,0\nodd film,1\n", encoding="utf-8")
    assert len(read_rows(path, DataOptions(text_column="1", label_column="2"))) == 3
