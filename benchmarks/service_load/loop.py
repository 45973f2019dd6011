"""What the service is compared with: the classifier in a plain loop."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from edgekit_runtime import Classifier, load
from service_load.answers import Answer


@dataclass(frozen=True)
class Looped:
    """What a plain loop did: ``texts`` in ``seconds``."""

    texts: int
    seconds: float

    @property
    def texts_per_s(self) -> float:
        return self.texts / self.seconds


class Loop:
    """As many classifiers as the service has workers, each for one Python thread; held in a process of its own.

    Args:
        pipe: To the process that asks; not used here.
        bundle: What they load.
        engine: Their engine, None for the runtime's choice.
        workers: Classifiers, and Python threads in :meth:`loop`.
        threads: Threads of each classifier.
    """

    def __init__(self, pipe: Connection, bundle: Path, engine: str | None, workers: int, threads: int) -> None:
        self._classifiers = [load(bundle, engine=engine, threads=threads) for _ in range(workers)]

    def answers(self, texts: Sequence[str]) -> list[Answer]:
        """What the service has to answer to each text."""
        return [Answer(given.label, given.score) for given in map(self._classifiers[0], texts)]

    def loop(self, texts: Sequence[str], seconds: float) -> Looped:
        """All classifiers at once, each over the texts from a place of its own, until the time is up."""
        count = len(self._classifiers)
        start = threading.Barrier(count + 1)
        done = [0] * count
        end_s = [0.0] * count

        def work(number: int, classify: Classifier) -> None:
            place = number * len(texts) // count
            start.wait()
            until_s = time.monotonic() + seconds
            while (now_s := time.monotonic()) < until_s:
                classify(texts[(place + done[number]) % len(texts)])
                done[number] += 1
            end_s[number] = now_s

        threads = [threading.Thread(target=work, args=item) for item in enumerate(self._classifiers)]
        for thread in threads:
            thread.start()
        start.wait()
        begin_s = time.monotonic()
        for thread in threads:
            thread.join()
        return Looped(sum(done), max(end_s) - begin_s)

    def alone_ms(self, texts: Sequence[str], seconds: float) -> float:
        """Mean milliseconds that one classifier takes for a text while nothing else runs."""
        classify = self._classifiers[0]
        for text in texts[:20]:
            classify(text)
        done, begin_s = 0, time.monotonic()
        while time.monotonic() - begin_s < seconds or done % len(texts):  # whole rounds: the texts differ in length
            classify(texts[done % len(texts)])
            done += 1
        return (time.monotonic() - begin_s) / done * 1e3
