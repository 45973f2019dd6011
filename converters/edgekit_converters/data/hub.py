"""Rows of a dataset of the Hugging Face Hub, the only form that downloads anything."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgekit_converters.data.arrow import first_line
from edgekit_converters.data.dataset_folder import chosen_split, dataset_table
from edgekit_converters.data.options import DataOptions
from edgekit_converters.data.rows import Say, Table
from edgekit_runtime.errors import DataError, OptionError, require

_ADDRESS = re.compile(r"hf:(?P<name>\w[\w.-]*/\w[\w.-]*)(?::(?P<config>[^@]+))?(?:@(?P<split>.+))?")


def hub_table(address: str, options: DataOptions, say: Say | None, *, labelled: bool) -> Table:
    """The rows of a dataset of the Hugging Face Hub, ``hf:OWNER/NAME``, ``…:CONFIG``, ``…@SPLIT``.

    It is downloaded into the cache of ``datasets``. Code that comes with it is not run.

    Raises:
        MissingExtraError: datasets is not installed.
        OptionError: The address is malformed, or --split contradicts it.
        DataError: It cannot be had, has several splits and none is chosen, or its columns cannot be told.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise OptionError(
            f"{address!r} names no dataset of the hub; write hf:OWNER/NAME, hf:OWNER/NAME:CONFIG or hf:OWNER/NAME@SPLIT"
        )
    name, config, split = match["name"], match["config"], match["split"]
    if split and options.split and split != options.split:
        raise OptionError(f"{address!r} and --split {options.split} name different splits; drop one")
    if Path(name).is_dir():
        raise OptionError(f"here is a folder {name}, which would be read in place of the hub's; call it from elsewhere")
    datasets = require("datasets", extra="data", purpose="reading a dataset of the hub")
    if say is not None:
        say(f"{address} is taken from the Hugging Face Hub, or from the cache if it is there")
    with _quiet(datasets):
        try:
            dataset = datasets.load_dataset(name, config)
        except ConnectionError as error:
            raise DataError(
                f"{address} cannot be had: {first_line(error)}; check the network, or give a file"
            ) from error
        except Exception as error:  # datasets lets through whatever its readers and its network layers raise
            raise DataError(
                f"{address} cannot be had: {first_line(error)}; check its name and configuration"
            ) from error
    chosen = chosen_split(dataset, address, split or options.split)
    return dataset_table(address, chosen, options, labelled=labelled)


@contextmanager
def _quiet(datasets: Any) -> Iterator[None]:
    """No progress bars and no remarks on retries, which one error sums up; and no code of a dataset's own."""
    datasets.config.HF_DATASETS_TRUST_REMOTE_CODE = False  # before version 4 it asked on the terminal
    logger = logging.getLogger("huggingface_hub")
    level, bars = logger.level, datasets.is_progress_bar_enabled()
    logger.setLevel(logging.ERROR)
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        logger.setLevel(level)
        if bars:
            datasets.enable_progress_bars()
