"""The load generator: it notices whatever is wrong with a service; and edgekit's own service, for some seconds."""

from __future__ import annotations

import csv
import importlib
import json
import socket
import socketserver
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
answers = importlib.import_module("service_load.answers")
bench = importlib.import_module("service_load.bench")
beside = importlib.import_module("service_load.beside")
client = importlib.import_module("service_load.client")
kills = importlib.import_module("service_load.kills")
load = importlib.import_module("service_load.load")
overload = importlib.import_module("service_load.overload")
soak = importlib.import_module("service_load.soak")
throughput = importlib.import_module("service_load.throughput")

if not sys.platform.startswith("linux"):
    pytest.skip("the service is watched by /proc", allow_module_level=True)

RIGHT = answers.Answer("positive", 0.9)
ASKED = answers.single("a film", {"new": RIGHT})
NAMED = answers.batch(["a film", "a room"], {"old": [RIGHT, RIGHT], "new": [answers.Answer("negative", 0.8)] * 2})


def reply(status: int, body: object, head: bytes = b"") -> Any:
    return answers.Reply(status, b"http/1.1 %d\r\n%s" % (status, head), json.dumps(body).encode())


def plain(*labels: str, score: float = 0.9) -> list[dict[str, object]]:
    return [{"label": label, "score": score} for label in labels]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (plain("positive")[0], "200"),
        (plain("negative")[0], "wrong: answer"),
        (plain("positive", score=0.8)[0], "wrong: answer"),
        ({"label": "positive"}, "wrong: malformed 200"),
        (None, "wrong: malformed 200"),
    ],
)
def test_an_answer_to_one_text_is_right_only_with_label_and_score(body: object, kind: str) -> None:
    assert answers.judge(ASKED, reply(200, body)) == kind


@pytest.mark.parametrize(
    ("labels", "score", "digest", "kind"),
    [
        (["positive", "positive"], 0.9, "old", "200"),
        (["negative", "negative"], 0.8, "new", "200"),
        (["positive", "positive"], 0.9, "new", "wrong: answer"),
        (["positive", "negative"], 0.9, "old", "wrong: answer"),
        (["positive"], 0.9, "old", "wrong: answer"),
        (["positive", "positive"], 0.9, "another", "wrong: unknown bundle"),
    ],
)
def test_an_answer_must_be_that_of_the_bundle_that_it_names(
    labels: list[str], score: float, digest: str, kind: str
) -> None:
    body = {"predictions": plain(*labels, score=score), "bundle": {"name": "a", "sha256": digest}}
    assert answers.judge(NAMED, reply(200, body)) == kind


def test_a_refusal_must_say_why_and_when_to_come_again() -> None:
    full = {"error": {"code": "queue_full", "message": "…"}}
    assert answers.judge(ASKED, reply(429, full, b"retry-after: 1\r\n")) == "429 queue_full"
    assert answers.judge(ASKED, reply(429, full)) == "wrong: 429 without Retry-After"
    assert answers.judge(ASKED, reply(504, {"error": {"code": "timeout"}})) == "504 timeout"
    assert answers.judge(ASKED, reply(500, "oops")) == "wrong: malformed 500"


LIMIT_S = 1.5
Behaviour = Callable[[int, socket.socket], "bytes | None"]


class Pipe:
    """A pipe on which nothing comes."""

    def __init__(self) -> None:
        self._end, self._other = socket.socketpair()

    def fileno(self) -> int:
        return self._end.fileno()

    def close(self) -> None:
        self._end.close()
        self._other.close()


def answer(text: str) -> bytes:
    body = json.dumps(plain("positive" if "film" in text else "negative")[0]).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@contextmanager
def faulty(behaviour: Behaviour) -> Iterator[tuple[str, int]]:
    """A service that answers rightly, unless ``behaviour`` gives other bytes to send, or none to close the connection."""
    numbers = iter(range(1_000_000))
    lock = threading.Lock()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline():
                length = 0
                while (line := self.rfile.readline()) != b"\r\n":
                    name, _, value = line.partition(b":")
                    length = int(value) if name == b"Content-Length" else length
                text = json.loads(self.rfile.read(length))["text"]
                with lock:
                    number = next(numbers)
                sent = behaviour(number, self.request)
                if sent == b"":
                    return
                self.wfile.write(answer(text) if sent is None else sent)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[:2]  # type: ignore[misc]
        server.shutdown()
        thread.join()


def run(address: tuple[str, int], **changes: Any) -> Any:
    requests = (answers.single("a film", {"": RIGHT}), answers.single("a room", {"": answers.Answer("negative", 0.9)}))
    settings = {"connections": 16, "seconds": 0.3, "rate_per_s": 200.0, "limit_s": LIMIT_S, **changes}
    pipe = Pipe()
    try:
        return client.Client(pipe).run(load.Plan(address, requests, **settings))
    finally:
        pipe.close()


