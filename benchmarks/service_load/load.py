"""What is to be asked, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from service_load.answers import GOOD, Request, is_wrong

LOST = "lost"
"""Neither answered nor failed within the time limit."""


@dataclass(frozen=True)
class Plan:
    """What the client does.

    Attributes:
        address: Host and port.
        requests: Asked one after the other, over and over.
        connections: At most so many at once, each kept alive.
        seconds: So long new requests are sent; those on their way are waited for.
        rate_per_s: Requests a second, sent when they are due whether or not others are answered (an open loop); None:
            each connection sends the next as soon as it has its answer (a closed loop).
        limit_s: A request without an answer for so long is lost.
        events: Whether the end of every request is told one by one.
    """

    address: tuple[str, int]
    requests: tuple[Request, ...]
    connections: int
    seconds: float
    rate_per_s: float | None = None
    limit_s: float = 30.0
    events: bool = False


@dataclass(frozen=True)
class Event:
    """The end of one request, in seconds of ``time.monotonic``, which all processes share.

    Attributes:
        sent_s: When it was sent.
        done_s: When it ended.
        kind: How: ``200`` for a right answer, otherwise what went wrong.
        bundle: SHA-256 that the answer gives, if it is right and names one.
    """

    sent_s: float
    done_s: float
    kind: str
    bundle: str = ""


@dataclass(frozen=True)
class Load:
    """What came of a plan.

    Attributes:
        sent: Requests.
        kinds: How many ended how; together they are all that were sent.
        texts: Texts that were answered rightly before the time was up.
        seconds: The time.
        latency_ms: Of every right answer, from the moment when the request was due to the last byte.
        late_ms: By how much each was sent later than due: what the client itself, or a lack of connections, held up.
        cpu_s: Processor time of the client.
        events: One a request, if they were asked for.
    """

    sent: int
    kinds: dict[str, int]
    texts: int
    seconds: float
    latency_ms: NDArray[np.float64] = field(repr=False)
    late_ms: NDArray[np.float64] = field(repr=False)
    cpu_s: float
    events: tuple[Event, ...] = field(repr=False, default=())

    @property
    def texts_per_s(self) -> float:
        return self.texts / self.seconds

    @property
    def good(self) -> int:
        return self.kinds.get(GOOD, 0)

    @property
    def lost(self) -> int:
        return self.kinds.get(LOST, 0)

    @property
    def wrong(self) -> int:
        return sum(count for kind, count in self.kinds.items() if is_wrong(kind))

    @property
    def errors(self) -> dict[str, int]:
        """Whatever is no right answer, by kind."""
        return {kind: count for kind, count in sorted(self.kinds.items()) if kind != GOOD}

    @property
    def percentiles(self) -> Percentiles:
        return Percentiles.of(self.latency_ms)


@dataclass(frozen=True)
class Percentiles:
    """Of times in milliseconds; all NaN where there are none."""

    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float

    @classmethod
    def of(cls, times_ms: NDArray[np.float64]) -> Percentiles:
        if not len(times_ms):
            return cls(*(float("nan"),) * 5)
        p50, p95, p99 = (float(value) for value in np.percentile(times_ms, [50, 95, 99]))
        return cls(float(np.mean(times_ms)), p50, p95, p99, float(np.max(times_ms)))
