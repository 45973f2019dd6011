"""Labelled text row by row."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit_converters.data.forms import open_table
from edgekit_converters.data.labels import find_rule, infer_labels, unknown_label
from edgekit_converters.data.options import DataOptions
from edgekit_converters.data.rows import HEAD_ROWS, BadRow, Row, Say, Table
from edgekit_converters.data.source import shown
from edgekit_runtime.errors import DataError


@dataclass(frozen=True)
class Example:
    """A text and the id of its class."""

    text: str
    label: int


class LabelledStream(Iterator[Example]):
    """Texts with class ids, to be gone through once.

    Attributes:
        names: Names of the classes.
        source: The file, for messages.
        left_out: Rows so far that the label map leaves out.
    """

    def __init__(self, rows: RowStream, labels: Sequence[str] | None, say: Say | None) -> None:
        self._rows, self._iterator, self._say = rows, iter(rows), say
        self._head = list(itertools.islice(self._iterator, None if labels is None else HEAD_ROWS))
        self._complete = labels is None or len(self._head) < HEAD_ROWS
        self._taken = self.left_out = 0
        self.source = rows.source
        label_map = rows.options.label_map
        self.names = infer_labels(self._head, label_map) if labels is None else tuple(labels)
        self._found = Counter(row.label for row in self._head)
        self._rule = find_rule(self._found, self.names, label_map)
        self._examples = self._read()

    @property
    def skipped(self) -> int:
        """Rows so far that could not be used."""
        return self._rows.skipped

    def progress(self) -> tuple[int, int] | None:
        """How much of how much is done: rows of a short file, bytes of a long one; None where the whole is not known."""
        return (self._taken, len(self._head)) if self._complete else self._rows.progress()

    def __iter__(self) -> Iterator[Example]:
        return self

    def __next__(self) -> Example:
        return next(self._examples)

    def _read(self) -> Iterator[Example]:
        rule, examples = self._rule, 0
        if rule.title and self._say is not None:
            self._say(f"the labels of {self.source} are {rule.title}")
        for row in itertools.chain(self._head, self._iterator):
            self._taken += 1
            try:
                label = rule.class_id(row.label)
            except KeyError:
                self._rows.refuse(row.line, unknown_label(row.label, self._found, self.names, rule))
                continue
            if label is None:
                self.left_out += 1
                continue
            examples += 1
            yield Example(row.text, label)
        self._rows.sum_up()
        if self.left_out and self._say is not None:
            self._say(f"rows of {self.source} that --label-map leaves out: {self.left_out}")
        if not examples:
            raise DataError(
                f"{self.source} has no example left: {self.skipped} rows cannot be used, {self.left_out} are left out"
            )


class RowStream:
    """The rows of a file that can be used; the first other one is an error, or all are counted."""

    def __init__(
        self,
        path: str | Path,
        options: DataOptions,
        labels: Sequence[str],
        say: Say | None,
        *,
        labelled: bool = True,
    ) -> None:
        self._path, self.options, self._labels, self._say = str(path), options, labels, say
        self._labelled = labelled
        self._table: Table | None = None
        self._first_skipped = ""
        self.source = shown(self._path)
        self.skipped = 0

    def __iter__(self) -> Iterator[Row]:
        used = 0
        with open_table(self._path, self.options, self._labels, self._say, labelled=self._labelled) as self._table:
            for row in self._table.rows:
                if isinstance(row, BadRow):
                    self.refuse(row.line, row.reason)
                else:
                    used += 1
                    yield row
        if not used:
            why = (
                f": {self._first_skipped}"
                if self.skipped
                else f"; it needs one text{' and one label' * self._labelled} a row"
            )
            raise DataError(f"{self.source} has no examples{why}")

    def progress(self) -> tuple[int, int] | None:
        """How much of how much has been read."""
        return self._table.progress() if self._table else None

    def refuse(self, line: int, reason: str) -> None:
        """Leaves a row out and counts it.

        Raises:
            DataError: That was not asked for.
        """
        message = f"{self.source}, {self._table.unit if self._table else 'line'} {line}: {reason}"
        if not self.options.skip_bad:
            raise DataError(f"{message}; correct it, or leave such rows out with --skip-bad")
        self.skipped += 1
        self._first_skipped = self._first_skipped or message

    def sum_up(self) -> None:
        """Says how many rows were left out."""
        if self.skipped and self._say is not None:
            self._say(
                f"rows of {self.source} that cannot be used, and were skipped: {self.skipped}; the first is {self._first_skipped}"
            )
