"""The folder of one run in the app's private files: what the app reads and writes. It goes when the run is over."""

from __future__ import annotations

import io
import json
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.android.adb import LIMIT_S, Answer
from edgekit.android.phone import Phone
from edgekit_runtime.errors import DeviceError
from edgekit_runtime.progress import Listener

SLOWEST_BYTES_PER_S = 250_000
"""Of a phone on a bad cable or far from its access point; sets the time limit of copies."""

TIDY_S = 10.0
"""Limit of a call that tidies up, for which somebody who pressed Ctrl-C waits."""

_UNFINISHED = 3
_LOOK = (
    "cd {folder} || exit 1; if [ -f result.json ]; then cat result.json; else cat progress.json 2>/dev/null; "
    f"exit {_UNFINISHED}; fi"
)


@dataclass(frozen=True)
class Look:
    """How a run stands.

    Attributes:
        result: What the app wrote at its end; None while it runs.
        progress: What it wrote last of its progress; empty before that.
    """

    result: dict[str, Any] | None
    progress: dict[str, Any]


class RunFolder:
    """A run's folder on the phone.

    Args:
        phone: Where.
        run: The run's name, a word of lower-case letters and digits.
    """

    def __init__(self, phone: Phone, run: str) -> None:
        self.run = run
        self._phone = phone
        self._path = f"files/bench/{run}"

    def make(self) -> None:
        """Makes the folder.

        Raises:
            DeviceError: The phone is full, or does not let us.
        """
        done = self._phone.as_app(f"mkdir -p {self._path}")
        if done.exit:
            raise DeviceError(f"the phone has no place for the run ({done.last_line}): make room on it and try again")

    def put(self, name: str, source: Path | bytes) -> None:
        """Copies a file into the folder; its name must need no quotes.

        Raises:
            DeviceError: The phone is full, or was lost.
        """
        with source.open("rb") if isinstance(source, Path) else tempfile.TemporaryFile() as file:
            if isinstance(source, bytes):
                file.write(source)
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            script = f"cd {self._path} && cat > {name} && wc -c < {name}"
            done = self._phone.as_app(script, stdin=file, limit_s=LIMIT_S + size / SLOWEST_BYTES_PER_S)
        if done.exit or done.text.strip() != str(size):
            raise DeviceError(
                f"{name}, {size / 1e6:.1f} MB, could not be copied to the phone ({done.last_line}): make room on it and try again"
            )

    def look(self) -> Look:
        """Asks how the run stands."""
        answer = self._phone.as_app(_LOOK.format(folder=self._path))
        if answer.exit not in (0, _UNFINISHED):
            raise DeviceError(f"the run's folder on the phone cannot be read ({answer.last_line}); try again")
        if answer.exit == 0:
            return Look(_object(answer), {})
        try:
            progress = json.loads(answer.out or b"{}")
        except (ValueError, RecursionError):
            progress = {}  # the next look tells more
        return Look(None, progress if isinstance(progress, dict) else {})

    def remove(self) -> None:
        """Removes the folder with all that is in it."""
        done = self._phone.as_app(f"rm -rf {self._path}", limit_s=TIDY_S)
        if done.exit:
            raise DeviceError(done.last_line)


@contextmanager
def run_folder(phone: Phone, listener: Listener) -> Iterator[RunFolder]:
    """A new folder, which is removed at the end however that comes; where the phone is gone by then, that is said."""
    folder = RunFolder(phone, secrets.token_hex(8))
    try:
        folder.make()
        yield folder
    finally:
        try:
            folder.remove()
        except DeviceError as error:
            listener.say(
                f"what was copied to the phone may still be there ({error}): uninstalling the app takes it away"
            )


def _object(answer: Answer) -> dict[str, Any]:
    try:
        found = json.loads(answer.out)
    except (ValueError, RecursionError) as error:
        raise DeviceError(
            "what the app wrote is no JSON: install the app of this edgekit, edgekit android install"
        ) from error
    if not isinstance(found, dict):
        raise DeviceError("what the app wrote is no profile: install the app of this edgekit, edgekit android install")
    return found
