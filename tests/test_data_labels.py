"""Every rule for labels in docs/data.md."""

from __future__ import annotations

from pathlib import Path

import pytest

import datadoc
from edgekit_converters.data import DataOptions, infer_labels, label_ids, read_labelled, read_rows
from edgekit_runtime.errors import DataError, OptionError

TWO = ("negative", "positive")
THREE = ("negative", "neutral", "positive")
MAP = "1-2=negative,4-5=positive,3="


def write(folder: Path, labels: list[str]) -> Path:
    path = folder / "data.tsv"
    path.write_text("text\tlabel\n" + "".join(f"t{i}\t{label}\n" for i, label in enumerate(labels)), encoding="utf-8")
    return path


def read(path: Path, names: tuple[str, ...] | None, **options: object) -> tuple[list[int], list[str]]:
    """Class ids, and what was said."""
    said: list[str] = []
    return list(read_labelled(path, names, DataOptions(**options), say=said.append).labels), said


RULES = [
    # row of docs/data.md, classes, label map, labels, class ids, what is said
    ("names", ("gut", "Schlecht"), None, "GUT schlecht gut", [0, 1, 0], ""),
    ("ids", TWO, None, "0 1 1", [0, 1, 1], ""),
    ("ids", ("a", "b", "c"), None, "2.0 0.0 1. b", [2, 0, 1, 1], ""),
    ("ids", ("1", "2", "3"), None, "1 3 2.0", [0, 2, 1], ""),  # here they are names, and 0 would be none
    ("short names", TWO, None, "pos neg NEG", [1, 0, 0], "the usual names of negative, positive"),
    ("short names", THREE, None, "pos neu negative", [2, 1, 0], "the usual names of negative, neutral, positive"),
    ("-1/1", TWO, None, "1 -1 1.0", [1, 0, 1], "numbered so: -1 negative, 1 positive"),
    ("-1/1", ("positive", "negative"), None, "1 -1", [0, 1], "numbered so: -1 negative, 1 positive"),
    ("-1/1", ("LABEL_0", "LABEL_1"), None, "+1 -1", [1, 0], "numbered so: -1 LABEL_0, 1 LABEL_1"),
    ("0/4", TWO, None, "0 4 0", [0, 1, 0], "numbered so: 0 negative, 4 positive"),
    ("-1/0/1", THREE, None, "-1 0 1", [0, 1, 2], "numbered so: -1 negative, 0 neutral, 1 positive"),
    ("-1/0/1", ("0", "1", "2"), None, "-1 0 1", [0, 1, 2], "numbered so: -1 0, 0 1, 1 2"),
    ("0/2/4", THREE, None, "4 2 0 4", [2, 1, 0, 2], "numbered so: 0 negative, 2 neutral, 4 positive"),
    ("0/2/4", THREE, None, "0 4", [0, 2], "numbered so: 0 negative, 2 neutral, 4 positive"),
    ("stars", TWO, "stars", "1 2.0 3 4 5", [0, 0, 1, 1], "that --label-map leaves out: 1"),
    ("stars", THREE, "Stars", "1 2 3.0 4 5", [0, 0, 1, 2, 2], ""),
    ("stars", ("1", "0"), "stars", "5 1", [1, 0], ""),
    ("label map", TWO, MAP, "1 3 3 1.5 4.5 5", [0, 0, 1, 1], "that --label-map leaves out: 2"),
    ("label map", TWO, "好评=positive, 差评 = 0", "好评 差评", [1, 0], ""),
    ("label map", TWO, "a=b=positive,-1=negative", "a=b -1 -1.0", [1, 0, 0], ""),
]


def test_every_rule_in_the_doc_is_tested() -> None:
    """The rows "class names" and "other" have tests of their own, the former in test_data_forms.py."""
    datadoc.each_is_tested("Labels", [*dict.fromkeys(rule[0] for rule in RULES), "class names", "other"])


@pytest.mark.parametrize(("row", "names", "label_map", "labels", "ids", "said"), RULES)
def test_a_rule(
    row: str, names: tuple[str, ...], label_map: str | None, labels: str, ids: list[int], said: str, tmp_path: Path
) -> None:
    found, remarks = read(write(tmp_path, labels.split()), names, label_map=label_map)
    assert found == ids
    assert len(remarks) == bool(said)
    assert said in "".join(remarks)
    if label_map is None:
        assert label_ids(read_rows(tmp_path / "data.tsv"), names, "data.tsv") == ids


@pytest.mark.parametrize(
    ("names", "labels", "line", "label", "proposal"),
    [
        (TWO, "积极 消极 积极", 2, "积极", "积极=positive,消极=negative"),
        (TWO, "好评 差评 一般", 2, "好评", "好评=positive,差评=negative,一般=?"),
        (THREE, "positif négatif neutre", 2, "positif", "positif=positive,négatif=negative,neutre=neutral"),
        (("gut", "schlecht"), "gut bad", 3, "bad", "gut=gut,bad=?"),
        (TWO, "positive neutral", 3, "neutral", "positive=positive,neutral=?"),
        (TWO, "1 2 3 4 5 1", 3, "2", "stars"),
        (TWO, "1 2", 3, "2", "1=?,2=?"),
        (TWO, "0 2 4", 3, "2", "0=?,2=?,4=?"),
        (TWO, "-1 -1", 2, "-1", "-1=negative"),  # which may as well be a test set without labels
    ],
)
def test_other_labels_are_an_error_with_the_map_to_write(
    names: tuple[str, ...], labels: str, line: int, label: str, proposal: str, tmp_path: Path
) -> None:
    """The row "other" of docs/data.md."""
    with pytest.raises(DataError) as raised:
        read(write(tmp_path, labels.split()), names)
    message = str(raised.value)
    assert (
        f"data.tsv, line {line}: the label '{label}' is none of {', '.join(names)} or 0 to {len(names) - 1}" in message
    )
    assert f"the labels found so far are {', '.join(dict.fromkeys(labels.split()))}" in message
    assert f"--label-map '{proposal}'" in message
    assert "\n" not in message
    if "?" not in proposal:
        read(tmp_path / "data.tsv", names, label_map=proposal)


