"""Python for aarch64 on an x86 machine: Debian's and the package index's own packages under qemu's user-mode emulation.

What is fetched stays in build/arm64, in folders named by what is asked for, and is fetched once. Nothing is installed
on the machine: apt-get works on a configuration and a state of its own and needs no rights.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit_runtime.errors import EdgekitError

CHECKOUT = Path(__file__).parents[2]
CACHE = CHECKOUT / "build" / "arm64"
CONSTRAINTS = CHECKOUT / "constraints.txt"

PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
DEBS = (f"{PYTHON}-minimal", f"lib{PYTHON}-stdlib", "libstdc++6")
"""Debian packages of the root; apt-get adds what they depend on. The engines need libstdc++."""

WHEELS = ("ai-edge-litert", "numpy", "onnxruntime", "tokenizers")
"""All that edgekit's runtime imports beside the wheels that are built here; their versions are those of constraints.txt."""

PLATFORMS = tuple(f"manylinux_2_{minor}_aarch64" for minor in range(36, 16, -1))
"""What Debian 12 on aarch64, whose glibc is 2.36, can run."""

TIMEOUT_S = 900

CPU = "neoverse-n1"
"""A processor with the int8 dot product. On qemu's ``max``, which has SME, int8 programs answer wrongly."""

CPUINFO = """\
processor\t: 0
model name\t: Neoverse-N1 (qemu)
Features\t: fp asimd aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: 0xd0c
CPU revision\t: 1

"""
"""The root's /proc/cpuinfo. The engines read it, and crash on the x86 machine's own."""

APT_CONF = """\
#clear APT::Update;
APT::Architecture "arm64";
APT::Architectures "arm64";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Debug::NoLocking "true";
Dir::State "{folder}/state";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
"""
"""apt-get's own state; the hooks that the machine has for its updates are cleared."""


class Arm64Error(EdgekitError):
    """Something went wrong under emulation."""


class MissingError(Arm64Error):
    """A tool, the network or the kind of machine that the emulation needs is not here."""


@dataclass(frozen=True)
class Emulator:
    """Runs Python programs as an ARM64 device would.

    Attributes:
        qemu: The emulator.
        root: Folder with Debian's arm64 Python.
        packages: Folder with the packages of WHEELS.
    """

    qemu: Path
    root: Path
    packages: Path

    def run(self, program: Path, given: str, home: Path, search: Sequence[Path] = ()) -> str:
        """Runs a program and returns what it wrote to stdout.

        Args:
            program: A Python file.
            given: Its standard input.
            home: Its home folder.
            search: Folders with packages, beside ``packages``.

        Raises:
            Arm64Error: It failed; the message ends in its last words.
        """
        environment = {
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "PATH": os.defpath,
            "PYTHONPATH": os.pathsep.join(map(str, (*search, self.packages))),
        }
        command: list[str | Path] = [self.qemu, "-cpu", CPU, "-L", self.root, self.root / "usr" / "bin" / PYTHON]
        # -S: site-packages of the x86 machine show through where the root has none
        command += ["-S", "-B", "-W", "error", program]
        try:
            done = subprocess.run(
                command, input=given, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S
            )
        except subprocess.TimeoutExpired:
            raise Arm64Error(f"{program.name} under qemu was ended, it took over {TIMEOUT_S} s: give it less") from None
        if done.returncode != 0:
            raise Arm64Error(f"{program.name} under qemu ended with {done.returncode}: {_reason(done.stderr)}")
        return done.stdout


def prepare(cache: Path = CACHE) -> Emulator:
    """Finds the emulator and fetches what is not in the cache yet.

    Raises:
        MissingError: It cannot be had here.
    """
    return Emulator(find_qemu(), debian_root(cache), index_packages(cache))


def find_qemu() -> Path:
    """The emulator on the PATH.

    Raises:
        MissingError: It is not installed, or the machine needs none.
    """
    if platform.machine() in ("aarch64", "arm64"):
        raise MissingError("this machine is ARM64 itself, there is nothing to emulate: make test proves it")
    for name in ("qemu-aarch64-static", "qemu-aarch64"):
        if found := shutil.which(name):
            return Path(found)
    raise MissingError("qemu-aarch64-static is missing: apt-get install qemu-user-static")


