"""The wheels of the ExecuTorch engine, as others will install them."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

import pte
from conftest import missing

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "scripts" / "native_wheel.py"
MACHINES = {"x86_64": "EM_X86_64", "aarch64": "EM_AARCH64"}
OF_THE_SYSTEM = {"libstdc++.so.6", "libm.so.6", "libgcc_s.so.1", "libc.so.6", "libpthread.so.0", "libdl.so.2"}
"""What every Linux with Python has; the dynamic linker's own name aside."""

Answers = subprocess.CompletedProcess[str]


def run(*command: str | Path, **environment: str) -> Answers:
    settings = {**os.environ, **environment}
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300, env=settings)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answers]:
    """What the script said, by machine; the wheels lie in ``wheels``."""
    out = tmp_path_factory.getbasetemp() / "native-wheels"
    with ThreadPoolExecutor() as pool:
        done = pool.map(lambda machine: run(sys.executable, SCRIPT, "--out", out, machine), MACHINES)
    return dict(zip(MACHINES, done, strict=True))


def wheel_of(built: dict[str, Answers], machine: str) -> Path:
    done = built[machine]
    for sign in ("-linux-gnu-g++ is missing", "No matching distribution"):
        if sign in done.stderr:
            missing(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@pytest.mark.parametrize("machine", MACHINES)
def test_holds_all_that_it_needs(built: dict[str, Answers], machine: str, capsys: pytest.CaptureFixture[str]) -> None:
    wheel = wheel_of(built, machine)
    assert wheel.stat().st_size <= 6e6
    name = re.fullmatch(rf"edgekit_executorch-0\.1\.0-(cp3\d+)-\1-manylinux_2_(\d+)_{machine}\.whl", wheel.name)
    assert name, wheel.name
    needed, versions = set(), set()
    with zipfile.ZipFile(wheel) as archive:
        names = {Path(entry).name for entry in archive.namelist()}
        for entry in archive.namelist():
            if not entry.endswith(".so"):
                continue
            library = ELFFile(io.BytesIO(archive.read(entry)))
            assert library["e_machine"] == MACHINES[machine]
            for section in library.iter_sections():
                if isinstance(section, DynamicSection):
                    tags = {tag.entry.d_tag: tag for tag in section.iter_tags()}
                    assert tags["DT_RUNPATH"].runpath == "$ORIGIN"
                    if "_engine" not in entry:  # under a name that no other package's library has
                        assert tags["DT_SONAME"].soname == Path(entry).name
                        assert Path(entry).name.startswith("libedgekit_executorch")
                    needed |= {tag.needed for tag in section.iter_tags() if tag.entry.d_tag == "DT_NEEDED"}
                if isinstance(section, GNUVerNeedSection):
                    versions |= {each.name for _, wanted in section.iter_versions() for each in wanted}
    assert {"__init__.py", "program.py", "py.typed", "_engine.pyi", "LICENSE", "LICENSE.executorch"} <= names
    assert {library for library in needed if not library.startswith("ld-linux")} - names <= OF_THE_SYSTEM
    glibc = {int(version.split(".")[1]) for version in versions if version.startswith("GLIBC_2.")}
    assert max(glibc) <= int(name[2]) <= 28
    with capsys.disabled():
        sys.stdout.write(f"\n{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB\n")


def test_runs_a_program_in_an_empty_environment(
    built: dict[str, Answers], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    programs = pte.export(tmp_path_factory.getbasetemp() / "pte")
    wheel = wheel_of(built, os.uname().machine)
    assert run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "empty").returncode == 0
    python = tmp_path / "empty" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    done = run(*pip, "install", "--quiet", "--constraint", ROOT / "constraints.txt", wheel)
    if "No matching distribution" in done.stderr:
        missing("the package index cannot be reached, and an empty environment needs numpy")
    assert done.returncode == 0, done.stderr
    code = """
import sys
import numpy as np, edgekit_executorch
with edgekit_executorch.Program(sys.argv[1], threads=2) as program:
    logits, _ = program.run(np.arange(6)[None], np.ones((1, 6), np.float32))
print(logits.shape, np.isfinite(logits).all(), "torch" in sys.modules)
"""
    done = run(python, "-c", code, programs.folder / "int8.pte")
    assert (done.stdout, done.stderr) == ("(1, 2) True False\n", "")
    installed = {line.split("==")[0] for line in run(*pip, "freeze").stdout.splitlines()}
    assert {name.split(" @")[0] for name in installed} == {"edgekit-executorch", "numpy"}


def test_names_the_package_of_a_missing_compiler(tmp_path: Path) -> None:
    done = run(sys.executable, SCRIPT, "--out", tmp_path / "dist", "aarch64", PATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == (
        "aarch64-linux-gnu-g++ is missing, which builds for aarch64: apt-get install g++-aarch64-linux-gnu\n"
    )
    assert list(tmp_path.iterdir()) == []
