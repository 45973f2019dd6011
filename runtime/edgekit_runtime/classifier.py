"""Text in, label out: the runtime's one class."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from edgekit_runtime.combination import MAIN
from edgekit_runtime.engines import Engine
from edgekit_runtime.errors import EngineError
from edgekit_runtime.explain import Explanation, explain
from edgekit_runtime.manifest import Manifest, Program
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

    def __call__(self, text: str) -> Prediction:
        """Classifies one text of any length; it is cut at the bundle's ``max_length`` tokens.

        Raises:
            TypeError: ``text`` is no string.
            EngineError: The engine failed.
        """
        check_text(text)
        return self.predict_ids(self.encoder.ids(text))

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Classifies several texts and keeps their order.

        Raises:
            TypeError: ``texts`` is one string, or holds something that is no string.
            EngineError: The engine failed.
        """
        check_texts(texts)
        return [self.predict_ids(ids) for ids in self.encoder.ids_of(texts)]

    def explain(self, text: str) -> Explanation:
        """Classifies a text and says which words made the answer (docs/explain.md).

        A word's weight is the label's probability minus what it is with a space in the word's place, so a text of N
        words costs N + 1 classifications; over 512 words, groups of neighbours take the place of words.

        Raises:
            TypeError: ``text`` is no string.
            EngineError: The engine failed.
        """
        return explain(self.predict, [member.encoder for member in self.members], text)

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

    def predict_ids(self, ids: Sequence[int]) -> Prediction:
        """Classifies a text that is token ids already, at most ``max_length`` of them."""
        return prediction(self.labels, softmax(self.logits(ids).tolist()), self.role)


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
