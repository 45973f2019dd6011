"""Installing an environment, which only the user asks for: a folder beside, which gets its name when it is proven to work."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from edgekit_converters.environments.asking import tried_imports
from edgekit_converters.environments.bases import find_base
from edgekit_converters.environments.environment import Environment
from edgekit_converters.environments.places import FOLDER, interpreter, place_of
from edgekit_runtime.errors import FileError, MissingExtraError
from edgekit_runtime.fresh import ended_in_order
from edgekit_runtime.progress import Listener

ELSEWHERE = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_PYTHON", "PIP_CONSTRAINT", "PIP_REQUIREMENT")
"""Settings of the user's pip that would put the packages elsewhere, or others there."""


def install_environment(environment: Environment, listener: Listener) -> Path:
    """Installs an environment, or leaves it as it is where it works; takes the user's settings of pip.

    Args:
        environment: Which.
        listener: Told where it goes and how large it gets, and of progress.

    Returns:
        Its Python.

    Raises:
        OptionError: This machine cannot run its packages.
        MissingExtraError: There is no Python that fits, or pip could not bring the packages; nothing is left behind.
        FileError: There is no room, or the folder cannot be written to.
    """
    environment.check_machine()
    base = find_base(environment)
    place = place_of(environment, base.version)
    part = place.with_name(f"{place.name}.part")
    python = interpreter(place)
    with ended_in_order(), _only_one(place.parent, listener):
        if python.is_file() and tried_imports(environment, python) is None:
            listener.say(f"{environment.name} is installed already, in {place}")
            return python
        _remove(part, place)  # what was killed, or damaged
        _check_room(environment, place.parent)
        listener.say(f"{environment.name} takes {environment.size} in {place}")
        try:
            listener.stage(f"Making an environment of Python {base.version}")
            _run(environment, [str(base.python), "-I", "-m", "venv", "--without-pip", str(part)])
            _run(environment, [str(interpreter(part)), "-I", "-m", "ensurepip"])
            _install(environment, interpreter(part), listener)
            listener.stage(f"Trying {environment.name}")
            if reason := tried_imports(environment, interpreter(part)):
                raise MissingExtraError(f"{environment.name} was installed and does not work here: {reason}")
            part.rename(place)
        finally:
            _remove(part)
    return python


def _install(environment: Environment, python: Path, listener: Listener) -> None:
    """Has pip install what is pinned, as wheels: nothing is built."""
    count = len(environment.requirements)
    if not count:
        return
    listener.stage(f"Fetching {count} packages")
    fetched = 0

    def heard(line: str) -> None:
        nonlocal fetched
        if line.startswith("Collecting "):
            fetched += 1
            listener.progress(fetched, count)
        elif line.startswith("Installing collected packages"):
            listener.stage(f"Unpacking {count} packages")

    options = (
        "--no-deps",
        "--only-binary",
        ":all:",
        "--disable-pip-version-check",
        "--no-input",
        "--progress-bar",
        "off",
    )
    _run(environment, [str(python), "-I", "-m", "pip", "install", *options, *environment.requirements], heard)


def _run(environment: Environment, command: list[str], heard: Callable[[str], None] = lambda line: None) -> None:
    """Runs a command, in a process group of its own, and passes on each line that it prints.

    Raises:
        MissingExtraError: It failed.
    """
    variables = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    last = ""
    with (
        tempfile.TemporaryFile("w+", errors="replace") as complaints,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            errors="replace",
            env=variables,
            start_new_session=True,
        ) as process,
    ):
        assert process.stdout is not None, "it is a pipe"
        try:
            for line in process.stdout:
                last = line.strip() or last
                heard(line)
        except BaseException:  # Ctrl-C: whatever it started must be gone before the folder is removed
            os.killpg(process.pid, signal.SIGKILL)
            process.stdout.read()  # which ends when the last of them has
            raise
        if process.wait():
            complaints.seek(0)
            reason = (complaints.read().strip().splitlines() or [last or f"it ended with {process.returncode}"])[-1]
            raise MissingExtraError(
                f"{environment.name} could not be installed: {reason}; nothing was left behind: see to the network, the "
                f"settings of pip and the disk, then {environment.install}"
            )


def _check_room(environment: Environment, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < environment.megabytes * 10**6:
        raise FileError(
            f"{environment.name} takes {environment.size}, and {folder} has {free / 1e6:.0f} MB left: make room, or name a "
            f"folder elsewhere by {FOLDER}"
        )


@contextlib.contextmanager
def _only_one(folder: Path, listener: Listener) -> Iterator[None]:
    """Makes the folder, and waits there for other installations to end.

    Raises:
        FileError: It cannot be written to.
    """
    import fcntl  # which Windows lacks; there no environment fits, and the machine is refused before

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise FileError(
            f"cannot write to {folder}: {error.strerror}; name a folder for environments by {FOLDER}"
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            listener.stage("Waiting until another installation is done")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove(*folders: Path) -> None:
    for folder in folders:
        if folder.is_symlink():
            folder.unlink()
        else:
            shutil.rmtree(folder, ignore_errors=True)
