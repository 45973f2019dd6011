"""The service as a process of its own, and a way to make one slow.

As a program, it serves a bundle whose engine takes its time, as on a slow device, and fails on what says so; loading takes its
time, too, where asked for.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

SENTINEL = "xyzzyplugh"
"""Stands in texts that must be found nowhere else."""
LOADING = "loading\n"
"""What this program says on stderr whenever it loads the bundle."""
BREAKS = "explode"
"""A text that the slow service's engine fails on."""


class Service:
    """A running service; its output goes to files in ``folder``.

    Args:
        folder: For its output.
        arguments: Of ``edgekit serve``; None: of this program.
        settings: Of this program: ServeSettings by name, ``seconds``, what a text takes, and of the first load and of later ones
            ``first_s`` and ``later_s``.
    """

    def __init__(self, folder: Path, *arguments: object, settings: dict[str, Any] | None = None) -> None:
        self.out, self.err = folder / "out.txt", folder / "err.txt"
        self._arguments = [str(argument) for argument in arguments]
        self._settings = settings

    def start(self) -> subprocess.Popen[bytes]:
        """Starts it without waiting until it is ready."""
        if self._settings is None:
            command = [sys.executable, "-m", "edgekit", "serve", *self._arguments, "--port", "0", "--json"]
        else:
            command = [sys.executable, __file__, json.dumps(self._settings)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with self.out.open("wb") as out, self.err.open("wb") as err:
            return subprocess.Popen(command, stdout=out, stderr=err, env=environment)

    def __enter__(self) -> Service:
        self.process = self.start()
        end = time.monotonic() + 60
        while not self.out.read_bytes().endswith(b"\n"):
            assert self.process.poll() is None and time.monotonic() < end, self.err.read_text()
            time.sleep(0.02)
        self.said = json.loads(self.out.read_text())
        self.url = self.said["url"]
        self.port = int(self.url.rpartition(":")[2])
        self.client = httpx.Client(base_url=self.url, timeout=30, trust_env=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def end(self, number: int = signal.SIGTERM, within_s: float = 20) -> int:
        """Sends a signal; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(within_s)

    def metric(self, line: str) -> float:
        """The value of a metric, named as in Prometheus' format; 0 where it is not there."""
        for each in self.client.get("/metrics").text.splitlines():
            if each.startswith(line + " "):
                return float(each.rpartition(" ")[2])
        return 0.0

    def connect(self) -> socket.socket:
        """A plain connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def raw(self, *parts: bytes) -> bytes:
        """All that is answered to bytes until the service closes the connection."""
        with self.connect() as connection:
            for part in parts:
                connection.sendall(part)
            return rest_of(connection)


def rest_of(connection: socket.socket) -> bytes:
    """What comes until the other side closes."""
    got = b""
    try:
        while part := connection.recv(65536):
            got += part
    except ConnectionResetError:
        pass
    return got


def post(path: str, body: bytes, *headers: bytes, length: int | None = None) -> bytes:
    """The bytes of a request."""
    count = len(body) if length is None else length
    head = [
        b"POST %s HTTP/1.1" % path.encode(),
        b"Host: localhost",
        b"Content-Type: application/json",
        b"Content-Length: %d" % count,
        *headers,
    ]
    return b"\r\n".join([*head, b"", body])


def _main(settings: dict[str, Any]) -> None:
    from edgekit.cli.terminal import print_json
    from edgekit.serve import reloading, server
    from edgekit.serve.generation import Generation, load_generation
    from edgekit.serve.server import BundleServer
    from edgekit.serve.settings import ServeSettings
    from edgekit_runtime import Classifier, Prediction

    seconds = settings.pop("seconds")
    plain = Classifier.__call__

    def slow(self: Classifier, text: str) -> Prediction:
        if BREAKS in text:
            raise RuntimeError(text)
        time.sleep(seconds)
        return plain(self, text)

    Classifier.__call__ = slow  # type: ignore[method-assign]

    def load_after(seconds: float) -> Any:
        def load(settings: ServeSettings, *, trial: bool = False) -> Generation:
            sys.stderr.write(LOADING)
            time.sleep(seconds)
            return load_generation(settings, trial=trial)

        return load

    server.load_generation = load_after(settings.pop("first_s", 0))
    reloading.load_generation = load_after(settings.pop("later_s", 0))

    def ready(url: str, generation: Generation) -> None:
        print_json({"url": url, "pid": os.getpid(), "bundle": generation.about}, one_line=True)

    bundle = Path(settings.pop("bundle"))
    BundleServer(ServeSettings(bundle=bundle, port=0, **settings)).run(ready)


def texts_of(count: int, word: str = SENTINEL) -> Sequence[str]:
    """Texts, each another."""
    return [f"the film was {word} {number}" for number in range(count)]


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]))
