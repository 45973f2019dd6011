"""Packed weights on disk: what an engine made of a program for this processor, mapped by the next process that loads it.

A file is named by what its contents depend on and by their own SHA-256, which is compared before each use: what is cut, damaged,
of another program, processor or version is never mapped. It is written beside and renamed. The folder and its files are the
user's alone. They may be removed at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgekit_runtime.engines.packed_files import SUFFIX, compared, names, opened, tidy, write
from edgekit_runtime.engines.processor import processor

LOG = logging.getLogger(__name__)

SETTING = "EDGEKIT_PACKED_CACHE"
"""The environment variable: another folder, or ``off``."""

OFF = "off"
LEAST_BYTES = 4 << 20
"""Of a program that is worth it: a smaller one is packed in a few milliseconds."""

MOST_BYTES = 512 << 20
"""Of all files; beyond, those that were used longest ago go."""


@dataclass(frozen=True)
class PackedCache:
    """What there is.

    Attributes:
        status: ``on``; ``off`` by the environment variable, or where this system or user can have none; ``refused`` where it
            cannot be used.
        folder: Where it is; None where it is off.
        files: How many programs are packed.
        bytes: What they take.
        detail: Why it is off or refused; else empty.
    """

    status: str
    folder: str | None
    files: int
    bytes: int
    detail: str


def packed_folder() -> Path | None:
    """Where packed weights lie; None where they are off, or the user has no home. It need not exist."""
    setting = os.environ.get(SETTING, "")
    if setting == OFF or os.name != "posix":
        return None
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:
        return Path(setting or f"{cache}/edgekit/packed").expanduser().absolute()
    except RuntimeError:  # no home, as in a container for a user that it does not know
        return None


def packed_key(sha256: str, made_by: str) -> str:
    """What packed weights depend on: the program, what packed them, its version and build, and the processor."""
    return hashlib.sha256("\n".join([sha256, made_by, processor()]).encode()).hexdigest()[:32]


def open_packed(key: str) -> int | None:
    """Opens the packed weights of a key for reading, once their contents are compared; None if there are none, or not right ones.

    What is not right is removed.
    """
    folder = packed_folder()
    if folder is None:
        return None
    with contextlib.suppress(OSError), opened(folder) as directory:
        for name in names(directory):
            if name.startswith(f"{key}-") and name.endswith(SUFFIX):
                handle = compared(directory, name)
                if handle is not None:
                    return handle
                LOG.info("packed weights %s in %s are not what they were: they are made anew", name, folder)
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=directory)
    return None


def keep_packed(key: str, source: int) -> bool:
    """Keeps packed weights for the next process; returns whether that worked, and tells the log why not.

    Args:
        key: Of :func:`packed_key`.
        source: Descriptor of what holds them, in memory.
    """
    folder = packed_folder()
    if folder is None:
        return False
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with opened(folder) as directory:
            write(directory, key, source)
            tidy(directory, MOST_BYTES)
    except OSError as error:
        LOG.info("packed weights are not kept in %s: %s; each start packs them anew", folder, error.strerror or error)
        return False
    return True


def forget_packed(key: str) -> None:
    """Removes the packed weights of a key, which the engine refused."""
    folder = packed_folder()
    if folder is not None:
        with contextlib.suppress(OSError), opened(folder) as directory:
            for name in names(directory):
                if name.startswith(f"{key}-"):
                    os.unlink(name, dir_fd=directory)


@contextlib.contextmanager
def nothing_kept() -> Iterator[None]:
    """Within the block neither this process nor those that it starts keep packed weights: of bundles that are only tried."""
    before = os.environ.get(SETTING)
    os.environ[SETTING] = OFF
    try:
        yield
    finally:
        os.environ.pop(SETTING)
        if before is not None:
            os.environ[SETTING] = before


def describe_packed() -> PackedCache:
    """What the folder holds. Nothing is made or changed."""
    folder = packed_folder()
    if folder is None:
        why = f"{SETTING}={OFF}" if os.environ.get(SETTING) == OFF else f"no home; name a folder by {SETTING}"
        return PackedCache("off", None, 0, 0, why)
    try:
        with opened(folder) as directory:
            sizes = [
                os.stat(name, dir_fd=directory, follow_symlinks=False).st_size
                for name in names(directory)
                if name.endswith(SUFFIX)
            ]
    except FileNotFoundError:
        sizes = []
    except OSError as error:
        return PackedCache("refused", str(folder), 0, 0, error.strerror or str(error))
    return PackedCache("on", str(folder), len(sizes), sum(sizes), "")
