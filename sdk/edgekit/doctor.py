"""What is installed and what works here, each part tried; what ``edgekit doctor`` prints. It installs and downloads nothing."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib import util

from edgekit.packages import BASE, Extra, installed_extras
from edgekit.trial import Trial, engine_names, target_names, try_out
from edgekit_converters.environments.known import ENVIRONMENTS
from edgekit_converters.environments.places import installed_python
from edgekit_runtime import __version__
from edgekit_runtime.engines.packed_cache import PackedCache, describe_packed
from edgekit_runtime.profiling.device import Device, describe_device
from edgekit_runtime.profiling.energy.families import find_sensors
from edgekit_runtime.profiling.energy.sensor import Sensor
from edgekit_runtime.progress import Listener, LogListener


@dataclass(frozen=True)
class SecondPython:
    """An environment of its own for tools that cannot live beside edgekit's packages.

    Attributes:
        name: Its name.
        status: ``installed`` or ``absent``; it is tried when it is installed, and when it is used.
        purpose: What needs it.
        folder: Where it is; None where it is absent.
        megabytes: What it takes on the disk.
        install: The command that installs it, or mends it.
    """

    name: str
    status: str
    purpose: str
    folder: str | None
    megabytes: int
    install: str


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
        environments: Those that the user may install, and whether they are.
        packed: Where engines keep packed weights for the next start, and how much.
        sensors: Sensors of power and energy, each read once; none where there are none.
    """

    works: bool
    edgekit: str
    python: str
    device: Device
    extras: tuple[Extra, ...]
    engines: tuple[Trial, ...]
    targets: tuple[Trial, ...]
    environments: tuple[SecondPython, ...]
    packed: PackedCache
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
        environments=_environments(),
        packed=describe_packed(),
        sensors=find_sensors(),
    )


def _environments() -> tuple[SecondPython, ...]:
    found = []
    for name, environment in ENVIRONMENTS.items():
        python = installed_python(environment)
        folder, status = (None, "absent") if python is None else (str(python.parents[1]), "installed")
        found.append(
            SecondPython(name, status, environment.purpose, folder, environment.megabytes, environment.install)
        )
    return tuple(found)
