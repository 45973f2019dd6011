"""The ExecuTorch engine: numpy in, numpy out, and every failure an exception."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import subprocess
import sys
import threading
import time
import warnings
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edgekit_executorch import EXECUTORCH_VERSION, ExecuTorchError, Program, Tensor
from edgekit_executorch.program import _digest

import pte
from conftest import missing

ROOT = Path(__file__).resolve().parent.parent
Arrays = tuple[np.ndarray[Any, Any], ...]


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> pte.Programs:
    return pte.export(tmp_path_factory.getbasetemp() / "pte")


@pytest.fixture
def program(programs: pte.Programs) -> Iterator[Program]:
    with Program(programs.folder / "float.pte") as program:
        yield program


@pytest.fixture
def copy(programs: pte.Programs, tmp_path: Path) -> Path:
    """float.pte, to be spoilt."""
    path = tmp_path / "float.pte"
    path.write_bytes((programs.folder / "float.pte").read_bytes())
    return path


def python(code: str, *arguments: str | Path, **environment: str) -> str:
    """Runs code in a process of its own and returns what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, f"exit {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


def assert_close(answer: list[np.ndarray[Any, Any]], expected: list[np.ndarray[Any, Any]], tolerance: float) -> None:
    assert [array.shape for array in answer] == [array.shape for array in expected]
    for array, other in zip(answer, expected, strict=True):
        np.testing.assert_allclose(array, other, atol=tolerance)


# ---- Answers ----


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("name", "tolerance"), [("float", 1e-5), ("int8", 0.05)])
def test_answers_as_the_network_does_at_every_length(
    programs: pte.Programs, name: str, tolerance: float, threads: int
) -> None:
    with Program(programs.folder / f"{name}.pte", threads=threads) as program:
        assert program.threads == min(threads, len(os.sched_getaffinity(0)))
        for length in (2, 31, 7, pte.LONGEST):
            assert_close(program.run(*programs.inputs(length)), programs.expected(length), tolerance)


def test_declares_its_methods(program: Program) -> None:
    assert program.methods == ("forward",)
    places = (1, pte.LONGEST)
    assert program.inputs() == (Tensor("int64", places, dynamic=True), Tensor("float32", places, dynamic=True))
    logits, hidden = program.outputs("forward")
    assert logits == Tensor("float32", (1, 2), dynamic=False)
    assert hidden == Tensor("float32", (1, pte.LONGEST, pte.WIDTH), dynamic=True)
    assert str(hidden) == f"float32 [<=1, <={pte.LONGEST}, <={pte.WIDTH}]"


def test_outputs_belong_to_the_caller(program: Program, programs: pte.Programs) -> None:
    first = program.run(*programs.inputs(5))
    program.run(*programs.inputs(6))
    assert_close(first, programs.expected(5), 1e-5)
    assert all(array.flags.owndata and array.flags.writeable for array in first)


def test_any_layout_of_an_input_will_do(program: Program, programs: pte.Programs) -> None:
    ids, mask = programs.inputs(9)
    every_other = np.repeat(ids, 2, axis=1)[:, ::2]
    unaligned = np.frombuffer(b"x" + mask.tobytes(), np.uint8)[1:].view(np.float32).reshape(mask.shape)
    readonly = unaligned.view()
    readonly.flags.writeable = False
    assert not every_other.flags.c_contiguous
    assert_close(program.run(every_other, readonly), programs.expected(9), 1e-5)


def test_memory_of_the_caller_and_methods_that_give_a_number(programs: pte.Programs) -> None:
    with Program(programs.folder / "forms.pte") as program:
        assert set(program.methods) == {"forward", "labels", "margin", "cased"}
        assert program.outputs("labels") == (Tensor("int64", (), dynamic=False),)
        for number in (1, 2):
            one, other = np.full(3, number, np.float32), np.arange(3, dtype=np.float32)
            total, same = program.run(one, other)
            assert total.tolist() == (one + other).tolist() and same.tolist() == one.tolist()
        given = [program.run(method=name)[0] for name in ("labels", "margin", "cased")]
        assert given == [7, 0.5, True]
        assert [array.dtype.name for array in given] == ["int64", "float64", "bool"]


