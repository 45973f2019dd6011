"""The threads that classify, and the one bounded queue from which they take.

The event loop's thread puts texts in and gets answers back; all counting is its own, so nothing here is locked. A worker is
a thread because engines let go of the interpreter while they run.
"""

from __future__ import annotations

import asyncio
import math
import queue
import threading
import time
from collections.abc import Callable

from edgekit.serve.generation import Generation
from edgekit.serve.refusal import RefusedError, busy
from edgekit_runtime import Prediction

Answer = Prediction | BaseException


class Request:
    """The texts of one request, on their way.

    Attributes:
        generation: The bundle that answers all of them.
        answers: One a text, in the order of the texts.
        future: Done when all are there, or when the request was given up.
        dropped: Whether nobody waits for it any more; what of it is still queued is not run.
    """

    __slots__ = ("answers", "dropped", "future", "generation", "left", "texts", "timer")

    def __init__(self, generation: Generation, texts: list[str], future: asyncio.Future[None]) -> None:
        self.generation = generation
        self.texts = texts
        self.answers: list[Prediction | None] = [None] * len(texts)
        self.left = len(texts)
        self.future = future
        self.dropped = False
        self.timer: asyncio.TimerHandle | None = None

    def give_up(self, reason: RefusedError) -> None:
        """Ends the waiting; a text that is being classified goes on, and its answer is thrown away."""
        self.dropped = True
        if not self.future.done():
            self.future.set_exception(reason)


def gone() -> RefusedError:
    """Ends the waiting of who has gone; never sent, as there is nobody to send it to."""
    return RefusedError(499, "gone", "the caller has gone")


class Pool:
    """Workers and their queue.

    Args:
        workers: Number of threads.
        places: Texts that may wait.
        timeout_s: Seconds after which a request that has no answer yet is given up.
    """

    def __init__(self, workers: int, places: int, timeout_s: float) -> None:
        self.places = places
        self.timeout_s = timeout_s
        self.under_way: set[Request] = set()
        self.in_hand = 0
        self.mean_s = 0.01
        self._tasks: queue.SimpleQueue[tuple[Request, int] | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, args=(number,), name=f"worker-{number}", daemon=True)
            for number in range(workers)
        ]
        self._loop: asyncio.AbstractEventLoop | None = None
        self.closed_hook: Callable[[Generation], None] = lambda generation: None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Starts the workers, whose answers go to this loop."""
        self._loop = loop
        for thread in self._threads:
            thread.start()

    def stop(self, within_s: float) -> bool:
        """Ends the workers; whether they did in the time given."""
        for _ in self._threads:
            self._tasks.put(None)
        end = time.monotonic() + within_s
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    @property
    def queued(self) -> int:
        """Texts that wait."""
        return self._tasks.qsize()

    @property
    def running(self) -> int:
        """Texts that are being classified."""
        return max(0, self.in_hand - self.queued)

    @property
    def retry_after_s(self) -> int:
        """Whole seconds until what waits now is done, by the mean time of a text."""
        return max(1, math.ceil(self.queued * self.mean_s / len(self._threads)))

    def submit(self, generation: Generation, texts: list[str]) -> Request:
        """Puts the texts of a request into the queue, each in a place of its own.

        Raises:
            RefusedError: There are not so many places.
        """
        assert self._loop is not None
        count = len(texts)
        if self._tasks.qsize() + count > self.places:
            raise busy(429, "queue_full", "too many texts are waiting; try again later", self.retry_after_s)
        request = Request(generation, texts, self._loop.create_future())
        request.timer = self._loop.call_later(self.timeout_s, self._expire, request)
        self.under_way.add(request)
        generation.uses += count
        self.in_hand += count
        for index in range(count):
            self._tasks.put((request, index))
        return request

    def finish(self, request: Request) -> None:
        """To be called when the waiting for a request is over, however it ended."""
        request.dropped = True
        if request.timer is not None:
            request.timer.cancel()
        self.under_way.discard(request)

    def refuse_all(self, reason: Callable[[], RefusedError]) -> None:
        """Gives up every request under way, each for a reason of its own making: an error keeps what it passed through."""
        for request in list(self.under_way):
            request.give_up(reason())

    def _expire(self, request: Request) -> None:
        request.give_up(RefusedError(504, "timeout", f"no answer within {self.timeout_s:g} s; try again later"))

    def _work(self, number: int) -> None:
        """A worker's life."""
        assert self._loop is not None
        tell = self._loop.call_soon_threadsafe
        while (task := self._tasks.get()) is not None:
            request, index = task
            answer: Answer | None = None
            begun = time.perf_counter()
            if not request.dropped:
                try:
                    answer = request.generation.classifiers[number](request.texts[index])
                except BaseException as error:  # whatever it is, the worker lives on, and the text is accounted for
                    answer = error
            try:
                tell(self._returned, request, index, answer, time.perf_counter() - begun)
            except RuntimeError:  # the loop is closed: nobody waits any more
                return
            del task, request, answer

    def _returned(self, request: Request, index: int, answer: Answer | None, spent_s: float) -> None:
        """Takes a worker's answer; None where it was not asked any more."""
        self.in_hand -= 1
        generation = request.generation
        generation.uses -= 1
        if generation.retired and generation.uses == 0:
            self.closed_hook(generation)
        if answer is None:
            return
        self.mean_s += 0.02 * (spent_s - self.mean_s)
        if isinstance(answer, BaseException):
            request.dropped = True
            if not request.future.done():
                request.future.set_exception(answer)
            return
        request.answers[index] = answer
        request.left -= 1
        if request.left == 0 and not request.future.done():
            request.future.set_result(None)
