"""Recorder: readings of a meter over time, and the mean power between two moments of it."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from edgekit_runtime.profiling.energy.meter import JOULES, Meter, SensorFault


class Timer:
    """This machine's time. Tests have another, which passes as fast as they like."""

    def now(self) -> float:
        """Seconds since some moment."""
        return time.perf_counter()

    def cpu(self) -> float:
        """Processor time of this process, all its threads, in seconds."""
        return time.process_time()

    def sleep(self, seconds: float) -> None:
        """Does nothing meanwhile."""
        time.sleep(seconds)

    @contextlib.contextmanager
    def every(self, period_s: float, call: Callable[[], None]) -> Iterator[None]:
        """Calls ``call`` again and again in a thread of its own, while the engine works in others."""
        over = threading.Event()

        def run() -> None:
            while not over.wait(period_s):
                call()

        thread = threading.Thread(target=run, name="edgekit-energy", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(timeout=period_s + 5)  # a meter that hangs must not hang the program


@dataclass(frozen=True)
class Stretch:
    """What was recorded between two moments.

    Attributes:
        watts: Mean power.
        seconds: How long it was.
        moves: How often the reading changed.
    """

    watts: float
    seconds: float
    moves: int


class Recorder:
    """Takes readings, each with its time. A fault of the meter is kept for ``check``, as a thread takes them."""

    def __init__(self, meter: Meter, timer: Timer) -> None:
        self._meter, self._timer = meter, timer
        self._readings: list[tuple[float, float]] = []
        self._error: Exception | None = None

    def sample(self) -> None:
        """Takes one reading."""
        if self._error is not None:
            return
        try:
            before = self._timer.now()
            value = self._meter.ask()
            self._add((before + self._timer.now()) / 2, value)
        except Exception as error:  # raised where it is seen
            self._error = error

    def check(self) -> None:
        """Raises what went wrong since.

        Raises:
            SensorFault: The meter failed.
        """
        if self._error is not None:
            raise self._error

    def stretch(self, begin: float, end: float) -> Stretch:
        """Mean power between two moments: of a counter its rise, of power the trapezoids under it, over their time.

        Raises:
            SensorFault: The meter failed, or gave fewer than two readings.
        """
        self.check()
        inside = np.array([reading for reading in self._readings if begin <= reading[0] <= end])
        if len(inside) < 2:
            raise SensorFault(f"the sensor gave {len(inside)} readings in {end - begin:.3g} s: give longer windows")
        times, values = inside[:, 0], inside[:, 1]
        joules = (
            values[-1] - values[0]
            if self._meter.unit == JOULES
            else np.sum((values[1:] + values[:-1]) / 2 * np.diff(times))
        )
        return Stretch(float(joules / (times[-1] - times[0])), end - begin, int(np.count_nonzero(np.diff(values))))

    def _add(self, now: float, value: float) -> None:
        if not math.isfinite(value):
            raise SensorFault(f"the sensor said {value}: use another one")
        if self._meter.unit == JOULES and self._readings and value < self._readings[-1][1]:
            raise SensorFault(f"the counter went back from {self._readings[-1][1]:.6g} to {value:.6g} J: measure again")
        self._readings.append((now, value))