def test_a_program_inside_an_archive(programs: pte.Programs, tmp_path: Path) -> None:
    data = (programs.folder / "int8.pte").read_bytes()
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w") as archive:
        entry = zipfile.ZipInfo("model.pte")
        entry.extra = b"\x00\x00" + (8192 - 30 - 9 - 4).to_bytes(2, "little") + bytes(8192 - 30 - 9 - 4)
        archive.writestr(entry, data)
        archive.writestr("after.txt", "x" * 5000)
    assert path.read_bytes()[8192 : 8192 + len(data)] == data
    for mapped in (True, False):
        with Program(path, offset=8192, size=len(data), mmap=mapped) as program:
            assert_close(program.run(*programs.inputs(8)), programs.expected(8), 0.05)
        with pytest.raises(ExecuTorchError, match="InvalidProgram"):
            Program(path, offset=8192, size=len(data) - 4096, mmap=mapped)


def test_needs_no_torch_and_is_quiet(programs: pte.Programs) -> None:
    code = """
import sys
sys.modules["torch"] = None
import numpy as np, edgekit_executorch
program = edgekit_executorch.Program(sys.argv[1])
print([array.shape for array in program.run(np.ones((1, 4), np.int64), np.ones((1, 4), np.float32))])
try:
    program.run(np.full((1, 4), 1000), np.ones((1, 4), np.float32))
except edgekit_executorch.ExecuTorchError as error:
    print(error)
print(sorted({name.partition(".")[0] for name in sys.modules} & {"torch", "executorch", "edgekit_runtime"}))
"""
    command = [sys.executable, "-c", code, str(programs.folder / "float.pte")]
    quiet = subprocess.run(command, capture_output=True, text=True, check=True)
    shapes, error, loaded = quiet.stdout.splitlines()
    assert shapes == f"[(1, 2), (1, 4, {pte.WIDTH})]"
    assert "InvalidArgument" in error and "1000 >= weight.size(0) 50" in error
    assert loaded == "['torch']"  # the None that blocks it
    assert quiet.stderr == ""
    loud = {**os.environ, "EDGEKIT_EXECUTORCH_LOG": "1"}
    assert "E executorch:" in subprocess.run(command, capture_output=True, text=True, check=True, env=loud).stderr


def test_weights_that_a_delegate_has_packed_are_unmapped(programs: pte.Programs, tmp_path: Path) -> None:
    path = programs.folder / "float.pte"
    weights = 4 * pte.WIDTH * pte.WIDTH
    with Program(path) as program:
        program.run(*programs.inputs(4))
        maps = [
            line.split()[0].split("-") for line in Path("/proc/self/maps").read_text().splitlines() if str(path) in line
        ]
        mapped = sum(int(end, 16) - int(start, 16) for start, end in maps)
    assert 0 < mapped < path.stat().st_size - weights * 0.8


# ---- Inputs that it refuses ----

IDS = np.zeros((1, 4), np.int64)
MASK = np.ones((1, 4), np.float32)
REFUSED: dict[str, tuple[tuple[object, ...], str]] = {
    "too few": ((IDS,), "takes 2 inputs (int64 [<=1, <=32], float32 [<=1, <=32]), not 1"),
    "too many": ((IDS, MASK, MASK), "takes 2 inputs (int64 [<=1, <=32], float32 [<=1, <=32]), not 3"),
    "dtype": (
        (IDS.astype(np.int32), MASK),
        "input 0 of the method 'forward' wants int64 [<=1, <=32], not int32 [1, 4]",
    ),
    "byte order": (
        (IDS.astype(">i8"), MASK),
        "input 0 of the method 'forward' wants int64 [<=1, <=32], not >i8 [1, 4]",
    ),
    "rank": ((IDS[0], MASK), "input 0 of the method 'forward' wants int64 [<=1, <=32], not int64 [4]"),
    "empty": ((IDS[:, :0], MASK[:, :0]), "wants int64 [<=1, <=32] and nothing empty, not int64 [1, 0]"),
    "too long": ((np.zeros((1, 33), np.int64), MASK), "wants int64 [<=1, <=32] and nothing empty, not int64 [1, 33]"),
    "batch": ((np.zeros((2, 4), np.int64), MASK), "wants int64 [<=1, <=32] and nothing empty, not int64 [2, 4]"),
    "no array": (([[1, 2]], MASK), "input 0 of the method 'forward' wants int64 [<=1, <=32], not list"),
    "word id": ((IDS + pte.WORDS, MASK), "InvalidArgument (Check failed (indices_ptr[i] < weight_height)"),
    "two lengths": ((IDS, np.ones((1, 5), np.float32)), "the method 'forward' failed: "),
}


