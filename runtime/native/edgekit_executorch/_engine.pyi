from collections.abc import Sequence
from typing import Any

import numpy as np

EXECUTORCH_VERSION: str
"""The release whose libraries are inside this package, as ``1.5.1``."""

class ExecuTorchError(RuntimeError):
    """A program that cannot be loaded, an input that it cannot take, or a run that failed; one line."""

def log(on: bool) -> None:
    """Has ExecuTorch's own log lines written to stderr, or (the default) kept out of it.

    The environment variable ``EDGEKIT_EXECUTORCH_LOG=1`` does so from the start.
    """

_Declared = tuple[str, tuple[int, ...], bool]

class Program:
    def __init__(self, fd: int, offset: int, size: int, threads: int, mmap: bool, trace: bool) -> None: ...
    @property
    def threads(self) -> int: ...
    def methods(self) -> list[tuple[str, list[_Declared], list[_Declared]]]: ...
    def run(self, method: str, arrays: Sequence[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]: ...
    def etdump(self) -> bytes: ...
    def close(self) -> None: ...
