"""What Prometheus reads of the service. No name or value in it comes from a text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from edgekit_runtime.monitoring.drift import ALARM, NONE, WARNING
from edgekit_runtime.monitoring.snapshot import Counted, Snapshot

if TYPE_CHECKING:
    from edgekit.serve.service import Service

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Upper bounds of the buckets of a request's time."""

LEVELS = {NONE: 0, WARNING: 1, ALARM: 2}
"""The levels of drift as numbers; others have none."""


class Metrics:
    """Counts of requests, and what is read off the service when Prometheus asks."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._requests = Counter(
            "edgekit_requests", "Requests by path and status.", ["path", "code"], registry=self.registry
        )
        self._seconds = Histogram(
            "edgekit_request_seconds", "Time of a request.", ["path"], buckets=SECONDS, registry=self.registry
        )
        self._refused = Counter("edgekit_refused", "Requests refused, by reason.", ["reason"], registry=self.registry)
        self._reloads = Counter("edgekit_reloads", "Hot reloads, by result.", ["result"], registry=self.registry)
        for result in ("ok", "failed"):
            self._reloads.labels(result)
        self._children: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def request(self, path: str, status: int, seconds: float) -> None:
        """Counts an answered request; ``path`` is one of the service's own."""
        children = self._children.get((path, status))
        if children is None:
            children = (self._requests.labels(path, str(status)), self._seconds.labels(path))
            self._children[path, status] = children
        children[0].inc()
        children[1].observe(seconds)

    def refused(self, reason: str) -> None:
        """Counts a refusal by its code."""
        self._refused.labels(reason).inc()

    def reloaded(self, result: str) -> None:
        """Counts a reload: ok or failed."""
        self._reloads.labels(result).inc()

    def watch(self, service: Service) -> None:
        """Adds what is read off the service."""
        self.registry.register(_Readings(service))

    def page(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)


class _Readings(Collector):
    """Values that are read when they are asked for."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        service = self._service
        generation = service.generation
        yield GaugeMetricFamily("edgekit_queued", "Texts that wait.", service.pool.queued)
        yield GaugeMetricFamily("edgekit_running", "Texts that are being classified.", service.pool.running)
        yield GaugeMetricFamily("edgekit_ready", "1 while new requests are taken.", float(service.ready))
        labels = {**generation.about, "engine": generation.classifiers[0].engine_names}
        yield InfoMetricFamily("edgekit_bundle", "The bundle that answers.", labels)
        yield from _watched(generation.monitor.snapshot())


def _watched(seen: Snapshot) -> Iterator[Metric]:
    """What the monitor of the bundle has counted; it begins anew with each bundle."""
    texts = CounterMetricFamily("edgekit_texts", "Texts answered, by label.", labels=["label"])
    for label, counted in seen.labels.items():
        texts.add_metric([label], counted.count)
    yield texts
    yield CounterMetricFamily("edgekit_text_failures", "Texts that the engine failed on.", seen.failures)
    yield _histogram("edgekit_text_seconds", "Time of a text in the classifier.", seen.latency_ms, 1000)
    yield _histogram("edgekit_confidence", "Score of the answers.", seen.confidence)
    yield _histogram("edgekit_tokens", "Tokens of a text.", seen.tokens)
    yield CounterMetricFamily("edgekit_pieces", "Pieces of all texts.", seen.pieces.count)
    if seen.pieces.unknown is not None:
        yield CounterMetricFamily(
            "edgekit_unknown_pieces", "Pieces that the tokenizer does not know.", seen.pieces.unknown
        )
    psi = GaugeMetricFamily("edgekit_drift_psi", "Population stability index against the reference.", labels=["of"])
    for name, value in seen.drift.psi.items():
        if value is not None:
            psi.add_metric([name], value)
    yield psi
    if seen.drift.level in LEVELS:
        yield GaugeMetricFamily("edgekit_drift_level", "0 none, 1 warning, 2 alarm.", LEVELS[seen.drift.level])


def _histogram(name: str, what: str, counted: Counted, divisor: float = 1) -> Metric:
    buckets = [("+Inf" if each.le is None else f"{each.le / divisor:g}", float(each.count)) for each in counted.buckets]
    return HistogramMetricFamily(name, what, buckets, counted.sum / divisor)