@pytest.mark.parametrize(("arrays", "message"), REFUSED.values(), ids=REFUSED)
def test_refuses_input(program: Program, programs: pte.Programs, arrays: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ExecuTorchError, match=re.escape(message)) as error:
        program.run(*arrays)
    assert "\n" not in str(error.value)
    assert_close(program.run(*programs.inputs(4)), programs.expected(4), 1e-5)  # and goes on


def test_refuses_another_shape_where_it_is_fixed(programs: pte.Programs) -> None:
    with (
        Program(programs.folder / "forms.pte") as program,
        pytest.raises(ExecuTorchError, match=re.escape("wants float32 [3], not float32 [2]")),
    ):
        program.run(np.ones(2, np.float32), np.ones(3, np.float32))


def test_says_what_to_do_after_a_failed_check(programs: pte.Programs) -> None:
    """ExecuTorch declares no least length, and its kernels abort where one finds nothing."""
    with Program(programs.folder / "largest.pte") as program:
        assert program.run(np.arange(7, dtype=np.float32)[None])[0].tolist() == [6]
        with pytest.raises(
            ExecuTorchError, match=r"gave up.*too short, or an id beyond.*; load the program again$"
        ) as error:
            program.run(np.ones((1, 2), np.float32))
        assert "\n" not in str(error.value)
        with pytest.raises(ExecuTorchError, match="broke in an earlier run; load it again"):
            program.run(np.ones((1, 7), np.float32))


def test_refuses_an_unknown_method(program: Program) -> None:
    for use in (program.inputs, program.outputs, lambda name: program.run(method=name)):
        with pytest.raises(ExecuTorchError, match="no method 'backward', only forward"):
            use("backward")


def test_refuses_an_output_that_numpy_would_misread(programs: pte.Programs) -> None:
    with pytest.raises(ExecuTorchError, match="output 0 of the method 'forward' is not laid out row by row"):
        Program(programs.folder / "turned.pte")


# ---- Files that it refuses ----


