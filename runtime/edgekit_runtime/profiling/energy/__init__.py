"""Energy of an inference: sensors, one file a family, and the method."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit_runtime.profiling.intervals import Interval

RAIL, GAUGE, MODELLED, UNAVAILABLE = "rail", "gauge", "modelled", "unavailable"


@dataclass(frozen=True)
class Window:
    """One load window and the idle windows around it; two neighbours share the one between them.

    Attributes:
        idle_w: Mean power while nothing was classified, watts.
        load_w: Mean power while texts were classified back to back, watts.
        idle_s: How long the idle windows were together, seconds.
        load_s: How long the load window was, seconds.
        inferences: Texts classified in it.
    """

    idle_w: float
    load_w: float
    idle_s: float
    load_s: float
    inferences: int

    @property
    def mj_per_inference(self) -> float:
        """Millijoules a text over what idling takes in the same time."""
        return 1000 * (self.load_w - self.idle_w) * self.load_s / self.inferences


@dataclass(frozen=True)
class Energy:
    """What an inference takes, and where the figure comes from.

    Attributes:
        status: ``rail``: a sensor on the supply of processor or board; ``gauge``: a battery's gauge or an outside meter, which
            sees the whole device; ``modelled``: processor time times a power that the user stated; ``unavailable``.
        source: Which sensor, or what the model was; empty where there is none.
        mj_per_inference: Millijoules a text above idle, the median over windows; null where unavailable.
        ci95: Its 95 % interval, a bootstrap over windows; null where unavailable or modelled.
        reason: Where unavailable, why, and what would help; else empty.
        windows: What was measured.
    """

    status: str
    source: str
    mj_per_inference: float | None
    ci95: Interval | None
    reason: str = ""
    windows: tuple[Window, ...] = ()
