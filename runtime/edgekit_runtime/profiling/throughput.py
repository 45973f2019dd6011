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
        seconds: How long.
    """
    counts = [0] * workers
    barrier = threading.Barrier(workers + 1)
    stop = threading.Event()
    errors: list[BaseException] = []

    def work(index: int, classify: Classifier) -> None:
        try:
            for text in texts[:20]:
                classify(text)
            barrier.wait()
            for text in itertools.cycle(texts):
                if stop.is_set():
                    return
                classify(text)
                counts[index] += 1
        except threading.BrokenBarrierError:
            return
        except BaseException as error:
            errors.append(error)
            barrier.abort()

    with contextlib.ExitStack() as stack:
        classifiers = [stack.enter_context(open_classifier()) for _ in range(workers)]
        threads = [
            threading.Thread(target=work, args=(index, classify), daemon=True)
            for index, classify in enumerate(classifiers)
        ]
        for thread in threads:
            thread.start()
        with contextlib.suppress(threading.BrokenBarrierError):
            try:
                barrier.wait()
                begin, already = time.perf_counter(), sum(counts)
                time.sleep(seconds)
                done, elapsed = sum(counts) - already, time.perf_counter() - begin
            finally:  # also where Ctrl-C ends a wait
                stop.set()
                barrier.abort()
                for thread in threads:
                    thread.join()
    if errors:
        raise errors[0]
    return Throughput(workers, done / elapsed)
