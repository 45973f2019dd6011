"""Latency by one thing at a time: length of the text, threads, texts a call, workers."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgekit_runtime.classifier import Classifier
from edgekit_runtime.profiling.latency import Latency, Round, spread, summarise, time_in_turns
from edgekit_runtime.profiling.throughput import Throughput, measure_throughput
from edgekit_runtime.text import TextEncoder

BATCHES = (1, 8, 32)

Open = Callable[[int], Classifier]
"""Opens the classifier anew for so many threads."""


@dataclass(frozen=True)
class BucketLatency:
    """Latency of a text of so many tokens, or of as many as fit: what it is padded to, where the engine pads."""

    tokens: int
    latency_ms: Latency


@dataclass(frozen=True)
class ThreadLatency:
    """Latency with so many threads at most a text."""

    threads: int
    latency_ms: Latency


@dataclass(frozen=True)
class BatchLatency:
    """Milliseconds a text where ``predict`` gets so many at once."""

    texts: int
    latency_ms: Latency


def by_bucket(
    classifier: Classifier, texts: Sequence[str], golden: Sequence[str], seconds: float
) -> tuple[BucketLatency, ...]:
    """Times a text of each length that the bundle has: the beginning of the texts, joined.

    Args:
        classifier: What is timed. Of a cascade that is the model which answers such a text; ``latency_ms.by_model`` tells.
        texts: What the text is made of.
        golden: What follows where they are too short; they have tokens, which not every text has.
        seconds: How long all lengths together are timed, about.
    """
    encoder = classifier.encoder
    lengths = classifier.engine.lengths or encoder.spec.buckets
    long = ""
    for text in itertools.chain(texts, list(golden) * lengths[-1]):  # no more of them than it takes: there may be many
        long = f"{long} {text}" if long else text
        if len(encoder.whole_ids_of([long])[0]) >= lengths[-1]:
            break
    made = [beginning(encoder, long, length) for length in lengths]
    timed = time_in_turns(
        [_always(classifier, text) for text in made], [""], seconds=seconds / len(made), between_s=0.0, calls=5
    )
    return tuple(BucketLatency(length, each.latency) for length, each in zip(lengths, timed, strict=True))


def by_threads(
    open_classifier: Open, counts: Sequence[int], texts: Sequence[str], seconds: float
) -> tuple[ThreadLatency, ...]:
    """Times the same texts with each number of threads."""
    with contextlib.ExitStack() as stack:
        classifiers = [stack.enter_context(open_classifier(count)) for count in counts]
        timed = time_in_turns(classifiers, spread(texts, 50), seconds=seconds / len(counts))
    return tuple(ThreadLatency(count, each.latency) for count, each in zip(counts, timed, strict=True))


def by_batch(classifier: Classifier, texts: Sequence[str], seconds: float) -> tuple[BatchLatency, ...]:
    """Times ``predict`` on lists of each size in BATCHES, all made of the same texts."""
    largest = max(BATCHES)
    several = spread(list(texts) * -(-largest // len(texts)), largest)
    found = []
    for size in BATCHES:
        lists = [several[start : start + size] for start in range(0, largest, size)]
        (timed,) = time_in_turns([classifier.predict], lists, seconds=seconds / len(BATCHES), calls=len(lists))
        rounds = [Round(each.milliseconds / size, each.models) for each in timed.rounds]
        found.append(BatchLatency(size, summarise(rounds)))
    return tuple(found)


def by_workers(open_classifier: Open, most: int, texts: Sequence[str], seconds: float) -> tuple[Throughput, ...]:
    """Texts a second by 1 to ``most`` workers, each number twice that of the one before."""
    return tuple(
        measure_throughput(lambda: open_classifier(1), spread(texts, 200), workers, seconds=seconds)
        for workers in doublings(most)
    )


def doublings(most: int) -> tuple[int, ...]:
    """1, 2, 4 and so on, and last ``most``."""
    counts = {1 << power for power in range(most.bit_length()) if 1 << power <= most}
    return tuple(sorted(counts | {most}))


def beginning(encoder: TextEncoder, text: str, tokens: int) -> str:
    """A beginning of a text that has at most so many tokens; about the longest, since a word that is cut may have more pieces."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if len(encoder.whole_ids_of([text[:middle]])[0]) <= tokens:
            low = middle
        else:
            high = middle - 1
    return text[:low]


def _always(classifier: Classifier, text: str) -> Callable[[str], object]:
    return lambda _: classifier(text)