def spoilt(data: bytes) -> dict[str, tuple[bytes, str]]:
    return {
        "empty": (b"", "has 0 bytes"),
        "a byte": (b"x", "InvalidProgram|InvalidArgument"),
        "text": (b"no program at all\n" * 100, "InvalidProgram .*ET12"),
        "header only": (data[:64], "Invalid"),
        "half": (data[: len(data) // 2], "InvalidProgram .*File size is too small"),
        "last byte": (data[:-1], "InvalidProgram .*File size is too small"),
        "newer schema": (data.replace(b"ET12", b"ET13", 1), "InvalidProgram .*'ET13' != expected 'ET12'"),
        "unknown operator": (data.replace(b"aten::mean", b"aten::me\xffn"), "OperatorMissing .*aten::me[?]n"),
        "unknown delegate": (data.replace(b"XnnpackBackend", b"XnnpackBackenx"), "NotFound .*XnnpackBackenx"),
        "zeros": (bytes(len(data)), "Invalid"),
    }


@pytest.mark.parametrize("how", spoilt(b""))
@pytest.mark.parametrize("mapped", [True, False], ids=["mapped", "read"])
def test_refuses_a_spoilt_file(copy: Path, how: str, mapped: bool) -> None:
    data, message = spoilt(copy.read_bytes())[how]
    copy.write_bytes(data)
    with pytest.raises(ExecuTorchError, match=message) as error:
        Program(copy, mmap=mapped)
    assert str(copy) in str(error.value) and "\n" not in str(error.value)


def test_refuses_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Program(tmp_path / "missing.pte")
    with pytest.raises(ExecuTorchError, match="no regular file"):
        Program(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ExecuTorchError, match="no regular file"):
        Program(tmp_path / "pipe")


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"offset": 1}, "offset must be a multiple of 4096, not 1"),
        ({"offset": -4096}, "offset must be a multiple of 4096, not -4096"),
        ({"offset": 4096 * 1000}, "no program of .* bytes at byte 4096000"),
        ({"size": 10**9}, "no program of 1000000000 bytes at byte 0"),
        ({"size": 0}, "no program of 0 bytes"),
        ({"offset": 4096}, "Invalid"),
        ({"offset": 2**70}, "no program of .* bytes at byte 1180591620717411303424"),
        ({"offset": 0.0}, "offset must be a whole number, not 0.0"),
        ({"size": 2**70}, "no program of 1180591620717411303424 bytes"),
        ({"size": "1"}, "size must be a whole number, not '1'"),
        ({"threads": 0}, "threads must be 1 or more, not 0"),
        ({"threads": 1.5}, "threads must be a whole number, not 1.5"),
        ({"threads": float("nan")}, "threads must be a whole number, not nan"),
        ({"sha256": "0" * 64}, "is damaged: its SHA-256 is not 0000"),
    ],
    ids=str,
)
def test_refuses_settings(copy: Path, settings: dict[str, Any], message: str) -> None:
    files = open_files()
    with pytest.raises(ExecuTorchError, match=message) as error:
        Program(copy, **settings)
    assert "\n" not in str(error.value)
    assert open_files() == files


def test_any_number_of_threads_may_be_wanted(copy: Path) -> None:
    with Program(copy, threads=2**70) as program:
        assert program.threads == len(os.sched_getaffinity(0))


FLIPS = 400


def test_a_flipped_byte_hardly_ever_ends_the_process(programs: pte.Programs) -> None:
    """A child of its own for every byte. The delegate trusts what its graph says, so some still end it (README.md)."""
    code = """
import collections, os, signal, sys
import numpy as np
import edgekit_executorch as engine
data = open(sys.argv[1], "rb").read()
outcomes = collections.Counter()
for place in range(0, len(data), len(data) // int(sys.argv[2])):
    spoilt = bytearray(data)
    spoilt[place] ^= 0xFF
    path = sys.argv[1] + ".spoilt"
    open(path, "wb").write(spoilt)
    child = os.fork()
    if child == 0:
        signal.alarm(5)  # an endless loop is an end, too
        try:
            with engine.Program(path) as program:
                program.run(np.ones((1, 6), np.int64), np.ones((1, 6), np.float32))
        except engine.ExecuTorchError:
            os._exit(1)
        os._exit(0)
    outcomes[os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])] += 1
print(dict(outcomes))
"""
    path = programs.folder / "int8.pte"
    outcomes = ast.literal_eval(python(code, path, str(FLIPS)))
    answered, refused = outcomes.pop(0), outcomes.pop(1)
    assert answered > 0 and refused > 20
    assert sum(outcomes.values()) <= 2, outcomes


def test_the_checksum_finds_a_flipped_weight(copy: Path, programs: pte.Programs) -> None:
    data = bytearray(copy.read_bytes())
    digest = hashlib.sha256(data).hexdigest()
    with Program(copy, sha256=digest.upper()) as program:
        program.run(*programs.inputs(4))
    data[-100] ^= 1
    copy.write_bytes(data)
    Program(copy).close()  # nobody would know
    with pytest.raises(ExecuTorchError, match="damaged"):
        Program(copy, sha256=digest)