def test_a_column_that_is_none_of_labels_points_at_label_column(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there are others such as 'w0': choose the column with --label-column"):
        read(write(tmp_path, [f"w{index}" for index in range(30)]), TWO)


@pytest.mark.parametrize(
    ("first", "later", "proposal"),
    [
        ("0", "4", "0=negative,4=positive"),
        ("1", "-1", "1=positive,-1=negative"),
        ("pos", "maybe", "pos=positive,maybe=?"),
    ],
)
def test_a_label_behind_the_first_1000_rows_that_contradicts_them(
    first: str, later: str, proposal: str, tmp_path: Path
) -> None:
    path = write(tmp_path, [first] * 1200 + [later] * 3)
    with pytest.raises(DataError) as raised:
        read(path, TWO)
    assert f"data.tsv, line 1202: the label '{later}' is none of negative, positive" in str(raised.value)
    assert f"--label-map '{proposal}'" in str(raised.value)
    assert ("the labels before it are the usual names" in str(raised.value)) == (first == "pos")
    found, said = read(path, TWO, skip_bad=True)
    assert len(found) == 1200
    assert "were skipped: 3; the first is" in said[-1] and f"line 1202: the label '{later}'" in said[-1]


def test_what_most_of_the_labels_follow_is_the_rule_where_bad_rows_are_skipped(tmp_path: Path) -> None:
    found, said = read(write(tmp_path, ["0", "1", "1", "-1", "maybe", "0"]), TWO, skip_bad=True)
    assert found == [0, 1, 1, 0]
    assert len(said) == 1 and "were skipped: 2; the first is" in said[0]


def test_a_label_map_knows_nothing_but_what_it_names(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 3: the label 'negative' is not in --label-map; the labels found so far"):
        read(write(tmp_path, ["good", "negative"]), TWO, label_map="good=positive")
    with pytest.raises(DataError, match=r"line 2: the label '6' is not in --label-map"):
        read(write(tmp_path, ["6"]), TWO, label_map="stars")


@pytest.mark.parametrize(
    ("label_map", "because"),
    [
        ("", "--label-map has ''; write LABEL=CLASS"),
        ("1", "--label-map has '1'; write LABEL=CLASS"),
        ("1=a,=b", "--label-map has '=b'; write LABEL=CLASS"),
        ("1=a,1.0=b", "--label-map names the label '1.0' twice"),
        ("A=x,a=y", "--label-map names the label 'a' twice"),
    ],
)
def test_a_malformed_label_map_is_refused_before_anything_is_read(label_map: str, because: str) -> None:
    with pytest.raises(OptionError) as raised:
        DataOptions(label_map=label_map)
    assert because in str(raised.value)


def test_a_label_map_that_does_not_go_with_the_model(tmp_path: Path) -> None:
    path = write(tmp_path, ["1", "5"])
    with pytest.raises(OptionError, match="names the class 'good', and the model has negative, positive"):
        read(path, TWO, label_map="1=negative,5=good")
    with pytest.raises(
        OptionError, match=r"stars needs classes named negative and positive, and the model has gut, übel"
    ):
        read(path, ("gut", "übel"), label_map="stars")
    with pytest.raises(OptionError, match="stars needs classes named"):
        read(path, ("negative", "positive", "mixed"), label_map="stars")


# Names of the classes for finetune


@pytest.mark.parametrize(
    ("labels", "label_map", "names", "ids"),
    [
        ("1 -1", None, TWO, [1, 0]),
        ("0 1 -1", None, THREE, [1, 2, 0]),
        ("4 0", None, TWO, [1, 0]),
        ("0 4 2", None, THREE, [0, 2, 1]),
        ("0.0 1.0", None, TWO, [0, 1]),
        ("pos neg", None, ("neg", "pos"), [1, 0]),
        ("Pos neg pos", None, ("Pos", "neg"), [0, 1, 0]),
        ("积极 消极", None, ("消极", "积极"), [1, 0]),
        ("5 1 3 4", "stars", TWO, [1, 0, 1]),
        ("5 1 3", "1=bad,3=fair,5=good", ("bad", "fair", "good"), [2, 0, 1]),
        ("a b c", "a=0,b=1,c=1", TWO, [0, 1, 1]),
    ],
)
def test_names_are_inferred_by_the_same_rules(
    labels: str, label_map: str | None, names: tuple[str, ...], ids: list[int], tmp_path: Path
) -> None:
    path = write(tmp_path, labels.split())
    assert infer_labels(read_rows(path), label_map) == names
    data = read_labelled(path, None, DataOptions(label_map=label_map))
    assert (data.names, list(data.labels)) == (names, ids)


@pytest.mark.parametrize(
    ("labels", "label_map", "because"),
    [
        ("1 2 3 4 5", None, "class ids must count from 0: say what they mean with --label-map, such as 'stars'"),
        ("1 2", None, "the labels are 1, 2; class ids must count from 0"),
        ("1 1.0", None, "all examples have the label '1'"),
        ("5 4", "stars", "all examples have the label 'positive'"),
        ("3 3", "stars", "the label map gives no row a class"),
    ],
)
def test_names_that_cannot_be_inferred(labels: str, label_map: str | None, because: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as raised:
        read_labelled(write(tmp_path, labels.split()), None, DataOptions(label_map=label_map))
    assert because in str(raised.value)
