"""Plain text, one text a line: read where no labels are asked for."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from edgekit_converters.data.columns import TEXT_COLUMNS, label_side
from edgekit_converters.data.options import DataOptions
from edgekit_converters.data.rows import BadRow, Row, make_row
from edgekit_converters.data.textfile import UNDECODABLE, TextFile

LOOKED_AT = 200
"""Lines by which it is judged; and so many in a row do not have the same number of commas by chance."""


def is_plain(text: TextFile, options: DataOptions, labels: Sequence[str]) -> bool:
    """Whether a file that is no JSON is plain text rather than a table.

    It is a table if the user speaks of columns or of a header, if its first line has a tab or names a column for text, if
    it has two columns one of which can only be labels, or if all its lines have the same number of commas or semicolons
    and its name does not end with ``.txt``.
    """
    sample = text.source.head.decode(text.encoding, "replace").removeprefix("\ufeff")
    lines = [line for line in sample.splitlines(keepends=True) if line.strip()][:LOOKED_AT]
    if options.text_column or options.header is not None or (lines and "\t" in lines[0]):
        return False
    if not lines:
        return True
    delimiter = ";" if ";" in lines[0] and "," not in lines[0] else ","
    try:
        table = list(csv.reader(io.StringIO("".join(lines)), delimiter=delimiter))
    except csv.Error:
        return True
    first = [cell.strip().casefold() for cell in table[0]]
    if any(name in first for name in TEXT_COLUMNS):
        return False
    even = len(first) > 1 and len(table) > 1 and all(len(cells) == len(first) for cells in table[:-1])
    if not even:
        return True
    if len(first) == 2 and label_side(table, labels) is not None:
        return False
    return text.source.name.lower().removesuffix(".gz").endswith(".txt")


def plain_rows(text: TextFile) -> Iterator[Row | BadRow]:
    """The lines that are not blank."""
    for number, line in enumerate(text.lines(), start=1):
        if not line.strip():
            continue
        if UNDECODABLE in line:
            yield text.undecodable(number)
        else:
            yield make_row(line.rstrip("\r\n"), None, number, labelled=False)
