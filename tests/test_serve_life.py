"""The service from its start to its end: a full queue, slow callers, keys, hot reload and signals, under load."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from edgekit.serve.settings import ServeSettings
from edgekit_runtime.errors import OptionError
from services import BREAKS, LOADING, SENTINEL, Service, post, rest_of, texts_of

KEY = "0123456789abcdef0123456789abcdef"
SLOW_S = 0.2
QUEUE = 6


@pytest.fixture(scope="module")
def slow(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One worker that takes SLOW_S a text, QUEUE places, and 0.9 s for a request."""
    settings = {
        "bundle": str(bundle),
        "seconds": SLOW_S,
        "workers": 1,
        "queue": QUEUE,
        "max_batch": QUEUE,
        "timeout_s": 0.9,
        "read_s": 0.5,
        "idle_s": 1,
        "max_connections": 20,
        "drain_s": 5,
    }
    with Service(tmp_path_factory.mktemp("slow"), settings=settings) as running:
        yield running


def wait_for(condition: Callable[[], bool], within_s: float = 10) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


def idle(service: Service) -> bool:
    return service.metric("edgekit_queued") + service.metric("edgekit_running") == 0


def test_a_full_queue_says_when_to_come_back(slow: Service) -> None:
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(httpx.post, slow.url + "/v1/predict", json={"texts": list(texts_of(4))})
        wait_for(lambda: slow.metric("edgekit_queued") >= 2)
        answer = slow.client.post("/v1/predict", json={"texts": list(texts_of(QUEUE))})
        assert answer.status_code == 429 and answer.json()["error"]["code"] == "queue_full"
        assert 1 <= int(answer.headers["Retry-After"]) <= 2
        assert first.result().status_code == 200
    assert slow.metric('edgekit_refused_total{reason="queue_full"}') == 1


def test_a_request_without_an_answer_in_time_is_given_up_and_not_run(slow: Service) -> None:
    wait_for(lambda: idle(slow))
    before = slow.client.get("/v1/monitor").json()["texts"]
    begun = time.monotonic()
    answer = slow.client.post("/v1/predict", json={"texts": list(texts_of(QUEUE))})
    assert answer.status_code == 504 and answer.json()["error"]["code"] == "timeout"
    assert 0.8 < time.monotonic() - begun < SLOW_S * QUEUE
    wait_for(lambda: idle(slow))
    assert slow.client.get("/v1/monitor").json()["texts"] - before <= 5, "what was left was not run"


def test_who_goes_away_is_not_worked_for(slow: Service) -> None:
    wait_for(lambda: idle(slow))
    before = slow.client.get("/v1/monitor").json()["texts"]
    with slow.connect() as connection:
        connection.sendall(post("/v1/predict", json.dumps({"texts": list(texts_of(4))}).encode()))
        wait_for(lambda: slow.metric("edgekit_running") == 1)
    wait_for(lambda: idle(slow), within_s=0.7)
    assert slow.client.get("/v1/monitor").json()["texts"] - before <= 2
    assert slow.client.post("/predict", json={"text": "the film was good"}).status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /predict HTT",
        b"\r\n",
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nX-A: ",
        post("/predict", b'{"te', length=100),
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5;",
    ],
)
def test_who_sends_slowly_is_let_go(slow: Service, sent: bytes) -> None:
    with slow.connect() as connection:
        connection.settimeout(10)
        begun = time.monotonic()
        end = threading.Event()

        def drip() -> None:  # a byte now and then does not help
            while not end.wait(0.2):
                try:
                    connection.sendall(b"\r\n" if sent == b"\r\n" else b"x" if sent else b"")
                except OSError:
                    return

        connection.sendall(sent)
        thread = threading.Thread(target=drip)
        thread.start()
        got = rest_of(connection)
        end.set()
        thread.join()
    assert time.monotonic() - begun < 5
    assert not got or got.startswith((b"HTTP/1.1 408 ", b"HTTP/1.1 400 ")), got


def test_a_connection_that_rests_is_closed(slow: Service) -> None:
    with slow.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        begun = time.monotonic()
        assert rest_of(connection).startswith(b"HTTP/1.1 200 ")
        assert 0.5 < time.monotonic() - begun < 5


