"""How weights and activations are stored; each target realises it its own way."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit_runtime.errors import OptionError

SCHEMES = {
    "int8": "weights int8 with a scale per channel, activations quantized at run time",
    "int8-per-tensor": "weights int8 with one scale a tensor, for runtimes that know no other",
    "none": "float32",
}
"""Name to meaning."""


@dataclass(frozen=True)
class QuantSpec:
    """What is wanted; its name is one of SCHEMES."""

    scheme: str = "int8"

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise OptionError(f"there is no scheme {self.scheme!r}; --quantize takes {', '.join(SCHEMES)}")
