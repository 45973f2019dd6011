"""Workers: which process runs a trial, and whether it still does."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

BEAT_S = 60.0
"""How often a running trial shows that it is alive, for workers on other machines."""

SILENT_S = 600.0
"""After such silence a worker of another machine counts as dead."""


def this_worker() -> dict[str, Any]:
    """This process, so that others can tell whether it is alive."""
    return {"host": socket.gethostname(), "boot": _boot(), "pid": os.getpid(), "started": _started(os.getpid())}


def is_gone(worker: Mapping[str, Any], beat: float) -> bool:
    """Whether a worker is dead: at once for one of this machine, after SILENT_S for others.

    Args:
        worker: As :func:`this_worker` gave it there.
        beat: When it last showed that it is alive, in seconds since the epoch.
    """
    if (worker.get("host"), worker.get("boot")) != (socket.gethostname(), _boot()):
        return time.time() - beat > SILENT_S
    pid = int(worker["pid"])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return bool(_started(pid) != worker["started"])


@contextlib.contextmanager
def beating(beat: Callable[[float], None]) -> Iterator[None]:
    """Calls ``beat`` with the time now and every BEAT_S seconds while the block runs."""
    done = threading.Event()
    beat(time.time())

    def run() -> None:
        while not done.wait(BEAT_S):
            beat(time.time())

    thread = threading.Thread(target=run, name="beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _boot() -> str:
    """Tells boots of a machine, and containers on it, apart; empty where the system does not."""
    with contextlib.suppress(OSError):
        space = os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116 - it is no file
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text(encoding='ascii').strip()}:{space}"
    return ""


def _started(pid: int) -> str:
    """When a process was started, in ticks since the boot; empty where the system does not tell."""
    with contextlib.suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        fields = state.rpartition(")")[2].split()
        return "" if fields[0] == "Z" else fields[19]  # a zombie has ended
    return ""
