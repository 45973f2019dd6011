"""The settings of a conversion inside its bundle: written into the history, and read out of it again."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgekit_converters.recipe_file import (
    COMPRESS,
    DATA,
    DATA_FILES,
    NEVER_IN_A_FILE,
    READ,
    TOP,
    RecipeFile,
    is_on_disk,
    known_keys,
)
from edgekit_runtime import jsonio
from edgekit_runtime.bundle import open_bundle
from edgekit_runtime.errors import BundleError, OptionError
from edgekit_runtime.manifest import HistoryStep


@dataclass(frozen=True)
class DataFile:
    """Data as the history keeps it: its name without its folder, and its size if it is one file."""

    file: str
    bytes: int | None


@dataclass(frozen=True)
class RecordedRecipe:
    """What a bundle tells of the settings that made it.

    Attributes:
        file: The settings; of each path only the last part was kept.
        about: What else helps to do it again: names of the bundle, the model and the data, the data's sizes.
        missing: Keys and tables that the bundle, made by an older edgekit, says nothing of; ``file`` has their defaults.
    """

    file: RecipeFile
    about: tuple[str, ...]
    missing: tuple[str, ...]

    def to_toml(self) -> str:
        """The recipe as TOML, with the rest as comments."""
        lines = list(self.about)
        if self.missing:
            lines.append(f"not recorded, so the defaults are taken: {', '.join(self.missing)}")
        return "".join(f"# {line}\n" for line in lines) + "\n" + self.file.to_toml()


def record(file: RecipeFile) -> dict[str, Any]:
    """The settings as the history keeps them: plain values, names instead of paths, sizes of the data files."""
    file = replace(file, compression=file.compression.with_students(lambda path: Path(path.name)))
    tables = {table: {key: _plain(value) for key, value in keys.items()} for table, keys in file.tables().items()}
    tables[TOP]["quantize"] = file.recipe.scheme
    tables[READ] |= {key: getattr(file.read, key) for key in NEVER_IN_A_FILE}
    for key, attribute in DATA_FILES.items():
        path: Path | None = getattr(file, attribute)
        tables[DATA][key] = path and jsonio.encode(
            DataFile(_last_part(path), path.stat().st_size if path.is_file() else None)
        )
    return {**tables[TOP], **{table: tables[table] for table in (READ, COMPRESS, DATA)}}


def recorded_recipe(path: str | os.PathLike[str]) -> RecordedRecipe:
    """Reads the settings of its conversion out of a bundle.

    Raises:
        FileError, BundleError: The file is missing or no bundle, or its history tells of no conversion.
    """
    history = open_bundle(path).manifest.history
    settings = _last(history, "lower")
    if settings is None:
        raise BundleError(
            f"the history of {path} tells of no conversion: give a bundle that edgekit convert wrote, and whose history was not "
            "stripped off"
        )
    where = f"the history of {path}"
    about = [f"The recipe of {Path(path).name!r}, made from {(_last(history, 'read') or {}).get('file')!r}."]
    content: dict[str, Any] = {}
    missing: list[str] = []
    for table, keys in known_keys().items():
        told = settings if table == TOP else settings.get(table)
        if not isinstance(told, dict):
            missing.append(f"everything under [{table}]")
            continue
        missing += [f"{table}.{key}" if table else key for key in keys if key not in told]
        values = {key: told[key] for key in keys if told.get(key) is not None}
        for key in values if table == DATA else ():
            if key in DATA_FILES:
                data_file = jsonio.decode(DataFile, values[key], f"{where}: {DATA}.{key}")
                values[key] = data_file.file
                if data_file.bytes is not None:
                    about.append(f"{DATA}.{key} was {data_file.file!r} of {data_file.bytes} bytes.")
        if told.get("trust") and table == READ:
            about.append("The checkpoint was allowed to run code: add --trust-checkpoint if you allow it again.")
        content |= values if table == TOP else {table: values}
    try:
        return RecordedRecipe(RecipeFile.from_values(content, where), tuple(about), tuple(missing))
    except OptionError as error:
        raise BundleError(f"{error}; the file is damaged, or a newer edgekit made it: upgrade this one") from error


def _last(history: tuple[HistoryStep, ...], stage: str) -> dict[str, Any] | None:
    return next((step.settings for step in reversed(history) if step.stage == stage), None)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return _last_part(value) if isinstance(value, Path) else value


def _last_part(path: Path) -> str:
    """Its name, also where it is written ``.`` or ``folder/..``; a symbolic link keeps its own."""
    if not is_on_disk(path):
        return str(path)
    return Path(os.path.abspath(path)).name  # noqa: PTH100 - resolve() would follow the link
