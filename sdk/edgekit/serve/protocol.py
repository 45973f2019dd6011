"""HTTP/1.1 on a connection, with bounds on what a caller may send, how slowly, and how many may.

uvicorn's own protocol bounds neither the size of a head nor the time in which a request comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from edgekit.serve.pool import Request, gone
from edgekit.serve.refusal import RefusedError
from edgekit.serve.settings import ServeSettings

HEAD_BYTES = 32 * 1024
"""Bytes that the head of a request may have."""

_PHRASES = {
    400: b"Bad Request",
    408: b"Request Timeout",
    431: b"Request Header Fields Too Large",
    503: b"Service Unavailable",
}
_INVALID = RefusedError(400, "bad_http", "this is no valid HTTP/1.1 request")
_SLOW = RefusedError(408, "too_slow", "the request did not come in time")
_HEAD = RefusedError(431, "head_too_large", f"the head of the request has more than {HEAD_BYTES} bytes")
_FULL = RefusedError(
    503, "too_many_connections", "too many connections are open; try again later", ((b"retry-after", b"1"),)
)


class BoundedProtocol(HttpToolsProtocol):
    """One connection.

    Attributes:
        settings: Of the service.
        count: Counts a refusal by its code.
        waiting: The texts that the caller waits for; given up when the connection is lost.
    """

    settings: ServeSettings
    count: Callable[[str], None]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.waiting: Request | None = None
        self._head_bytes = 0
        self._in_head = False
        self._begun_s: float | None = None
        self._stuck_s: float | None = None
        self._silent = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._begun_s = self.loop.time()
        if len(self.connections) > self.settings.max_connections:
            self._refuse(_FULL)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.waiting is not None:
            self.waiting.give_up(gone())
            self.waiting = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._silent = False
        if self._begun_s is None:
            self._begun_s = self.loop.time()
        if self._in_head or self._head_bytes == 0:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
            self._refuse(_HEAD)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._fields_bytes = 0
        self.scope["edgekit.connection"] = self  # type: ignore[typeddict-unknown-key]

    def on_url(self, url: bytes) -> None:
        self._count(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(name, value)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._head_bytes = 0
        self._begun_s = None
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(_HEAD if self._fields_bytes > HEAD_BYTES else _INVALID)

    def _unsupported_upgrade_warning(self) -> None:
        """An upgrade that is asked for is passed over, without a word."""

    @property
    def resting(self) -> bool:
        """Whether no request is under way or coming."""
        return self._silent or (self._begun_s is None and (self.cycle is None or self.cycle.response_complete))

    def look(self, now_s: float) -> None:
        """Ends the connection if its caller sends or reads too slowly. Called about once a second."""
        if self.transport.is_closing():
            return
        if self.transport.get_write_buffer_size() == 0:
            self._stuck_s = None
        elif self._stuck_s is None:
            self._stuck_s = now_s
        elif now_s - self._stuck_s > self.settings.read_s:
            self.transport.abort()
            return
        if self.pipeline:  # what is not read here for so long is not the caller's fault
            self._begun_s = now_s
        if self._begun_s is not None and now_s - self._begun_s > self.settings.read_s:
            if self._in_head or self.cycle is None or not self.cycle.response_started:
                self._refuse(_SLOW)
            else:
                self.transport.abort()

    def _count(self, *parts: bytes) -> None:
        self._fields_bytes += sum(map(len, parts))
        if self._fields_bytes > HEAD_BYTES:
            raise ValueError  # ends the parsing

    def _refuse(self, reason: RefusedError) -> None:
        """Answers what is no request to the end, and closes."""
        self.count(reason.code)
        body = reason.body
        head = [
            b"HTTP/1.1 %d %s" % (reason.status, _PHRASES[reason.status]),
            b"content-type: application/json",
            b"content-length: %d" % len(body),
            b"connection: close",
            *(name + b": " + value for name, value in reason.headers),
        ]
        self.transport.write(b"\r\n".join([*head, b"", body]))
        self.transport.close()
