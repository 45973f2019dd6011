"""A folder of the user's own whose files are named by the SHA-256 of their contents, which is compared before each use."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

SUFFIX = ".packed"
BEING_WRITTEN = ".part"
STALE_S = 3600.0
"""How old a file is that no process is still writing."""

CHUNK = 1 << 20

_FLAGS = os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0) if os.name == "posix" else 0


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[int]:
    """The folder, if it is the user's own and nobody else's.

    Raises:
        OSError: There is none, or it is not.
    """
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | _FLAGS)
    try:
        status = os.fstat(directory)
        if status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise PermissionError(0, f"others may use it; remove it, or chmod 700 {folder}")
        yield directory
    finally:
        os.close(directory)


def names(directory: int) -> list[str]:
    """What is in the folder, sorted."""
    with os.scandir(directory) as entries:
        return sorted(entry.name for entry in entries)


def compared(directory: int, name: str) -> int | None:
    """A file, opened for reading, whose contents are as its name says; None if they are not.

    Raises:
        OSError: It cannot be read to its end.
    """
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NONBLOCK | _FLAGS, dir_fd=directory)
    except OSError:
        return None
    right = False
    try:
        status = os.fstat(handle)
        if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
            digest = hashlib.sha256()
            while chunk := os.read(handle, CHUNK):
                digest.update(chunk)
            right = name.removesuffix(SUFFIX).endswith(f"-{digest.hexdigest()}")
            os.lseek(handle, 0, os.SEEK_SET)
            with contextlib.suppress(OSError):
                os.utime(handle)  # used now: the last to go
    finally:
        if not right:
            os.close(handle)
    return handle if right else None


def write(directory: int, key: str, source: int) -> None:
    """Copies what a descriptor holds into a file that is named by a key and the contents; nothing half-written stays.

    Raises:
        OSError: There is no room, or no right to write.
    """
    name = f"{os.urandom(8).hex()}{BEING_WRITTEN}"
    target = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600, dir_fd=directory)
    try:
        digest, position = hashlib.sha256(), 0
        with os.fdopen(target, "wb") as file:
            while chunk := os.pread(source, CHUNK, position):
                digest.update(chunk)
                file.write(chunk)
                position += len(chunk)
        os.rename(name, f"{key}-{digest.hexdigest()}{SUFFIX}", src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=directory)
        raise


def tidy(directory: int, most_bytes: int) -> None:
    """Removes what was used longest ago beyond so many bytes, and what processes that ended left half-written."""
    found = []
    for name in names(directory):
        with contextlib.suppress(OSError):
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if name.endswith(SUFFIX):
                found.append((status.st_mtime, status.st_size, name))
            elif name.endswith(BEING_WRITTEN) and status.st_mtime < time.time() - STALE_S:
                os.unlink(name, dir_fd=directory)
    total = 0
    for _, size, name in sorted(found, reverse=True):
        total += size
        if total > most_bytes:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=directory)
