"""A part of edgekit's way from text to label."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit_runtime import Classifier, load
from harness import Opened

PARTS = ("tokenizer", "runner", "all")


@dataclass(frozen=True)
class EdgekitPart:
    """A part of edgekit's way from text to label, called with each text; what it gives is thrown away.

    Attributes:
        bundle: A bundle of one model.
        engine: Its engine.
        part: ``tokenizer`` is text to ids, ``runner`` ids and mask, padded before, to logits, ``all`` the whole call.
    """

    bundle: Path
    engine: str
    part: str

    @property
    def name(self) -> str:
        return f"edgekit, {self.part}"

    def size_bytes(self) -> int:
        return self.bundle.stat().st_size

    def open(self, threads: int) -> Opened:
        classifier = load(self.bundle, engine=self.engine, threads=threads)
        call = {"tokenizer": classifier.encoder.ids, "runner": _runner(classifier), "all": classifier}[self.part]

        def classify(text: str) -> str:
            call(text)
            return classifier.labels[0]

        return Opened(classify, classifier.labels)


def _runner(classifier: Classifier) -> Callable[[str], Any]:
    ready: dict[str, Any] = {}

    def run(text: str) -> Any:
        if text not in ready:
            ready[text] = classifier.encoder.pad(classifier.encoder.ids(text), classifier.engine.lengths)
        return classifier.engine.run(*ready[text])

    return run
