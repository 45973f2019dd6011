"""Building the demo app, which takes edgekit's sources: the app's are no part of the package."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import edgekit
from edgekit_runtime.errors import DeviceError, FileError
from edgekit_runtime.progress import Listener

WAIT_S = 20.0
"""So long a build that was interrupted may take to tidy up."""


def checkout() -> Path:
    """The folder with edgekit's sources that this package lies in.

    Raises:
        FileError: It was installed without them.
    """
    root = Path(edgekit.__file__).resolve().parents[2]
    if not ((root / "android-demo").is_dir() and (root / "scripts" / "apk" / "__main__.py").is_file()):
        raise FileError(
            "the app's sources are not here, since edgekit is installed without its repository: clone that, "
            "pip install -e . in it, and try again"
        )
    return root


def built_apk() -> Path:
    """Where the build leaves the APK; errors as from :func:`checkout`."""
    return checkout() / "android-demo" / "build" / "edgekit-demo.apk"


def build(
    listener: Listener,
    *,
    bundle: Path | None = None,
    executorch: Path | None = None,
    trusted_keys: Sequence[Path] = (),
) -> Path:
    """Runs ``scripts/apk build`` with this Python.

    Args:
        listener: Told of each step as the build tells it.
        bundle: Goes into the APK in place of the usual demo bundle.
        executorch: An AAR with ExecuTorch to use in place of the usual one.
        trusted_keys: Public keys of which one must have signed what the app opens; without any it opens every bundle.

    Returns:
        The APK.

    Raises:
        FileError: There is no checkout, or a file is missing.
        DeviceError: The build failed.
    """
    apk = built_apk()
    arguments = [sys.executable, "-u", str(checkout() / "scripts" / "apk"), "build"]
    keys = [("--trusted-key", key) for key in trusted_keys]
    for option, file in (("--bundle", bundle), ("--executorch", executorch), *keys):
        if file is not None:
            if not file.is_file():
                raise FileError(f"there is no file {file}; give another {option}")
            arguments += [option, str(file.resolve())]
    said = _run(arguments, listener)
    if not apk.is_file():
        raise DeviceError(f"the build left no {apk}: {said}")
    return apk


def _run(arguments: list[str], listener: Listener) -> str:
    """Runs the build, telling its lines; the last one.

    It gets a process group of its own, so that Ctrl-C is passed on to every process in it once, and is waited for.
    """
    last = "it said nothing"
    with subprocess.Popen(
        arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if text := line.decode(errors="replace").strip():
                    last = text
                    listener.stage(text)
        except BaseException:
            _end(process)
            raise
    if process.returncode:
        raise DeviceError(f"the app was not built: {last.removeprefix('error: ')}")
    return last


def _end(process: subprocess.Popen[bytes]) -> None:
    for sent in (signal.SIGINT, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, sent)
            try:
                process.wait(WAIT_S)
            except subprocess.TimeoutExpired:
                continue