def debian_root(cache: Path) -> Path:
    """A folder with Debian's Python for arm64, of the version that runs this.

    Raises:
        MissingError: The tools are missing, or Debian's archive cannot be reached or has no such Python.
    """
    return made_once(cache, "root", (*DEBS, CPUINFO), _make_root)


def index_packages(cache: Path) -> Path:
    """A folder with WHEELS for aarch64.

    Raises:
        MissingError: The package index cannot be reached or does not have them.
    """
    pins = [line for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines() if line.partition("==")[0] in WHEELS]
    if len(pins) != len(WHEELS):
        raise Arm64Error(f"constraints.txt must pin {', '.join(WHEELS)}; it has {', '.join(pins) or 'none of them'}")
    return made_once(cache, "packages", (PYTHON, *pins), lambda folder: install(pins, folder))


def install(wheels: Sequence[str | Path], folder: Path) -> None:
    """Unpacks wheels, by name or by path, that an aarch64 Python takes; what they depend on is left out.

    Raises:
        MissingError: pip cannot have one of them.
    """
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    command += ["--no-deps", "--only-binary=:all:", "--target", str(folder)]
    command += ["--implementation", "cp", "--python-version", PYTHON.removeprefix("python")]
    command += [f"--abi={abi}" for abi in (PYTHON.replace("python", "cp").replace(".", ""), "abi3", "none")]
    command += [f"--platform={name}" for name in (*PLATFORMS, "any")]
    _run([*command, *wheels], "fetch wheels for aarch64")


def made_once(cache: Path, name: str, asked: Sequence[str], make: Callable[[Path], None]) -> Path:
    """A folder of the cache, named by all that decides what is in it; it is made beside and then renamed."""
    key = hashlib.sha256("\0".join(asked).encode()).hexdigest()[:12]
    folder = cache / f"{name}-{key}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        sys.stderr.write(f"making {folder}\n")
        with tempfile.TemporaryDirectory(dir=cache, prefix=".making-") as beside:
            made = Path(beside) / name
            made.mkdir()
            make(made)
            try:
                made.rename(folder)
            except OSError:
                if not folder.exists():  # else another process was quicker
                    raise
    return folder


def _make_root(folder: Path) -> None:
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise MissingError(f"{tool} is missing: the ARM64 Python comes from Debian's archive, so this needs Debian")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".apt-") as name:
        apt = Path(name)
        for part in ("state/lists/partial", "cache/archives/partial"):
            (apt / part).mkdir(parents=True)
        (apt / "status").touch()
        (apt / "apt.conf").write_text(APT_CONF.format(folder=apt), encoding="utf-8")
        get = ["apt-get", "--config-file", str(apt / "apt.conf"), "--quiet=2"]
        said = _run([*get, "update"], "read Debian's list of arm64 packages")
        try:
            fetch = ["--yes", "--no-install-recommends", "--download-only", "install", *DEBS]
            _run([*get, *fetch], f"fetch Debian's {PYTHON} for arm64")
        except MissingError as error:  # a list that cannot be had is only a warning to apt-get update
            hint = said or f"needed are the network and a Debian that has {PYTHON}"
            raise MissingError(f"{error}; {hint}") from None
        for deb in sorted((apt / "cache" / "archives").glob("*.deb")):
            _run(["dpkg-deb", "--extract", deb, folder], f"unpack {deb.name}")
    (folder / "proc").mkdir()
    (folder / "proc" / "cpuinfo").write_text(CPUINFO, encoding="utf-8")


def _run(command: Sequence[str | Path], purpose: str) -> str:
    """Runs a command and returns what it said of errors and warnings, if anything."""
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise MissingError(f"cannot {purpose}: {_reason(done.stderr)}")
    return _reason(done.stderr)


def _reason(stderr: str) -> str:
    """The line that says why a command failed: apt-get's or pip's first complaint, or else the last line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    complaints = [line for line in lines if line.startswith(("E:", "W:", "ERROR:"))]
    return (complaints or lines[-1:] or [""])[0]
