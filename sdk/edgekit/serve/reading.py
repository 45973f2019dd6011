"""A request's body: read within its limits and understood, or refused."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from edgekit.serve.refusal import RefusedError, closing
from edgekit.serve.settings import ServeSettings

Receive = Callable[[], Awaitable[Any]]

DRAINED = 4
"""How many times the largest body is read and thrown away, so that who sends too much can read why it was refused."""


class GoneError(Exception):
    """The caller went away while it was sending."""


async def read_body(receive: Receive, most_bytes: int) -> bytes:
    """Reads a body, counted as it comes.

    Raises:
        RefusedError: It is too long.
        GoneError: The caller went away.
    """
    parts: list[bytes] = []
    count = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise GoneError
        part = message.get("body", b"")
        count += len(part)
        if count <= most_bytes:
            parts.append(part)
        elif count > DRAINED * most_bytes:
            break
        if not message.get("more_body", False):
            break
    if count > most_bytes:
        raise closing(413, "body_too_large", f"the body has more than {most_bytes} bytes; send fewer texts at a time")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, whose keys are all different."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError
    return made


def _no_constant(name: str) -> Any:
    """NaN and Infinity, which are no JSON."""
    raise ValueError


_DECODER = json.JSONDecoder(
    object_pairs_hook=_no_duplicates,
    parse_constant=_no_constant,
    parse_int=float,  # no body here has numbers, and a whole number of a million digits takes seconds
)


def understood(body: bytes) -> dict[str, Any]:
    """The object that a body holds.

    Raises:
        RefusedError: It is no JSON in UTF-8, nested too deeply, has a key twice, or is no object.
    """
    try:
        value = _DECODER.decode(body.decode())
    except (ValueError, RecursionError):  # what the decoder says of it would quote the body
        raise RefusedError(400, "bad_json", "the body is no JSON in UTF-8, or has a key twice") from None
    if not isinstance(value, dict):
        raise RefusedError(422, "bad_fields", "the body must be a JSON object")
    return value


def one_text(body: bytes, settings: ServeSettings) -> list[str]:
    """The text of ``{"text": "…"}``.

    Raises:
        RefusedError: The body is something else, or the text too long.
    """
    value = understood(body)
    text = value.get("text")
    if len(value) != 1 or not isinstance(text, str):
        raise RefusedError(422, "bad_fields", 'the body must be {"text": "…"} with one string, and no other field')
    _check_length(text, settings.max_characters)
    return [text]


def many_texts(body: bytes, settings: ServeSettings) -> list[str]:
    """The texts of ``{"texts": ["…"]}``, at least one.

    Raises:
        RefusedError: The body is something else, the texts too many, or one too long.
    """
    value = understood(body)
    texts = value.get("texts")
    if len(value) != 1 or not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise RefusedError(
            422,
            "bad_fields",
            'the body must be {"texts": ["…"]} with a list of one or more strings, and no other field',
        )
    if len(texts) > settings.max_batch:
        raise RefusedError(413, "batch_too_large", f"the batch has more than {settings.max_batch} texts; send fewer")
    for text in texts:
        _check_length(text, settings.max_characters)
    return texts


def _check_length(text: str, most: int) -> None:
    if len(text) > most:
        raise RefusedError(413, "text_too_long", f"a text has more than {most} characters; cut it")
