"""Labelled text of any form, example by example or all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgekit_converters.data.options import DataOptions
from edgekit_converters.data.rows import Row, Say
from edgekit_converters.data.stream import LabelledStream, RowStream


@dataclass(frozen=True)
class LabelledText:
    """Texts with class ids, in the order of the file.

    Attributes:
        texts: The texts.
        labels: Class id of each.
        source: The file, for messages.
        names: Names of the classes.
        skipped: Rows that could not be used.
        left_out: Rows that the label map leaves out.
    """

    texts: tuple[str, ...]
    labels: tuple[int, ...]
    source: str
    names: tuple[str, ...] = ()
    skipped: int = 0
    left_out: int = 0


def read_labelled(
    path: str | Path,
    labels: Sequence[str] | None,
    options: DataOptions | None = None,
    *,
    say: Say | None = None,
) -> LabelledText:
    """Reads texts and turns their labels into class ids.

    Args:
        path: A file, a dataset's folder, ``-`` for stdin, or ``hf:OWNER/NAME`` (docs/data.md).
        labels: Names of the classes; None takes those that the file uses.
        options: What the file does not say.
        say: Told of what was recognised and left out; without it no encoding is guessed.

    Raises:
        FileError: The file is missing or cannot be read.
        DataError: It is empty, has no such columns, or a row that cannot be used.
        OptionError: An option does not go with the file or with the classes.
        MissingExtraError: A parquet file or a dataset needs packages that are not installed.
    """
    stream = stream_labelled(path, labels, options, say=say)
    examples = list(stream)
    return LabelledText(
        texts=tuple(example.text for example in examples),
        labels=tuple(example.label for example in examples),
        source=stream.source,
        names=stream.names,
        skipped=stream.skipped,
        left_out=stream.left_out,
    )


def stream_labelled(
    path: str | Path,
    labels: Sequence[str] | None,
    options: DataOptions | None = None,
    *,
    say: Say | None = None,
) -> LabelledStream:
    """The same one by one, in a memory that does not grow with the file; with ``labels`` None it does.

    What is wrong with the file as a whole, or with its first 1000 rows, is raised here, the rest when it is reached.
    """
    return LabelledStream(RowStream(path, options or DataOptions(), labels or (), say), labels, say)


def read_rows(
    path: str | Path, options: DataOptions | None = None, *, labels: Sequence[str] = (), say: Say | None = None
) -> list[Row]:
    """Reads texts with their labels as written; see :func:`read_labelled`."""
    rows = RowStream(path, options or DataOptions(), labels, say)
    read = list(rows)
    rows.sum_up()
    return read


def read_texts(
    path: str | Path, options: DataOptions | None = None, say: Say | None = None, *, labels: Sequence[str] = ()
) -> tuple[str, ...]:
    """Reads texts alone, from every form that :func:`read_labelled` reads and from plain text with one text a line.

    Labels need not be there, and what is said of them in ``options`` does not count.

    Args:
        path: As for :func:`read_labelled`.
        options: What the file does not say.
        say: Told of what was recognised and left out; without it no encoding is guessed.
        labels: Names of the classes, by which a column of labels is known.

    Raises:
        FileError, DataError, OptionError, MissingExtraError: As from :func:`read_labelled`.
    """
    options = replace(options or DataOptions(), label_column=None, label_map=None)
    rows = RowStream(path, options, labels, say, labelled=False)
    texts = tuple(row.text for row in rows)
    rows.sum_up()
    return texts
