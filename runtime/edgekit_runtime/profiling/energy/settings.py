"""How energy is measured."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from pathlib import Path

from edgekit_runtime.errors import OptionError
from edgekit_runtime.profiling.energy.families import choose_meter
from edgekit_runtime.profiling.energy.meter import SensorFault

LEAST_WINDOWS = 5


@dataclass(frozen=True)
class EnergySettings:
    """What is read, and for how long.

    Attributes:
        sensor: Name of a meter (``families.find_meters``); None takes the first that works.
        watts: Power of a busy core over an idle one; asks for a modelled figure in place of a measured one.
        window_s: Length of a window in seconds; None takes what suits the sensor.
        windows: Load windows.

    Raises:
        OptionError: A setting is invalid.
    """

    sensor: str | None = None
    watts: float | None = None
    window_s: float | None = None
    windows: int = 6

    def __post_init__(self) -> None:
        if self.sensor is not None and self.watts is not None:
            raise OptionError(
                f"a sensor ({self.sensor}) measures and --watts ({self.watts:g}) models: give one of them"
            )
        if self.watts is not None and not (math.isfinite(self.watts) and self.watts > 0):
            raise OptionError(f"--watts is the power of a busy core, over 0, not {self.watts:g}")
        if self.windows < LEAST_WINDOWS:
            raise OptionError(
                f"{self.windows} windows are too few to tell how sure a figure is: give {LEAST_WINDOWS} or more"
            )
        if self.window_s is not None and not (math.isfinite(self.window_s) and self.window_s > 0):
            raise OptionError(f"a window's length in seconds is over 0, not {self.window_s:g}")

    def check(self, root: Path = Path("/")) -> None:
        """Refuses a sensor that does not exist. One that exists and fails is no such thing: then there is no figure.

        Args:
            root: Where /sys and /usr lie, for tests.

        Raises:
            OptionError: There is no sensor of that name.
        """
        if self.sensor is not None:
            with contextlib.suppress(SensorFault):
                choose_meter(self.sensor, root)[0].close()