def test_no_more_connections_than_allowed_are_open(slow: Service) -> None:
    connections = [slow.connect() for _ in range(30)]
    got = rest_of(connections[-1])
    assert got.startswith(b"HTTP/1.1 503 ") and b"too_many_connections" in got
    for connection in connections:
        connection.close()
    wait_for(lambda: slow.client.get("/healthz").status_code == 200)


def test_an_engine_that_fails_is_told_without_the_text(slow: Service) -> None:
    answer = slow.client.post("/predict", json={"text": f"{BREAKS} {SENTINEL}"})
    assert answer.status_code == 500 and answer.json()["error"]["code"] == "internal"
    log = slow.err.read_text()
    assert "RuntimeError" in log
    assert SENTINEL not in log + answer.text
    assert slow.client.post("/predict", json={"text": "the film was good"}).status_code == 200


def test_at_its_end_it_answers_what_is_under_way(slow: Service) -> None:
    """The last test of this service."""
    wait_for(lambda: idle(slow))
    with ThreadPoolExecutor(4) as threads, slow.connect() as kept:
        kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        first = b""
        while not first.endswith(b'"ok"}'):
            first += kept.recv(65536)
        waiting = [
            threads.submit(httpx.post, slow.url + "/predict", json={"text": f"{SENTINEL} {number}"})
            for number in range(3)
        ]
        wait_for(lambda: slow.metric("edgekit_queued") == 2)
        slow.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        kept.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        refused = rest_of(kept)
        assert refused.startswith(b"HTTP/1.1 503 ") and b"draining" in refused and b"retry-after" in refused
        with pytest.raises(OSError):
            slow.connect()
        assert [each.result().status_code for each in waiting] == [200] * 3
    assert slow.process.wait(5) == 0
    assert SENTINEL not in slow.err.read_text() + slow.out.read_text()


def test_what_does_not_end_in_time_is_refused_and_a_second_signal_ends_at_once(bundle: Path, tmp_path: Path) -> None:
    settings = {"bundle": str(bundle), "seconds": 1.0, "workers": 1, "drain_s": 60}
    with Service(tmp_path, settings=settings) as service, ThreadPoolExecutor(1) as threads:
        texts = {"texts": list(texts_of(20))}
        waiting = threads.submit(httpx.post, service.url + "/v1/predict", json=texts, timeout=30)
        wait_for(lambda: service.metric("edgekit_running") == 1)
        service.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        begun = time.monotonic()
        assert service.end(signal.SIGTERM) == 0
        assert time.monotonic() - begun < 2
        with suppress(httpx.HTTPError):  # at once is at once
            assert waiting.result().status_code == 503


