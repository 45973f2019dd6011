"""One connection of the client: plain HTTP/1.1 on a socket that never blocks."""

from __future__ import annotations

import errno
import selectors
import socket

from service_load.answers import Reply, Request

CLOSED, CONNECTING, IDLE, WAITING = "closed", "connecting", "idle", "waiting"
_END = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"
_CLOSE = b"\r\nconnection: close"
_MALFORMED = "wrong: malformed head"


class Broken(Exception):  # noqa: N818 - it ends one request, which is no defect of the client
    """The connection failed; the message is the kind of failure."""


class Connection:
    """A connection that is opened when a request needs it and is kept afterwards.

    Attributes:
        state: One of the four above.
        request: What is asked, while it is connecting or waiting.
        due_s: When that request was to be sent, in seconds of ``time.monotonic``.
        sent_s: When it was.
    """

    def __init__(self, address: tuple[str, int], selector: selectors.BaseSelector) -> None:
        self.address = address
        self.state = CLOSED
        self.request: Request | None = None
        self.due_s = self.sent_s = 0.0
        self._selector = selector
        self._socket: socket.socket | None = None
        self._watched = 0
        self._unsent = b""
        self._received = bytearray()

    def ask(self, request: Request, due_s: float, now_s: float) -> None:
        """Sends a request, over a new connection where there is none.

        Raises:
            Broken: It was refused or reset at once.
        """
        self.request, self.due_s, self.sent_s = request, due_s, now_s
        self._unsent = request.data
        if self._socket is None:
            self._connect()
        else:
            self.state = WAITING
            self._send()

    def ready(self) -> Reply | None:
        """Goes on after the socket became ready; gives the answer once it is whole.

        Raises:
            Broken: The connection failed.
        """
        assert self._socket is not None
        if self.state == CONNECTING:
            failed = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if failed:
                raise Broken(_kind(failed))
            self.state = WAITING
        if self._unsent:
            self._send()
            return None
        return self._receive()

    def close(self) -> None:
        if self._socket is not None:
            self._selector.unregister(self._socket)
            self._socket.close()
        self._socket, self.state, self.request, self._unsent, self._watched = None, CLOSED, None, b"", 0
        self._received.clear()

    def _connect(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(self._socket, selectors.EVENT_WRITE, self)
        self._watched = selectors.EVENT_WRITE
        self.state = CONNECTING
        failed = self._socket.connect_ex(self.address)
        if failed not in (0, errno.EINPROGRESS):
            raise Broken(_kind(failed))

    def _send(self) -> None:
        assert self._socket is not None
        try:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except BlockingIOError:
            pass
        except OSError as error:
            raise Broken(_kind(error.errno)) from None
        watched = selectors.EVENT_WRITE if self._unsent else selectors.EVENT_READ
        if watched != self._watched:
            self._selector.modify(self._socket, watched, self)
            self._watched = watched

    def _receive(self) -> Reply | None:
        assert self._socket is not None
        try:
            data = self._socket.recv(65536)
        except BlockingIOError:
            return None
        except OSError as error:
            raise Broken(_kind(error.errno)) from None
        if not data:
            raise Broken("closed amid the answer" if self._received else "closed before the answer")
        if self.state == IDLE:
            raise Broken("wrong: an answer that nobody asked for")
        self._received += data
        try:
            return self._whole()
        except ValueError:
            raise Broken(_MALFORMED) from None

    def _whole(self) -> Reply | None:
        end = self._received.find(_END)
        if end < 0:
            return None
        head = bytes(self._received[: end + 2]).lower()
        place = head.index(_LENGTH) + len(_LENGTH)
        total = end + len(_END) + int(head[place : head.index(b"\r", place)])
        if len(self._received) < total:
            return None
        reply = Reply(int(head[9:12]), head, bytes(self._received[end + len(_END) : total]))
        del self._received[:total]
        if _CLOSE in head:
            self.close()
        else:
            self.state, self.request = IDLE, None
        return reply


def _kind(number: int | None) -> str:
    if number == errno.ECONNREFUSED:
        return "refused"
    if number in (errno.ECONNRESET, errno.EPIPE):
        return "reset"
    return errno.errorcode.get(number or 0, "failed")
