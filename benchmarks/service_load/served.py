"""The service as a process: started, signalled, watched."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from contenders.edgekit import COMMAND

READY_S = 120
DRAIN_S = 60


@dataclass(frozen=True)
class Sample:
    """The service at one moment.

    Attributes:
        time_s: Of ``time.monotonic``.
        anon_mib: Memory of its own, its children's included: "Anonymous" of /proc/PID/smaps_rollup.
        descriptors: Open files and sockets.
        threads: Its threads.
    """

    time_s: float
    anon_mib: float
    descriptors: int
    threads: int


class Served:
    """``edgekit serve`` on loopback. A context manager: it is ended with the block.

    Args:
        bundle: What it serves.
        log: Where its stderr goes.
        options: Of the command, beside host and port.
        port: 0 for a free one, which it keeps over restarts.
    """

    def __init__(self, bundle: Path, log: Path, options: Sequence[str] = (), port: int = 0) -> None:
        self.bundle = bundle
        self.port = port
        self._log = log
        self._options = options
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Served:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process is not None, "the service was not started"
        return self._process

    def start(self) -> None:
        """Starts it and waits until it is ready.

        Raises:
            RuntimeError: It ended, or did not become ready in time; the message ends with what it said.
        """
        command = [*COMMAND, "serve", str(self.bundle), "--port", str(self.port), "--json", *self._options]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, encoding="utf-8")
        late = threading.Timer(READY_S, self._process.kill)
        late.start()
        try:
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
        finally:
            late.cancel()
        try:
            self.port = urlsplit(json.loads(line)["url"]).port or 0
        except (ValueError, KeyError):
            self.kill()
            raise RuntimeError(f"edgekit serve said {line!r} and is not ready:\n{self._said()}") from None

    def end(self) -> float:
        """Asks it to end, as a service manager does, and gives the seconds that it took.

        Raises:
            RuntimeError: It did not end in time, or not with exit code 0.
        """
        begin_s = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(DRAIN_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(f"edgekit serve did not end within {DRAIN_S} s of SIGTERM:\n{self._said()}") from None
        self._close()
        if code:
            raise RuntimeError(f"edgekit serve ended with exit code {code} after SIGTERM:\n{self._said()}")
        return time.monotonic() - begin_s

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._close()

    def hang_up(self) -> None:
        """Asks it to load its bundle anew."""
        self.process.send_signal(signal.SIGHUP)

    def digest(self) -> str:
        """SHA-256 of the bundle that answers now.

        Raises:
            RuntimeError: It does not tell.
        """
        connection = http.client.HTTPConnection(*self.address, timeout=30)
        try:
            connection.request("GET", "/v1/bundle", headers={"Host": "localhost"})
            answer = connection.getresponse()
            return str(json.loads(answer.read())["sha256"])
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            raise RuntimeError(f"GET /v1/bundle failed: {error!r}\n{self._said()}") from error
        finally:
            connection.close()

    def sample(self) -> Sample:
        """Its memory, descriptors and threads now."""
        own = psutil.Process(self.process.pid)
        family = [own, *own.children(recursive=True)]
        return Sample(
            time_s=time.monotonic(),
            anon_mib=sum(_anonymous_kib(process.pid) for process in family) / 1024,
            descriptors=sum(process.num_fds() for process in family),
            threads=sum(process.num_threads() for process in family),
        )

    def cpu_s(self) -> float:
        """Processor time that it has taken since it began."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def _close(self) -> None:
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _said(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-2000:] if self._log.exists() else ""


def _anonymous_kib(pid: int) -> int:
    with Path(f"/proc/{pid}/smaps_rollup").open(encoding="ascii") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))
