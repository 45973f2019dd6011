"""Meter: one thing that tells power or energy, whatever its family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgekit_runtime.profiling.energy import UNAVAILABLE

JOULES, WATTS = "J", "W"


class SensorFault(Exception):  # noqa: N818
    """A sensor that gives no usable reading; the message says why and what to do next.

    No user sees it raised: it ends as the reason of an Energy or as the detail of a Sensor.

    Attributes:
        denied: Whether this user may not read it.
    """

    def __init__(self, message: str, *, denied: bool = False) -> None:
        super().__init__(message)
        self.denied = denied


@dataclass(frozen=True)
class Pace:
    """How fast a meter can be asked, and how long it must be watched.

    Attributes:
        period_s: Between two readings.
        settle_s: How long after a change of load its readings still tell of the time before.
        window_s: Length of an idle or a load window where the user asks for no other.
        moves: How often the reading must change in a load window; with fewer, its steps are too coarse or too rare.
    """

    period_s: float
    settle_s: float
    window_s: float
    moves: int = 0


@dataclass(frozen=True)
class Meter:
    """One sensor, or several that add up.

    Attributes:
        name: What the user calls it: the family, ``family:part``, or a plug-in's name.
        source: What exactly is read.
        status: ``rail`` or ``gauge``, as in Energy.
        unit: ``J``: a counter that only grows, wrap-around seen to; ``W``: the power now.
        pace: How it is asked.
        read: Joules or watts now; raises SensorFault.
        automatic: Whether it may be chosen where the user names none.
        close: Lets go of what ``read`` opened.
    """

    name: str
    source: str
    status: str
    unit: str
    pace: Pace
    read: Callable[[], float]
    automatic: bool = True
    close: Callable[[], None] = lambda: None

    def ask(self) -> float:
        """What ``read`` gives.

        Raises:
            SensorFault: It gives nothing, whatever the reason.
        """
        try:
            return self.read()
        except OSError as error:
            reason = f"it cannot be read ({error.strerror or error}): use another sensor"
            raise SensorFault(reason, denied=isinstance(error, PermissionError)) from error


def broken_meter(name: str, source: str, fault: SensorFault) -> Meter:
    """A meter that is there and cannot be used: reading it gives the reason."""

    def read() -> float:
        raise fault

    return Meter(name, source, UNAVAILABLE, WATTS, Pace(1.0, 0.0, 1.0), read)
