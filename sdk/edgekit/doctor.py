"""What is installed and what works here, each part tried; what ``edgekit doctor`` prints. It installs and downloads nothing."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib import util

from edgekit.packages import BASE, Extra, installed_extras
from edgekit.trial import Trial, engine_names, target_names, try_out
from edgekit_runtime import __version__
from edgekit_runtime.profiling.device import Device, describe_device
from edgekit_runtime.profiling.energy.families import find_sensors
from edgekit_runtime.profiling.energy.sensor import Sensor
from edgekit_runtime.progress import Listener, LogListener


@dataclass(frozen=True)
class Diagnosis:
    """What ``edgekit doctor --json`` prints.

    Attributes:
        works: Whether the base is complete and at least one engine answers rightly.
        edgekit: Its version.
        python: Python's version.
        device: Processor and memory.
        extras: The base and every extra with its packages.
        engines: What runs programs, each tried.
        targets: What makes programs, each tried.
        sensors: Sensors of power and energy, each read once; none where there are none.
    """

    works: bool
    edgekit: str
    python: str
    device: Device
    extras: tuple[Extra, ...]
    engines: tuple[Trial, ...]
    targets: tuple[Trial, ...]
    sensors: tuple[Sensor, ...]


def diagnose(*, quick: bool = False, listener: Listener | None = None) -> Diagnosis:
    """Looks at this machine and tries what is installed.

    Args:
        quick: Whether the targets are left untried; trying them imports torch, which takes seconds.
        listener: Told of progress.
    """
    listener = listener or LogListener()
    extras = installed_extras()
    engines = []
    for name in engine_names():
        listener.stage(f"Trying the engine {name}")
        engines.append(try_out("engine", name))
    targets = []
    for name in target_names():
        if quick:
            targets.append(Trial(name, "untried", "left out by --quick"))
        elif util.find_spec("torch") is None:
            targets.append(Trial(name, "absent", "torch is not installed: pip install 'edgekit[convert]'"))
        else:
            listener.stage(f"Trying the target {name}, which imports torch")
            targets.append(try_out("target", name))
    base = next(extra for extra in extras if extra.name == BASE)
    return Diagnosis(
        works=base.status == "works" and any(engine.status == "works" for engine in engines),
        edgekit=__version__,
        python=platform.python_version(),
        device=describe_device(),
        extras=extras,
        engines=tuple(engines),
        targets=tuple(targets),
        sensors=find_sensors(),
    )
