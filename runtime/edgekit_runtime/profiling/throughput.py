"""How many texts a second several workers classify."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgekit_runtime.classifier import Classifier


@dataclass(frozen=True)
class Throughput:
    """Texts a second by several threads of one process at once, each with a classifier of its own that uses one thread."""

    workers: int
    texts_per_s: float


def measure_throughput(
    open_classifier: Callable[[], Classifier], texts: Sequence[str], workers: int, *, seconds: float = 1.0
) -> Throughput:
    """Has workers classify the texts in turn for some time, after each has warmed up.

    Args:
        open_classifier: Opens the classifier of one worker.
        texts: What they classify.
        workers: How many there are.
        seconds: How long; a call that was begun is finished and counts.
    """
    barrier = threading.Barrier(workers)
    stop = threading.Event()
    rates: list[float] = []
    errors: list[BaseException] = []

    def work(classify: Classifier) -> None:
        try:
            for index in range(20):
                classify(texts[index % len(texts)])
            barrier.wait()
            begin, elapsed = time.perf_counter(), 0.0
            for done in itertools.count(1):
                classify(texts[done % len(texts)])
                elapsed = time.perf_counter() - begin
                if elapsed >= seconds or stop.is_set():
                    break
            rates.append(done / elapsed)
        except threading.BrokenBarrierError:
            return
        except BaseException as error:
            errors.append(error)
            barrier.abort()

    with contextlib.ExitStack() as stack:
        classifiers = [stack.enter_context(open_classifier()) for _ in range(workers)]
        threads = [threading.Thread(target=work, args=(classify,), daemon=True) for classify in classifiers]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        finally:  # Ctrl-C ends a wait
            stop.set()
            barrier.abort()
            for thread in threads:
                thread.join()
    if errors:
        raise errors[0]
    return Throughput(workers, sum(rates))
