"""How weights and activations are stored; each target realises it its own way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgekit_runtime.errors import OptionError

SCHEMES = {
    "int8": "weights int8 with a scale per channel, activations quantized at run time",
    "int8-per-tensor": "weights int8 with one scale a tensor, for runtimes that know no other",
    "int8-static": "weights and activations int8, the activations in ranges that calibration texts gave",
    "int4": "weights int4, activations quantized at run time",
    "fp16": "weights float16, activations float32",
    "none": "float32",
}
"""Name to meaning."""

CALIBRATED = ("int8-static",)
"""Schemes that need calibration texts."""


COMPATIBLE = {"tflite-runtime": ("int8-per-tensor", "fp16", "none")}
"""Older runtimes of LiteRT programs to the schemes that they run rightly, the one that is taken unless told first."""


@dataclass(frozen=True, eq=False)
class Sample:
    """A text as a program takes it, padded to a bucket.

    Attributes:
        ids: (1, L) int32 token ids.
        mask: (1, L) float32, 1 for tokens and 0 for padding.
    """

    ids: NDArray[np.int32]
    mask: NDArray[np.float32]


@dataclass(frozen=True)
class QuantSpec:
    """What is wanted.

    Attributes:
        scheme: One of SCHEMES.
        calibration: Texts from which a scheme of CALIBRATED takes its ranges; no other scheme has any.

    Raises:
        OptionError: There is no such scheme.
    """

    scheme: str = "int8"
    calibration: tuple[Sample, ...] = ()

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise OptionError(f"there is no scheme {self.scheme!r}; --quantize takes {', '.join(SCHEMES)}")

    @property
    def calibrated(self) -> bool:
        """Whether the scheme needs calibration texts."""
        return self.scheme in CALIBRATED