# ---- Files that change under a loaded program ----


def replaced(path: Path) -> None:
    path.with_suffix(".new").write_bytes(b"something else")
    os.replace(path.with_suffix(".new"), path)


def test_goes_on_with_the_old_file_when_another_takes_its_name(copy: Path, programs: pte.Programs) -> None:
    with Program(copy) as program:
        for change in (replaced, Path.unlink):
            change(copy)
            assert_close(program.run(*programs.inputs(4)), programs.expected(4), 1e-5)


def test_refuses_to_run_a_file_that_was_changed_in_place(copy: Path, programs: pte.Programs) -> None:
    data = copy.read_bytes()
    for change in (
        lambda: os.truncate(copy, 100),
        lambda: os.utime(copy, ns=(1, 1)),
        lambda: copy.write_bytes(data * 2),
    ):
        copy.write_bytes(data)
        mapped, read = Program(copy), Program(copy, mmap=False)
        change()
        with (
            mapped,
            pytest.raises(ExecuTorchError, match="the file has been changed since it was loaded; load it again"),
        ):
            mapped.run(*programs.inputs(4))
        with read:
            assert_close(read.run(*programs.inputs(4)), programs.expected(4), 1e-5)


@pytest.mark.parametrize("mapped", [True, False], ids=["mapped", "read"])
def test_refuses_a_file_that_changes_after_its_checksum(
    copy: Path, mapped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.utime(copy, ns=(1, 1))  # the clock of the file system may not have ticked since the copy was made
    data = copy.read_bytes()

    def digest(fd: int, offset: int, size: int) -> str:
        found = _digest(fd, offset, size)
        copy.write_bytes(data[:-100] + bytes(100))
        return found

    monkeypatch.setattr("edgekit_executorch.program._digest", digest)
    files = open_files()
    with pytest.raises(ExecuTorchError, match=r"float\.pte has been changed while it was loaded; load it again"):
        Program(copy, mmap=mapped, sha256=hashlib.sha256(data).hexdigest())
    assert open_files() == files


# ---- Threads and processes ----


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_may_share_a_program(programs: pte.Programs, threads: int) -> None:
    with (
        Program(programs.folder / "float.pte", threads=threads) as exact,
        Program(programs.folder / "int8.pte", threads=threads) as rounded,
        ThreadPoolExecutor(4) as pool,
    ):
        jobs = [
            (pool.submit(program.run, *programs.inputs(length)), length, tolerance)
            for length in [2, 30, 11, 17] * 15
            for program, tolerance in ((exact, 1e-5), (rounded, 0.05))
        ]
        for job, length, tolerance in jobs:
            assert_close(job.result(), programs.expected(length), tolerance)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_may_load_at_once(programs: pte.Programs, threads: int) -> None:
    def load_and_run(name: str) -> list[np.ndarray[Any, Any]]:
        with Program(programs.folder / name, threads=threads) as program:
            return program.run(*programs.inputs(5))

    with ThreadPoolExecutor(4) as pool:
        for answer in pool.map(load_and_run, ["float.pte", "int8.pte"] * 10):
            assert_close(answer, programs.expected(5), 0.05)


def test_others_go_on_while_it_runs_and_closing_waits(programs: pte.Programs) -> None:
    program = Program(programs.folder / "slow.pte")
    matrix = np.eye(512, dtype=np.float32)[None]
    answers: list[Any] = []
    ended: list[float] = []

    def run() -> None:
        answers.extend(program.run(matrix))
        ended.append(time.perf_counter())

    thread = threading.Thread(target=run)
    thread.start()
    assert thread.ident
    clock = time.pthread_getcpuclockid(thread.ident)
    while time.clock_gettime(clock) < 0.1:  # seconds; so it is inside the run, of about one
        time.sleep(0.001)
    assert not answers  # with the GIL in its hands, nobody could have looked before the end
    closing = time.perf_counter()
    program.close()
    closed = time.perf_counter()
    thread.join()
    assert np.array_equal(answers[0], matrix)
    assert closed - closing > (ended[0] - closing) / 2
    for use in (lambda: program.run(matrix), program.etdump):
        with pytest.raises(ExecuTorchError, match="the program is closed"):
            use()
    program.close()  # again does no harm


@pytest.mark.parametrize("threads", [1, 2])
def test_the_process_may_end_while_daemon_threads_use_programs(programs: pte.Programs, threads: int) -> None:
    code = """
import os, sys, threading, time
import numpy as np
from edgekit_executorch import Program
path, threads = sys.argv[1], int(sys.argv[2])
inputs = np.ones((1, 30), np.int64), np.ones((1, 30), np.float32)
shared = Program(path, threads=threads, trace=True)
working = threading.Event()
def run():
    while True:
        shared.run(*inputs)
        working.set()
def trace():
    while True:
        shared.etdump()
def load():
    while True:
        with Program(path, threads=threads) as program:
            program.run(*inputs)
for job in (run, run, trace, load, load):
    threading.Thread(target=job, daemon=True).start()
working.wait()
time.sleep(0.02)
child = os.fork()  # has none of the threads, so its end waits for none
if child:
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    for _ in range(4):
        assert python(code, programs.folder / "int8.pte", str(threads)) == "0\n"


def test_the_end_of_the_process_waits_for_a_run(programs: pte.Programs) -> None:
    """Also where what Python clears in the end closes the program."""
    code = """
import sys, threading, time
import numpy as np
from edgekit_executorch import Program
program = Program(sys.argv[1])
class Closing:
    def __del__(self):
        program.close()
closing = Closing()
thread = threading.Thread(target=program.run, args=(np.eye(512, dtype=np.float32)[None],), daemon=True)
thread.start()
clock = time.pthread_getcpuclockid(thread.ident)
while time.clock_gettime(clock) < 0.1:
    time.sleep(0.001)
print("ends")
"""
    assert python(code, programs.folder / "slow.pte") == "ends\n"


def test_one_pool_serves_the_process(programs: pte.Programs, tmp_path: Path) -> None:
    """As on a machine with four CPUs."""
    source = tmp_path / "four.c"
    source.write_text(
        "#define _GNU_SOURCE\n#include <sched.h>\n"
        "int sched_getaffinity(pid_t who, size_t size, cpu_set_t *set)\n"
        "{ CPU_ZERO_S(size, set); for (int i = 0; i < 4; ++i) CPU_SET_S(i, size, set); return 0; }\n"
    )
    try:
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", tmp_path / "four.so", source], check=True)
    except FileNotFoundError:
        missing("no gcc")
    code = """
import sys
import numpy as np
from edgekit_executorch import ExecuTorchError, Program
def load(threads):
    program = Program(sys.argv[1], threads=threads)
    print(program.threads, *program.run(np.ones((1, 4), np.int64), np.ones((1, 4), np.float32))[0].shape)
    return program
two = load(2)
more = load(4)  # keeps the pool of two
two.close()
kept = load(3)
more.close(), kept.close()
three = load(3)
load(1)  # needs no pool
try:
    load(2)
except ExecuTorchError as error:
    print(error)
three.close()
load(2)
load(100)
"""
    printed = python(code, programs.folder / "int8.pte", LD_PRELOAD=str(tmp_path / "four.so")).splitlines()
    (refused,) = [line for line in printed if "pool" in line]
    assert [line.split()[0] for line in printed if line != refused] == ["2", "2", "2", "3", "1", "2", "4"]
    assert "uses it with 3 threads, more than the 2 wanted; close that program first" in refused


def test_no_more_threads_than_cpus(programs: pte.Programs) -> None:
    code = """
import os, sys
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
from edgekit_executorch import Program
print(Program(sys.argv[1], threads=8).threads)
"""
    assert python(code, programs.folder / "float.pte") == "1\n"


def test_after_a_fork(programs: pte.Programs) -> None:
    code = """
import os, signal, sys
import numpy as np
from edgekit_executorch import ExecuTorchError, Program
inputs = np.ones((1, 4), np.int64), np.ones((1, 4), np.float32)
one, two = Program(sys.argv[1]), Program(sys.argv[1], threads=2)
expected = two.run(*inputs)[0].tolist()
if os.fork() == 0:
    signal.alarm(20)
    print(one.run(*inputs)[0].tolist() == expected)
    try:
        two.run(*inputs)
    except ExecuTorchError as error:
        print(error)
    print(Program(sys.argv[1], threads=2).run(*inputs)[0].tolist() == expected, flush=True)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.wait()[1]), two.run(*inputs)[0].tolist() == expected)
