"""TOML as its specification has it: whole numbers have 64 bits, where Python's reader takes any."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def parse_toml(text: str) -> dict[str, Any]:
    """Reads TOML 1.0.

    Raises:
        ValueError: It is no TOML, or a whole number has more than 64 bits; so many digits could not even be shown.
        RecursionError: It is nested too deeply.
    """
    content = tomllib.loads(text)
    _check_numbers(content.values())
    return content


def _check_numbers(values: Iterable[Any]) -> None:
    for value in values:
        if isinstance(value, dict):
            _check_numbers(value.values())
        elif isinstance(value, list):
            _check_numbers(value)
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise ValueError("a whole number has more than 64 bits")
