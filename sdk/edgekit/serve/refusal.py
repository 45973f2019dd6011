"""What a request gets that is not answered: a status, a code for programs and a sentence for people."""

from __future__ import annotations

import json

Headers = tuple[tuple[bytes, bytes], ...]


class RefusedError(Exception):
    """A request that is not answered. Its message never holds anything that the caller sent.

    Attributes:
        status: HTTP status.
        code: The reason, one word for programs.
        message: The reason and what to do, for people.
        headers: Further headers of the answer.
    """

    def __init__(self, status: int, code: str, message: str, headers: Headers = ()) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers

    @property
    def body(self) -> bytes:
        """The answer."""
        return json.dumps({"error": {"code": self.code, "message": self.message}}).encode()


def closing(status: int, code: str, message: str) -> RefusedError:
    """A refusal after which the connection ends, because what the caller goes on to send is not read."""
    return RefusedError(status, code, message, ((b"connection", b"close"),))


def busy(status: int, code: str, message: str, retry_after_s: int) -> RefusedError:
    """A refusal that may be otherwise in so many seconds."""
    return RefusedError(status, code, message, ((b"retry-after", str(retry_after_s).encode()),))
