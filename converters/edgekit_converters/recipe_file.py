"""A recipe file: every setting of a conversion but the model, as TOML (docs/recipes.md).

The keys are the fields of the dataclasses that they set: those of Recipe stand at the top, those of ReadOptions under
``[read]``, those of Compression under ``[compress]``, the data's names and the fields of DataOptions under ``[data]``.
"""

from __future__ import annotations

import dataclasses
import difflib
import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from edgekit_converters.checkpoint import ReadOptions
from edgekit_converters.compress import Compression
from edgekit_converters.data import DataOptions
from edgekit_converters.data.source import HUB, STDIN
from edgekit_converters.recipe import Recipe
from edgekit_converters.toml import parse_toml
from edgekit_runtime.errors import FileError, OptionError, require
from edgekit_runtime.filepart import file_bytes

Settings = TypeVar("Settings")

TOP, READ, COMPRESS, DATA = "", "read", "compress", "data"
DATA_FILES = {"train": "train_data", "unlabelled": "unlabelled", "eval": "eval_data", "calibrate": "calibrate"}
"""Key under ``[data]`` to the field of RecipeFile that it sets."""

NEVER_IN_A_FILE = {
    "trust": "running the code of a checkpoint is allowed on the command line only, by --trust-checkpoint"
}
"""Field of ReadOptions to the reason why no file may set it."""


