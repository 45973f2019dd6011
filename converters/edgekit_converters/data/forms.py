"""Which form a file has, by what is in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edgekit_converters.data.dataset_folder import dataset_folder_table
from edgekit_converters.data.delimited import delimited_rows
from edgekit_converters.data.hub import hub_table
from edgekit_converters.data.jsonrows import is_json_array, is_json_lines, json_array_rows, json_line_rows
from edgekit_converters.data.options import DataOptions
from edgekit_converters.data.parquet import PARQUET, parquet_table
from edgekit_converters.data.plain import is_plain, plain_rows
from edgekit_converters.data.rows import Say, Table
from edgekit_converters.data.source import HUB, STDIN, Source, open_source, shown
from edgekit_converters.data.textfile import TextFile
from edgekit_runtime.errors import DataError, OptionError

OTHER_FORMS = {
    b"PK\x03\x04": "a zip archive or an Excel workbook; unpack it, or save the sheet as csv",
    b"BZh": "packed by bzip2; unpack it, or pack it by gzip",
    b"\xfd7zXZ": "packed by xz; unpack it, or pack it by gzip",
    b"\x28\xb5\x2f\xfd": "packed by zstd; unpack it, or pack it by gzip",
    b"\x1f\x8b": "packed by gzip twice; unpack it once",
    b"ARROW1\0\0": "an Arrow file; give the folder that save_to_disk wrote, or save it as parquet",
    b"SQLite format 3\0": "a database; export the table as csv",
}


@contextmanager
def open_table(
    path: str, options: DataOptions, labels: Sequence[str], say: Say | None, *, labelled: bool
) -> Iterator[Table]:
    """An open file of whatever form, or a dataset; without labels also plain text."""
    if path.startswith(HUB):
        _refuse(path, "a dataset", encoding=options.encoding, header=options.header)
        yield hub_table(path, options, say, labelled=labelled)
    elif Path(path).is_dir():
        _refuse(path, "a dataset", encoding=options.encoding, header=options.header)
        yield dataset_folder_table(Path(path), options, labelled=labelled)
    else:
        _refuse(shown(path), "no dataset", split=options.split)
        with open_source(path) as source:
            yield (
                _parquet(path, options, labelled)
                if source.head.startswith(PARQUET)
                else _text_table(source, options, labels, say, labelled)
            )


def _parquet(path: str, options: DataOptions, labelled: bool) -> Table:
    _refuse(shown(path), "a parquet file", encoding=options.encoding, header=options.header)
    if path == STDIN:
        raise DataError("parquet cannot be read from stdin, since its index is at its end; give it as a file")
    return parquet_table(Path(path), options, labelled=labelled)


def _text_table(source: Source, options: DataOptions, labels: Sequence[str], say: Say | None, labelled: bool) -> Table:
    for magic, what in OTHER_FORMS.items():
        if source.head.startswith(magic):
            raise DataError(f"{source.name} is {what}")
    text = TextFile(source, options.encoding, say)
    lines, array = is_json_lines(text.beginning), is_json_array(text.beginning)
    if lines or array:
        _refuse(source.name, "JSON, whose columns have names", header=options.header)
        rows = (json_line_rows if lines else json_array_rows)(text, options, labelled=labelled)
    elif not labelled and is_plain(text, options, labels):
        if say is not None:
            say(f"{source.name} is read as plain text, one text a line")
        rows = plain_rows(text)
    else:
        rows = delimited_rows(text, options, labels, labelled=labelled)
    return Table(rows, "row" if array else "line", source.progress)


def _refuse(source: str, what: str, **options: object) -> None:
    """Refuses options that mean nothing for a form, rather than passing over them."""
    for name, value in options.items():
        if value is not None:
            raise OptionError(f"{source} is {what}, so that --{name} says nothing of it; drop the option")
