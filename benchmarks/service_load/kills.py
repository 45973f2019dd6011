"""Bundles replaced, and the service ended and killed, all under load."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from service_load.answers import GOOD, Answer, Request, batch, is_wrong
from service_load.bench import Bench
from service_load.beside import Beside
from service_load.figure import Figure, kinds
from service_load.load import LOST, Event, Load
from service_load.loop import Loop
from service_load.other import with_other_labels

REPLACE, HANG_UP, END, KILL = "file replaced", "SIGHUP", "SIGTERM, restart", "SIGKILL, restart"
ROUNDS = (REPLACE, END, HANG_UP, KILL)
"""What happens, in turns."""
RELOADS = (REPLACE, HANG_UP)
LOAD = 0.5
"""Share of the capacity, in texts, that is offered: the service must also load a bundle meanwhile."""
SIZES = (1, 1, 4)
"""Texts of the requests, in turns; an answer of several must all be of one bundle. Those of all connections fit the queue."""
RELOAD_S = 60


@dataclass(frozen=True)
class Round:
    """One thing that happened.

    Attributes:
        what: Which.
        begin_s: When, in seconds of ``time.monotonic``.
        end_s: When the next could begin.
        done_s: Seconds until the first answer by the new bundle, or from the service that was started again.
        drain_s: Seconds from SIGTERM to the end of the process; else 0.
        silent_s: Longest time without any right answer.
        kinds: How the requests ended that ended meanwhile.
    """

    what: str
    begin_s: float
    end_s: float
    done_s: float
    drain_s: float
    silent_s: float
    kinds: dict[str, int]


@dataclass(frozen=True)
class Kills:
    """What came of all rounds.

    Attributes:
        rate_per_s: Requests offered a second.
        sent: Requests.
        kinds: How they ended.
        rounds: In their order.
    """

    rate_per_s: float
    sent: int
    kinds: dict[str, int]
    rounds: tuple[Round, ...]

    @property
    def lost(self) -> int:
        """Requests that neither were answered nor failed."""
        return self.kinds.get(LOST, 0) + self.sent - sum(self.kinds.values())

    @property
    def wrong(self) -> dict[str, int]:
        """Answers that are not those of the bundle that they name."""
        return {kind: count for kind, count in self.kinds.items() if is_wrong(kind)}

    @property
    def reload_errors(self) -> dict[str, int]:
        """Whatever was no right answer while a bundle was replaced."""
        return _errors(each for each in self.rounds if each.what in RELOADS)

    @property
    def figures(self) -> list[Figure]:
        found = [
            Figure("requests, offered a second", f"{self.sent:,}, {self.rate_per_s:.0f}"),
            Figure("answered rightly", f"{self.kinds.get(GOOD, 0):,}"),
            Figure("lost: neither answered nor failed", str(self.lost), "0", not self.lost),
            Figure("wrong answers", kinds(self.wrong), "none", not self.wrong),
            Figure("errors at hot reloads", kinds(self.reload_errors), "none", not self.reload_errors),
        ]
        for what in ROUNDS:
            rounds = [each for each in self.rounds if each.what == what]
            if rounds:
                found += _of(what, rounds)
        return found


def _of(what: str, rounds: Sequence[Round]) -> list[Figure]:
    taken = "new bundle answers after" if what in RELOADS else "answers again after"
    found = [
        Figure(f"{what}, {len(rounds)} times: {taken}", _spread([each.done_s for each in rounds])),
        Figure("– longest time without an answer", _spread([each.silent_s for each in rounds])),
    ]
    if what == END:
        found.append(Figure("– end of the process after", _spread([each.drain_s for each in rounds])))
    if what not in RELOADS:
        found.append(Figure("– errors that callers saw", kinds(_errors(rounds))))
    return found


def measure(bench: Bench) -> Kills:
    """Keeps a steady load up while one thing after the other happens.

    Raises:
        RuntimeError: The service did not come back, did not load the other bundle, or ended badly.
    """
    rate_per_s = LOAD * bench.capacity_per_s() * len(SIZES) / sum(SIZES)
    copies, requests = _bundles(bench)
    following = itertools.cycle(copies)  # the first is the other bundle, since the bench's own is served already
    plan = bench.plan(24 * 3600, requests=requests, rate_per_s=rate_per_s, events=True)
    bench.client.begin("run", plan)
    happened = []
    try:
        time.sleep(bench.settings.steady_s)
        for what in itertools.islice(itertools.cycle(ROUNDS), bench.settings.kills):
            happened.append(_reload(bench, what, next(following)) if what in RELOADS else _restart(bench, what))
    finally:
        bench.client.stop()
        load: Load = bench.client.result()
    return Kills(rate_per_s, load.sent, load.kinds, tuple(_round(each, load.events) for each in happened))


@dataclass(frozen=True)
class _Happened:
    """What was done when, in seconds of ``time.monotonic``; ``digest`` is that of the new bundle, if there is one.

    From ``gone_s`` on a request cannot reach the old process any more; at a reload it is ``begin_s``.
    """

    what: str
    begin_s: float
    gone_s: float
    end_s: float
    digest: str = ""


def _reload(bench: Bench, what: str, copy: Path) -> _Happened:
    """Puts another bundle in place and waits until it answers."""
    digest = _digest(copy)
    beside = bench.work / "next.edgekit"
    shutil.copyfile(copy, beside)
    begin_s = time.monotonic()
    os.replace(beside, bench.served.bundle)
    if what == HANG_UP:
        bench.served.hang_up()
    while bench.served.digest() != digest:
        if time.monotonic() - begin_s > RELOAD_S:
            raise RuntimeError(f"{what}: the service has not loaded the new bundle within {RELOAD_S} s")
        time.sleep(0.05)
    time.sleep(bench.settings.steady_s)
    return _Happened(what, begin_s, begin_s, time.monotonic(), digest)


def _restart(bench: Bench, what: str) -> _Happened:
    """Ends or kills the service and starts it again at its port."""
    begin_s = time.monotonic()
    if what == END:
        bench.served.end()
    else:
        bench.served.kill()
    gone_s = time.monotonic()
    bench.served.start()
    time.sleep(bench.settings.steady_s)
    return _Happened(what, begin_s, gone_s, time.monotonic())


def _round(happened: _Happened, events: Sequence[Event]) -> Round:
    """What the requests tell of it."""
    good = sorted((event for event in events if event.kind == GOOD), key=lambda event: event.done_s)
    came = [
        event.done_s
        for event in good
        if event.sent_s >= happened.gone_s and happened.digest in ("", event.bundle) and event.done_s <= happened.end_s
    ]
    if not came:
        raise RuntimeError(f"{happened.what}: the service was ready again, but no request was answered")
    times = [event.done_s for event in good if happened.begin_s <= event.done_s <= happened.end_s]
    silent_s = max(after - before for before, after in itertools.pairwise((happened.begin_s, *times, happened.end_s)))
    ended = [event for event in events if happened.begin_s <= event.done_s <= happened.end_s]
    return Round(
        what=happened.what,
        begin_s=happened.begin_s,
        end_s=happened.end_s,
        done_s=came[0] - happened.begin_s,
        drain_s=happened.gone_s - happened.begin_s,
        silent_s=silent_s,
        kinds=dict(Counter(event.kind for event in ended)),
    )


def _bundles(bench: Bench) -> tuple[tuple[Path, Path], tuple[Request, ...]]:
    """The other bundle and a copy of the first, and requests that know what either says."""
    first, other = bench.work / "first.edgekit", bench.work / "other.edgekit"
    shutil.copyfile(bench.served.bundle, first)
    with_other_labels(first, other)
    with Beside(Loop, other, bench.engine, 1, bench.threads) as loop:
        answers: list[Answer] = loop.call("answers", list(bench.texts))
    requests, place = [], 0
    for size in itertools.cycle(SIZES):
        if place + size > len(bench.texts):
            break
        part = slice(place, place + size)
        right = {bench.digest: bench.answers[part], _digest(other): answers[part]}
        requests.append(batch(bench.texts[part], right))
        place += size
    return (other, first), tuple(requests)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _errors(rounds: Iterable[Round]) -> dict[str, int]:
    found = sum((Counter(each.kinds) for each in rounds), Counter[str]())
    return {kind: count for kind, count in sorted(found.items()) if kind != GOOD}


def _spread(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.2f} s, at most {max(seconds):.2f} s"
