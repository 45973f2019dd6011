"""Environments of their own: installed whole or not at all, asked cleanly, and honest about what became of a worker."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conftest import missing
from edgekit_converters.environments import (
    ENVIRONMENTS,
    ONNX_TF,
    TFLITE_RUNTIME,
    Environment,
    ask_there,
    install_environment,
    python_of,
)
from edgekit_converters.environments.places import environments_folder, installed_python, place_of, versions_of
from edgekit_runtime.errors import EdgekitError, EngineError, FileError, LoweringError, MissingExtraError, OptionError
from edgekit_runtime.profiling.device import instruction_sets
from test_cli import edgekit
from test_convert import Heard

HERE = f"3.{sys.version_info.minor}"
EMPTY = Environment("empty", (), f"=={HERE}", 1, "this test", ("json",), ("x86_64", "aarch64", "arm64"))
"""Needs no package, and so no network."""

UNKNOWN = replace(EMPTY, name="unknown", requirements=("edgekit-has-no-such-package==1.0",))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for environments, in place of the user's."""
    folder = tmp_path / "environments"
    monkeypatch.setenv("EDGEKIT_ENVIRONMENTS", str(folder))
    return folder


@pytest.fixture(scope="session")
def tflite_runtime() -> Environment:
    """The small one of the two, where it is installed."""
    if installed_python(TFLITE_RUNTIME) is None:
        missing(f"the environment tflite-runtime: {TFLITE_RUNTIME.install}")
    return TFLITE_RUNTIME


# --- what they are ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS.keys())
def test_every_package_is_pinned(environment: Environment) -> None:
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in environment.requirements)
    names = {line.partition("==")[0] for line in environment.requirements}
    assert names >= {environment.name, "numpy", "tokenizers", "packaging"}
    assert "numpy==1.26.4" in environment.requirements


def test_sizes_are_told_as_people_tell_them() -> None:
    assert (ONNX_TF.size, TFLITE_RUNTIME.size) == ("1.4 GB", "130 MB")


def test_a_changed_pin_or_python_is_another_environment() -> None:
    places = {
        place_of(EMPTY, "3.11"),
        place_of(EMPTY, "3.10"),
        place_of(replace(EMPTY, requirements=("numpy==1.26.4",)), "3.11"),
    }
    assert len(places) == 3
    assert all(re.fullmatch(r"empty-[0-9a-f]{8}", place.name) for place in places)


def test_they_lie_in_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEKIT_ENVIRONMENTS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere/cache")
    assert environments_folder() == Path("/somewhere/cache/edgekit/environments")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert environments_folder() == Path("/home/somebody/.cache/edgekit/environments")


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EDGEKIT_ENVIRONMENTS", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 2**31 - 3)  # whom nobody knows
    assert installed_python(EMPTY) is None
    with pytest.raises(FileError, match=r"there is no home for ~/.cache/.* by EDGEKIT_ENVIRONMENTS"):
        install_environment(EMPTY, Heard())
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("EDGEKIT_ENVIRONMENTS", "~/mine")  # as where no shell saw it
    assert environments_folder() == Path("/home/somebody/mine")


def test_the_running_python_goes_first() -> None:
    assert versions_of(replace(EMPTY, pythons=">=3.8,<3.20"))[0] == HERE
    assert versions_of(replace(EMPTY, pythons=">=3.8,<3.10")) == ["3.9", "3.8"]


# --- installing -------------------------------------------------------------------------------------------------------


def test_an_environment_is_installed_once_and_mended_when_damaged(folder: Path) -> None:
    first, second, third = Heard(), Heard(), Heard()
    with pytest.raises(MissingExtraError, match=r"this test needs .* empty.*: edgekit doctor --install-empty \(1 MB\)"):
        python_of(EMPTY)
    python = install_environment(EMPTY, first)
    assert python == python_of(EMPTY) and python.is_relative_to(folder)
    assert [entry.name for entry in folder.iterdir()] == [place_of(EMPTY, HERE).name]
    assert f"1 MB in {folder}" in first.said[0]
    install_environment(EMPTY, second)
    assert second.stages == [] and "already" in second.said[0]
    python.unlink()  # as a clean-up that went half way leaves it
    with pytest.raises(MissingExtraError):
        python_of(EMPTY)
    assert install_environment(EMPTY, third) == python
    assert third.stages == first.stages and python.is_file()
    shutil.rmtree(python.parents[1] / "lib")
    damaged = replace(EMPTY, imports=("pip",))  # the same place; what it is for is gone
    assert install_environment(damaged, Heard()) == python
    assert subprocess.run([python, "-I", "-c", "import pip"], check=False).returncode == 0


