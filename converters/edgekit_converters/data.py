"""Labelled text out of csv and tsv files."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit_runtime.errors import DataError, FileError

TEXT_COLUMNS = ("text", "sentence", "review", "content")
LABEL_COLUMNS = ("label", "sentiment", "polarity", "target")


@dataclass(frozen=True)
class DataOptions:
    """What the user says of a data file.

    Attributes:
        text_column: Name, or number from 1, of the column with the text; None finds it by name.
        label_column: The same for the label.
    """

    text_column: str | None = None
    label_column: str | None = None


@dataclass(frozen=True)
class Row:
    """One example: its text, its label as written, and the line of the file on which it ends."""

    text: str
    label: str
    line: int


@dataclass(frozen=True)
class LabelledText:
    """Texts with class ids, in the order of the file.

    Attributes:
        texts: The texts.
        labels: Class id of each.
        source: The file, for messages.
    """

    texts: tuple[str, ...]
    labels: tuple[int, ...]
    source: str


def read_labelled(path: str | Path, labels: Sequence[str], options: DataOptions | None = None) -> LabelledText:
    """Reads texts and turns their labels into class ids.

    Args:
        path: A csv or tsv file in UTF-8, with a header or with exactly two columns.
        labels: Names of the classes; a label in the file is such a name or a class id.
        options: What the file does not say.

    Raises:
        FileError: The file is missing or cannot be read.
        DataError: It is empty, has no such columns, or a label that the model does not have.
    """
    rows = read_rows(path, options, labels=labels)
    return LabelledText(tuple(row.text for row in rows), tuple(label_ids(rows, labels, str(path))), str(path))


def label_ids(rows: Sequence[Row], labels: Sequence[str], source: str) -> list[int]:
    """Class ids of rows whose labels are names or ids of ``labels``.

    Raises:
        DataError: A label is neither; the message names its line.
    """
    ids = {str(index): index for index in range(len(labels))}
    ids |= {name.casefold(): index for index, name in enumerate(labels)}
    for row in rows:
        if row.label.casefold() not in ids:
            raise DataError(
                f"{source}, line {row.line}: the label {row.label!r} is none of {', '.join(labels)} or 0 to "
                f"{len(labels) - 1}; correct the file, or choose the column with --label-column"
            )
    return [ids[row.label.casefold()] for row in rows]


def infer_labels(rows: Sequence[Row]) -> tuple[str, ...]:
    """Names of the classes that rows use: sorted names, or for ids 0 … n the ids, two of them as negative, positive.

    Raises:
        DataError: There is only one class, or ids are missing in between.
    """
    written = sorted({row.label for row in rows})
    if len(written) < 2:
        raise DataError(f"all examples have the label {written[0]!r}; a classifier needs two or more classes")
    if not all(label.isdecimal() for label in written):
        return tuple(written)
    ids = sorted(int(label) for label in written)
    if ids != list(range(len(ids))):
        raise DataError(f"the labels are {', '.join(written)}; class ids must count from 0: rename them, or use names")
    return ("negative", "positive") if len(ids) == 2 else tuple(str(index) for index in ids)


def read_rows(path: str | Path, options: DataOptions | None = None, *, labels: Sequence[str] = ()) -> list[Row]:
    """Reads texts with their labels as written; see :func:`read_labelled`."""
    path, options = Path(path), options or DataOptions()
    if path.is_dir():
        raise FileError(f"{path} is a folder; give a csv or tsv file")
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            lines = list(_split(file, path))
    except FileNotFoundError:
        raise FileError(f"there is no file {path}; check the path") from None
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 (byte {error.start}: {error.reason}); save it as UTF-8") from error
    if not lines:
        raise DataError(f"{path} is empty; it needs one example a line, text and label")
    text_index, label_index, header = _columns(path, lines, options, labels)
    rows = []
    for number, cells in lines[1:] if header else lines:
        if max(text_index, label_index) >= len(cells):
            raise DataError(f"{path}, line {number} has {len(cells)} columns, too few; correct or remove it")
        rows.append(Row(cells[text_index], cells[label_index].strip(), number))
    if not rows:
        raise DataError(f"{path} has a header and no examples; it needs one example a line")
    return rows


def _split(file: Iterator[str], path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row that is not blank; tabs or commas by the first line."""
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    first = next(file, "")
    tabs = "\t" in first and (path.suffix.lower() != ".csv" or "," not in first)
    lines = _chain(first, file)
    reader = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE) if tabs else csv.reader(lines)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, [_unquote(cell) for cell in cells] if tabs else cells
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}; correct or remove it") from error


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _unquote(cell: str) -> str:
    """Tab-separated corpora hold bare quotation marks, so only a cell that is quoted as a whole counts as quoted."""
    if len(cell) >= 2 and cell[0] == cell[-1] == '"' and '"' not in cell[1:-1].replace('""', ""):
        return cell[1:-1].replace('""', '"')
    return cell


