"""Rows of parquet files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from edgekit_converters.data.arrow import BATCH_ROWS, Batch, batched_table, first_line
from edgekit_converters.data.options import DataOptions
from edgekit_converters.data.rows import Table
from edgekit_runtime.errors import DataError, require

PARQUET = b"PAR1"


def parquet_table(path: Path, options: DataOptions, *, labelled: bool) -> Table:
    """The rows of a parquet file, a batch at a time.

    Raises:
        MissingExtraError: pyarrow is not installed.
        DataError: The file is damaged, or its columns cannot be told.
    """
    parquet = require("pyarrow.parquet", extra="data", purpose="reading a parquet file")
    arrow = require("pyarrow", extra="data", purpose="reading a parquet file")

    @contextmanager
    def damage_told() -> Iterator[None]:
        try:
            yield
        except (arrow.ArrowException, OSError, ValueError) as error:
            raise DataError(f"{path} is a damaged parquet file ({first_line(error)}); write it again") from error

    def batches(columns: list[str]) -> Iterator[Batch]:
        with damage_told():
            for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=columns, use_threads=False):
                yield batch.to_pydict()
                arrow.default_memory_pool().release_unused()  # or it keeps every page that was read

    with damage_told():
        file = parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20)  # a page at a time, not a row group
        class_names = _class_names(file.schema_arrow.metadata)
    names, total = file.schema_arrow.names, file.metadata.num_rows
    return batched_table(str(path), names, class_names, batches, total, options, labelled=labelled)


def _class_names(metadata: Mapping[bytes, bytes] | None) -> dict[str, list[str]]:
    """Names of the classes of each column, from what ``datasets`` notes in the parquet files that it writes."""
    noted = json.loads((metadata or {}).get(b"huggingface", b"{}"))
    features = noted.get("info", {}).get("features", {})
    return {column: feature["names"] for column, feature in features.items() if feature.get("_type") == "ClassLabel"}
