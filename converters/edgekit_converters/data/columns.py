"""Which columns hold the text and the label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edgekit_converters.data.options import DataOptions
from edgekit_runtime.errors import DataError

TEXT_COLUMNS = ("text", "sentence", "review", "content")
LABEL_COLUMNS = ("label", "sentiment", "polarity", "target")


@dataclass(frozen=True)
class Columns:
    """Indices of the two columns, and whether the first line names them; ``label`` is None where only texts are read."""

    text: int
    label: int | None
    header: bool


def find_columns(source: str, names: Sequence[str], options: DataOptions, *, labelled: bool) -> Columns:
    """The columns of a form that names them. Where only texts are read, a single column needs no known name.

    Raises:
        DataError: They cannot be told.
    """
    names = [name.strip().casefold() for name in names]
    text = _find(source, names, options.text_column, TEXT_COLUMNS, "text", "its columns are")
    if not labelled:
        return _text_alone(source, names, text, True, "its columns are")
    label = _find(source, names, options.label_column, LABEL_COLUMNS, "label", "its columns are")
    return _checked(source, names, text, label, True, "its columns are")


def find_columns_in_lines(
    source: str, lines: Sequence[Sequence[str]], options: DataOptions, labels: Sequence[str]
) -> Columns:
    """The columns of a form whose first line may name them, or may be an example.

    Args:
        source: The file, for messages.
        lines: The cells of the first lines, at least one.
        options: What the user says of the file.
        labels: Names of the classes, where they are known.

    Raises:
        DataError: They cannot be told.
    """
    names = [cell.strip().casefold() for cell in lines[0]]
    header = _has_header(names, options)
    begin = "its first line is"
    text = _find(source, names, options.text_column, TEXT_COLUMNS if header else (), "text", begin)
    label = _find(source, names, options.label_column, LABEL_COLUMNS if header else (), "label", begin)
    if not header and len(names) == 2 and (text is None or label is None):
        if label is None:
            label = label_side(lines, labels) if text is None else 1 - text
        if text is None and label is not None:
            text = 1 - label
    columns = _checked(source, names, text, label, header, begin)
    if options.header is None and not header and columns.label is not None and _looks_like_header(lines, columns.label):
        return Columns(columns.text, columns.label, True)
    return columns


def find_text_in_lines(
    source: str, lines: Sequence[Sequence[str]], options: DataOptions, labels: Sequence[str]
) -> Columns:
    """The same where only texts are read: labels, if there are some, only help to tell which of two columns is which."""
    names = [cell.strip().casefold() for cell in lines[0]]
    header = _has_header(names, options)
    begin = "its first line is"
    text = _find(source, names, options.text_column, TEXT_COLUMNS if header else (), "text", begin)
    if text is not None or header or len(names) != 2:
        return _text_alone(source, names, text, header, begin)
    label = label_side(lines, labels)
    header = options.header is None and label is not None and _looks_like_header(lines, label)
    return _text_alone(source, names, None if label is None else 1 - label, header, begin)


def _has_header(names: list[str], options: DataOptions) -> bool:
    """Whether the first line names the columns, if the user does not say it."""
    if options.header is not None:
        return options.header
    chosen = (options.text_column, options.label_column)
    wanted = [name.casefold() for name in chosen if name and not name.isdecimal()]
    return any(name in names for name in (*TEXT_COLUMNS, *LABEL_COLUMNS, *wanted))


def _text_alone(source: str, names: list[str], text: int | None, header: bool, begin: str) -> Columns:
    if text is None and len(names) > 1:
        raise _unknown(source, names, "text", begin)
    return Columns(text or 0, None, header)


def _unknown(source: str, names: list[str], role: str, begin: str) -> DataError:
    return DataError(
        f"{source} has no column that is known to hold the {role}; {begin} {' | '.join(names)[:80]!r}: "
        f"choose one with --{role}-column NAME, or by its number from 1"
    )


def _find(source: str, names: list[str], chosen: str | None, known: Sequence[str], role: str, begin: str) -> int | None:
    if chosen is None:
        return next((names.index(name) for name in known if name in names), None)
    if chosen.isdecimal() and 1 <= int(chosen) <= len(names):
        return int(chosen) - 1
    if chosen.casefold() in names:
        return names.index(chosen.casefold())
    raise DataError(f"{source} has no {role} column {chosen!r}; {begin} {' | '.join(names)[:80]!r}")


def _checked(source: str, names: list[str], text: int | None, label: int | None, header: bool, begin: str) -> Columns:
    for index, role in ((text, "text"), (label, "label")):
        if index is None:
            raise _unknown(source, names, role, begin)
    assert text is not None and label is not None
    if text == label:
        raise DataError(f"{source}: text and label would be the same column {text + 1}; choose two")
    return Columns(text, label, header)


def _looks_like_header(lines: Sequence[Sequence[str]], label: int) -> bool:
    """Whether the first line's label is written nowhere else, while every other label is written more than once."""
    first, *others = (cells[label].strip() for cells in lines if label < len(cells))
    counts = Counter(others)
    return first not in counts and min(counts.values(), default=0) > 1


def label_side(lines: Sequence[Sequence[str]], labels: Sequence[str]) -> int | None:
    """Which of two columns without a header holds the labels: the one with few, short, repeated values."""
    known = {label.casefold() for label in labels}
    pairs = [cells for cells in lines if len(cells) == 2]
    candidates = []
    for side in (0, 1):
        values = {cells[side].strip() for cells in pairs}
        if values and all(value.casefold() in known or _is_class_id(value) for value in values):
            candidates.append(side)
    if not candidates:
        distinct = [len({cells[side] for cells in pairs}) for side in (0, 1)]
        candidates = [side for side in (0, 1) if distinct[side] <= 20 and distinct[side] * 4 <= distinct[1 - side]]
    return candidates[0] if len(candidates) == 1 else None


def _is_class_id(value: str) -> bool:
    digits = value.removeprefix("-").removesuffix(".0")
    return digits.isdecimal() and len(digits) <= 2