def _columns(
    path: Path,
    lines: list[tuple[int, list[str]]],
    options: DataOptions,
    labels: Sequence[str],
) -> tuple[int, int, bool]:
    """Indices of text and label, and whether the first line is a header."""
    names = [cell.strip().casefold() for cell in lines[0][1]]
    wanted = [name.casefold() for name in (options.text_column, options.label_column) if name and not name.isdecimal()]
    header = any(name in names for name in (*TEXT_COLUMNS, *LABEL_COLUMNS)) or any(name in names for name in wanted)
    text_index = _find(path, names, options.text_column, TEXT_COLUMNS, header, "text")
    label_index = _find(path, names, options.label_column, LABEL_COLUMNS, header, "label")
    if not header and len(names) == 2 and (text_index is None or label_index is None):
        if label_index is None:
            label_index = _label_side(lines, labels) if text_index is None else 1 - text_index
        if text_index is None and label_index is not None:
            text_index = 1 - label_index
    for index, role in ((text_index, "text"), (label_index, "label")):
        if index is None:
            raise DataError(
                f"{path} has no column that is known to hold the {role}; its first line is {' | '.join(names)[:80]!r}: "
                f"choose one with --{role}-column NAME, or by its number from 1"
            )
    assert text_index is not None and label_index is not None
    if text_index == label_index:
        raise DataError(f"{path}: text and label would be the same column {text_index + 1}; choose two")
    return text_index, label_index, header or _looks_like_header(lines, label_index)


def _looks_like_header(lines: list[tuple[int, list[str]]], label_index: int) -> bool:
    """Whether the first line's label is written nowhere else, while every other label is written more than once."""
    first, *others = (cells[label_index].strip() for _, cells in lines if label_index < len(cells))
    counts = Counter(others)
    return first not in counts and min(counts.values(), default=0) > 1


def _find(
    path: Path, names: list[str], chosen: str | None, known: Sequence[str], header: bool, role: str
) -> int | None:
    if chosen is None:
        return next((names.index(name) for name in known if name in names), None) if header else None
    if chosen.isdecimal() and 1 <= int(chosen) <= len(names):
        return int(chosen) - 1
    if chosen.casefold() in names:
        return names.index(chosen.casefold())
    raise DataError(f"{path} has no {role} column {chosen!r}; its first line is {' | '.join(names)[:80]!r}")


def _label_side(lines: list[tuple[int, list[str]]], labels: Sequence[str]) -> int | None:
    """Which of two columns without a header holds the labels: the one with few, short, repeated values."""
    known = {label.casefold() for label in labels}
    candidates = []
    for side in (0, 1):
        values = {cells[side].strip() for _, cells in lines if len(cells) == 2}
        if values and all(value.casefold() in known or (value.isdecimal() and len(value) <= 2) for value in values):
            candidates.append(side)
    if not candidates:
        distinct = [len({cells[side] for _, cells in lines if len(cells) == 2}) for side in (0, 1)]
        candidates = [side for side in (0, 1) if distinct[side] <= 20 and distinct[side] * 4 <= distinct[1 - side]]
    return candidates[0] if len(candidates) == 1 else None
