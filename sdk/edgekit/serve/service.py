"""The service: the bundle that answers now, the pool, and what is counted."""

from __future__ import annotations

import json
from typing import Any

from edgekit.serve.generation import Generation
from edgekit.serve.metrics import Metrics
from edgekit.serve.pool import Pool, Request
from edgekit.serve.refusal import RefusedError
from edgekit.serve.settings import ServeSettings
from edgekit_runtime import Prediction


class Service:
    """What answers, apart from HTTP.

    Attributes:
        settings: What it was told.
        generation: The bundle that answers new requests.
        pool: The workers.
        metrics: What is counted.
        draining: Whether it is about to end.
    """

    def __init__(self, settings: ServeSettings, generation: Generation) -> None:
        self.settings = settings
        self.generation = generation
        self.pool = Pool(settings.worker_count, settings.queue, settings.timeout_s)
        self.metrics = Metrics()
        self.draining = False
        self.metrics.watch(self)

    @property
    def ready(self) -> bool:
        """Whether new requests are taken."""
        return not self.draining

    def submit(self, texts: list[str]) -> Request:
        """Has texts classified.

        Raises:
            RefusedError: The service is about to end, or too many texts wait.
        """
        if self.draining:
            raise self.ending()
        return self.pool.submit(self.generation, texts)

    def ending(self) -> RefusedError:
        """What is answered while the service ends."""
        return RefusedError(
            503,
            "draining",
            "the service is about to end; try again",
            ((b"retry-after", b"1"), (b"connection", b"close")),
        )


def single(request: Request) -> bytes:
    """The answer of ``/predict``."""
    return json.dumps(_plain(request.answers[0], request.generation.alone), ensure_ascii=False).encode()


def several(request: Request) -> bytes:
    """The answer of ``/v1/predict``."""
    generation = request.generation
    answers = [_plain(answer, generation.alone) for answer in request.answers]
    return json.dumps({"predictions": answers, "bundle": generation.about}, ensure_ascii=False).encode()


def _plain(answer: Prediction | None, alone: bool) -> dict[str, Any]:
    assert answer is not None
    plain = {"label": answer.label, "score": answer.score, "scores": answer.scores}
    return plain if alone else {**plain, "model": answer.model}
