"""Golden texts: what a bundle's programs must answer, wherever they run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgekit_runtime import jsonio
from edgekit_runtime.errors import BundleError, GoldenMismatchError
from edgekit_runtime.manifest import parse_json

MAX_LOGIT_DIFFERENCE = 0.05
"""Engines on other processors round otherwise; a larger difference is a wrong answer."""

CLEAR_MARGIN = 0.1
"""Labels must agree wherever the two highest golden logits lie further apart than this."""


WITHOUT_TEXTS = 3
"""The schema version that a bundle has where a golden text is null: readers of older ones refuse it."""


@dataclass(frozen=True)
class GoldenText:
    """One text with its token ids and, for each program file, its logits; :func:`golden_key` names those of older runtimes.

    The text is None where it was stripped off (docs/privacy.md): then ids and logits are all that is known of it.
    """

    text: str | None
    ids: tuple[int, ...]
    logits: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class Golden:
    """The golden texts of one model."""

    texts: tuple[GoldenText, ...]

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> Golden:
        """Reads a golden file; ``name`` is its entry in the bundle, for messages."""
        golden = jsonio.decode(cls, parse_json(data, name), name)
        if not golden.texts:
            raise BundleError(f"{name} holds no golden texts; the file is damaged or was edited")
        return golden

    @property
    def schema_version(self) -> int:
        """The oldest schema whose readers know such golden texts."""
        return WITHOUT_TEXTS if any(item.text is None for item in self.texts) else 1

    def without_texts(self) -> Golden:
        """The same with ids and logits alone."""
        return Golden(tuple(replace(item, text=None) for item in self.texts))


def described(number: int, item: GoldenText) -> str:
    """What messages call a golden text: its beginning, or its number from 1 where the text was stripped off."""
    return f"golden text {number}" if item.text is None else f"the golden text {item.text[:40]!r}"


def golden_key(file: str, distribution: str) -> str:
    """Under which name a golden text has a program's logits on an older runtime that it was verified on, too."""
    return f"{file}@{distribution.partition(' ')[0]}"


def file_of_key(key: str) -> str:
    """The program whose logits stand under a key."""
    return key.partition("@")[0]


def _spread(golden: Golden, file: str, older: str) -> float:
    """How far a program's logits were apart on two runtimes that are both right; 0 where only one was asked.

    By so much rounding alone moves an answer of this program, and on a third machine it rounds otherwise again.
    """
    pairs = ((item.logits.get(file, ()), item.logits.get(older, ())) for item in golden.texts)
    return max((float(np.abs(np.subtract(a, b)).max()) for a, b in pairs if len(a) == len(b) > 0), default=0.0)


def check_golden(
    golden: Golden,
    file: str,
    *,
    encode: Callable[[str], Sequence[int]],
    logits: Callable[[Sequence[int]], NDArray[np.float32]],
    engine: str,
) -> None:
    """Runs the golden texts through a tokenizer and an engine. Of a text that was stripped off the ids are taken as they are.

    Args:
        golden: The texts and what was answered at conversion.
        file: The program's entry in the bundle.
        encode: Text to token ids.
        logits: Token ids to (classes,) logits.
        engine: Name and version of the distribution that runs it.

    Raises:
        GoldenMismatchError: Ids differ, a logit is off by more than 0.05 (on an older runtime by more than that and what it
            was off at conversion), or a clear label changed.
        BundleError: The golden texts have no logits for the program.
    """
    older = golden_key(file, engine)
    most = MAX_LOGIT_DIFFERENCE + _spread(golden, file, older)
    for number, item in enumerate(golden.texts, 1):
        name = described(number, item)
        if item.text is not None and tuple(encode(item.text)) != item.ids:
            raise GoldenMismatchError(
                f"the tokenizer here splits {name} otherwise than at conversion; install the version of tokenizers that "
                "made the bundle (its history names it, unless that was stripped off)"
            )
        expected = np.asarray(item.logits.get(older, item.logits.get(file, ())), dtype=np.float32)
        if len(expected) < 2:
            raise BundleError(f"{name} has no logits for {file}; convert the model anew")
        found = logits(item.ids)
        difference = float(np.abs(found - expected).max()) if found.shape == expected.shape else np.inf
        lowest, highest = np.sort(expected)[-2:]
        clear = highest - lowest > CLEAR_MARGIN
        wrong = not difference <= most  # not <=, so that NaN fails
        if wrong or (clear and int(found.argmax()) != int(expected.argmax())):
            raise GoldenMismatchError(
                f"{engine} answers {np.round(found, 3).tolist()} to {name}, where the conversion had "
                f"{np.round(expected, 3).tolist()}: it runs {file} wrongly on this device; "
                "try another version of the engine, another engine, or another --quantize scheme"
            )
