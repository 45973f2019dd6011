"""A loaded program, and the tensors that it takes and gives."""

from __future__ import annotations

import functools
import operator
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np

from edgekit_executorch import _engine
from edgekit_executorch._engine import ExecuTorchError

Array = np.ndarray[Any, Any]
ALIGNMENT = 4096
"""Bytes. Where a program may start in a file: what a page of memory may be mapped from."""
CHUNK = 1 << 20
MOST_THREADS = 1024
"""As many CPUs as Linux tells a process of."""

_dtype = functools.cache(np.dtype)
"""Numpy's type of a name, for which numpy itself would read the name anew."""


@dataclass(frozen=True)
class Tensor:
    """An input or an output as the program declares it.

    Attributes:
        dtype: The name that numpy has for it, as ``int64``.
        shape: Its dimensions; where ``dynamic``, the most that each may be.
        dynamic: Whether the shape may change from run to run.
    """

    dtype: str
    shape: tuple[int, ...]
    dynamic: bool

    def __str__(self) -> str:
        return f"{self.dtype} [{', '.join(f'<={size}' if self.dynamic else str(size) for size in self.shape)}]"

    def check(self, array: object) -> Array:
        """Returns an array in the order that the engine reads; raises ValueError with what is wrong with it."""
        if not isinstance(array, np.ndarray):
            raise ValueError(f"wants {self}, not {type(array).__name__}")
        # A small program runs for 20 us: nothing is formatted or looked up here that a right array does not need.
        shape = array.shape
        fits = len(shape) == len(self.shape) and (self.dynamic or shape == self.shape)
        if not fits or array.dtype != _dtype(self.dtype):
            raise ValueError(f"wants {self}, not {array.dtype} {list(shape)}")
        if self.dynamic:
            for size, most in zip(shape, self.shape, strict=True):
                if not 0 < size <= most:
                    raise ValueError(f"wants {self} and nothing empty, not {array.dtype} {list(shape)}")
        flags = array.flags
        return array if flags.c_contiguous and flags.aligned else np.array(array, order="C")


class Program:
    """A program (``.pte``), loaded with all its methods. Safe to share between threads; runs take turns.

    The file must stay as it is while the program is loaded: replace it by renaming another over it, which does no harm.
    After a change in place every run raises. ``mmap=False`` is independent of the file, and takes its size in memory.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        offset: int = 0,
        size: int | None = None,
        threads: int = 1,
        mmap: bool = True,
        trace: bool = False,
        sha256: str | None = None,
    ) -> None:
        """Loads a program.

        Args:
            path: The file that it lies in.
            offset: Where in the file, in bytes; a multiple of 4096.
            size: Its length in bytes; to the end of the file unless given.
            threads: The most threads that a run may use. Never more than the CPUs that this process may use. All programs
                of a process for more than one thread share one pool.
            mmap: Map the file instead of reading it.
            trace: Record every run for ``etdump``.
            sha256: The program's SHA-256 in hexadecimal, if known. Nothing else finds a weight that was changed: the format
                has no checksum.

        Raises:
            ExecuTorchError: No such program, or one that this ExecuTorch cannot load.
            OSError: The file cannot be opened.
        """
        threads, offset = _whole("threads", threads), _whole("offset", offset)
        size = None if size is None else _whole("size", size)
        if threads < 1:
            raise ExecuTorchError(f"threads must be 1 or more, not {threads}")
        # O_NONBLOCK: a pipe must be refused, not waited for.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            before = os.fstat(fd)
            size = _region(before, path, offset, size)
            if sha256 is not None and _digest(fd, offset, size) != sha256.lower():
                raise ExecuTorchError(f"{os.fspath(path)} is damaged: its SHA-256 is not {sha256}; fetch it again")
        except BaseException:
            os.close(fd)
            raise
        try:
            self._engine = _engine.Program(fd, offset, size, min(threads, MOST_THREADS), mmap, trace)
        except ExecuTorchError as error:
            raise ExecuTorchError(f"{os.fspath(path)}: {error}") from None
        after = os.fstat(fd)  # open until the engine closes it
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            self._engine.close()
            raise ExecuTorchError(f"{os.fspath(path)} has been changed while it was loaded; load it again")
        self.threads: int = self._engine.threads
        """Threads that a run uses."""
        self._methods = {
            name: (tuple(Tensor(*each) for each in inputs), tuple(Tensor(*each) for each in outputs))
            for name, inputs, outputs in self._engine.methods()
        }

    @property
    def methods(self) -> tuple[str, ...]:
        """The names of its methods."""
        return tuple(self._methods)

    def inputs(self, method: str = "forward") -> tuple[Tensor, ...]:
        """What a method takes."""
        return self._method(method)[0]

    def outputs(self, method: str = "forward") -> tuple[Tensor, ...]:
        """What a method gives."""
        return self._method(method)[1]

    def run(self, *inputs: Array, method: str = "forward") -> list[Array]:
        """Runs a method and returns its outputs, which are the caller's own.

        Args:
            inputs: One array for each of ``inputs(method)``.
            method: The method's name.

        Raises:
            ExecuTorchError: An unknown method, an array of the wrong type or shape, a program that is closed or whose
                file has been changed, or a failure of the engine.
        """
        wanted = self.inputs(method)
        if len(inputs) != len(wanted):
            raise ExecuTorchError(
                f"the method {method!r} takes {len(wanted)} inputs ({_listed(wanted)}), not {len(inputs)}"
            )
        arrays = []
        for number, (tensor, array) in enumerate(zip(wanted, inputs, strict=True)):
            try:
                arrays.append(tensor.check(array))
            except ValueError as error:
                raise ExecuTorchError(f"input {number} of the method {method!r} {error}") from None
        return self._engine.run(method, arrays)

    def etdump(self) -> bytes:
        """The trace of the runs since the last call, as ExecuTorch's Inspector reads it; empty if there were none.

        Every 256 runs make room: what was not fetched by then is lost.

        Raises:
            ExecuTorchError: The program was not loaded with ``trace=True``.
        """
        return self._engine.etdump()

    def close(self) -> None:
        """Frees the program, after a run that is under way. A later run raises."""
        self._engine.close()

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _method(self, name: str) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        try:
            return self._methods[name]
        except KeyError:
            raise ExecuTorchError(f"the program has no method {name!r}, only {', '.join(self._methods)}") from None


def _whole(name: str, value: int) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise ExecuTorchError(f"{name} must be a whole number, not {value!r}") from None


def _region(info: os.stat_result, path: str | os.PathLike[str], offset: int, size: int | None) -> int:
    """The length of the program in bytes."""
    if not stat.S_ISREG(info.st_mode):
        raise ExecuTorchError(f"{os.fspath(path)} is no regular file")
    if offset < 0 or offset % ALIGNMENT:
        raise ExecuTorchError(f"offset must be a multiple of {ALIGNMENT}, not {offset}")
    if size is None:
        size = info.st_size - offset
    if size <= 0 or offset + size > info.st_size:
        raise ExecuTorchError(
            f"{os.fspath(path)} has {info.st_size} bytes: no program of {size} bytes at byte {offset}"
        )
    return size


def _digest(fd: int, offset: int, size: int) -> str:
    import hashlib  # OpenSSL takes longer to load than all the rest

    digest = hashlib.sha256()
    for start in range(offset, offset + size, CHUNK):
        digest.update(os.pread(fd, min(CHUNK, offset + size - start), start))
    return digest.hexdigest()


def _listed(tensors: Sequence[Tensor]) -> str:
    return ", ".join(map(str, tensors)) or "none"