@contextmanager
def load_on(service: Service, callers: int = 4) -> Iterator[tuple[Counter[str], threading.Event]]:
    """Callers that ask one request after another; the counter has what became of all of them."""
    seen: Counter[str] = Counter()
    end = threading.Event()

    def call() -> None:
        with httpx.Client(base_url=service.url, timeout=20, trust_env=False) as client:
            while not end.is_set():
                try:
                    answer = client.post("/v1/predict", json={"texts": ["the film was good", "the film was bad"]})
                except httpx.HTTPError as error:
                    seen[type(error).__name__] += 1
                    continue
                labels = [each["label"] for each in answer.json().get("predictions", [])]
                right = answer.status_code == 200 and labels == ["positive", "negative"]
                seen["right" if right else f"{answer.status_code} {labels}"] += 1

    threads = [threading.Thread(target=call) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield seen, end
    finally:
        end.set()
        for thread in threads:
            thread.join()


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.txt"
    path.write_text(f"# callers\n\nshop {KEY}\n")
    path.chmod(0o600)
    return path


def test_reloads_under_load_lose_nothing_and_a_bad_bundle_changes_nothing(
    bundle: Path, keys_file: Path, tmp_path: Path
) -> None:
    served, new = tmp_path / "served.edgekit", tmp_path / "new.edgekit"
    shutil.copyfile(bundle, served)
    options = ("--watch-s", 0.1, "--workers", 2)
    with Service(tmp_path, served, *options) as service, load_on(service) as (seen, end):
        for count in (1, 2):  # by a new file under the old name
            shutil.copyfile(bundle, new)
            os.replace(new, served)
            wait_for(lambda count=count: service.metric('edgekit_reloads_total{result="ok"}') == count, 30)
        service.process.send_signal(signal.SIGHUP)
        wait_for(lambda: service.metric('edgekit_reloads_total{result="ok"}') == 3, 30)
        new.write_bytes(bundle.read_bytes()[:-5000])
        os.replace(new, served)
        wait_for(lambda: service.metric('edgekit_reloads_total{result="failed"}') == 1, 30)
        served.unlink()
        service.process.send_signal(signal.SIGHUP)
        wait_for(lambda: service.metric('edgekit_reloads_total{result="failed"}') == 2, 30)
        done = seen["right"]
        wait_for(lambda: seen["right"] > done + 20)
        end.set()
        time.sleep(0.2)
        assert service.metric('edgekit_reloads_total{result="ok"}') == 3
        assert set(seen) == {"right"}, seen
        failures = [line for line in service.err.read_text().splitlines() if "not loaded anew" in line]
        assert len(failures) == 2 and "no bundle at" in failures[1]
        assert service.end() == 0


def test_an_end_under_load_loses_nothing_without_a_word(bundle: Path, tmp_path: Path) -> None:
    with Service(tmp_path, bundle) as service, load_on(service) as (seen, end):
        wait_for(lambda: seen["right"] > 50)
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(10) == 0
        end.set()
    refused = {"503 []", "ConnectError", "ReadError"}  # the last: a connection that nobody had accepted yet
    assert set(seen) <= {"right", *refused}, seen
    assert seen["ReadError"] <= 4, "no more than one for each caller"


def test_who_is_silent_or_half_done_does_not_hold_up_the_end(bundle: Path, tmp_path: Path) -> None:
    settings = {"bundle": str(bundle), "seconds": 0, "read_s": 1, "drain_s": 15}
    with Service(tmp_path, settings=settings) as service, service.connect(), service.connect() as half:
        half.sendall(b"POST /predict HTTP/1.1\r\nHost: localh")
        time.sleep(0.1)
        begun = time.monotonic()
        assert service.end() == 0
        assert time.monotonic() - begun < 4


def test_a_bundle_that_is_being_loaded_does_not_hold_up_the_end(bundle: Path, tmp_path: Path) -> None:
    settings = {"bundle": str(bundle), "seconds": 0, "later_s": 30}
    with Service(tmp_path, settings=settings) as service:
        service.process.send_signal(signal.SIGHUP)
        wait_for(lambda: service.err.read_text().count(LOADING) == 2)
        begun = time.monotonic()
        assert service.end() == 0
        assert time.monotonic() - begun < 5
    assert "Traceback" not in service.err.read_text()


def test_signals_before_it_is_ready(bundle: Path, tmp_path: Path) -> None:
    service = Service(tmp_path, settings={"bundle": str(bundle), "seconds": 0, "first_s": 30})
    process = service.start()
    try:
        wait_for(lambda: LOADING in service.err.read_text())
        process.send_signal(signal.SIGHUP)
        time.sleep(0.2)
        assert process.poll() is None, "there is nothing to load anew yet, and nothing ends"
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 128 + signal.SIGTERM
    finally:
        process.kill()
        process.wait()
    assert service.err.read_text() == LOADING
    assert service.out.read_text() == ""


def test_a_request_has_one_answer_though_its_body_never_ends(bundle: Path, tmp_path: Path) -> None:
    settings = {"bundle": str(bundle), "seconds": 0, "read_s": 1, "host": "127.8.0.1"}
    with Service(tmp_path, settings=settings) as service:
        assert service.client.get("/v1/bundle").status_code == 200, "the address that it says is its own"
        with socket.create_connection(("127.8.0.1", service.port), timeout=20) as connection:
            connection.sendall(post("/nothing", b"{", length=50))
            got = rest_of(connection)
    assert got.startswith(b"HTTP/1.1 404 ")
    assert got.count(b"HTTP/1.1 ") == 1


def test_keys_are_asked_for_and_read_anew_at_a_signal(bundle: Path, keys_file: Path, tmp_path: Path) -> None:
    with Service(tmp_path, bundle, "--api-keys", keys_file) as service:
        text = {"text": "the film was good"}
        for wrong in ({}, {"X-API-Key": "no"}, {"Authorization": f"Basic {KEY}"}, {"Authorization": "Bearer"}):
            answer = service.client.post("/predict", json=text, headers=wrong)
            assert answer.status_code == 401 and answer.headers["WWW-Authenticate"] == "Bearer"
        for path in ("/metrics", "/v1/monitor", "/v1/bundle", "/nowhere"):
            assert service.client.get(path).status_code == 401
        for path in ("/healthz", "/readyz", "/", "/openapi.json", "/docs"):
            assert service.client.get(path).status_code == 200
        right = ({"X-API-Key": KEY}, {"Authorization": f"bearer {KEY}"})
        assert [service.client.post("/predict", json=text, headers=each).status_code for each in right] == [200, 200]
        security = service.client.get("/openapi.json").json()["components"]["securitySchemes"]
        assert next(iter(security.values()))["scheme"] == "bearer"

        keys_file.write_text(f"shop {KEY[::-1]}\n")
        service.process.send_signal(signal.SIGHUP)
        changed = {"X-API-Key": KEY[::-1]}
        wait_for(lambda: service.client.post("/predict", json=text, headers=changed).status_code == 200)
        assert service.client.post("/predict", json=text, headers=right[0]).status_code == 401
        keys_file.chmod(0o644)
        service.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "the old ones go on" in service.err.read_text())
        assert service.client.post("/predict", json=text, headers=changed).status_code == 200
        log = service.err.read_text() + service.out.read_text()
        assert KEY not in log and KEY[::-1] not in log