def good(number: int, connection: socket.socket) -> bytes | None:
    return None


def reset(number: int, connection: socket.socket) -> bytes | None:
    if number % 10 != 4:
        return None
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    return b""


def closed(number: int, connection: socket.socket) -> bytes | None:
    return b"" if number % 10 == 4 else None


def half(number: int, connection: socket.socket) -> bytes | None:
    if number % 10 != 4:
        return None
    connection.sendall(answer("a film")[:-5])
    return b""


def lose(number: int, connection: socket.socket) -> bytes | None:
    if number % 10 == 4:
        threading.Event().wait(LIMIT_S + 1)
    return None


def lie(number: int, connection: socket.socket) -> bytes | None:
    return answer("a room") if number % 10 == 4 else None


def stand_still(number: int, connection: socket.socket) -> bytes | None:
    if number == 10:
        threading.Event().wait(0.2)
    return None


@pytest.mark.parametrize("rate_per_s", [200.0, None])
def test_a_good_service_answers_all(rate_per_s: float | None) -> None:
    with faulty(good) as address:
        found = run(address, rate_per_s=rate_per_s)
    assert found.kinds == {"200": found.sent}
    assert len(found.latency_ms) == found.sent and found.latency_ms.min() > 0
    assert rate_per_s is None or found.sent in range(60, 62)


@pytest.mark.parametrize(
    ("behaviour", "kinds"),
    [
        (reset, {"reset", "closed before the answer"}),
        (closed, {"reset", "closed before the answer"}),
        (half, {"reset", "closed amid the answer"}),
        (lose, {"lost"}),
        (lie, {"wrong: answer"}),
    ],
)
def test_what_goes_wrong_with_a_request_is_counted_by_its_kind(behaviour: Behaviour, kinds: set[str]) -> None:
    alone = {"connections": 1, "rate_per_s": 100.0} if behaviour is lie else {}  # so that requests come in their order
    with faulty(behaviour) as address:
        found = run(address, **alone)
    assert sum(found.kinds.values()) == found.sent
    assert found.errors and set(found.errors) <= kinds
    assert sum(found.errors.values()) == found.sent // 10
    assert (found.lost > 0, found.wrong > 0) == (behaviour is lose, behaviour is lie)


def test_a_port_without_a_service_refuses_every_request() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        found = run(taken.getsockname())
    assert found.kinds == {"refused": found.sent}


def test_a_service_that_stands_still_counts_for_all_who_were_due_meanwhile() -> None:
    """In an open loop: a closed one would ask nothing meanwhile, and hide that all waited."""
    with faulty(stand_still) as address:
        found = run(address, connections=1, rate_per_s=100.0)
    assert found.kinds == {"200": found.sent}
    assert (found.latency_ms > 50).sum() >= 12, "those due in the 0.2 s waited 200, 190, 180 … ms"
    assert found.late_ms.max() > 150


def test_the_growth_of_memory_is_that_after_the_warm_up() -> None:
    def found(memory: np.ndarray[Any, Any]) -> Any:
        samples = tuple(soak.Sample(float(second), float(mib), 70, 4) for second, mib in enumerate(memory))
        times = load.Percentiles.of(np.ones(3))
        return soak.Soak(600.0, 80.0, 100.0, 1, 1, {}, times, 0.0, 60.0, samples)

    seconds = np.arange(600.0)
    warm = found(np.minimum(seconds, 60.0) + 100)
    assert abs(warm.growth_mib) < 0.1 and abs(warm.slope_mib_per_hour) < 0.1
    leaking = found(100 + seconds / 60)
    assert leaking.slope_mib_per_hour == pytest.approx(60.0)
    assert 7 < leaking.growth_mib < 9
    assert [figure.held for figure in leaking.figures if figure.bound == "≤ 5 MB"] == [False]


def test_the_service_loses_nothing_when_it_is_reloaded_ended_and_killed(
    bundle: Path, labelled_csv: Path, tmp_path: Path
) -> None:
    with labelled_csv.open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    with bench.bench(bundle, texts, tmp_path, bench.QUICK) as made:
        speed = throughput.measure(made)
        steady = soak.measure(made)
        over = overload.measure(made)
        killed = kills.measure(made)
    assert not speed.errors and min(*speed.loop_per_s, *speed.singles_per_s, *speed.batches_per_s) > 0
    assert steady.sent == steady.answered > 0 and not steady.errors
    assert not over.others and not over.errors_after
    assert {each.what for each in killed.rounds} == set(kills.ROUNDS)
    assert killed.lost == 0 and not killed.wrong
    assert not killed.reload_errors, "a hot reload loses nothing"
    assert all(each.kinds.get("200") for each in killed.rounds)
