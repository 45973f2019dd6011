"""Text from outside, made fit for a page."""

from __future__ import annotations

import re

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def clean(text: str) -> str:
    """Without characters that neither XML nor UTF-8 can hold: a file's name may have any."""
    return _CONTROL.sub("\ufffd", text)
