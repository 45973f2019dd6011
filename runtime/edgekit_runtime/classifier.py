"""Text in, label out: the runtime's one class."""

from __future__ import annotations

import math
import os
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from edgekit_runtime.bundle import Bundle, open_bundle
from edgekit_runtime.engines import ENGINES, Engine, engine_class
from edgekit_runtime.errors import EngineError, EngineUnavailableError, OptionError
from edgekit_runtime.explain import Explanation, explain
from edgekit_runtime.golden import Golden, check_golden
from edgekit_runtime.manifest import Manifest, ModelEntry, Program
from edgekit_runtime.text import TextEncoder


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer to one text.

    Attributes:
        label: The most probable label.
        score: Its probability.
        scores: The probability of every label, in the model's order.
    """

    label: str
    score: float
    scores: dict[str, float]


class Classifier:
    """Classifies text with one program of a bundle. Safe to share between threads.

    Build it with :func:`load`. It is a context manager; :meth:`close` frees the engine.

    Attributes:
        manifest: What the bundle says of itself.
        engine: The engine that runs the program.
        encoder: What turns text into ids.
    """

    def __init__(self, manifest: Manifest, engine: Engine, encoder: TextEncoder) -> None:
        self.manifest = manifest
        self.engine = engine
        self.encoder = encoder
        self.labels = manifest.labels
        self._lock = threading.Lock()

    def __call__(self, text: str) -> Prediction:
        """Classifies one text of any length; it is cut at the bundle's ``max_length`` tokens.

        Raises:
            TypeError: ``text`` is no string.
            EngineError: The engine failed.
        """
        if not isinstance(text, str):
            raise TypeError(f"a text must be a string, not {type(text).__name__}; for several texts call predict")
        return self._predict(self.encoder.ids(text))

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Classifies several texts and keeps their order.

        Raises:
            TypeError: ``texts`` is one string, or holds something that is no string.
            EngineError: The engine failed.
        """
        if isinstance(texts, str):
            raise TypeError("predict takes a list of strings; for one text call the classifier itself")
        for text in texts:
            if not isinstance(text, str):
                raise TypeError(f"a text must be a string, not {type(text).__name__}")
        return [self._predict(ids) for ids in self.encoder.ids_of(texts)]

    def explain(self, text: str) -> Explanation:
        """Classifies a text and says which words made the answer (docs/explain.md).

        A word's weight is the label's probability minus what it is with a space in the word's place, so a text of N
        words costs N + 1 classifications; over 512 words, groups of neighbours take the place of words.

        Raises:
            TypeError: ``text`` is no string.
            EngineError: The engine failed.
        """
        return explain(self, text)

    def logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """The program's raw answer to token ids of at most ``max_length``: (classes,) logits."""
        padded, mask = self.encoder.pad(ids, self.engine.lengths)
        with self._lock:
            logits = self.engine.run(padded, mask)
        if len(logits) != len(self.labels):
            raise EngineError(
                f"the program gives {len(logits)} logits for {len(self.labels)} labels; convert the model anew"
            )
        return logits

    def close(self) -> None:
        """Frees the engine; later calls raise an EngineError."""
        with self._lock:
            self.engine.close()

    def __enter__(self) -> Classifier:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _predict(self, ids: Sequence[int]) -> Prediction:
        scores = _softmax(self.logits(ids).tolist())
        best = max(range(len(scores)), key=scores.__getitem__)
        return Prediction(self.labels[best], scores[best], dict(zip(self.labels, scores, strict=True)))


def load(
    path: str | os.PathLike[str],
    *,
    engine: str | None = None,
    threads: int | None = None,
    verify: bool = True,
    fallback: bool = False,
) -> Classifier:
    """Opens a bundle for classifying.

    Args:
        path: The ``.edgekit`` file. What is read of it is always compared with its checksums.
        engine: Name of the engine; None takes the first that is installed and that the bundle has a program for.
        threads: Upper bound on the threads of one call; None takes the processors at hand, at most 4.
        verify: Whether the engine must answer the bundle's golden texts rightly first.
        fallback: Whether an engine that fails is passed over, with a warning, for the next.

    Raises:
        FileError, BundleError: The file is missing, damaged, no bundle, or of a newer schema.
        EngineUnavailableError: No engine can run it here, or not the one asked for.
        GoldenMismatchError: The engine answers wrongly.
        OptionError: ``threads`` is below 1.
    """
    if threads is not None and (not isinstance(threads, int) or threads < 1):
        raise OptionError(f"threads must be a whole number of 1 or more, not {threads!r}")
    bundle = open_bundle(path)
    entry = bundle.manifest.main
    encoder = TextEncoder(bundle.read(entry.text.tokenizer), entry.text)
    candidates = _candidates(bundle, entry, engine)
    for position, program in enumerate(candidates):
        try:
            return _load_program(
                bundle, entry, program, encoder, min(threads or default_threads(), os.cpu_count() or 1), verify
            )
        except EngineError as error:
            if not fallback or position + 1 == len(candidates):
                raise
            warnings.warn(f"engine {program.engine} is passed over: {error}", RuntimeWarning, stacklevel=2)
    raise AssertionError("unreachable: there is at least one candidate")


def default_threads() -> int:
    """Threads that ``load`` uses unless told: the processors that this process may use, at most 4."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(4, available)


def _candidates(bundle: Bundle, entry: ModelEntry, wanted: str | None) -> list[Program]:
    """Programs whose engine works here, the preferred one first."""
    offered = [program.engine for program in entry.programs]
    if wanted is not None:
        chosen = [program for program in entry.programs if program.engine == wanted]
        reason = engine_class(wanted).unavailable()
        if reason:
            raise EngineUnavailableError(reason)
        if not chosen:
            raise EngineUnavailableError(
                f"{bundle.path} has no program for {wanted}, only for {', '.join(offered)}: "
                f"convert it with --target {wanted}, or choose one of those"
            )
        return chosen
    order = list(ENGINES)
    ranked = sorted(entry.programs, key=lambda p: order.index(p.engine) if p.engine in order else len(order))
    reasons, usable = [], []
    for program in ranked:
        try:
            reason = engine_class(program.engine).unavailable()
        except EngineUnavailableError as error:
            reason = str(error)
        if reason:
            reasons.append(reason)
        else:
            usable.append(program)
    if not usable:
        raise EngineUnavailableError(f"nothing here runs {bundle.path}: " + "; ".join(reasons))
    return usable


def _load_program(
    bundle: Bundle, entry: ModelEntry, program: Program, encoder: TextEncoder, threads: int, verify: bool
) -> Classifier:
    engine = engine_class(program.engine).load(program, bundle.part(program.file), threads)
    classifier = Classifier(bundle.manifest, engine, encoder)
    if verify:
        golden = Golden.from_bytes(bundle.read(entry.golden), entry.golden)
        try:
            check_golden(golden, program.file, encode=encoder.ids, logits=classifier.logits, engine=engine.distribution)
        except BaseException:
            classifier.close()
            raise
    return classifier


def _softmax(logits: list[float]) -> list[float]:
    highest = max(logits)
    weights = [math.exp(logit - highest) for logit in logits]
    total = sum(weights)
    return [weight / total for weight in weights]
