"""The tools that targets call: they print as they like and raise whatever comes up."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from importlib import metadata
from types import FrameType
from typing import Any

from edgekit_runtime.errors import LoweringError, require


def require_tools(tools: tuple[str, ...], purpose: str) -> None:
    """Refuses where a distribution is missing.

    Raises:
        MissingExtraError: The message names the extra that brings it.
    """
    for tool in tools:
        try:
            metadata.version(tool)
        except metadata.PackageNotFoundError:
            require(tool.replace("-", "_"), extra="convert", purpose=purpose)


@contextlib.contextmanager
def running(tool: str) -> Iterator[None]:
    """Runs a tool: quietly, and with one kind of error.

    Args:
        tool: Its name, for the message.

    Raises:
        LoweringError: The tool raised anything.
    """
    with tools_kept_quiet() as log:
        try:
            yield
        except Exception as error:  # the tools raise whatever comes up; all of it means the same here
            raise LoweringError(
                f"{tool} could not lower the network ({type(error).__name__}: {_first_line(error)}); "
                "run again with --debug for its own messages"
            ) from _with_log(error, log)


@contextlib.contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Keeps Ctrl-C until the block ends: raised inside some tools' C++ code it aborts the process, or is lost."""
    ordinary = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(ordinary):
        yield
        return
    kept: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda number, frame: kept.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, ordinary)
    if kept:
        ordinary(*kept[0])


@contextlib.contextmanager
def tools_kept_quiet() -> Iterator[Any]:
    """Sends what the tools print, from Python and from C++, to a temporary file, which is given.

    ``sys.stderr`` itself stays: a library that sets up its logging meanwhile would keep a stream that is closed later.
    """
    with tempfile.TemporaryFile() as log, contextlib.ExitStack() as stack:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor in (1, 2):
            saved = os.dup(descriptor)
            stack.callback(os.close, saved)
            stack.callback(os.dup2, saved, descriptor)
            os.dup2(log.fileno(), descriptor)
        printed = stack.enter_context(os.fdopen(os.dup(log.fileno()), "w", buffering=1))
        stack.enter_context(contextlib.redirect_stdout(printed))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        yield log


def _with_log(error: Exception, log: Any) -> Exception:
    """Adds the end of the tools' output to the error, for a traceback."""
    log.seek(0)
    error.add_note(log.read()[-4000:].decode(errors="replace")) if hasattr(error, "add_note") else None
    return error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "no message")[:200]
