"""How well a bundle classifies labelled text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekit_converters.data import DataOptions, stream_labelled
from edgekit_converters.metrics import Metrics, summarise
from edgekit_runtime.classifier import Classifier
from edgekit_runtime.combination import CASCADE
from edgekit_runtime.progress import LogListener


@dataclass(frozen=True)
class Evaluation(Metrics):
    """What ``edgekit eval --json`` prints, without what is null: the metrics, and what they were measured on.

    Attributes:
        engine: The engine that answered; of several models with different ones, each.
        skipped: Rows that could not be used and were left out because --skip-bad was given.
        left_out: Rows that the label map leaves out.
        answered_by: Of a cascade, the role of each model to the share of texts that it answered; else null.
    """

    engine: str
    skipped: int = 0
    left_out: int = 0
    answered_by: dict[str, float] | None = None


def evaluate(
    classifier: Classifier,
    data: str | Path,
    options: DataOptions | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Evaluation:
    """Classifies labelled texts and compares, one at a time: the data may be larger than the memory.

    Args:
        classifier: An open bundle.
        data: A file, a dataset's folder, ``-`` for stdin, or ``hf:OWNER/NAME`` (docs/data.md).
        options: What the data does not say.
        progress: Told how much of how much is done: texts of up to 1000, bytes of a longer file.
        say: Told of what was recognised and left out; None writes it to the log.

    Raises:
        EdgekitError: The data is missing or no labelled text.
    """
    stream = stream_labelled(data, classifier.labels, options, say=say or LogListener().say)
    ids = {label: index for index, label in enumerate(classifier.labels)}
    confusion = np.zeros((len(ids), len(ids)), dtype=np.int64)
    answered: Counter[str] = Counter()
    for example in stream:
        answer = classifier(example.text)
        confusion[example.label, ids[answer.label]] += 1
        answered[answer.model] += 1
        if progress is not None and (done := stream.progress()) is not None:
            progress(*done)
    combine = classifier.manifest.combine
    shares = None
    if combine is not None and combine.kind == CASCADE:
        shares = {role: answered[role] / answered.total() for role in combine.order}
    return Evaluation(
        **vars(summarise(confusion)),
        engine=classifier.engine_names,
        skipped=stream.skipped,
        left_out=stream.left_out,
        answered_by=shares,
    )
