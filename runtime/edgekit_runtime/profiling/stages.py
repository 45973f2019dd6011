"""Where the time of one text goes: tokenizer, engine, and what is around them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgekit_runtime.classifier import Classifier
from edgekit_runtime.prediction import prediction, softmax


@dataclass(frozen=True)
class Stages:
    """Medians in milliseconds a text; measured apart from its latency, with a reading of the clock at each step.

    Attributes:
        tokenize: Text to ids, cleaning included.
        pad: Ids to the arrays that the engine takes.
        engine: The engine's run.
        postprocess: Logits to a prediction.
    """

    tokenize: float
    pad: float
    engine: float
    postprocess: float


def measure_stages(classifier: Classifier, texts: Sequence[str], *, calls: int = 250) -> Stages:
    """Takes the steps of a classifier of one model one by one.

    Args:
        classifier: Of one model; a combination has the stages of each of its members.
        texts: What is classified, in turn; at least one.
        calls: How often at least, all together.
    """
    clock = time.perf_counter_ns
    encoder, engine, labels = classifier.encoder, classifier.engine, classifier.labels
    rounds = -(-calls // len(texts))
    moments = np.empty((rounds, len(texts), 5))
    for index in range(20):
        classifier(texts[index % len(texts)])
    for number in range(rounds):
        for index, text in enumerate(texts):
            begin = clock()
            ids = encoder.ids(text)
            tokenized = clock()
            padded, mask = encoder.pad(ids, engine.lengths)
            ready = clock()
            logits = engine.run(padded, mask)
            answered = clock()
            prediction(labels, softmax(logits.tolist()), classifier.role)
            moments[number, index] = begin, tokenized, ready, answered, clock()
    tokenize, pad, run, postprocess = np.median(np.diff(moments, axis=2).reshape(-1, 4), axis=0) / 1e6
    return Stages(float(tokenize), float(pad), float(run), float(postprocess))
