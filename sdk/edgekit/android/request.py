"""What a phone is asked to measure."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit_runtime.bundle import Bundle, open_bundle
from edgekit_runtime.errors import EngineUnavailableError, OptionError
from edgekit_runtime.profiling.latency import spread
from edgekit_runtime.trust.keys import given_key

ENGINES = ("litert", "executorch")
"""Those that the app has."""

MOST_TEXTS, MOST_TEXT_BYTES = 10_000, 4_000_000
"""So many texts the app takes, in a file of so many bytes."""

MOST_RUNS, MOST_SECONDS = 100_000, 3600.0


@dataclass(frozen=True)
class Request:
    """How the app measures; None leaves a choice to the app.

    Attributes:
        engine: One of ENGINES; None takes the first that works.
        threads: Threads of the engine.
        runs: Timed calls.
        seconds: How long they may take; with ``runs``, whichever comes first.
        energy: Whether energy is measured, too.

    Raises:
        OptionError: A setting is invalid.
    """

    engine: str | None = None
    threads: int | None = None
    runs: int | None = None
    seconds: float | None = None
    energy: bool = False

    def __post_init__(self) -> None:
        if self.engine is not None and self.engine not in ENGINES:
            raise OptionError(f"the app has no engine {self.engine!r}: give one of {', '.join(ENGINES)}")
        if self.threads is not None and self.threads < 1:
            raise OptionError(f"--threads must be 1 or more, not {self.threads}")
        if self.runs is not None and not 1 <= self.runs <= MOST_RUNS:
            raise OptionError(f"--runs must lie between 1 and {MOST_RUNS}, not {self.runs}")
        if self.seconds is not None and not 1 <= self.seconds <= MOST_SECONDS:
            raise OptionError(f"--seconds must lie between 1 and {MOST_SECONDS:g}, not {self.seconds:g}")

    def extras(self) -> dict[str, str]:
        """Extras of the intent that were said; the app takes every one as a string."""
        said = {"engine": self.engine, "threads": self.threads, "runs": self.runs, "seconds": self.seconds}
        plain = {name: f"{value}" for name, value in said.items() if value is not None}
        return {**plain, "energy": str(self.energy).lower()}


def check_limit(limit_s: float, request: Request) -> None:
    """Refuses a time limit that makes no sense.

    Raises:
        OptionError: It is not over 0, or not over the time that is measured.
    """
    if not 0 < limit_s < math.inf:
        raise OptionError(f"--limit must be over 0, not {limit_s:g}")
    if request.seconds is not None and limit_s <= request.seconds:
        raise OptionError(f"--limit {limit_s:g} is over before --seconds {request.seconds:g} are: give a longer one")


def check_bundle(path: Path, engine: str | None) -> Bundle:
    """Opens a bundle, checks it, and whether the app can run it.

    Args:
        path: The bundle.
        engine: The engine that was asked for, if one was.

    Raises:
        BundleError, FileError: It is no sound bundle.
        EngineUnavailableError: It has no programs for the engine, or for none that the app has.
    """
    bundle = open_bundle(path)
    bundle.check()
    missing = [
        model.role
        for model in bundle.manifest.models
        if not {program.engine for program in model.programs} & set((engine,) if engine else ENGINES)
    ]
    if missing:
        wanted = engine or " or ".join(ENGINES)
        raise EngineUnavailableError(
            f"{path} has no program for {wanted}: convert with --target {engine or ENGINES[0]}"
            + ("" if len(bundle.manifest.models) == 1 else f" (models without one: {', '.join(missing)})")
        )
    return bundle


def read_key(path: Path) -> bytes:
    """The key of a sealed bundle, as the app reads it: one line of base64.

    Raises:
        FileError: There is no such file, it cannot be read, or others may read it.
        SealError: It is no key file.
    """
    key = given_key(path)
    assert key is not None, "a path was given"
    return base64.b64encode(key) + b"\n"


def texts_file(texts: Sequence[str]) -> bytes:
    """Texts as the app reads them: a JSON string a line, so that a text may have lines of its own.

    Of more than MOST_TEXTS, so many are taken from all over the list.

    Raises:
        OptionError: They are too long together.
    """
    made = "".join(f"{json.dumps(text)}\n" for text in spread(texts, MOST_TEXTS)).encode()
    if len(made) > MOST_TEXT_BYTES:
        raise OptionError(
            f"the texts take {len(made) / 1e6:.1f} MB, and the app reads up to {MOST_TEXT_BYTES / 1e6:g}: give fewer in --data"
        )
    return made
