"""A program tried in a process of its own first: what crashes, hangs or eats memory there does no harm here.

Engines are native code, and a program file made for the purpose can crash them, keep them busy for ever or ask for all memory.
No checksum helps against who made the file, and no exception tells of it. So the program is loaded and answers its golden
texts in a fresh process, with an upper bound on its time and memory; only then does the caller's process load it.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit_runtime.engines.packed_cache import OFF, SETTING
from edgekit_runtime.errors import BundleIntegrityError, EngineError
from edgekit_runtime.fresh import NoAnswerError, ask

if TYPE_CHECKING:
    from edgekit_runtime.bundle import Bundle

LIMIT_S = 120.0
"""How long the process may take, the start of Python included; a slow board needs a few seconds for a BERT."""

SPARE_BYTES = 1 << 30
"""Memory that a trial may take beyond what Python itself has and COPIES of the bundle."""

COPIES = 4
"""How many times the bundle's size an engine may take: the file, its weights packed for the processor, and as much in between."""


def try_program(bundle: Bundle, role: str, engine: str, threads: int | None) -> None:
    """Has a fresh process load one program of a bundle and answer its golden texts.

    Args:
        bundle: The bundle; the key of a sealed one goes to the process over stdin, where nobody sees it.
        role: Role of the model.
        engine: The engine whose program is tried.
        threads: As for :func:`load`.

    Raises:
        EngineError: The process crashed, gave no answer in time, or asked for too much memory.
        EdgekitError: Whatever loading raised there.
    """
    key = bundle.sealing_key()
    options = {
        "path": str(bundle.path),
        "manifest_sha256": _sum(bundle),
        "role": role,
        "engine": engine,
        "threads": threads,
        "most_bytes": SPARE_BYTES + COPIES * _size(bundle.path),
        "key": None if key is None else base64.b64encode(key).decode(),
    }
    try:
        ask("edgekit_runtime.trial:tried", options, limit_s=LIMIT_S)
    except NoAnswerError as error:
        raise EngineError(
            f"the {engine} program of {bundle.path} was tried in a process of its own, and {error}: do not trust this file, "
            "or convert the model anew"
        ) from error


def tried(
    path: str, manifest_sha256: str, role: str, engine: str, threads: int | None, most_bytes: int, key: str | None
) -> str:
    """What the process of a trial runs; gives what ran the program."""
    from edgekit_runtime.bundle import open_bundle
    from edgekit_runtime.loading import load_alone

    os.environ[SETTING] = OFF  # what a stranger's program is packed to stays on no disk
    limit_memory(most_bytes)
    try:
        bundle = open_bundle(path, key=None if key is None else base64.b64decode(key))
        if _sum(bundle) != manifest_sha256:
            raise BundleIntegrityError(f"{path} was replaced while it was tried; load it again")
        with load_alone(bundle, role, engine=engine, threads=threads) as classifier:
            return classifier.engine.distribution
    except MemoryError as error:
        raise EngineError(
            f"the {engine} program of {path} asks for more than {most_bytes >> 20} MiB: do not trust this file, or convert "
            "the model anew"
        ) from error


def limit_memory(more_bytes: int) -> None:
    """Lets this process have so much more memory of its own and no further, where the system can hold it to that (Linux)."""
    with contextlib.suppress(ImportError, OSError, ValueError, StopIteration):
        import resource

        with open("/proc/self/status", encoding="ascii") as file:
            now = next(1024 * int(line.split()[1]) for line in file if line.startswith("VmData:"))
        most = resource.getrlimit(resource.RLIMIT_DATA)[1]
        limit = now + more_bytes if most == resource.RLIM_INFINITY else min(most, now + more_bytes)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _sum(bundle: Bundle) -> str:
    """Of the manifest, which names the sums of all else."""
    return hashlib.sha256(bundle.manifest_bytes).hexdigest()


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0
