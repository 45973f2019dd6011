"""The method: idle and load in turns, idle subtracted, repeats, an interval, and refusal with a reason."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit_runtime.profiling.conditions import read_conditions
from edgekit_runtime.profiling.energy import MODELLED, UNAVAILABLE, Energy, Window
from edgekit_runtime.profiling.energy.families import choose_meter
from edgekit_runtime.profiling.energy.meter import Meter, SensorFault
from edgekit_runtime.profiling.energy.modelled import modelled_meter
from edgekit_runtime.profiling.energy.recorder import Recorder, Stretch, Timer
from edgekit_runtime.profiling.energy.settings import EnergySettings
from edgekit_runtime.profiling.intervals import bootstrap

LOOK_S = 1.0
"""While nothing is classified, this often it is seen to whether the sensor still works."""


def measure_energy(
    classify_some: Callable[[], int],
    settings: EnergySettings | None = None,
    *,
    root: Path = Path("/"),
    timer: Timer | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Energy:
    """Measures what classifying a text takes over idling.

    Each load window lies between two idle ones and is compared with their mean, so that what drifts slowly, heat or
    another program, falls out. The figure is the median over load windows, its interval a bootstrap over them. A fault of the
    sensor never raises: it is the reason of an Energy that is ``unavailable``.

    Args:
        classify_some: Classifies a few texts and returns how many, at least one; a call should be shorter than a window.
        settings: What is read, and for how long.
        root: Where /sys and /usr lie, for tests.
        timer: The clock.
        progress: Told how many load windows of how many are done.

    Raises:
        OptionError: No sensor has that name.
    """
    settings, timer = settings or EnergySettings(), timer or Timer()
    try:
        if settings.watts is None:
            meter, passed_over = choose_meter(settings.sensor, root)
        else:
            meter, passed_over = modelled_meter(settings.watts, timer.cpu), ""
    except SensorFault as fault:
        return Energy(UNAVAILABLE, "", None, None, str(fault))
    source = f"{meter.source}; not {passed_over}" if passed_over else meter.source
    session = _Session(classify_some, meter, timer, root, settings.window_s or meter.pace.window_s)
    try:
        session.run(settings.windows, progress)
        return _judge(meter, source, session.windows)
    except SensorFault as fault:
        return Energy(UNAVAILABLE, source, None, None, str(fault), tuple(session.windows))
    finally:
        meter.close()


def a_few(classify: Callable[[str], object], texts: Sequence[str], count: int = 10) -> Callable[[], int]:
    """What classifies the next ``count`` of the texts, over and over, and returns how many they were."""
    endless = itertools.cycle(texts)

    def some() -> int:
        for text in itertools.islice(endless, count):
            classify(text)
        return count

    return some


class _Session:
    """Windows of one meter, in turns; those that are done stay when it fails."""

    def __init__(
        self, classify_some: Callable[[], int], meter: Meter, timer: Timer, root: Path, window_s: float
    ) -> None:
        self._classify_some, self._meter, self._timer, self._root = classify_some, meter, timer, root
        self._window_s = window_s
        self._recorder = Recorder(meter, timer)
        self.windows: list[Window] = []

    def run(self, count: int, progress: Callable[[int, int], None] | None) -> None:
        """Measures so many load windows, an idle one before and after each.

        Raises:
            SensorFault: The sensor failed or is too coarse, or the board slowed itself.
        """
        with self._timer.every(self._meter.pace.period_s, self._recorder.sample):
            before = self._idle()
            for done in range(count):
                load, inferences = self._load()
                after = self._idle()
                idle_s = before.seconds + after.seconds
                idle_w = (before.watts * before.seconds + after.watts * after.seconds) / idle_s
                self.windows.append(Window(idle_w, load.watts, idle_s, load.seconds, inferences))
                before = after
                if progress is not None:
                    progress(done + 1, count)

    def _idle(self) -> Stretch:
        self._rest(self._meter.pace.settle_s)
        begin = self._timer.now()
        self._rest(self._window_s)
        return self._stretch(begin)

    def _load(self) -> tuple[Stretch, int]:
        self._classify(self._meter.pace.settle_s)
        begin = self._timer.now()
        inferences = self._classify(self._window_s)
        load = self._stretch(begin)
        needed = self._meter.pace.moves
        if load.moves < needed:
            enough_s = needed / load.moves * load.seconds if load.moves else 0
            raise SensorFault(
                f"the reading changed {load.moves} times in a load window of {load.seconds:.3g} s, {needed} are needed: "
                + (f"give windows of about {enough_s:.0f} s" if load.moves else "use another sensor")
            )
        return load, inferences

    def _rest(self, seconds: float) -> None:
        end = self._timer.now() + seconds
        while (left := end - self._timer.now()) > 0:
            self._timer.sleep(min(left, LOOK_S))
            self._recorder.check()

    def _classify(self, seconds: float) -> int:
        end, inferences = self._timer.now() + seconds, 0
        while self._timer.now() < end:
            inferences += self._classify_some()
            self._recorder.check()
        return inferences

    def _stretch(self, begin: float) -> Stretch:
        found = self._recorder.stretch(begin, self._timer.now())
        if read_conditions(self._root).throttled:
            raise SensorFault(
                "the board says that it is throttled: cool it, or give it a stronger supply, and measure again"
            )
        return found


def _judge(meter: Meter, source: str, windows: Sequence[Window]) -> Energy:
    """The figure, or why there is none.

    Raises:
        SensorFault: Load cannot be told from idling.
    """
    per_text = np.array([window.mj_per_inference for window in windows])
    intervals = bootstrap([per_text[[index]] for index in range(len(per_text))], _median)
    assert intervals is not None, "there are five windows or more"
    ((low, high),) = intervals
    if low <= 0:
        raise SensorFault(
            f"load cannot be told from idling: between {low:.3g} and {high:.3g} mJ a text; close what else is running, "
            "or give more or longer windows"
        )
    ci95 = None if meter.status == MODELLED else (low, high)
    return Energy(meter.status, source, float(np.median(per_text)), ci95, windows=tuple(windows))


def _median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([np.median(values)])
