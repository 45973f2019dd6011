"""What the LiteRT engine runs a program by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

SIGNATURE_PREFIX = "length_"


@dataclass(frozen=True)
class Names:
    """What a program calls its tensors."""

    ids: str
    mask: str
    logits: str


class Runner(Protocol):
    """Runs the signatures of one program.

    Attributes:
        lengths: Those that it has.
    """

    lengths: tuple[int, ...]

    def run(self, length: int, ids: NDArray[np.int32], mask: NDArray[np.float32]) -> NDArray[np.float32]:
        """The logits of one text padded to one of ``lengths``, which the caller owns."""

    def close(self) -> None:
        """Frees the program."""


def length_of(key: str) -> int | None:
    """The length that a signature is for; None if it is none of ours."""
    return int(key.removeprefix(SIGNATURE_PREFIX)) if key.startswith(SIGNATURE_PREFIX) else None
