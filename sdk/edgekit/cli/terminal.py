"""What the commands share: results on stdout, everything for the eye on stderr."""

from __future__ import annotations

import functools
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from edgekit_runtime import Classifier, jsonio, load

if TYPE_CHECKING:  # it takes longer to import than a text to classify
    from rich.progress import Progress
    from rich.text import Text

DEBUG = "EDGEKIT_DEBUG"
"""Set by --debug: tracebacks, and what native libraries print."""


_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class Terminal:
    """Prints on stderr: stages with a bar where stderr is a terminal, plain lines elsewhere. A Listener.

    It writes to a descriptor of its own, so that silencing what native tools print does not silence it.
    """

    def __init__(self) -> None:
        from rich.console import Console

        self._stream = _own_stderr()
        self.console = Console(file=self._stream, highlight=False, soft_wrap=not self._stream.isatty())
        self._hidden = native_output_hidden()
        self._bar: Progress | None = None
        self._task: Any = None

    def __enter__(self) -> Terminal:
        self._hidden.__enter__()
        if self.console.is_terminal:
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                SpinnerColumn,
                TextColumn,
                TimeElapsedColumn,
            )

            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
            )
            self._bar = Progress(*columns, TimeElapsedColumn(), console=self.console, transient=True)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._hidden.__exit__(kind, error, trace)

    def stage(self, title: str) -> None:
        """Begins a stage: a new bar, or a line."""
        if self._bar is None:
            self.console.print(f"{title} …", markup=False)
            return
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(title, total=None)

    def progress(self, done: int, total: int) -> None:
        """Moves the bar."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, total=total)

    def say(self, message: str) -> None:
        """Prints a remark that stays."""
        self.console.print(f"note: {message}", markup=False)

    def print(self, message: str = "") -> None:
        """Prints a line for the eye."""
        self.console.print(message, markup=False)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Prints a table, the first column to the left and the others to the right."""
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="bold")
        for index, column in enumerate(columns):
            table.add_column(column, justify="left" if index == 0 else "right")
        for row in rows:
            table.add_row(*row)
        self.console.print(table)


def print_json(value: Any, *, one_line: bool = False) -> None:
    """Prints a dataclass or plain values as JSON on stdout."""
    plain = not (sys.stdout.encoding or "").lower().startswith("utf")  # which would make ? of all that is not ASCII
    sys.stdout.write(json.dumps(jsonio.encode(value), ensure_ascii=plain, indent=None if one_line else 1) + "\n")
    sys.stdout.flush()


def harmless(said: str) -> str:
    """What a file says of itself, for a terminal: characters that could move its cursor or turn a line round, as escapes."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), said)


def print_result(line: str) -> None:
    """Prints a line of results on stdout at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def print_styled(line: Text) -> None:
    """Prints a line of results on stdout at once, in colour where that is a terminal."""
    from rich.console import Console

    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    with console.capture() as captured:  # so that a pipe that was closed meets print_result, not rich
        console.print(line, end="")
    print_result(captured.get())


def print_pairs(rows: Iterable[tuple[str, str]]) -> None:
    """Prints names and what is to be said of each on stdout, in two columns; a terminal's lines are folded at words."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=sys.stdout, highlight=False)
    table = Table.grid(padding=(0, 2, 0, 0))
    for name, said in rows:
        table.add_row(Text(name, style="bold"), Text(said))
    if not console.is_terminal:
        console.width = 10_000  # lines stay whole for whoever reads them
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        print_result(line.rstrip())


def megabytes(size: int) -> str:
    """A size in MB, 10^6 bytes."""
    return f"{size / 1e6:.1f} MB"


def percent(share: float | None) -> str:
    """A share as per cent, or a dash."""
    return "–" if share is None else f"{share:.2%}"


def open_classifier(
    bundle: Path, *, engine: str | None = None, threads: int | None = None, trusted_keys: Sequence[Path] | None = None
) -> Classifier:
    """Loads a bundle, with what its engine prints hidden."""
    with native_output_hidden():
        return load(bundle, engine=engine, threads=threads, trusted_keys=trusted_keys or None)


@contextmanager
def native_output_hidden() -> Iterator[None]:
    """Keeps what native libraries write to stderr from the user, such as LiteRT's line on its delegate.

    What Python writes there still comes through; with --debug everything does.
    """
    if os.environ.get(DEBUG):
        yield
        return
    sys.stderr.flush()
    saved, python_stderr = os.dup(2), sys.stderr
    sys.stderr = _own_stderr()
    with open(os.devnull, "wb") as sink:
        os.dup2(sink.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr = python_stderr
        os.dup2(saved, 2)
        os.close(saved)


@functools.cache
def _own_stderr() -> IO[str]:
    """Stderr through a descriptor of its own. Never closed: libraries that log keep the stream that they first saw."""
    return os.fdopen(os.dup(2), "w", buffering=1, errors="replace", closefd=False)
