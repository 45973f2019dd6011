"""The client: one thread, many connections, every answer checked. It runs in a process of its own."""

from __future__ import annotations

import gc
import selectors
import time
from array import array
from collections import Counter, deque
from multiprocessing.connection import Connection as Pipe

import numpy as np

from service_load.answers import GOOD, Reply, Request, answered_by, judge
from service_load.connection import CLOSED, IDLE, Broken, Connection
from service_load.load import LOST, Event, Load, Plan

LOOK_S = 0.25
"""How often it looks for requests that are lost."""
BACK_OFF_S = 0.01
"""In a closed loop, the rest of a connection after an error: it would else do nothing but fail."""


class Client:
    """Runs plans. A message on the pipe ends one before its time."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    def run(self, plan: Plan) -> Load:
        gc.collect()
        gc.disable()  # nothing here makes cycles, and a collection would count as latency
        try:
            return _Run(plan, self._pipe).run()
        finally:
            gc.enable()


class _Run:
    def __init__(self, plan: Plan, pipe: Pipe) -> None:
        self.plan, self.pipe = plan, pipe
        self.selector = selectors.DefaultSelector()
        self.selector.register(pipe, selectors.EVENT_READ)
        self.connections = [Connection(plan.address, self.selector) for _ in range(plan.connections)]
        self.free = deque(self.connections)  # the one that rested longest is next, so that none is closed for idling
        self.resting: deque[tuple[float, Connection]] = deque()
        self.waiting: deque[float] = deque()
        self.kinds: Counter[str] = Counter()
        self.latency_ms, self.late_ms = array("d"), array("d")
        self.events: list[Event] = []
        self.sent = self.due = self.texts = 0

    def run(self) -> Load:
        cpu_s = time.process_time()
        self.begin_s = time.monotonic()
        self.end_s = self.begin_s + self.plan.seconds
        look_s = self.begin_s + LOOK_S
        while True:
            now_s = time.monotonic()
            self._send(now_s)
            if now_s >= self.end_s and not self.waiting and self.sent == sum(self.kinds.values()):
                break
            for key, _ in self.selector.select(self._sleep_s(now_s, look_s)):
                if key.data is None:
                    self.pipe.recv()
                    self.end_s = min(self.end_s, time.monotonic())
                else:
                    self._go_on(key.data)
            if time.monotonic() >= look_s:
                self._give_up(time.monotonic())
                look_s = time.monotonic() + LOOK_S
        for connection in self.connections:
            connection.close()
        self.selector.close()
        return Load(
            sent=self.sent,
            kinds=dict(self.kinds),
            texts=self.texts,
            seconds=self.end_s - self.begin_s,
            latency_ms=np.array(self.latency_ms),
            late_ms=np.array(self.late_ms),
            cpu_s=time.process_time() - cpu_s,
            events=tuple(self.events),
        )

    def _send(self, now_s: float) -> None:
        """Sends whatever is due and has a connection."""
        while self.resting and self.resting[0][0] <= now_s:
            self.free.append(self.resting.popleft()[1])
        rate = self.plan.rate_per_s
        if rate is None:
            while self.free and now_s < self.end_s:
                self._ask(self.free.popleft(), now_s, now_s)
            return
        while (due_s := self.begin_s + self.due / rate) <= min(now_s, self.end_s):
            self.waiting.append(due_s)
            self.due += 1
        while self.waiting and self.free:
            self._ask(self.free.popleft(), self.waiting.popleft(), now_s)

    def _ask(self, connection: Connection, due_s: float, now_s: float) -> None:
        request = self.plan.requests[self.sent % len(self.plan.requests)]
        self.sent += 1
        self.late_ms.append((now_s - due_s) * 1e3)
        try:
            connection.ask(request, due_s, now_s)
        except Broken as error:
            self._end(connection, str(error))

    def _go_on(self, connection: Connection) -> None:
        if connection.state == CLOSED:  # an event of before it was closed
            return
        idle, request = connection.state == IDLE, connection.request
        try:
            reply = connection.ready()
        except Broken as error:
            if idle and not str(error).startswith("wrong"):
                connection.close()  # the service closed what nobody used
            else:
                self._end(connection, str(error))
            return
        if reply is not None:
            assert request is not None
            self._end(connection, judge(request, reply), request, reply)

    def _end(
        self, connection: Connection, kind: str, request: Request | None = None, reply: Reply | None = None
    ) -> None:
        """Counts how a request ended and gives the connection back."""
        now_s = time.monotonic()
        self.kinds[kind] += 1
        bundle = ""
        if kind == GOOD and request is not None and reply is not None:
            self.latency_ms.append((now_s - connection.due_s) * 1e3)
            self.texts += request.texts if now_s <= self.end_s else 0
            bundle = answered_by(reply) if self.plan.events and request.named else ""
        if self.plan.events:
            self.events.append(Event(connection.sent_s, now_s, kind, bundle))
        if reply is None:
            connection.close()
        if kind == GOOD or self.plan.rate_per_s is not None:
            self.free.append(connection)
        else:
            self.resting.append((now_s + BACK_OFF_S, connection))

    def _give_up(self, now_s: float) -> None:
        for connection in self.connections:
            if connection.request is not None and now_s - connection.sent_s > self.plan.limit_s:
                self._end(connection, LOST)

    def _sleep_s(self, now_s: float, look_s: float) -> float:
        until_s = look_s
        if self.resting:
            until_s = min(until_s, self.resting[0][0])
        if now_s < self.end_s:
            until_s = min(until_s, self.end_s)
            if self.plan.rate_per_s is not None and self.free:
                until_s = min(until_s, self.begin_s + self.due / self.plan.rate_per_s)
        return max(0.0, until_s - now_s)
