"""The version catalogue that both builds of the app share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from errors import ApkError
from layout import CATALOGUE

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read(path: Path = CATALOGUE) -> dict[str, Any]:
    """The catalogue: versions, libraries and plug-ins.

    Raises:
        ApkError: It cannot be read.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        if table.keys() != {"versions", "libraries", "plugins"}:
            raise ApkError(f"{path} is no version catalogue; take it from the repository again")
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ApkError(f"{path} is no version catalogue ({error}); take it from the repository again") from error
    return table


def versions() -> dict[str, str]:
    """Every version of the catalogue by its name."""
    return {str(name): str(version) for name, version in read()["versions"].items()}
