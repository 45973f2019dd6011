"""Rows of a Hugging Face dataset in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgekit_converters.data.arrow import BATCH_ROWS, Batch, batched_table, first_line
from edgekit_converters.data.options import DataOptions
from edgekit_converters.data.rows import Table
from edgekit_runtime.errors import DataError, FileError, require
from edgekit_runtime.filepart import open_regular


def dataset_folder_table(folder: Path, options: DataOptions, *, labelled: bool) -> Table:
    """The rows of a dataset in a folder that ``save_to_disk`` wrote.

    Raises:
        MissingExtraError: datasets is not installed.
        FileError: The folder holds no dataset.
        DataError: It has several splits and none is chosen, or its columns cannot be told.
    """
    if not any((folder / name).is_file() for name in ("dataset_info.json", "dataset_dict.json")):
        raise FileError(
            f"{folder} is a folder, and none that save_to_disk of datasets wrote; give a file (docs/data.md)"
        )
    datasets = require("datasets", extra="data", purpose="reading a dataset's folder")
    try:
        _check_arrow(folder)
        dataset = datasets.load_from_disk(str(folder))
        _check_inside(folder, dataset)
    except Exception as error:  # whatever a damaged file leads to
        raise DataError(f"{folder} holds a dataset that cannot be read: {first_line(error)}") from error
    return dataset_table(str(folder), chosen_split(dataset, str(folder), options.split), options, labelled=labelled)


def _check_arrow(folder: Path) -> None:
    """Refuses Arrow files whose numbers point outside: ``datasets`` maps them, and such a number then ends the process."""
    ipc: Any = require("pyarrow.ipc", extra="data", purpose="reading a dataset's folder")
    arrow: Any = require("pyarrow", extra="data", purpose="reading a dataset's folder")
    for path in sorted(folder.rglob("*.arrow")):
        with open_regular(path) as file, ipc.open_stream(arrow.PythonFile(file, "r")) as batches:
            for batch in batches:
                batch.validate(full=True)


def _check_inside(folder: Path, dataset: Any) -> None:
    """Refuses a dataset whose state names files outside its folder, which were not looked at."""
    for split in dataset.values() if isinstance(dataset, dict) else (dataset,):
        for file in split.cache_files:
            place = Path(file["filename"]).resolve()
            if not place.is_relative_to(folder.resolve()) or place.suffix != ".arrow":
                raise ValueError(f"it names {str(place)[:200]}, which is no .arrow file in it")


def chosen_split(dataset: Any, source: str, split: str | None) -> Any:
    """One split of what was loaded; the only one needs no name."""
    if not isinstance(dataset, dict):
        if split is not None and split != str(dataset.split):
            raise DataError(f"{source} has no split {split!r}: it is a single one, {dataset.split}; drop --split")
        return dataset
    if split is None and len(dataset) == 1:
        return next(iter(dataset.values()))
    if split not in dataset:
        wrong = "several splits" if split is None else f"no split {split!r}"
        raise DataError(f"{source} has {wrong}; choose one with --split: {', '.join(dataset)}")
    return dataset[split]


def dataset_table(source: str, dataset: Any, options: DataOptions, *, labelled: bool) -> Table:
    """The rows of a split, whose ClassLabel columns have names for their ids."""

    def batches(columns: list[str]) -> Iterator[Batch]:
        chosen = dataset.select_columns(columns).with_format("arrow")
        return (batch.to_pydict() for batch in chosen.iter(batch_size=BATCH_ROWS))

    names = {column: list(getattr(feature, "names", ())) for column, feature in dataset.features.items()}
    return batched_table(source, dataset.column_names, names, batches, len(dataset), options, labelled=labelled)