"""
    if len(os.sched_getaffinity(0)) == 1:
        missing("one CPU, so that no program has threads")
    worked, refused, anew, parent = python(code, programs.folder / "int8.pte").splitlines()
    assert (worked, anew, parent) == ("True", "True", "0 True")
    assert (
        refused
        == "the program's threads stayed in the process that loaded it; load it in each process after the fork, or with threads=1"
    )


# ---- Traces ----


def runs(dump: bytes) -> list[int]:
    """The number of events of every run in a trace."""
    from executorch.devtools.etdump.serialize import deserialize_from_etdump_flatcc

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of importlib.resources, in there
        return [len(run.events or []) for run in deserialize_from_etdump_flatcc(dump).run_data if run.name == "Execute"]


def test_traces_the_runs_since_the_last_time(programs: pte.Programs) -> None:
    with Program(programs.folder / "int8.pte", trace=True) as program:
        program.run(*programs.inputs(4))
        program.run(*programs.inputs(5))
        first = runs(program.etdump())
        assert len(first) == 2 and min(first) > 3
        assert program.etdump() == b""
        for _ in range(300):
            program.run(*programs.inputs(3))
        assert runs(program.etdump()) == first[:1] * (300 - 256)  # the first 256 made room


def test_no_trace_without_asking(program: Program) -> None:
    with pytest.raises(ExecuTorchError, match="loaded without trace=True"):
        program.etdump()


# ---- Beside torch and ExecuTorch's own binding ----

BESIDE = """
import sys
import numpy as np
def native():
    from edgekit_executorch import Program
    for threads in (1, 2):
        with Program(sys.argv[1], threads=threads) as program:
            (logits, _) = program.run(np.ones((1, 7), np.int64), np.ones((1, 7), np.float32))
    print(*logits[0].round(2))