@dataclass(frozen=True)
class RecipeFile:
    """All settings of a conversion; the fields are those arguments of :func:`edgekit_converters.pipeline.convert`.

    Attributes:
        recipe: How the model is converted.
        read: What the checkpoint does not say.
        compression: What becomes of the model before it is lowered.
        train_data: Labelled texts that distilling and pruning learn from.
        unlabelled: More texts for them.
        eval_data: Labelled texts for the accuracy gates.
        calibrate: Texts for the scheme int8-static and for buckets ``auto``.
        data_options: What the data files do not say.
    """

    recipe: Recipe = field(default_factory=Recipe)
    read: ReadOptions = field(default_factory=ReadOptions)
    compression: Compression = field(default_factory=Compression)
    train_data: Path | None = None
    unlabelled: Path | None = None
    eval_data: Path | None = None
    calibrate: Path | None = None
    data_options: DataOptions = field(default_factory=DataOptions)

    @classmethod
    def load(cls, path: str | Path) -> RecipeFile:
        """Reads a recipe file; the paths in it are relative to its folder.

        Raises:
            FileError: The file is missing or cannot be read.
            OptionError: It is no TOML, or has an unknown key or a value of the wrong type; the message names the key.
        """
        path = Path(path)
        try:
            text = file_bytes(path).decode("utf-8-sig")
        except FileNotFoundError:
            raise FileError(f"there is no recipe {path}; check the path") from None
        except OSError as error:
            raise FileError(f"cannot read {path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise OptionError(f"{path} is not UTF-8 (byte {error.start}: {error.reason}); save it as UTF-8") from error
        return cls.from_toml(text, str(path)).beside(path.parent)

    @classmethod
    def from_toml(cls, text: str, where: str = "the recipe") -> RecipeFile:
        """Parses a recipe and leaves the paths in it as they are written; ``where`` names it in messages.

        Raises:
            OptionError: See :meth:`load`.
        """
        try:
            content = parse_toml(text)
        except (ValueError, RecursionError) as error:  # also of a number with thousands of digits
            raise OptionError(f"{where} is not valid TOML: {error}; correct it") from error
        return cls.from_values(content, where)

    @classmethod
    def from_values(cls, content: Mapping[str, Any], where: str) -> RecipeFile:
        """Builds it from plain values, as TOML and JSON give them.

        Raises:
            OptionError: See :meth:`load`.
        """
        keys = known_keys()
        values: dict[str, dict[str, Any]] = {table: {} for table in keys}
        for table, key, value in _flat(content, keys, where):
            if key in NEVER_IN_A_FILE:
                raise OptionError(f"{where} sets {_name(table, key)}: {NEVER_IN_A_FILE[key]}; remove it")
            if key not in keys[table]:
                raise OptionError(f"{where} {_unknown(table, key, keys)}")
            try:
                values[table][key] = _convert(keys[table][key], value)
            except _WrongTypeError:
                wanted = _describe(keys[table][key])
                raise OptionError(f"{where}: {_name(table, key)} should be {wanted}, not {_shown(value)}") from None
        files = {attribute: values[DATA].pop(key, None) for key, attribute in DATA_FILES.items()}
        try:
            return cls(
                Recipe(**values[TOP]),
                ReadOptions(**values[READ]),
                Compression(**values[COMPRESS]),
                data_options=DataOptions(**values[DATA]),
                **files,
            )
        except OptionError as error:
            raise OptionError(f"{where}: {error}") from error

    def tables(self) -> dict[str, dict[str, Any]]:
        """The value of every key, by table; None is a key that is not set."""
        files = {key: getattr(self, attribute) for key, attribute in DATA_FILES.items()}
        holders = {
            TOP: vars(self.recipe),
            READ: vars(self.read),
            COMPRESS: vars(self.compression),
            DATA: files | vars(self.data_options),
        }
        return {table: {key: holders[table][key] for key in keys} for table, keys in known_keys().items()}

    def to_toml(self) -> str:
        """The recipe as TOML: every key that is set, with its paths as they are.

        Raises:
            MissingExtraError: tomli-w is not installed.
        """
        tomli_w = require("tomli_w", extra="convert", purpose="writing a recipe")
        plain = {
            table: {key: _plain(value) for key, value in values.items() if value is not None}
            for table, values in self.tables().items()
        }
        top = plain.pop(TOP)
        text: str = tomli_w.dumps(top | {table: values for table, values in plain.items() if values})
        return text

    def beside(self, folder: Path) -> RecipeFile:
        """The same, with its relative paths in ``folder``."""
        return dataclasses.replace(
            _beside(self, folder),
            recipe=_beside(self.recipe, folder),
            read=_beside(self.read, folder),
            compression=self.compression.with_students(lambda file: folder / file),
        )


def known_keys() -> dict[str, dict[str, Any]]:
    """The keys of each table with their type hints."""
    files = dict.fromkeys(DATA_FILES, Path | None)
    read = {name: hint for name, hint in _hints(ReadOptions).items() if name not in NEVER_IN_A_FILE}
    return {TOP: _hints(Recipe), READ: read, COMPRESS: _hints(Compression), DATA: files | _hints(DataOptions)}


def _beside(settings: Settings, folder: Path) -> Settings:
    paths = {
        name: folder / value for name, value in vars(settings).items() if isinstance(value, Path) and is_on_disk(value)
    }
    return dataclasses.replace(settings, **paths)  # type: ignore[type-var]


def is_on_disk(path: Path) -> bool:
    """Whether it names a file or a folder, and neither stdin nor a dataset of the Hugging Face hub."""
    return str(path) != STDIN and not str(path).startswith(HUB)


def _hints(cls: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {item.name: hints[item.name] for item in dataclasses.fields(cls)}


def _flat(
    content: Mapping[str, Any], keys: Mapping[str, Mapping[str, Any]], where: str
) -> Iterator[tuple[str, str, Any]]:
    """Table, key and value of everything in the file."""
    for key, value in content.items():
        if key not in keys or key == TOP:
            yield TOP, key, value
        elif isinstance(value, dict):
            yield from ((key, inner, item) for inner, item in value.items())
        else:
            raise OptionError(f"{where}: {key} is a table; write [{key}] on a line of its own, and its keys below")


def _unknown(table: str, key: str, keys: Mapping[str, Mapping[str, Any]]) -> str:
    """What is wrong with a key that the table does not have."""
    home = next((other for other in keys if key in keys[other]), None)
    if home is not None:
        place = f"under [{home}]" if home else "at the top, before the first table"
        return f"has {key} {f'under [{table}]' if table else 'at the top'}; it belongs {place}"
    known = [*keys[table], *(f"[{other}]" for other in keys if other and table == TOP)]
    close = difflib.get_close_matches(key, known, n=1)
    guess = f" (did you mean {close[0]}?)" if close else ""
    return f"has an unknown key {_name(table, key)!r}{guess}; {f'[{table}]' if table else 'it'} can hold {', '.join(known)}"


def _name(table: str, key: str) -> str:
    return f"{table}.{key}" if table else key


class _WrongTypeError(Exception):
    pass


def _convert(hint: Any, value: Any) -> Any:
    """The value as the field wants it, or a _WrongTypeError."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        for argument in arguments:
            try:
                return _convert(argument, value)
            except _WrongTypeError:
                continue
    elif origin is Literal:
        if value in arguments:
            return value
    elif origin is tuple:
        if isinstance(value, list):
            return tuple(_convert(arguments[0], item) for item in value)
    elif hint is Path:
        if isinstance(value, str) and value and "\0" not in value:
            return Path(value)
    elif hint is float:
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max:
            return float(value)
    elif hint in (int, str, bool) and type(value) is hint:
        return value
    raise _WrongTypeError


def _describe(hint: Any) -> str:
    """What a value of this type is called in a message."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(_describe(argument) for argument in arguments if argument is not type(None))
    if origin is Literal:
        return " or ".join(repr(argument) for argument in arguments)
    if origin is tuple:
        return f"a list in which each item is {_describe(arguments[0])}"
    names = {str: "a string", bool: "true or false", int: "a whole number", float: "a number", Path: "a path"}
    return names[hint]


def _plain(value: Any) -> Any:
    """A value as TOML has it."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.as_posix() if isinstance(value, Path) else value


def _shown(value: Any) -> str:
    return repr(value)[:60]