def test_no_network_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # the port of discard, where nobody listens
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_PYTHON", "/another/python")  # which pip would install into instead
    with pytest.raises(
        MissingExtraError, match=r"unknown could not be installed: .*No matching distribution.*see to the network"
    ):
        install_environment(UNKNOWN, Heard())
    assert list(folder.iterdir()) == []


def test_what_does_not_work_once_installed_is_not_kept(folder: Path) -> None:
    with pytest.raises(
        MissingExtraError, match=r"empty was installed and does not work here: .*No module named 'nonsense'"
    ):
        install_environment(replace(EMPTY, imports=("nonsense",)), Heard())
    assert list(folder.iterdir()) == []


def test_too_little_room_is_said_before_anything_is_done(folder: Path) -> None:
    told = Heard()
    with pytest.raises(
        FileError, match=r"empty takes 900000\.0 GB, and .* MB left: make room, .* EDGEKIT_ENVIRONMENTS"
    ):
        install_environment(replace(EMPTY, megabytes=900_000_000), told)
    assert told.stages == [] and list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("EDGEKIT_ENVIRONMENTS", str(tmp_path / "file" / "environments"))
    with pytest.raises(FileError, match=r"cannot write to .*file/environments: Not a directory; name a folder"):
        install_environment(EMPTY, Heard())
    assert installed_python(EMPTY) is None


def test_no_python_that_fits(folder: Path) -> None:
    with pytest.raises(
        MissingExtraError, match=r"empty needs Python <3\.9.*python3\.8: install it \(apt install python3\.8"
    ):
        install_environment(replace(EMPTY, pythons="<3.9"), Heard())
    assert not folder.exists()


