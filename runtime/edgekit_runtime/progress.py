"""How long work tells what it is doing."""

from __future__ import annotations

import logging
from typing import Protocol

logger = logging.getLogger("edgekit")


class Listener(Protocol):
    """Hears of stages, of progress inside one, and of choices that the user should know about."""

    def stage(self, title: str) -> None:
        """A new stage begins ("Lowering to litert"); the former one is done."""

    def progress(self, done: int, total: int) -> None:
        """``done`` of ``total`` steps of the present stage are behind us."""

    def say(self, message: str) -> None:
        """A choice was made for the user, or something deserves attention."""


class LogListener:
    """Writes what is said to the ``edgekit`` logger; what library callers get unless they pass their own."""

    def stage(self, title: str) -> None:
        logger.info(title)

    def progress(self, done: int, total: int) -> None:
        logger.debug("%d of %d", done, total)

    def say(self, message: str) -> None:
        logger.warning(message)
