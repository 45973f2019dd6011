"""Rows of what lies in memory as Arrow has it: batches of columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from edgekit_converters.data.columns import find_columns
from edgekit_converters.data.options import DataOptions
from edgekit_converters.data.rows import BadRow, Row, Table, make_row

BATCH_ROWS = 100

Batch = Mapping[str, Sequence[object]]
"""The values of each column."""


def batched_table(
    source: str,
    names: Sequence[str],
    class_names: Mapping[str, Sequence[str]],
    batches: Callable[[list[str]], Iterator[Batch]],
    total: int,
    options: DataOptions,
    *,
    labelled: bool,
) -> Table:
    """The rows of a form that is read by columns.

    Args:
        source: The file, for messages.
        names: Its columns.
        class_names: Names of the classes of those columns whose values are class ids.
        batches: Reads the given columns.
        total: Number of rows.
        options: What the user says.
        labelled: Whether labels are read too.

    Raises:
        DataError: The columns cannot be told.
    """
    columns = find_columns(source, names, options, labelled=labelled)
    text = names[columns.text]
    label = text if columns.label is None else names[columns.label]
    classes = class_names.get(label, ())
    done = 0

    def rows() -> Iterator[Row | BadRow]:
        nonlocal done
        for batch in batches([text, label] if labelled else [text]):
            for written, given in zip(batch[text], batch[label], strict=True):
                done += 1
                if classes and isinstance(given, int):
                    given = classes[given] if 0 <= given < len(classes) else None  # -1 is how datasets leaves it out
                yield make_row(written, given, done, labelled=labelled)

    return Table(rows(), "row", lambda: (done, total))


def first_line(error: Exception) -> str:
    """What others say of an error, on one line."""
    lines = str(error).strip().splitlines()
    return " ".join(lines[:3])[:300] if lines else type(error).__name__
