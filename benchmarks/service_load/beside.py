"""A process beside this one."""

from __future__ import annotations

import contextlib
import multiprocessing
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

T = TypeVar("T")
STOP = "stop"


class Beside(Generic[T]):
    """Holds an object in a process of its own, so that neither its work nor its memory is this one's. A context manager.

    Raises:
        RuntimeError: It failed over there; the message is its traceback.
    """

    def __init__(self, make: Callable[..., T], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(theirs, make, arguments), daemon=True)
        self._process.start()
        theirs.close()
        self._name = getattr(make, "__name__", "the process")

    def call(self, method: str, *arguments: Any) -> Any:
        """Runs a method of the object there and gives what it returns."""
        self.begin(method, *arguments)
        return self.result()

    def begin(self, method: str, *arguments: Any) -> None:
        """Has a method run there, without waiting; :meth:`result` must follow."""
        with contextlib.suppress(BrokenPipeError):  # it has failed before; what it said is still to be read
            self._connection.send((method, arguments))

    def stop(self) -> None:
        """Asks the method that runs there to end early, if it is one that listens."""
        self._connection.send(STOP)

    def result(self) -> Any:
        try:
            failed, value = self._connection.recv()
        except EOFError:
            raise RuntimeError(f"{self._name} ended without a word (out of memory?)") from None
        if failed:
            raise RuntimeError(f"{self._name} failed:\n{value}")
        return value

    def __enter__(self) -> Beside[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _run(connection: Connection, make: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        held = make(connection, *arguments)
        while True:
            asked = connection.recv()
            if asked != STOP:  # which came when the method had just ended
                method, arguments = asked
                connection.send((False, getattr(held, method)(*arguments)))
    except (EOFError, KeyboardInterrupt, BrokenPipeError):
        return
    except Exception:
        connection.send((True, traceback.format_exc()))
