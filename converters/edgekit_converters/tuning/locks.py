"""One at a time among the processes of a machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a lock file while the block runs; a process that dies lets go of it.

    Where the system has no such locks, on Windows, nothing is held.

    Args:
        path: The file, which stays.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
