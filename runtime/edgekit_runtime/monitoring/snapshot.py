"""Snapshot: what a monitor has counted up to now."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit_runtime import jsonio
from edgekit_runtime.monitoring.drift import Drift
from edgekit_runtime.monitoring.histogram import Bucket, Histogram


@dataclass(frozen=True)
class Counted:
    """A histogram; ``mean`` is null before the first text, ``sum`` never falls."""

    count: int
    sum: float
    mean: float | None
    buckets: tuple[Bucket, ...]


@dataclass(frozen=True)
class Latency(Counted):
    """Milliseconds a text, with percentiles, which are null before the first text."""

    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True)
class Tokens(Counted):
    """Tokens a text; ``cut_share`` is the share of texts that are as long as ``max_length`` lets them."""

    cut_share: float | None


@dataclass(frozen=True)
class LabelCount:
    """How many texts, and which share of all, got a label; the share is null before the first text."""

    count: int
    share: float | None


@dataclass(frozen=True)
class Pieces:
    """Pieces of all texts, and how many of them the tokenizer does not know; null where that is not known."""

    count: int
    unknown: int | None
    unknown_share: float | None


@dataclass(frozen=True)
class Snapshot:
    """What was counted, all of it since the monitor began but for ``drift``, which goes by the window.

    Attributes:
        since: When the monitor began, ISO 8601 in UTC.
        seconds: How long ago that is.
        texts: Texts that were answered.
        failures: Texts that raised an error instead.
        latency_ms: Text in to answer out; a text of a batch has its share of the batch's time.
        labels: The answers, by label.
        confidence: The score of the answers; a score that is no finite number counts as 0.
        pieces: What the tokenizer made of the texts.
        tokens: Their length.
        drift: How far the window has moved from the reference.
    """

    since: str
    seconds: float
    texts: int
    failures: int
    latency_ms: Latency
    labels: dict[str, LabelCount]
    confidence: Counted
    pieces: Pieces
    tokens: Tokens
    drift: Drift

    def to_json(self) -> str:
        """The snapshot as JSON (docs/monitoring.md)."""
        return jsonio.to_bytes(self).decode()


def counted(histogram: Histogram) -> tuple[int, float, float | None, tuple[Bucket, ...]]:
    """What :class:`Counted` has, in its order."""
    return histogram.count, histogram.sum, histogram.mean, histogram.buckets()