def exporter():
    import executorch.exir.passes._quant_patterns_and_replacements
    import executorch.kernels.quantized
def binding():
    import torch
    from executorch.runtime import Runtime
    method = Runtime.get().load_program(sys.argv[1]).load_method("forward")
    print(*method.execute((torch.ones((1, 7), dtype=torch.int64), torch.ones((1, 7))))[0][0].numpy().round(2))
for name in sys.argv[2:]:
    globals()[name]()
"""


def test_shares_a_process_with_the_exporter_and_the_binding(programs: pte.Programs) -> None:
    """In either order; torch's export-time plugin brings the quantized kernels a second time."""
    orders = [
        ["native", "exporter", "native", "binding", "native"],
        ["binding", "exporter", "native", "binding"],
    ]
    with ThreadPoolExecutor() as pool:
        jobs = [pool.submit(python, BESIDE, programs.folder / "int8.pte", *order) for order in orders]
        for order, job in zip(orders, jobs, strict=True):
            answers = job.result().splitlines()
            assert len(answers) == sum(name != "exporter" for name in order)
            assert len(set(answers)) == 1, (order, answers)


def test_one_place_names_the_version() -> None:
    pinned = re.search(r"executorch==([\d.]+)", (ROOT / "runtime" / "native" / "pyproject.toml").read_text())
    assert pinned and pinned[1] == EXECUTORCH_VERSION
    assert f"executorch=={EXECUTORCH_VERSION}\n" in (ROOT / "constraints.txt").read_text()