def test_a_python_that_is_only_a_name_does_not_fit(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shim = tmp_path / "python3.8"  # as of a version manager that has none of that version
    shim.write_text("#!/bin/sh\necho 'command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(MissingExtraError, match="there is none on PATH"):
        install_environment(replace(EMPTY, pythons="<3.9"), Heard())


def test_another_machine_is_refused(folder: Path) -> None:
    with pytest.raises(OptionError, match="made for Linux on riscv64, and this is"):
        install_environment(replace(EMPTY, machines=("riscv64",)), Heard())
    with pytest.raises(OptionError, match="needs avx9000, and this processor has no such instructions"):
        install_environment(replace(EMPTY, needs=("avx9000",)), Heard())
    assert not folder.exists()


def test_instruction_sets_are_read(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text("processor\t: 0\nflags\t\t: fpu sse4_2\n")
    assert instruction_sets(tmp_path) == {"fpu", "sse4_2"}
    assert instruction_sets(tmp_path / "nowhere") == frozenset()


INSTALLING = f"""
from edgekit_converters.environments import Environment, install_environment
from edgekit_runtime.progress import LogListener
print("begins", flush=True)
install_environment({EMPTY!r}, LogListener())
"""


def running_with(path: Path) -> list[bytes]:
    """Command lines of the processes that a path is named to."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            found.append(file.read_bytes())
    return [line for line in found if os.fsencode(path) in line]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_is_interrupted_leaves_nothing(number: signal.Signals, folder: Path) -> None:
    command = [sys.executable, "-c", INSTALLING]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not (folder.is_dir() and list(folder.glob("*.part/pyvenv.cfg"))):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in said if number == signal.SIGINT else process.returncode == 128 + number
    assert list(folder.iterdir()) == []
    assert not running_with(folder)


def test_two_installations_at_once_take_turns(folder: Path) -> None:
    folder.mkdir()
    command = [sys.executable, "-c", INSTALLING]
    descriptor = os.open(folder, os.O_RDONLY)  # as another installation holds it
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "begins\n"
    time.sleep(0.3)
    assert list(folder.iterdir()) == [], "they wait"
    os.close(descriptor)
    assert [process.wait(120) for process in processes] == [0, 0]
    for process in processes:
        assert process.stdout is not None
        process.stdout.close()
    assert [entry.name for entry in folder.iterdir()] == [place_of(EMPTY, HERE).name]


@pytest.mark.network
def test_packages_are_fetched_with_progress(folder: Path) -> None:
    environment = replace(EMPTY, name="iniconfig", requirements=("iniconfig==2.3.0",), imports=("iniconfig",))
    told = Heard()
    try:
        python = install_environment(environment, told)
    except MissingExtraError as error:
        missing(f"the package index cannot be reached: {error}")
    assert told.steps == [(1, 1)]
    done = subprocess.run([python, "-I", "-m", "pip", "freeze"], capture_output=True, text=True, check=True)
    assert done.stdout == "iniconfig==2.3.0\n"


# --- asking -----------------------------------------------------------------------------------------------------------


def test_a_worker_sees_its_own_packages_and_edgekits_code_and_nothing_of_the_caller(
    tflite_runtime: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "usercustomize.py").write_text("raise SystemExit('it came along')")
    (tmp_path / "numpy.py").write_text("__version__ = 'it came along'")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    monkeypatch.setenv("SECRET", "it came along")

    def there(function: str, **options: Any) -> Any:
        return ask_there(tflite_runtime, function, options, limit_s=60)

    assert there("importlib.metadata:version", distribution_name="numpy") == "1.26.4"
    variables = dict(line.partition("=")[::2] for line in there("subprocess:getoutput", cmd="env").splitlines())
    assert not variables.keys() & {"SECRET", "PYTHONPATH", "PYTHONWARNINGS"}
    assert variables["HOME"] == variables["TMPDIR"] and not Path(variables["HOME"]).exists(), (
        "what was left there is gone"
    )
    assert Path(there("numpy:get_include")).is_relative_to(python_of(tflite_runtime).parents[1])
    with pytest.raises(LoweringError, match=r"PackageNotFoundError: .* torch"):
        there("importlib.metadata:version", distribution_name="torch")


@pytest.mark.parametrize(
    ("command", "limit_s", "said"),
    [
        ("sleep 60", 2.0, r"it gave no answer within 2 s; --debug shows"),
        ("kill -KILL $PPID; sleep 5", 60.0, r"it crashed \(SIGKILL\); the system ended it, for want of memory"),
        ("kill -ILL $PPID; sleep 5", 60.0, r"it crashed \(SIGILL\); this processor lacks instructions .*AVX"),
        ("kill -SEGV $PPID; sleep 5", 60.0, r"it crashed \(SIGSEGV\); --debug shows .* mends a damaged environment"),
    ],
)
def test_a_worker_that_hangs_or_dies(tflite_runtime: Environment, command: str, limit_s: float, said: str) -> None:
    begin = time.monotonic()
    with pytest.raises(LoweringError, match=said) as error:
        ask_there(tflite_runtime, "subprocess:getoutput", {"cmd": command}, limit_s=limit_s)
    assert time.monotonic() - begin < 30
    assert "tflite-runtime gave no answer" in str(error.value) and "\n" not in str(error.value)


ASKING = """
from edgekit_converters.environments import TFLITE_RUNTIME, ask_there
ask_there(TFLITE_RUNTIME, "subprocess:getoutput", {"cmd": "sleep 1; touch $HOME/began; sleep 20"}, limit_s=60)
"""


def test_a_caller_that_is_asked_to_end_takes_its_worker_along(tflite_runtime: Environment, tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", ASKING], env=environment) as process:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("*/began")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        process.terminate()
        assert process.wait(timeout=30) == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
    assert not running_with(tmp_path)


def test_errors_of_edgekit_come_back_as_such_and_others_as_what_the_caller_says(tflite_runtime: Environment) -> None:
    with pytest.raises(FileError, match=r"no-such\.edgekit"):
        ask_there(tflite_runtime, "edgekit_runtime.bundle:open_bundle", {"path": "no-such.edgekit"}, limit_s=60)
    with pytest.raises(
        EngineError, match=r"it ended with 1 and no answer \(ModuleNotFoundError: No module named 'torch'\)"
    ):
        ask_there(tflite_runtime, "torch:zeros", {}, limit_s=60, failure=EngineError)
    assert issubclass(EngineError, EdgekitError)


# --- the doctor -------------------------------------------------------------------------------------------------------


def test_the_doctor_lists_environments_and_installs_none(folder: Path) -> None:
    found = json.loads(edgekit("doctor", "--quick", "--json").stdout)["environments"]
    assert [(each["name"], each["status"], each["folder"]) for each in found] == [
        ("onnx-tf", "absent", None),
        ("tflite-runtime", "absent", None),
    ]
    assert found[0]["install"] == "edgekit doctor --install-onnx-tf" and found[0]["megabytes"] == 1400
    lines = edgekit("doctor", "--quick").stdout.splitlines()
    assert "– venv     onnx-tf    for --route onnx: edgekit doctor --install-onnx-tf (1.4 GB)" in lines
    assert not folder.exists()


def test_the_doctor_says_size_and_place_before_it_begins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    done = edgekit("doctor", "--quick", "--install-tflite-runtime")
    assert done.returncode == 1 and done.stdout == ""
    lines = done.stderr.splitlines()
    assert (
        lines[0] == f"note: tflite-runtime takes 130 MB in {place_of(TFLITE_RUNTIME, versions_of(TFLITE_RUNTIME)[0])}"
    )
    assert lines[-1].startswith("edgekit: error: tflite-runtime could not be installed: ERROR: ")
    assert list(folder.iterdir()) == []


def test_the_doctor_goes_on_once_it_is_installed(tflite_runtime: Environment) -> None:
    done = edgekit("doctor", "--quick", "--install-tflite-runtime", "--json")
    assert done.returncode == 0 and "is installed already" in done.stderr
    assert json.loads(done.stdout)["environments"][1]["status"] == "installed"
