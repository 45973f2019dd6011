"""Rows of csv and tsv files."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator, Sequence

from edgekit_converters.data.columns import find_columns_in_lines, find_text_in_lines
from edgekit_converters.data.options import DataOptions
from edgekit_converters.data.rows import HEAD_ROWS, BadRow, Row, make_row
from edgekit_converters.data.textfile import LINE_LIMIT, UNDECODABLE, TextFile
from edgekit_runtime.errors import DataError

Record = tuple[int, list[str]]
"""Number of the line on which a row ends, and its cells."""


def delimited_rows(
    text: TextFile, options: DataOptions, labels: Sequence[str], *, labelled: bool
) -> Iterator[Row | BadRow]:
    """The rows of a file with one example a line, its cells apart by tabs, commas or semicolons.

    Raises:
        DataError: Its columns cannot be told, or it is broken in a way that more than a row suffers from.
    """
    name = text.source.name
    records = _records(text)
    head = list(itertools.islice(records, HEAD_ROWS))
    readable = [record[1] for record in head if not isinstance(record, BadRow)]
    if not head:
        raise DataError(f"{name} is empty; it needs one example a line{', text and label' * labelled}")
    if not readable:
        yield from (record for record in head if isinstance(record, BadRow))
        return
    columns = (find_columns_in_lines if labelled else find_text_in_lines)(name, readable, options, labels)
    header, wanted = columns.header, [column for column in (columns.text, columns.label) if column is not None]
    if header and len(head) == 1:
        raise DataError(f"{name} has a header and no examples; it needs one example a line")
    for record in itertools.chain(head, records):
        if isinstance(record, BadRow):
            yield record
        elif header:
            header = False
        else:
            line, cells = record
            if max(wanted) >= len(cells):
                yield BadRow(line, f"{len(cells)} columns are too few")
            elif not labelled and len(cells) > len(readable[0]) == 1:
                yield BadRow(line, "it has several columns and the header one; quote the text")
            elif any(UNDECODABLE in cells[column] for column in wanted):
                yield text.undecodable(line)
            else:
                yield make_row(cells[columns.text], cells[wanted[-1]], line, labelled=labelled)


def _records(text: TextFile) -> Iterator[Record | BadRow]:
    """The rows that are not blank; what parts their cells is seen by the first."""
    csv.field_size_limit(LINE_LIMIT)
    lines = text.lines()
    begin = []
    for line in lines:
        begin.append(line)
        if line.strip():
            break
    else:
        return
    delimiter = _delimiter(begin[-1], text.source.name)
    feed = _Feed(itertools.chain(begin, lines))
    tabs = delimiter == "\t"
    reader = csv.reader(feed, delimiter="\t", quoting=csv.QUOTE_NONE) if tabs else csv.reader(feed, delimiter=delimiter)
    while True:
        row_begins = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "limit" in str(error):  # most of the file may be in there, which is more than a row to leave out
                raise DataError(
                    f"{text.source.name}, line {row_begins}: a cell has more than {LINE_LIMIT >> 20} million characters; "
                    "is a quotation mark never closed?"
                ) from error
            yield BadRow(reader.line_num, str(error))
            continue
        if feed.ended:  # the reader wanted another line to end this row with
            if text.source.grew():
                return
            reason = "a quotation mark is never closed"
            if row_begins < reader.line_num:  # what follows it was swallowed, which is more than a row to leave out
                raise DataError(f"{text.source.name}, line {row_begins}: {reason}; close or remove it")
            yield BadRow(row_begins, reason)
            return
        if any(cell.strip() for cell in cells):
            yield reader.line_num, [_unquote(cell) for cell in cells] if tabs else cells


class _Feed:
    """Lines for a reader, and whether it asked for more than there are."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines, self.ended = lines, False

    def __iter__(self) -> Iterator[str]:
        yield from self._lines
        self.ended = True


def _delimiter(first: str, name: str) -> str:
    """Tabs or commas by the first line; semicolons, as spreadsheets write where the comma parts decimals, if it has neither."""
    is_csv = name.lower().removesuffix(".gz").endswith(".csv")
    if "\t" in first and ("," not in first or not is_csv):
        return "\t"
    return ";" if ";" in first and "," not in first else ","


def _unquote(cell: str) -> str:
    """Tab-separated corpora hold bare quotation marks, so only a cell that is quoted as a whole counts as quoted."""
    if len(cell) >= 2 and cell[0] == cell[-1] == '"' and '"' not in cell[1:-1].replace('""', ""):
        return cell[1:-1].replace('""', '"')
    return cell
