"""The packages that bring engines."""

from __future__ import annotations

from importlib import metadata


def name_and_version(distribution: str) -> str:
    """The distribution's name and version, without the latter where it lies about as a bare folder."""
    try:
        return f"{distribution} {metadata.version(distribution)}"
    except metadata.PackageNotFoundError:
        return distribution
