"""Rows of JSON lines, and of a JSON array."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator

from edgekit_converters.data.columns import find_columns
from edgekit_converters.data.options import DataOptions
from edgekit_converters.data.rows import HEAD_ROWS, BadRow, Row, make_row
from edgekit_converters.data.textfile import UNDECODABLE, TextFile
from edgekit_runtime.errors import DataError

ARRAY_LIMIT = 1 << 26
"""Bytes of the largest array, which is read at once."""

_LINES = re.compile(r'\ufeff?\s*\{\s*["}]')
_ARRAY = re.compile(r"\ufeff?\s*\[\s*[{\]]")


def is_json_lines(head: str) -> bool:
    """Whether a text begins as an object."""
    return _LINES.match(head) is not None


def is_json_array(head: str) -> bool:
    """Whether a text begins as an array of objects."""
    return _ARRAY.match(head) is not None


def json_line_rows(text: TextFile, options: DataOptions, *, labelled: bool) -> Iterator[Row | BadRow]:
    """The rows of a file with one object a line."""
    return _rows(text.source.name, _objects_of_lines(text), options, labelled)


def json_array_rows(text: TextFile, options: DataOptions, *, labelled: bool) -> Iterator[Row | BadRow]:
    """The rows of a file that is one array; its items are counted from 1.

    Raises:
        DataError: It is too large to be read at once, or no JSON.
    """
    return _rows(text.source.name, _objects_of_array(text), options, labelled)


def _rows(
    name: str, objects: Iterator[tuple[int, dict[str, object]] | BadRow], options: DataOptions, labelled: bool
) -> Iterator[Row | BadRow]:
    head = list(itertools.islice(objects, HEAD_ROWS))
    if not head:
        raise DataError(
            f"{name} is empty; it needs one object for each example, with its text{' and label' * labelled}"
        )
    keys = list(dict.fromkeys(key for item in head if not isinstance(item, BadRow) for key in item[1]))
    if not keys:
        yield from (item if isinstance(item, BadRow) else BadRow(item[0], "it has no text") for item in head)
        return
    columns = find_columns(name, keys, options, labelled=labelled)
    label_key = None if columns.label is None else keys[columns.label]
    for item in itertools.chain(head, objects):
        if isinstance(item, BadRow):
            yield item
        else:
            line, values = item
            label = None if label_key is None else values.get(label_key)
            yield make_row(values.get(keys[columns.text]), label, line, labelled=labelled)


def _objects_of_lines(text: TextFile) -> Iterator[tuple[int, dict[str, object]] | BadRow]:
    for number, line in enumerate(text.lines(), start=1):
        if not line.strip():
            continue
        if UNDECODABLE in line:
            yield text.undecodable(number)
            continue
        try:
            item = json.loads(line.strip())
        except (ValueError, RecursionError) as error:
            yield BadRow(number, f"it is no JSON ({_reason(error)}), and each line must hold one object")
            continue
        yield (number, item) if isinstance(item, dict) else BadRow(number, "it is JSON, but no object")


def _objects_of_array(text: TextFile) -> Iterator[tuple[int, dict[str, object]] | BadRow]:
    name = text.source.name
    whole = text.whole(ARRAY_LIMIT)
    if whole is None:
        raise DataError(
            f"{name} is one JSON array of over {ARRAY_LIMIT >> 20} MiB; save it as JSON lines, one object a line"
        )
    if UNDECODABLE in whole:
        raise DataError(f"{name} is not {text.encoding.upper()}; name its encoding with --encoding")
    try:
        items = json.loads(whole)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name} begins as a JSON array and is none ({_reason(error)}); correct it") from error
    for number, item in enumerate(items, start=1):
        yield (number, item) if isinstance(item, dict) else BadRow(number, "it is no object")


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return (
            f"{error.msg} at line {error.lineno}, column {error.colno}"
            if error.lineno > 1
            else f"{error.msg} at column {error.colno}"
        )
    return str(error)
