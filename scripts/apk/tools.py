"""The programs that the build calls, all of them Debian's."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from errors import ApkError, ToolMissingError

PACKAGES = {
    "java": "default-jdk-headless",
    "javac": "default-jdk-headless",
    "keytool": "default-jdk-headless",
    "mvn": "maven",
    "npm": "npm",
    "aapt": "aapt",
    "aapt2": "aapt",
    "zipalign": "zipalign",
    "apksigner": "apksigner",
    "dexdump": "dexdump",
}
"""Each program and the Debian package that brings it."""

FRAMEWORK_RES = Path("/usr/share/android-framework-res/framework-res.apk")
FRAMEWORK_RES_PACKAGE = "android-framework-res"

TIMEOUT_S = 900

SHORT_LIVED = ("-Xmx2g", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""Java's options for a compiler that runs once: without the optimizing compiler it takes half the processor time."""


def need(*programs: str) -> None:
    """Refuses to start where programs are missing, and names every Debian package at once.

    Raises:
        ToolMissingError: One or more are not on the path.
    """
    absent = [program for program in programs if shutil.which(program) is None]
    packages = [PACKAGES[program] for program in absent]
    if "aapt2" in programs and not FRAMEWORK_RES.exists():
        absent.append(FRAMEWORK_RES.name)
        packages.append(FRAMEWORK_RES_PACKAGE)
    if absent:
        raise ToolMissingError(
            f"the app's build needs {', '.join(absent)}; on Debian: apt install {' '.join(dict.fromkeys(packages))}"
        )


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Runs a program to its end.

    Returns:
        What it wrote to standard output.

    Raises:
        ToolMissingError: It is not on this machine.
        ApkError: It failed; the message has the end of what it said.
    """
    program = str(command[0])
    need(program)
    try:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            capture_output=True,
            encoding="utf-8",
            errors="replace",  # dexdump writes strings as the dex has them, in a UTF-8 of Java's own
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        raise ApkError(f"{program} did not end within {TIMEOUT_S} seconds; try again on an idle machine") from None
    if done.returncode:
        said = done.stderr + done.stdout
        raise ApkError(f"{program} failed: {_last_lines(said)}", said)
    return done.stdout


def java(classpath: Sequence[Path], main: str, *arguments: str | Path, options: Sequence[str] = ()) -> str:
    """Runs a Java program, as ``run`` does."""
    return run("java", *options, "-cp", ":".join(map(str, classpath)), main, *arguments)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One process at a time works in a folder; it is made when it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _last_lines(text: str, count: int = 12) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-count:]) or "it said nothing"
