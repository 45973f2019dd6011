"""edgekit as a device installs it: the wheels that are built here."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from emulator import CACHE, CHECKOUT, PYTHON, Arm64Error, MissingError, install, made_once

NATIVE = CHECKOUT / "runtime" / "native"
NATIVE_WHEEL = CHECKOUT / "scripts" / "native_wheel.py"
COMPILER = "aarch64-linux-gnu-g++"


def device_packages(folder: Path, cache: Path = CACHE) -> Path:
    """Unpacks edgekit and its ExecuTorch engine for aarch64 into ``folder / "site"``.

    Raises:
        MissingError: The cross-compiler is not installed, or the package index cannot be reached.
        Arm64Error: A wheel cannot be built.
    """
    _build([sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(CHECKOUT)], "make wheels")
    wheels = [*folder.glob("*.whl"), *engine_wheel(cache).glob("*.whl")]
    install(wheels, folder / "site")
    return folder / "site"


def engine_wheel(cache: Path) -> Path:
    """A folder with the engine's wheel, compiled anew when its sources have changed."""
    files = sorted(path for path in NATIVE.rglob("*") if path.is_file() and path.suffix != ".pyc")
    sources = [
        f"{path.relative_to(CHECKOUT)} {sha256(path.read_bytes()).hexdigest()}" for path in (*files, NATIVE_WHEEL)
    ]
    return made_once(cache, "engine", (PYTHON, *sources), _make_engine_wheel)


def _make_engine_wheel(folder: Path) -> None:
    if shutil.which(COMPILER) is None:
        raise MissingError(f"{COMPILER} is missing: apt-get install g++-aarch64-linux-gnu")
    command = [sys.executable, str(NATIVE_WHEEL), "aarch64"]
    _build([*command, "--out", str(folder)], f"python {NATIVE_WHEEL.relative_to(CHECKOUT)} aarch64")


def _build(command: Sequence[str], by_hand: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Arm64Error(f"a wheel cannot be built; to see why, run {by_hand}")
