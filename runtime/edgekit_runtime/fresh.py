"""Running a function of edgekit in a fresh process: with nothing in memory yet, and free to crash."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from edgekit_runtime import errors, jsonio
from edgekit_runtime.errors import EdgekitError

_PROGRAM = """
import time
began = time.monotonic_ns()
import sys
{path} = sys.argv[2:]
import edgekit_runtime
imported = time.monotonic_ns()
from edgekit_runtime.fresh import answer
answer(sys.argv[1], began, imported)
"""
"""It sees the modules that this process sees, or those of another Python and edgekit's. It reads its options from stdin:
arguments are short, and seen by everybody. The clock is the machine's, not the process's."""

ENDING = ("SIGTERM", "SIGHUP")
"""What asks a process to end; Windows lacks the second."""

ONLY, MORE = "sys.path[:]", "sys.path[len(sys.path):]"

SAID = 4000
"""Characters of what a process said at last that a traceback keeps."""


class NoAnswerError(Exception):
    """The process died, or took too long; the message says how, for the caller's own error.

    Attributes:
        killed_by: The signal that ended it, if one did.
    """

    def __init__(self, message: str, killed_by: signal.Signals | None = None) -> None:
        super().__init__(message)
        self.killed_by = killed_by


@dataclass(frozen=True)
class OtherPython:
    """A Python with other packages.

    Attributes:
        python: The interpreter.
        packages: A folder with edgekit's packages, which it sees beside its own.
        variables: All of its environment variables.
    """

    OPTIONS: ClassVar[tuple[str, ...]] = ("-I", "-B")
    """Nothing of the user's Python comes in, and nothing is written beside edgekit's code."""

    python: Path
    packages: Path
    variables: Mapping[str, str]

    def command(self, program: str, *arguments: str) -> list[str]:
        """What runs a program on it."""
        return [str(self.python), *self.OPTIONS, "-c", program, *arguments]


@dataclass(frozen=True)
class Answered:
    """What came back.

    Attributes:
        value: What the function returned, as JSON values.
        started_ns: The machine's monotonic clock when the process was started.
        began_ns: The same at the first line of Python.
        imported_ns: The same after ``import edgekit_runtime``.
    """

    value: Any
    started_ns: int
    began_ns: int
    imported_ns: int


def ask(function: str, options: Mapping[str, Any], *, limit_s: float, python: OtherPython | None = None) -> Answered:
    """Calls a function in a fresh process.

    Args:
        function: ``module:name``.
        options: Its keyword arguments, fit for JSON.
        limit_s: How long it may take, the start of Python included.
        python: Which runs it; None takes this one, with the modules that this process sees.

    Raises:
        EdgekitError: The function raised it.
        NoAnswerError: There is no answer.
    """
    if python is None:
        command = [sys.executable, "-c", _PROGRAM.format(path=ONLY), function, *sys.path]
    else:
        command = python.command(_PROGRAM.format(path=MORE), function, str(python.packages))
    started = time.monotonic_ns()
    try:
        with ended_in_order():
            done = subprocess.run(
                command,
                input=json.dumps(options).encode(),
                capture_output=True,
                timeout=limit_s,
                env=None if python is None else dict(python.variables),
                check=False,
            )
        found = json.loads(done.stdout)
    except OSError as error:
        raise NoAnswerError(f"it could not be started ({error.strerror})") from error
    except subprocess.TimeoutExpired as error:
        raise NoAnswerError(f"it gave no answer within {limit_s:g} s") from error
    except ValueError as error:
        raise no_answer(done) from error
    if "error" in found:
        raise getattr(errors, found["error"])(found["message"])
    return Answered(found["value"], started, found["began"], found["imported"])


@contextlib.contextmanager
def ended_in_order() -> Iterator[None]:
    """Makes an exception of a request to end and of a closed terminal, as Python does of Ctrl-C.

    So processes that were started end, and folders are removed. Signals that somebody handles or ignores stay as they are.
    """
    asked = []
    if threading.current_thread() is threading.main_thread():
        asked = [each for each in signal.Signals if each.name in ENDING and signal.getsignal(each) is signal.SIG_DFL]
    for each in asked:
        signal.signal(each, _end)
    try:
        yield
    finally:
        for each in asked:
            signal.signal(each, signal.SIG_DFL)


def _end(number: int, frame: object) -> None:
    sys.exit(128 + number)


def answer(function: str, began: int, imported: int) -> None:
    """What the process runs: calls the function and prints its answer, or its error of the tree, as JSON."""
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever else is printed is none of the answer
    module, _, name = function.partition(":")
    found: dict[str, Any]
    try:
        value = getattr(importlib.import_module(module), name)(**json.load(sys.stdin))
        found = {"value": jsonio.encode(value), "began": began, "imported": imported}
    except EdgekitError as error:
        found = {"error": type(error).__name__, "message": str(error)}
    with os.fdopen(answers, "w", encoding="ascii") as file:
        json.dump(found, file)


def no_answer(done: subprocess.CompletedProcess[bytes]) -> NoAnswerError:
    """How a process ended that gave no answer; what it said at last is a note, for a traceback."""
    said = done.stderr.decode(errors="replace").strip()
    if done.returncode < 0:
        killed_by = signal.Signals(-done.returncode)
        error = NoAnswerError(f"it crashed ({killed_by.name})", killed_by)
    else:
        last = "".join(said.splitlines()[-1:])[:200]
        error = NoAnswerError(f"it ended with {done.returncode} and no answer ({last})")
    if hasattr(error, "add_note"):
        error.add_note(said[-SAID:])
    return error
