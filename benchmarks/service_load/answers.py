"""What is asked and what the right answer is: requests whose bytes are ready, and a judge for each answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

GOOD = "200"
SCORE_TOLERANCE = 1e-3
"""A score may differ by this much: it passes through JSON, and another classifier of the same bundle gave it."""


@dataclass(frozen=True)
class Answer:
    """What a bundle's own classifier says of one text."""

    label: str
    score: float


@dataclass(frozen=True)
class Request:
    """One request as it goes over the wire, and who may answer it how.

    Attributes:
        data: Head and body.
        texts: Texts that it asks about.
        right: SHA-256 of a bundle file to its answers, one a text.
        named: Whether the answer says which bundle gave it; otherwise any of them will do.
    """

    data: bytes
    texts: int
    right: Mapping[str, tuple[Answer, ...]]
    named: bool


@dataclass(frozen=True)
class Reply:
    """An answer as it came: the status, the head in lower case, the body."""

    status: int
    head: bytes
    body: bytes


def single(text: str, right: Mapping[str, Answer]) -> Request:
    """``POST /predict`` of one text."""
    wanted = {digest: (answer,) for digest, answer in right.items()}
    return Request(post("/predict", {"text": text}), 1, wanted, named=False)


def batch(texts: Sequence[str], right: Mapping[str, Sequence[Answer]]) -> Request:
    """``POST /v1/predict`` of several texts, whose answer names its bundle."""
    wanted = {digest: tuple(answers) for digest, answers in right.items()}
    return Request(post("/v1/predict", {"texts": list(texts)}), len(texts), wanted, named=True)


def post(path: str, body: object) -> bytes:
    """A request of HTTP/1.1 that leaves the connection open."""
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    return head.encode() + data


def judge(request: Request, reply: Reply) -> str:
    """The kind of an answer: ``200`` if it is right, ``wrong: …`` if not, else the status with the code of the error."""
    try:
        body = json.loads(reply.body)
        if reply.status != 200:
            return _refusal(reply, body["error"]["code"])
        given = body["predictions"] if request.named else [body]
        found = [Answer(item["label"], item["score"]) for item in given]
        allowed = [request.right.get(body["bundle"]["sha256"], ())] if request.named else list(request.right.values())
    except (ValueError, KeyError, TypeError):
        return f"wrong: malformed {reply.status}"
    if any(_same(found, wanted) for wanted in allowed):
        return GOOD
    return "wrong: unknown bundle" if allowed == [()] else "wrong: answer"


def answered_by(reply: Reply) -> str:
    """SHA-256 of the bundle that a right, named answer says it is from."""
    return str(json.loads(reply.body)["bundle"]["sha256"])


def is_wrong(kind: str) -> bool:
    """Whether an answer of this kind misleads whoever gets it."""
    return kind.startswith("wrong")


def _refusal(reply: Reply, code: str) -> str:
    if reply.status in (429, 503) and b"\r\nretry-after:" not in reply.head:
        return f"wrong: {reply.status} without Retry-After"
    return f"{reply.status} {code}"


def _same(found: Sequence[Answer], wanted: Sequence[Answer]) -> bool:
    return len(found) == len(wanted) and all(
        one.label == other.label and abs(one.score - other.score) <= SCORE_TOLERANCE
        for one, other in zip(found, wanted, strict=True)
    )
