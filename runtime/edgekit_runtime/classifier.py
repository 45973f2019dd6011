"""Text in, label out: the runtime's one class."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Sequence
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from edgekit_runtime.combination import MAIN
from edgekit_runtime.engines import Engine
from edgekit_runtime.errors import EngineError, OptionError
from edgekit_runtime.explain import Explanation, explain
from edgekit_runtime.manifest import Manifest, Program
from edgekit_runtime.monitoring.monitor import Monitor
from edgekit_runtime.monitoring.pieces import PieceCounter
from edgekit_runtime.prediction import Prediction, prediction, softmax
from edgekit_runtime.text import TextEncoder


class Classifier:
    """Classifies text with one program of a bundle. Safe to share between threads.

    Build it with :func:`load`. It is a context manager; :meth:`close` frees the engine. A bundle of several models gives
    a :class:`~edgekit_runtime.combined.Combined`, which is used in the same way.

    Attributes:
        manifest: What the bundle says of itself.
        engine: The engine that runs the program.
        encoder: What turns text into ids.
        program: What the engine runs, as the manifest describes it.
        labels: Names of the classes, in the order of the logits.
        role: Role of the model in the bundle.
    """

    def __init__(
        self, manifest: Manifest, engine: Engine, encoder: TextEncoder, program: Program, role: str = MAIN
    ) -> None:
        self.manifest = manifest
        self.engine = engine
        self.encoder = encoder
        self.program = program
        self.labels = manifest.labels
        self.role = role
        self._lock = threading.Lock()
        self._first = encoder
        self._watch: _Watch | None = None

    @property
    def members(self) -> tuple[Classifier, ...]:
        """The models that answer, each by itself, in the order in which they are asked; here this one alone."""
        return (self,)

    @property
    def engine_names(self) -> str:
        """Name of the engine; of several models on different ones, each."""
        return _each(member.engine.name for member in self.members)

    @property
    def distributions(self) -> str:
        """What brings the engine, and its version; of several, each."""
        return _each(member.engine.distribution for member in self.members)

    @property
    def schemes(self) -> str:
        """Precision of the program; of several models in different ones, each."""
        return _each(member.program.scheme for member in self.members)

    @property
    def monitor(self) -> Monitor:
        """What counts the answers (docs/monitoring.md).

        Raises:
            OptionError: Nothing counts them: neither ``load`` nor :meth:`watch` was asked to.
        """
        if self._watch is None:
            raise OptionError("nothing watches this classifier: load the bundle with monitor=True")
        return self._watch.monitor

    def watch(self, monitor: Monitor) -> None:
        """Has a monitor count every text from now on, each once; texts of :meth:`explain` and golden texts are not counted.

        Raises:
            OptionError: The monitor has other labels.
        """
        if monitor.labels != self.labels:
            raise OptionError(
                f"the monitor counts the labels {', '.join(monitor.labels)}, and the bundle has {', '.join(self.labels)}: "
                "make one with the bundle's"
            )
        self._watch = _Watch(monitor, PieceCounter(self._first))

    def __call__(self, text: str) -> Prediction:
        """Classifies one text of any length; it is cut at the bundle's ``max_length`` tokens.

        Raises:
            TypeError: ``text`` is no string.
            EngineError: The engine failed.
        """
        check_text(text)
        if self._watch is None:
            return self._answer(text, self._first.ids(text))
        begin = time.perf_counter_ns()
        try:
            ids = self._first.ids(text)
            answer = self._answer(text, ids)
        except Exception:
            self._watch.monitor.failed()
            raise
        self._watch(answer, ids, time.perf_counter_ns() - begin)
        return answer

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Classifies several texts and keeps their order.

        Raises:
            TypeError: ``texts`` is one string, or holds something that is no string.
            EngineError: The engine failed.
        """
        check_texts(texts)
        if self._watch is None:
            return self._answers(texts, self._first.ids_of(texts))
        begin = time.perf_counter_ns()
        try:
            rows = self._first.ids_of(texts)
            answers = self._answers(texts, rows)
        except Exception:
            self._watch.monitor.failed(len(texts))
            raise
        each = (time.perf_counter_ns() - begin) / max(1, len(texts))
        for answer, ids in zip(answers, rows, strict=True):
            self._watch(answer, ids, each)
        return answers

    def explain(self, text: str) -> Explanation:
        """Classifies a text and says which words made the answer (docs/explain.md).

        A word's weight is the label's probability minus what it is with a space in the word's place, so a text of N
        words costs N + 1 classifications; over 512 words, groups of neighbours take the place of words.

        Raises:
            TypeError: ``text`` is no string.
            EngineError: The engine failed.
        """
        return explain(self._unwatched, [member.encoder for member in self.members], text)

    def logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """The program's raw answer to token ids of at most ``max_length``: (classes,) finite logits.

        Raises:
            EngineError: The engine failed, or its answer is NaN or infinite.
            BundleError: An id is none of the model's.
        """
        padded, mask = self.encoder.pad(ids, self.engine.lengths)
        with self._lock:
            logits = self.engine.run(padded, mask)
        if np.shape(logits) != (len(self.labels),):
            raise EngineError(
                f"the program gives {' x '.join(map(str, np.shape(logits)))} logits for {len(self.labels)} labels; "
                "convert the model anew"
            )
        if not math.isfinite(sum(logits.tolist())):  # of so few numbers a tenth of the time that numpy takes
            raise EngineError(
                f"{self.engine.distribution} answers {logits.tolist()}, which are no finite numbers, by {self.program.file}: "
                "try another engine, or convert the model anew with another --quantize scheme"
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

    def predict_ids(self, ids: Sequence[int]) -> Prediction:
        """Classifies a text that is token ids already, at most ``max_length`` of them."""
        if self._watch is None:
            return Classifier._answer(self, "", ids)
        begin = time.perf_counter_ns()
        try:
            answer = Classifier._answer(self, "", ids)
        except Exception:
            self._watch.monitor.failed()
            raise
        self._watch(answer, ids, time.perf_counter_ns() - begin)
        return answer

    def _answer(self, text: str, ids: Sequence[int]) -> Prediction:
        """The answer to a text, of which there are the ids for the model that is asked first."""
        return prediction(self.labels, softmax(self.logits(ids).tolist()), self.role)

    def _answers(self, texts: Sequence[str], rows: Sequence[Sequence[int]]) -> list[Prediction]:
        """The answers to several texts, likewise."""
        return [self._answer(text, ids) for text, ids in zip(texts, rows, strict=True)]

    def _unwatched(self, texts: Sequence[str]) -> list[Prediction]:
        """The answers to several texts that do not count."""
        check_texts(texts)
        return self._answers(texts, self._first.ids_of(texts))


class _Watch:
    """Tells a monitor of answers."""

    def __init__(self, monitor: Monitor, pieces: PieceCounter) -> None:
        self.monitor = monitor
        self._pieces = pieces

    def __call__(self, answer: Prediction, ids: Sequence[int], nanoseconds: float) -> None:
        tokens, pieces, unknown = self._pieces.count(ids)
        self.monitor.observe(
            answer.label,
            answer.score,
            nanoseconds / 1e6,
            tokens=tokens,
            pieces=pieces,
            unknown=unknown,
            cut=tokens >= self._pieces.max_length,
        )


def _each(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def check_text(text: str) -> None:
    """Raises a TypeError for what is no text."""
    if not isinstance(text, str):
        raise TypeError(f"a text must be a string, not {type(text).__name__}; for several texts call predict")


def check_texts(texts: Sequence[str]) -> None:
    """Raises a TypeError for what is no list of texts."""
    if isinstance(texts, str):
        raise TypeError("predict takes a list of strings; for one text call the classifier itself")
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"a text must be a string, not {type(text).__name__}")
