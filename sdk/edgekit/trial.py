"""Tries engines and targets on a tiny network, each in a process of its own: a native library that crashes is a finding."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path

from edgekit_runtime.bundle import open_bundle
from edgekit_runtime.engines import ENGINES, engine_class
from edgekit_runtime.errors import EdgekitError, EngineUnavailableError, MissingExtraError, require
from edgekit_runtime.fresh import NoAnswerError, ask
from edgekit_runtime.loading import load

PROBE = "probe.edgekit"
"""The tiny bundle inside edgekit_runtime; scripts/make_probe.py makes it."""

LIMIT_S = 300


@dataclass(frozen=True)
class Trial:
    """What came of trying one engine or target.

    Attributes:
        name: Its name.
        status: ``works``; ``wrong``; ``absent``, where it is not installed; or ``untried``.
        detail: What it did; or, in one line, what is wrong and what to do about it.
        seconds: How long that took, the start of the process included.
    """

    name: str
    status: str
    detail: str
    seconds: float = 0.0


def engine_names() -> tuple[str, ...]:
    """The engines of edgekit, then those of other packages."""
    return _names("edgekit.engines")


def target_names() -> tuple[str, ...]:
    """The targets likewise. A target of edgekit has the name of its engine; their own table cannot be had without torch."""
    return _names("edgekit.targets")


def try_out(kind: str, name: str) -> Trial:
    """Tries an engine on the probe's golden texts, or converts the probe by a target and verifies the result.

    Args:
        kind: ``engine`` or ``target``; a target imports torch, which takes seconds.
        name: Its name.
    """
    begin = time.perf_counter()
    try:
        status, detail = ask("edgekit.trial:tried", {"kind": kind, "name": name}, limit_s=LIMIT_S).value
    except NoAnswerError as error:
        status, detail = "wrong", f"{error}; {_reinstall(kind, name)}"
    return Trial(name, status, detail, time.perf_counter() - begin)


def tried(kind: str, name: str) -> tuple[str, str]:
    """What the process of a trial runs: gives status and detail."""
    try:
        return (_engine if kind == "engine" else _target)(name)
    except (EngineUnavailableError, MissingExtraError) as error:
        return "absent", str(error)
    except EdgekitError as error:
        return "wrong", str(error)
    except Exception as error:  # packages that do not fit each other raise whatever comes up
        reason = next(iter(str(error).strip().splitlines()), "no message")
        return "wrong", f"{type(error).__name__}: {reason}; {_reinstall(kind, name)}"


def _engine(name: str) -> tuple[str, str]:
    if reason := engine_class(name).unavailable():
        return "absent", reason
    with resources.as_file(resources.files("edgekit_runtime") / PROBE) as probe:
        if name not in {program.engine for program in open_bundle(probe).manifest.main.programs}:
            return "untried", "it is installed; the probe has no program for it, so only its target can try it"
        with load(probe, engine=name) as classifier:
            return "works", f"{classifier.engine.distribution} answers its golden texts rightly"


def _target(name: str) -> tuple[str, str]:
    require("torch", extra="convert", purpose="lowering")
    from edgekit_converters.probe import convert_probe
    from edgekit_converters.targets import TARGETS, find_target

    if name in ENGINES and name not in TARGETS:
        return "untried", "this edgekit only runs such programs, and does not make them"
    schemes = find_target(name).schemes
    scheme = "int8" if "int8" in schemes else schemes[0]
    with tempfile.TemporaryDirectory() as folder:
        made = convert_probe(Path(folder) / PROBE, (name,), scheme)
    return "works", f"lowers a tiny network to {made.programs[0].bytes} bytes, {scheme}, which {name} runs rightly"


def _names(group: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*ENGINES, *(point.name for point in metadata.entry_points(group=group))]))


def _reinstall(kind: str, name: str) -> str:
    """The next step where a package is broken."""
    package = f"'edgekit[{name if kind == 'engine' else 'convert'}]'"
    if name not in ENGINES:
        points = [point for point in metadata.entry_points(group=f"edgekit.{kind}s") if point.name == name]
        package = points[0].dist.name if points and points[0].dist is not None else f"what brings {name}"
    return f"compare its packages with the known good versions, then pip install --force-reinstall {package}"
