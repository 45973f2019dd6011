"""Replays the sensors of a board: a tree of files, whose values follow a clock that passes as fast as the test likes.

Each ``*.txt`` beside this file is one board, a line a file of its /sys: the layout as the kernel's documents and outputs
that owners published have it, with values of our own; ``raspberry-pi-5.txt`` is what ``vcgencmd pmic_read_adc`` prints.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from edgekit_runtime.profiling.energy.recorder import Timer

HERE = Path(__file__).parent

TEXTS, CALL_S = 4, 0.02
"""A call classifies four texts in 20 ms: a text takes 5 ms."""


def lay_out(board: str, root: Path) -> Path:
    """Writes a board's files below ``root``."""
    for line in (HERE / f"{board}.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            name, _, content = line.partition(" = ")
            put(root / name, content)
    return root


def put(path: Path, content: object) -> None:
    """Writes a file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{content}\n", encoding="utf-8")


def change(path: Path, content: object) -> None:
    """Writes into a file where it lies, which takes a hundredth of the time; one that is gone stays so."""
    new = f"{content}\n".encode()
    with contextlib.suppress(FileNotFoundError), path.open("r+b", buffering=0) as file:
        file.write(new.ljust(os.fstat(file.fileno()).st_size))


class Replay(Timer):
    """A board that idles or classifies, and whose clock passes only when somebody waits or works.

    Attributes:
        idle_s: Seconds that it idled so far.
        busy_s: Seconds that it classified.
        readings: How often it was read.
        events: What happens at which second: the first that is due comes first.
    """

    def __init__(self, show: Callable[[Replay], None]) -> None:
        self.show = show
        self.idle_s = self.busy_s = 0.0
        self.readings = 0
        self.events: list[tuple[float, Callable[[], object]]] = []
        self._busy = False
        self._call: Callable[[], None] | None = None
        self._due = self._period = 0.0
        show(self)

    def watts(self, idle: float, load: float) -> float:
        """What a rail takes now that takes ``idle`` watts in the one state and ``load`` in the other."""
        return load if self._busy else idle

    def joules(self, idle: float, load: float) -> float:
        """What it took so far."""
        return idle * self.idle_s + load * self.busy_s

    def classify_some(self) -> int:
        self._busy = True
        self.sleep(CALL_S)
        self._busy = False
        return TEXTS

    def now(self) -> float:
        return self.idle_s + self.busy_s

    def cpu(self) -> float:
        return self.busy_s

    def sleep(self, seconds: float) -> None:
        end = self.now() + seconds
        while self._call is not None and self._due <= end:
            self._pass(self._due - self.now())
            while self.events and self.events[0][0] <= self.now():
                self.events.pop(0)[1]()
            self.readings += 1
            self.show(self)
            self._call()
            self._due += self._period
        self._pass(end - self.now())

    @contextlib.contextmanager
    def every(self, period_s: float, call: Callable[[], None]) -> Iterator[None]:
        self._call, self._period, self._due = call, period_s, self.now() + period_s
        yield
        self._call = None

    def _pass(self, seconds: float) -> None:
        if self._busy:
            self.busy_s += seconds
        else:
            self.idle_s += seconds


@contextlib.contextmanager
def ordinary_user(folder: Path) -> Iterator[None]:
    """Root may read everything, so it plays nobody meanwhile, whom the folders of pytest are opened for."""
    if os.geteuid() != 0:
        yield
        return
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in folder.parents}
    closed = {path: mode for path, mode in modes.items() if mode & 0o011 != 0o011}
    for path, mode in closed.items():
        path.chmod(mode | 0o011)
    folder.chmod(0o755)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        for path, mode in closed.items():
            path.chmod(mode)
