"""Calls of ``adb``, the Android Debug Bridge: bytes in, bytes out, each with a time limit."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import IO

from edgekit_runtime.errors import DeviceError

LIMIT_S = 30.0

_LOST = re.compile(
    r"^(?:adb: |error: |adb: error: |\* )(?:device|no devices|more than one|closed|protocol fault|cannot connect|"
    r"failed to (?:get feature|start daemon|check server)|insufficient permissions|unknown host service)",
    re.MULTILINE,
)
"""What adb itself says on stderr when it did not reach the phone; a command's own exit code means nothing then."""

_NO_EXIT_CODE = 255
"""adb's own where the connection broke before the command's came."""


@dataclass(frozen=True)
class Answer:
    """What a call gave.

    Attributes:
        exit: Exit code; of ``adb shell``, the remote command's.
        out: What it wrote on stdout.
        said: What it wrote on stderr.
    """

    exit: int
    out: bytes
    said: str

    @property
    def text(self) -> str:
        """Stdout as text."""
        return self.out.decode(errors="replace")

    @property
    def last_line(self) -> str:
        """The last line that says something, for messages."""
        lines = [line.strip() for line in f"{self.text}\n{self.said}".splitlines() if line.strip()]
        return lines[-1] if lines else f"exit code {self.exit}"


class UnreachableError(DeviceError):
    """adb did not reach the phone, or lost it: the command may or may not have run."""


class Adb:
    """The ``adb`` on PATH. The server that adb starts is left running, as adb leaves it.

    Args:
        serial: Which device the calls are for; None for calls that need none.

    Raises:
        DeviceError: There is no adb.
    """

    def __init__(self, serial: str | None = None) -> None:
        program = shutil.which("adb")
        if program is None:
            raise DeviceError(
                "there is no adb on PATH, which talks to the phone: install Android's platform tools (Debian: apt install adb)"
            )
        self._command = [program, *(() if serial is None else ("-s", serial))]

    def run(self, *arguments: str, stdin: IO[bytes] | None = None, limit_s: float = LIMIT_S) -> Answer:
        """Runs ``adb ARGUMENTS``.

        Args:
            arguments: As adb takes them; what follows ``shell`` goes through a shell on the phone and must be quoted.
            stdin: An open file that the call reads; without one it reads nothing.
            limit_s: Seconds until it is given up.

        Raises:
            UnreachableError: adb does not answer, or says that it has no connection.
            DeviceError: adb cannot be started.
        """
        try:
            done = subprocess.run(
                [*self._command, *arguments],
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                capture_output=True,
                timeout=limit_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise UnreachableError(
                f"adb {arguments[0]} got no answer within {limit_s:g} s: plug the phone in again; "
                "if that does not help, adb kill-server"
            ) from error
        except OSError as error:
            raise DeviceError(f"{self._command[0]} cannot be started: {error.strerror}; install adb anew") from error
        answer = Answer(done.returncode, done.stdout, done.stderr.decode(errors="replace"))
        lost = _LOST.search(answer.said) or (answer.exit == _NO_EXIT_CODE and not answer.said)
        if answer.exit and lost:
            raise UnreachableError(f"adb has no connection to the phone: {answer.last_line}; plug it in and try again")
        return answer