def refused_to_start(bundle: object, *options: object, code: str = "pass") -> str:
    """What ``edgekit serve`` says that does not start."""
    command = f"import sys; {code}; import edgekit.cli; edgekit.cli.main()"
    arguments = [str(each) for each in ("serve", bundle, *options)]
    done = subprocess.run(
        [sys.executable, "-c", command, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (1, ""), done
    assert done.stderr.startswith("edgekit: error: ") and done.stderr.count("\n") == 1
    return done.stderr


def test_what_cannot_start_says_why_in_a_line(bundle: Path, keys_file: Path, tmp_path: Path) -> None:
    assert "nowhere.edgekit" in refused_to_start(tmp_path / "nowhere.edgekit")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "choose another --port" in refused_to_start(bundle, "--port", taken.getsockname()[1])
    keys_file.chmod(0o640)
    assert "chmod 600" in refused_to_start(bundle, "--api-keys", keys_file)
    assert "edgekit[serve]" in refused_to_start(bundle, code="sys.modules['fastapi'] = None")
    assert "--allow-anonymous" in refused_to_start(bundle, "--host", "0.0.0.0")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", "has no key"),
        (f"shop {KEY} more\n", "line 1"),
        ("# a\nshop short\n", "line 2"),
        (f"shop {KEY}\nother {KEY}\n", "line 2"),
        (f"shop {KEY}\nshop {KEY[::-1]}\n", "line 2"),
    ],
)
def test_a_file_of_keys_that_is_none(tmp_path: Path, lines: str, said: str) -> None:
    from edgekit.serve.keys import ApiKeys

    path = tmp_path / "keys.txt"
    path.write_text(lines)
    path.chmod(0o600)
    with pytest.raises(OptionError, match=said) as error:
        ApiKeys(path)
    assert KEY not in str(error.value) and "short" not in str(error.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"port": 65536},
        {"port": -1},
        {"queue": 0},
        {"timeout_s": 0.0},
        {"timeout_s": float("nan")},
        {"drain_s": -1.0},
        {"workers": 0},
        {"threads": 0},
        {"max_batch": 500},
        {"host": "192.0.2.1"},
        {"host": "example.org"},
    ],
)
def test_settings_that_cannot_be(changes: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        ServeSettings(Path("x.edgekit"), **changes)  # type: ignore[arg-type]


def test_the_host_decides_whether_keys_are_needed() -> None:
    for host in ("127.0.0.1", "127.8.0.1", "::1", "localhost"):
        assert ServeSettings(Path("x.edgekit"), host=host).loopback
    assert not ServeSettings(Path("x.edgekit"), host="0.0.0.0", allow_anonymous=True).loopback
