"""Where environments lie: in the user's cache, one folder a set of pins and a version of Python."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from packaging.specifiers import SpecifierSet

from edgekit_converters.environments.environment import Environment
from edgekit_runtime.errors import FileError, MissingExtraError

FOLDER = "EDGEKIT_ENVIRONMENTS"
"""The environment variable that names another folder for all of them."""


def environments_folder() -> Path:
    """The folder of all environments; it need not exist.

    Raises:
        FileError: The user has no home, and names no folder.
    """
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = os.environ.get(FOLDER) or f"{cache}/edgekit/environments"
    try:
        return Path(folder).expanduser().absolute()
    except RuntimeError as error:  # as in a container, for a user that it does not know
        raise FileError(f"there is no home for {folder}; name a folder for environments by {FOLDER}") from error


def place_of(environment: Environment, version: str) -> Path:
    """The folder of an environment.

    Args:
        environment: Which.
        version: Of its Python, "3.11".
    """
    pins = "\n".join([version, *environment.requirements])
    return environments_folder() / f"{environment.name}-{hashlib.sha256(pins.encode()).hexdigest()[:8]}"


def versions_of(environment: Environment) -> list[str]:
    """Versions of Python that an environment can have: the running one first, then from the newest."""
    fitting = SpecifierSet(environment.pythons)
    running = f"3.{sys.version_info.minor}"
    versions = [running, *(f"3.{minor}" for minor in range(30, 7, -1))]
    return [version for version in dict.fromkeys(versions) if fitting.contains(version)]


def interpreter(place: Path) -> Path:
    """The Python of an environment in that folder."""
    return place / "bin" / "python"


def installed_python(environment: Environment) -> Path | None:
    """Its Python; None where it is not installed."""
    pythons = (interpreter(place_of(environment, version)) for version in versions_of(environment))
    try:
        return next((python for python in pythons if python.is_file()), None)
    except FileError:  # no home, and so nothing in it
        return None


def python_of(environment: Environment) -> Path:
    """Its Python.

    Raises:
        MissingExtraError: It is not installed; the message names the command that does that.
    """
    python = installed_python(environment)
    if python is None:
        raise MissingExtraError(
            f"{environment.purpose} needs the environment {environment.name}, which is not installed: "
            f"{environment.install} ({environment.size})"
        )
    return python
