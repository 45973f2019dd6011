"""Frozen dataclasses to JSON and back, checked against their type hints."""

from __future__ import annotations

import dataclasses
import json
import sys
import types
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from edgekit_runtime.errors import BundleError

T = TypeVar("T")


def encode(value: Any) -> Any:
    """Turns a dataclass into plain JSON values; tuples become lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    return value


def to_bytes(value: Any) -> bytes:
    """A dataclass as readable UTF-8 JSON, ending in a newline."""
    return (json.dumps(encode(value), ensure_ascii=False, indent=1) + "\n").encode()


def decode(cls: type[T], data: Any, where: str) -> T:
    """Builds a dataclass from JSON values.

    Keys that the dataclass does not have are ignored, so that older readers open newer files of the same schema.

    Args:
        cls: The dataclass.
        data: What ``json.loads`` gave.
        where: Name of this place in the file, for messages ("manifest.json").

    Raises:
        BundleError: A key is missing, or a value has the wrong type; the message names its path.
    """
    return _decode(cls, data, where)  # type: ignore[no-any-return]


def _decode(hint: Any, data: Any, where: str) -> Any:
    if hint is Any:
        return data
    if dataclasses.is_dataclass(hint):
        return _decode_dataclass(hint, data, where)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if data is None and type(None) in arguments:
            return None
        plain = [argument for argument in arguments if argument is not type(None)]
        for argument in plain[:-1]:
            try:
                return _decode(argument, data, where)
            except BundleError:
                continue
        return _decode(plain[-1], data, where)
    if origin is tuple:
        _expect(isinstance(data, list), where, "a list", data)
        return tuple(_decode(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(data))
    if origin is dict:
        _expect(isinstance(data, dict), where, "an object", data)
        return {key: _decode(arguments[1], item, f"{where}.{key}") for key, item in data.items()}
    if hint is float:
        _expect(isinstance(data, int | float) and not isinstance(data, bool), where, "a number", data)
        _expect(isinstance(data, float) or abs(data) <= sys.float_info.max, where, "a number in range", data)
        return float(data)
    if hint is int:
        _expect(isinstance(data, int) and not isinstance(data, bool), where, "a whole number", data)
        return data
    names = {str: "a string", bool: "true or false"}
    _expect(isinstance(data, hint), where, names.get(hint, hint.__name__), data)
    return data


def _decode_dataclass(cls: Any, data: Any, where: str) -> Any:
    _expect(isinstance(data, dict), where, "an object", data)
    hints = get_type_hints(cls)
    values = {}
    for field in dataclasses.fields(cls):
        if field.name in data:
            values[field.name] = _decode(hints[field.name], data[field.name], f"{where}.{field.name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise BundleError(f"{where} has no {field.name!r}; the file is damaged, or not made by edgekit")
    return cls(**values)


def _expect(condition: bool, where: str, wanted: str, got: Any) -> None:
    if not condition:
        raise BundleError(f"{where} should be {wanted}, not {str(got)[:40]!r}; the file is damaged or was edited")
