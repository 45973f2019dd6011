"""The service as a process: what it answers, what it refuses, and what it never tells."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgekit_runtime import load
from services import SENTINEL, Service, post, texts_of

MANY, LONG, BODY = 8, 300, 5000


@pytest.fixture(scope="module")
def service(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    limits = ("--max-batch", MANY, "--max-characters", LONG, "--max-body-bytes", BODY, "--workers", 2)
    with Service(tmp_path_factory.mktemp("service"), bundle, *limits, "--access-log") as running:
        yield running


def code_of(answer: Any) -> str:
    assert set(answer.json()) == {"error"} and set(answer.json()["error"]) == {"code", "message"}
    return str(answer.json()["error"]["code"])


def test_it_answers_as_the_classifier_does(service: Service, bundle: Path) -> None:
    texts = ["the film was good", "an awful film , really awful", "电影很好", "", "\ud800 lone", *texts_of(3)]
    with load(bundle) as classify:
        expected = [classify(text) for text in texts]
    for text, right in zip(texts, expected, strict=True):
        answer = service.client.post(
            "/predict", content=json.dumps({"text": text}), headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 200
        assert answer.json() == {"label": right.label, "score": right.score, "scores": right.scores}
    answer = service.client.post(
        "/v1/predict",
        content=json.dumps({"texts": texts}),
        headers={"Content-Type": "Application/JSON; charset=utf-8"},
    )
    assert [each["scores"] for each in answer.json()["predictions"]] == [right.scores for right in expected]
    assert answer.json()["bundle"] == service.said["bundle"]


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/predict", b"", 400, "bad_json"),
        ("/predict", b'{"text": "xyzzyplugh"', 400, "bad_json"),
        ("/predict", b'{"text": "xyzzyplugh", "text": "b"}', 400, "bad_json"),
        ("/predict", b'{"text": NaN}', 400, "bad_json"),
        ("/predict", b'{"text": "\xff xyzzyplugh"}', 400, "bad_json"),
        ("/predict", '\ufeff{"text": "xyzzyplugh"}'.encode(), 400, "bad_json"),
        ("/predict", b"[" * 4000, 400, "bad_json"),
        ("/predict", b'{"text":' * 500, 400, "bad_json"),
        ("/predict", b'["xyzzyplugh"]', 422, "bad_fields"),
        ("/predict", b'{"text": ["xyzzyplugh"]}', 422, "bad_fields"),
        ("/predict", b'{"text": ' + b"1" * 4900 + b"}", 422, "bad_fields"),
        ("/predict", b'{"text": "a", "xyzzyplugh": 1}', 422, "bad_fields"),
        ("/predict", b'{"texts": ["xyzzyplugh"]}', 422, "bad_fields"),
        ("/predict", json.dumps({"text": SENTINEL.ljust(LONG + 1, "x")}).encode(), 413, "text_too_long"),
        ("/predict", json.dumps({"text": SENTINEL.ljust(BODY, "x")}).encode(), 413, "body_too_large"),
        ("/v1/predict", b'{"texts": []}', 422, "bad_fields"),
        ("/v1/predict", b'{"texts": "xyzzyplugh"}', 422, "bad_fields"),
        ("/v1/predict", b'{"texts": ["a", null]}', 422, "bad_fields"),
        ("/v1/predict", json.dumps({"texts": [SENTINEL] * (MANY + 1)}).encode(), 413, "batch_too_large"),
        ("/v1/predict", json.dumps({"texts": ["a", SENTINEL * LONG]}).encode(), 413, "text_too_long"),
    ],
)
def test_a_body_that_is_not_as_described_is_refused(
    service: Service, path: str, body: bytes, status: int, code: str
) -> None:
    answer = service.client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert SENTINEL not in answer.text


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
def test_what_a_form_of_another_site_can_send_is_refused(service: Service, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    answer = service.client.post("/predict", content=b'{"text": "a"}', headers=headers)
    assert (answer.status_code, code_of(answer)) == (415, "not_json")
    assert "access-control-allow-origin" not in answer.headers


def test_no_other_site_may_ask(service: Service) -> None:
    ask = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = service.client.options("/predict", headers=ask)
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", ""])
def test_a_name_that_leads_here_by_rebinding_is_refused(service: Service, host: str) -> None:
    answer = service.client.get("/v1/bundle", headers={"Host": host})
    assert (answer.status_code, code_of(answer)) == (400, "bad_host")


def test_this_machines_names_are_answered(service: Service) -> None:
    for host in ("localhost", "LOCALHOST:1", "127.0.0.1:80", "[::1]", "[::1]:80"):
        assert service.client.get("/healthz", headers={"Host": host}).status_code == 200, host


def test_paths_and_methods_that_are_not_there(service: Service) -> None:
    answer = service.client.get(f"/{SENTINEL}")
    assert (answer.status_code, code_of(answer)) == (404, "not_found")
    assert SENTINEL not in answer.text
    answer = service.client.get("/predict")
    assert (answer.status_code, code_of(answer), answer.headers["Allow"]) == (405, "method_not_allowed", "POST")
    answer = service.client.post("/healthz")
    assert (answer.status_code, code_of(answer), answer.headers["Allow"]) == (405, "method_not_allowed", "GET")
    assert service.client.get("/predict/").status_code == 404


def test_a_body_in_chunks_is_counted_too(service: Service) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"text": "'
        for _ in range(10):
            yield SENTINEL.encode() * 100
        yield b'"}'

    answer = service.client.post("/predict", content=chunks(), headers={"Content-Type": "application/json"})
    assert (answer.status_code, code_of(answer)) == (413, "body_too_large")
    answer = service.client.post(
        "/predict", content=iter([b'{"text": ', b'"the film was good"}']), headers={"Content-Type": "application/json"}
    )
    assert answer.json()["label"] == "positive"


def test_a_body_without_end_is_not_read_on(service: Service) -> None:
    head = post("/predict", b"", length=10**12)
    try:
        got = service.raw(head, *[b"x" * 65536] * 64)
    except (ConnectionResetError, BrokenPipeError):
        return  # closed while it was sending
    assert not got or got.startswith(b"HTTP/1.1 413 ")


HOSTILE = {
    "no HTTP": (b"xyzzyplugh\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), 400),
    "a long header": (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000, 431),
    "many headers": (b"GET / HTTP/1.1\r\n" + b"X-Y: xyzzyplugh\r\n" * 5000, 431),
    "a long path": (b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n", 431),
    "two lengths": (post("/predict", b"{}", b"Content-Length: 3"), 400),
    "length and chunks": (post("/predict", b"0\r\n\r\n", b"Transfer-Encoding: chunked"), 400),
    "a negative length": (post("/predict", b"", length=-1), 400),
    "a chunk that is none": (
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nxyzzyplugh\r\n",
        400,
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_http_ends_the_connection(service: Service, name: str) -> None:
    sent, status = HOSTILE[name]
    got = service.raw(sent)
    assert got.startswith(b"HTTP/1.1 %d " % status), got[:200]
    head, _, body = got.partition(b"\r\n\r\n")
    assert b"connection: close" in head
    assert set(json.loads(body)["error"]) == {"code", "message"}
    assert service.client.get("/healthz").status_code == 200


def test_pipelined_requests_are_answered_in_their_order(service: Service) -> None:
    good = post("/predict", b'{"text": "the film was good"}')
    bad = post("/predict", b'{"text": "the film was bad"}', b"Connection: close")
    got = service.raw(good + good + bad)
    assert re.findall(rb'"label": "(\w+)"', got) == [b"positive", b"positive", b"negative"]


def test_what_follows_a_body_that_was_announced_shorter_is_no_request(service: Service) -> None:
    got = service.raw(post("/predict", b'{"text": "the film was good"}xyzzyplugh', length=29))
    assert got.count(b"HTTP/1.1 400 ") == 1 and got.count(b"HTTP/1.1 ") <= 2
    assert got.endswith(b'request"}}')


def test_health_and_what_it_is(service: Service, bundle: Path) -> None:
    assert service.client.get("/healthz").json() == {"status": "ok"}
    assert service.client.get("/readyz").json() == {"status": "ready"}
    about = service.client.get("/v1/bundle").json()
    assert about["labels"] == ["negative", "positive"]
    assert {key: about[key] for key in ("name", "sha256")} == service.said["bundle"]


def test_the_metrics_count_what_was_asked(service: Service) -> None:
    before = {label: service.metric(f'edgekit_texts_total{{label="{label}"}}') for label in ("negative", "positive")}
    asked = service.metric('edgekit_requests_total{code="200",path="/v1/predict"}')
    refused = service.metric('edgekit_refused_total{reason="bad_json"}')
    texts = ["the film was good", "the film was bad", "the film was good"]
    assert service.client.post("/v1/predict", json={"texts": texts}).status_code == 200
    service.client.post("/predict", content=b"{", headers={"Content-Type": "application/json"})
    assert service.metric('edgekit_texts_total{label="positive"}') == before["positive"] + 2
    assert service.metric('edgekit_texts_total{label="negative"}') == before["negative"] + 1
    assert service.metric('edgekit_requests_total{code="200",path="/v1/predict"}') == asked + 1
    assert service.metric('edgekit_refused_total{reason="bad_json"}') == refused + 1
    page = service.client.get("/metrics")
    assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
    names = set(re.findall(r"^# TYPE (\S+)", page.text, re.MULTILINE))
    assert {
        *("edgekit_texts_total", "edgekit_text_failures_total", "edgekit_text_seconds", "edgekit_confidence"),
        *("edgekit_tokens", "edgekit_pieces_total", "edgekit_unknown_pieces_total", "edgekit_drift_psi"),
        *("edgekit_requests_total", "edgekit_request_seconds", "edgekit_queued", "edgekit_running"),
        *("edgekit_refused_total", "edgekit_reloads_total", "edgekit_bundle_info", "edgekit_ready"),
        "process_resident_memory_bytes",
    } <= names
    assert SENTINEL not in page.text


def test_the_monitor_is_the_workers_own(service: Service) -> None:
    before = service.client.get("/v1/monitor").json()["texts"]
    service.client.post("/v1/predict", json={"texts": list(texts_of(MANY))})
    after = service.client.get("/v1/monitor")
    assert after.json()["texts"] == before + MANY
    assert SENTINEL not in after.text


def test_the_interface_is_described(service: Service) -> None:
    described = service.client.get("/openapi.json").json()
    assert set(described["paths"]) == {
        *("/predict", "/v1/predict", "/healthz", "/readyz", "/metrics", "/v1/monitor", "/v1/bundle")
    }
    answers = described["paths"]["/v1/predict"]["post"]["responses"]
    assert {"200", "400", "401", "413", "415", "422", "429", "503", "504"} <= set(answers)
    example = described["components"]["schemas"]["OneText"]["example"]
    assert service.client.post("/predict", json=example).status_code == 200


@pytest.mark.parametrize("path", ["/", "/page.css", "/page.js", "/docs", "/docs/start.js", "/docs/swagger-ui.css"])
def test_pages_come_from_here_and_run_nothing_else(service: Service, path: str) -> None:
    answer = service.client.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    if not path.endswith(".css"):
        assert "//" not in answer.text.replace('"http://www.w3.org', ""), "nothing from elsewhere"


def test_no_text_is_in_the_log(service: Service) -> None:
    service.client.post(f"/{SENTINEL}?{SENTINEL}=1", json={"text": SENTINEL}, headers={"X-Y": SENTINEL})
    assert service.client.post("/predict", json={"text": SENTINEL}).status_code == 200
    log = service.err.read_text() + service.out.read_text()
    assert re.search(r"^POST /predict 200 [\d.]+ ms \d+ bytes$", log, re.MULTILINE)
    assert re.search(r"^POST other 404 ", log, re.MULTILINE)
    assert SENTINEL not in log
