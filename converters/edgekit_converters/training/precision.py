"""Whether training computes in bfloat16."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from edgekit_converters.training.settings import TrainSettings
from edgekit_runtime.errors import OptionError

CPU_INFO = Path("/proc/cpuinfo")
NATIVE = {"amx_bf16", "avx512_bf16", "bf16"}
"""What Linux calls the instructions, on x86 and on ARM."""


def bf16_wanted(settings: TrainSettings) -> bool:
    """Whether to compute in bfloat16: as the settings say, or where the machine does it by itself.

    There it is faster, and no less accurate (docs/training.md).

    Raises:
        OptionError: It is asked for, and this machine would only emulate it.
    """
    if settings.bf16 and not native_bf16():
        raise OptionError("this machine has no bfloat16 instructions, and emulating them is slow: drop --bf16")
    if settings.bf16 is None:
        return native_bf16()
    return settings.bf16


def native_bf16() -> bool:
    """Whether the device that trains multiplies bfloat16 by itself."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    try:
        text = CPU_INFO.read_text(encoding="utf-8", errors="replace")
    except OSError:  # no Linux
        return False
    found = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", text, re.MULTILINE)
    return found is not None and not NATIVE.isdisjoint(found.group(1).split())
