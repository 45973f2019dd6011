"""What every request passes: who may call, what may be asked, and one place where an error becomes an answer.

Requests to classify are answered here and reach no framework: what it would add to each, a small model would feel.
"""

from __future__ import annotations

import asyncio
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from edgekit.serve.keys import ApiKeys
from edgekit.serve.reading import GoneError, many_texts, one_text, read_body
from edgekit.serve.refusal import Headers, RefusedError
from edgekit.serve.service import Service, several, single
from edgekit.serve.settings import is_loopback
from edgekit_runtime.errors import EdgekitError

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

PREDICT = {"/predict": (one_text, single), "/v1/predict": (many_texts, several)}
OPEN = frozenset(
    {
        *("/", "/page.css", "/page.js", "/healthz", "/readyz", "/openapi.json"),
        *("/docs", "/docs/start.js", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js"),
    }
)
"""Paths that need no key: they tell nothing of the bundle and cost next to nothing."""

KEYED = frozenset({*PREDICT, "/metrics", "/v1/monitor", "/v1/bundle"})
LOCAL = frozenset({b"localhost", b"127.0.0.1", b"[::1]"})


class Gate:
    """The service as an ASGI application.

    Args:
        service: What answers.
        inner: Answers what is no request to classify.
        keys: The callers' keys; None: nobody needs one.
    """

    def __init__(
        self, service: Service, inner: Callable[[Scope, Receive, Send], Awaitable[None]], keys: ApiKeys | None
    ) -> None:
        self.service = service
        self.keys = keys
        self._inner = inner
        self._local_only = service.settings.loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = time.perf_counter()
        path = scope["path"]
        status, size = 0, 0

        async def counted(message: Any) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                if self.service.draining and (b"connection", b"close") not in message["headers"]:
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
            else:
                size += len(message.get("body", b""))
            await send(message)

        try:
            self._admit(scope, path)
            if scope["method"] == "POST" and path in PREDICT:
                body = await self._predict(scope, receive, path)
                status, size = 200, len(body)
                await _answer(send, 200, body, ((b"connection", b"close"),) if self.service.draining else ())
            elif path in PREDICT:
                raise RefusedError(405, "method_not_allowed", "this path takes POST", ((b"allow", b"POST"),))
            else:
                await self._inner(scope, receive, counted)
        except GoneError:
            status = 499
        except RefusedError as refusal:
            self.service.metrics.refused(refusal.code)
            if not status:
                status = refusal.status
                if status != 499:
                    size = len(refusal.body)
                    closes = self.service.draining and not _header(list(refusal.headers), b"connection")
                    last = ((b"connection", b"close"),) if closes else ()
                    await _answer(send, status, refusal.body, (*refusal.headers, *last))
        except asyncio.CancelledError:
            raise
        except Exception as error:
            _log_failure(error)
            failure = _failure(error)
            if not status:
                status, size = failure.status, len(failure.body)
                await _answer(send, status, failure.body, failure.headers)
        seconds = time.perf_counter() - begun
        template = path if path in KEYED or path in OPEN else "other"
        self.service.metrics.request(template, status, seconds)
        if self.service.settings.access_log:
            method = scope["method"] if scope["method"] in METHODS else "other"
            sys.stderr.write(f"{method} {template} {status} {seconds * 1000:.1f} ms {size} bytes\n")

    def _admit(self, scope: Scope, path: str) -> None:
        """Raises a RefusedError for who may not call."""
        headers = scope["headers"]
        if self._local_only:
            host = _header(headers, b"host").lower()
            name = host.rpartition(b":")[0] if not host.endswith(b"]") and b":" in host else host
            if name not in LOCAL and not is_loopback(name.strip(b"[]").decode("latin-1")):
                raise RefusedError(
                    400, "bad_host", "this service answers only to localhost; a proxy must send that as the Host header"
                )
        if self.keys is not None and path not in OPEN and not self.keys.knows(_key(headers)):
            raise RefusedError(
                401,
                "no_key",
                "send a key: Authorization: Bearer KEY, or X-API-Key: KEY",
                ((b"www-authenticate", b"Bearer"),),
            )

    async def _predict(self, scope: Scope, receive: Receive, path: str) -> bytes:
        """Classifies."""
        service = self.service
        headers = scope["headers"]
        if _header(headers, b"content-type").partition(b";")[0].strip().lower() != b"application/json":
            raise RefusedError(415, "not_json", "send Content-Type: application/json", ((b"connection", b"close"),))
        understand, say = PREDICT[path]
        texts = understand(await read_body(receive, service.settings.max_body_bytes), service.settings)
        connection = scope.get("edgekit.connection")
        request = service.submit(texts)
        if connection is not None:
            connection.waiting = request
        try:
            await request.future
        finally:
            service.pool.finish(request)
            if connection is not None:
                connection.waiting = None
        return say(request)


METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _header(headers: list[tuple[bytes, bytes]], wanted: bytes) -> bytes:
    for name, value in headers:
        if name == wanted:
            return value
    return b""


def _key(headers: list[tuple[bytes, bytes]]) -> bytes:
    scheme, _, key = _header(headers, b"authorization").partition(b" ")
    return key.strip() if scheme.lower() == b"bearer" else _header(headers, b"x-api-key")


async def _answer(send: Send, status: int, body: bytes, more: Headers = ()) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-content-type-options", b"nosniff"),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _failure(error: Exception) -> RefusedError:
    if isinstance(error, EdgekitError):
        return RefusedError(500, "engine", "the engine failed on this request; the service's log says more")
    return RefusedError(500, "internal", "the service failed on this request; the service's log says more")


def _log_failure(error: Exception) -> None:
    """One line, without the error's message: that may quote a text."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "nowhere"
    sys.stderr.write(f"edgekit: error: {type(error).__name__} at {where} while answering a request\n")
