"""What ends a trial before it is complete."""

from __future__ import annotations

from collections.abc import Callable

from edgekit_converters.tuning.choice import Choice, Origin
from edgekit_converters.tuning.record import Rule
from edgekit_converters.tuning.results import Measured
from edgekit_runtime.progress import Listener


class StoppedError(Exception):
    """A trial that need not go on; the message says why.

    Attributes:
        size: Bytes of the bundle, as far as they are known.
        measured: What was measured.
        rule: What else need not be tried for the same reason.
    """

    def __init__(self, reason: str, rule: Rule, *, size: int | None = None, measured: Measured | None = None) -> None:
        super().__init__(reason)
        self.size, self.measured, self.rule = size, measured, rule


class TimeUpError(Exception):
    """The time of the call is over; the trial is to be tried again by the next one."""


def of_origin(origin: Origin) -> Rule:
    """Everything of that origin."""
    return {"source": origin.source, "prune": origin.prune, "trim_vocab": origin.trim_vocab}


def of_scheme(choice: Choice) -> Rule:
    """Everything of that origin by that scheme."""
    return {**of_origin(choice.origin), "scheme": choice.scheme}


def of_program(choice: Choice) -> Rule:
    """Everything of that origin by that scheme on that engine."""
    return {**of_scheme(choice), "engine": choice.engine}


def of_bundle(choice: Choice) -> Rule:
    """The same bundle, whatever the threads."""
    return {**of_program(choice), "buckets": choice.buckets}


class Until:
    """A listener that ends a training when the time is up.

    Args:
        listener: Told of everything.
        over: Whether the time is up.
    """

    def __init__(self, listener: Listener, over: Callable[[], bool]) -> None:
        self._listener, self._over = listener, over

    def stage(self, title: str) -> None:
        self._listener.stage(title)

    def progress(self, done: int, total: int) -> None:
        if self._over():
            raise TimeUpError
        self._listener.progress(done, total)

    def say(self, message: str) -> None:
        self._listener.say(message)
