"""The raw answers of a bundle's program, in a form that another process can ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgekit_runtime.loading import load


@dataclass(frozen=True)
class Answers:
    """What a program answered.

    Attributes:
        distribution: The package that ran it and its version, "tflite-runtime 2.14.0".
        logits: A row for each text, a column for each label.
    """

    distribution: str
    logits: tuple[tuple[float, ...], ...]


def answers_of(path: str, engine: str, ids: Sequence[Sequence[int]], threads: int) -> Answers:
    """Runs a bundle's main model on token ids; its golden texts are left to the caller.

    Args:
        path: The bundle.
        engine: Name of the engine.
        ids: Token ids of each text, at most ``max_length``.
        threads: Upper bound on the threads of one call.

    Raises:
        FileError, BundleError, EngineError: As for ``load``.
    """
    with load(path, engine=engine, threads=threads, verify=False) as classifier:
        (member,) = classifier.members
        logits = tuple(tuple(map(float, member.logits(each))) for each in ids)
        return Answers(member.engine.distribution, logits)
