"""A phone that the real adb client talks to over TCP: adbd's wire protocol, and commands that this machine's shell runs.

Protocol: packages/modules/adb/protocol.txt and shell_protocol.h of the Android Open Source Project. Only what edgekit uses is
here: ``shell,v2`` with stdin and exit code, and ``exec:cmd package install``, which adb streams an APK into.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import threading
from pathlib import Path

VERSION, MOST_BYTES = 0x01000001, 256 * 1024
BANNER = b"device::ro.product.name=fake;ro.product.model=Fake;ro.product.device=fake;features=shell_v2,cmd"
STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)


class Stream:
    """One OPEN of the client's: what it sends arrives in a pipe, what is written goes out as it acknowledges."""

    def __init__(self, connection: Connection, here: int, there: int) -> None:
        self.connection, self.here, self.there = connection, here, there
        self.sink: int | None = None
        self.pending = b""
        self.shell = False
        self.acknowledged = threading.Semaphore(1)

    def write(self, data: bytes) -> None:
        for start in range(0, len(data), MOST_BYTES):
            self.acknowledged.acquire()
            self.connection.send(b"WRTE", self.here, self.there, data[start : start + MOST_BYTES])

    def packet(self, kind: int, data: bytes) -> None:
        self.write(struct.pack("<BI", kind, len(data)) + data)

    def receive(self, data: bytes) -> None:
        """What the client wrote: bytes, or packets of the shell protocol."""
        if not self.shell:
            self._feed(data)
            return
        self.pending += data
        while len(self.pending) >= 5:
            kind, size = struct.unpack_from("<BI", self.pending)
            if len(self.pending) < 5 + size:
                return
            body, self.pending = self.pending[5 : 5 + size], self.pending[5 + size :]
            if kind == STDIN:
                self._feed(body)
            elif kind == CLOSE_STDIN:
                self.end()

    def _feed(self, data: bytes) -> None:
        if self.sink is not None:
            with contextlib.suppress(BrokenPipeError):
                while data:
                    data = data[os.write(self.sink, data) :]

    def end(self) -> None:
        if self.sink is not None:
            os.close(self.sink)
            self.sink = None

    def close(self) -> None:
        self.acknowledged.acquire()
        self.connection.send(b"CLSE", self.here, self.there)


class Connection(threading.Thread):
    """A client's connection."""

    def __init__(self, phone: WirePhone, connected: socket.socket) -> None:
        super().__init__(daemon=True)
        self.phone, self.socket = phone, connected
        self.streams: dict[int, Stream] = {}
        self.lock = threading.Lock()

    def send(self, command: bytes, first: int, second: int, data: bytes = b"") -> None:
        number = int.from_bytes(command, "little")
        head = struct.pack("<6I", number, first, second, len(data), sum(data), number ^ 0xFFFFFFFF)
        with self.lock, contextlib.suppress(OSError):
            self.socket.sendall(head + data)

    def run(self) -> None:
        with self.socket, self.socket.makefile("rb") as incoming:
            while len(head := incoming.read(24)) == 24:
                command, first, second, size, _, _ = struct.unpack("<6I", head)
                self.handle(command.to_bytes(4, "little"), first, second, incoming.read(size))

    def handle(self, command: bytes, first: int, second: int, data: bytes) -> None:
        if command == b"CNXN":
            self.send(b"CNXN", VERSION, MOST_BYTES, BANNER)
        elif command == b"OPEN":
            stream = Stream(self, len(self.streams) + 1, first)
            self.streams[stream.here] = stream
            service, _, words = data.rstrip(b"\0").decode().partition(":")
            stream.shell = service.startswith("shell,v2")
            if not stream.shell and service != "exec":
                self.send(b"CLSE", 0, first)
                return
            reading, stream.sink = os.pipe()
            self.send(b"OKAY", stream.here, first)
            threading.Thread(target=self.phone.execute, args=(stream, reading, words), daemon=True).start()
        elif known := self.streams.get(second):
            if command == b"WRTE":
                known.receive(data)
                self.send(b"OKAY", second, first)
            elif command == b"OKAY":
                known.acknowledged.release()
            elif command == b"CLSE":
                known.end()


class WirePhone:
    """The phone: a port, and a folder with the commands that its shell has beside this machine's.

    Attributes:
        address: Where ``adb connect`` finds it.
        commands: What was run on it, in order.
    """

    def __init__(self, programs: Path) -> None:
        self.commands: list[str] = []
        self._variables = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                Connection(self, self._server.accept()[0]).start()

    def execute(self, stream: Stream, stdin: int, words: str) -> None:
        """Runs a command with this machine's shell."""
        self.commands.append(words)
        pipe = subprocess.PIPE
        with subprocess.Popen(
            ["sh", "-c", words], stdin=stdin, stdout=pipe, stderr=pipe, env=self._variables
        ) as process:
            os.close(stdin)
            out, said = process.communicate()
        if stream.shell:
            for kind, data in ((STDOUT, out), (STDERR, said), (EXIT, bytes([process.returncode & 255]))):
                if data:
                    stream.packet(kind, data)
        else:
            stream.write(out + said)
        stream.close()

    def close(self) -> None:
        self._server.close()
