"""What test_overhead_guard.py runs under callgrind, which dumps its counts at each ``os.getppid()``.

Sections: what edgekit does around an engine, and the same by plain statements, without checks; for ids and for text.
"""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgekit_runtime.bundle import open_bundle
from edgekit_runtime.classifier import Classifier
from edgekit_runtime.filepart import Contents
from edgekit_runtime.manifest import Program
from edgekit_runtime.text import TextEncoder

TEXTS = ("i love this film, it is a fine one", "i hate this film and all that is in it, and more of it")
CALLS = 50


class Instant:
    """An engine that answers at once, so that only what is around it is counted."""

    name: ClassVar[str] = "instant"
    distribution = "instant"
    lengths: tuple[int, ...] | None = (16, 32)

    def __init__(self) -> None:
        self._logits = np.array([1.0, -1.0], dtype=np.float32)

    def run(self, ids: NDArray[np.int32], mask: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._logits

    @classmethod
    def unavailable(cls) -> str | None:
        return None

    @classmethod
    def load(cls, program: Program, contents: Contents, threads: int) -> Instant:
        return cls()

    def close(self) -> None:
        pass


def main() -> None:
    """Runs the sections, each of them between two marks."""
    bundle = open_bundle(sys.argv[1])
    entry, engine = bundle.manifest.main, Instant()
    encoder = TextEncoder(bundle.read(entry.text.tokenizer), entry.text)
    classifier = Classifier(bundle.manifest, engine, encoder, entry.programs[0])
    rows = [encoder.ids(text) for text in TEXTS]
    masks = {length: np.ones((1, length), dtype=np.float32) for length in (16, 32)}
    word = re.compile(r"[0-9a-z]+|[,]")
    pieces = {each: encoder.ids(each)[1:-1] for text in TEXTS for each in word.findall(text)}
    first, last = rows[0][:1], rows[0][-1:]

    def plain_answer(ids: list[int]) -> object:
        length = 16 if len(ids) <= 16 else 32
        padded = np.array([ids + [0] * (length - len(ids))], dtype=np.int32)
        logits = engine.run(padded, masks[length]).tolist()
        weights = [math.exp(logit) for logit in logits]
        total = sum(weights)
        return dict(zip(classifier.labels, [weight / total for weight in weights], strict=True))

    def plain_ids(text: str) -> list[int]:
        ids = first.copy()
        for each in word.findall(text.lower()):
            ids += pieces[each]
        return ids + last

    sections: tuple[tuple[Callable[[Any], object], Sequence[Any]], ...] = (
        (plain_answer, rows),
        (classifier.predict_ids, rows),
        (plain_ids, TEXTS),
        (encoder.ids, TEXTS),
        (lambda texts: [classifier(text) for text in texts], (TEXTS,)),
        (classifier.predict, (TEXTS,)),
    )
    assert [plain_ids(text) for text in TEXTS] == rows
    for call, given in sections:
        for each in given:
            call(each)
    for call, given in sections:
        os.getppid()
        for _ in range(CALLS):
            for each in given:
                call(each)
        os.getppid()


if __name__ == "__main__":
    main()
