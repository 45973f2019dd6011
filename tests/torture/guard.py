"""Sees what a reader does besides reading: code that runs, processes, sockets, files written."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from torture.pickles import MARK

ACTS = {
    "os.system",
    "subprocess.Popen",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "os.forkpty",
    "pty.spawn",
    "webbrowser.open",
    "code.__new__",
}
NET = {"socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "urllib.Request", "http.client.connect"}
CHANGES = {
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.mkdir",
    "os.link",
    "os.symlink",
    "os.chmod",
    "os.chown",
    "os.truncate",
    "shutil.rmtree",
    "shutil.move",
}
CODE = {"exec", "compile", "import", "ctypes.dlopen"}
PLACED = {"os.remove", "os.rmdir", "os.mkdir"}
"""Whose last argument is the folder that the path is relative to, or -1."""
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Guard:
    """Notes acts while it is on. An audit hook cannot be taken out again, so there is one a process."""

    def __init__(self, *allowed: Path) -> None:
        self.on = False
        self.code: list[str] = []
        self.files: list[str] = []
        self.allowed = tuple(str(path.resolve()) + os.sep for path in allowed)
        sys.addaudithook(self._hook)

    def __enter__(self) -> Guard:
        self.on, self.code, self.files = True, [], []
        return self

    def __exit__(self, *unused: object) -> None:
        self.on = False

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        self.on = False  # what is done in here is not the reader's
        try:
            self._look(event, arguments)
        finally:
            self.on = True

    def _look(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "subprocess.Popen" and "edgekit_runtime.fresh" in str(arguments) and MARK not in str(arguments):
            return  # edgekit's own process for an engine
        if event in ACTS | NET or (event in CODE and MARK in str(arguments)):
            self.code.append(f"{event} {str(arguments)[:200]}")
        elif event == "open":
            path, _, flags = arguments
            if not isinstance(path, int) and flags & WRITING and str(path) != os.devnull:
                self._outside(event, os.fsdecode(path))
        elif event in CHANGES:
            path = os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes) else str(arguments[0])
            place = arguments[-1] if event in PLACED and isinstance(arguments[-1], int) else -1
            self._outside(event, str(Path(f"/proc/self/fd/{place}").readlink() / path) if place >= 0 else path)

    def _outside(self, event: str, path: str) -> None:
        whole = str(Path(path).absolute())
        if not (whole + os.sep).startswith((*self.allowed, str(Path(tempfile.gettempdir()).resolve()) + os.sep)):
            self.files.append(f"{event} {path[:200]}")
