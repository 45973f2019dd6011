"""What verified models answer to texts, each by its own program on the engine that will run it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgekit_converters.loaded import loaded
from edgekit_converters.packing import Part
from edgekit_runtime.classifier import Classifier
from edgekit_runtime.engines import ENGINES, engine_class
from edgekit_runtime.errors import EngineUnavailableError
from edgekit_runtime.loading import default_threads
from edgekit_runtime.manifest import Manifest
from edgekit_runtime.monitoring.pieces import PieceCounter
from edgekit_runtime.progress import Listener
from edgekit_runtime.text import TextEncoder

Probabilities = npt.NDArray[np.float64]
"""(texts, classes)."""


@dataclass(frozen=True)
class Answers:
    """The answers of several models to the same texts.

    Attributes:
        by_role: Role of each model to its probabilities, bit for bit those that the runtime gives.
        pieces: Role to what ``PieceCounter`` counts of each text.
        engine: Name of the engine that ran them all.
        distribution: The package that brought it and its version.
    """

    by_role: Mapping[str, Probabilities]
    pieces: Mapping[str, Sequence[tuple[int, int, int | None]]]
    engine: str
    distribution: str


def answers_of(parts: Mapping[str, Part], texts: Sequence[str], listener: Listener) -> Answers:
    """Runs models on texts.

    Args:
        parts: Role to model; all have programs of the same engines.
        texts: One text or more.
        listener: Told of progress.

    Raises:
        EngineError: No engine runs them here, or one failed.
    """
    name = engine_here({program.engine for part in parts.values() for program in part.programs})
    by_role, pieces, distribution = {}, {}, ""
    for role, part in parts.items():
        listener.stage(f"Running {part.name} on {len(texts)} texts")
        program = next(program for program in part.programs if program.engine == name)
        encoder = TextEncoder(part.tokenizer, part.text)
        with loaded(program, part.contents[program.file], default_threads()) as engine:
            classifier = Classifier(Manifest("", part.labels, ()), engine, encoder, program)
            distribution, rows, counter = engine.distribution, [], PieceCounter(encoder)
            texts_ids = encoder.ids_of(texts)
            pieces[role] = [counter.count(ids) for ids in texts_ids]
            for ids in texts_ids:
                rows.append(list(classifier.predict_ids(ids).scores.values()))
                listener.progress(len(rows), len(texts))
        by_role[role] = np.asarray(rows)
    return Answers(by_role, pieces, name, distribution)


def engine_here(engines: Collection[str]) -> str:
    """The first of these engines, in the order in which ``load`` prefers them, that works here.

    Raises:
        EngineUnavailableError: None of them does.
    """
    reasons = []
    for name in [*(name for name in ENGINES if name in engines), *sorted(set(engines) - ENGINES.keys())]:
        reason = engine_class(name).unavailable()
        if reason is None:
            return name
        reasons.append(reason)
    raise EngineUnavailableError("nothing here runs the models: " + "; ".join(reasons))
