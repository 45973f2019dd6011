"""A process that reads broken inputs: ``python worker.py SAMPLES SEED SCRATCH KEEP``, told on stdin what to read.

It imports what the readers need once, and forks for each run of inputs, so that a crash costs a fork and no more.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pickle
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any, TextIO

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from torture.case import Case  # noqa: E402
from torture.guard import Guard  # noqa: E402
from torture.readers import READERS, Reader, case_of  # noqa: E402

MOST_MEMORY = 1 << 30
"""Bytes that a reader may take more than before; the bound that the kernel holds it to is further up."""

HARD_MEMORY = 3 << 30
TRIAL_LIMIT_S = 30.0


def main(samples: str, seed: str, scratch: str) -> None:
    everything: dict[str, list[Case]] = pickle.loads(Path(samples).read_bytes())
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(Path(scratch) / "noise", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
    os.dup2(1, 2)  # what native libraries say
    by_name = {reader.name: reader for reader in READERS}
    for line in sys.stdin:
        name, first, count, trial = json.loads(line)
        reader = by_name[name]
        for module in (*reader.imports, "edgekit_runtime.trial"):
            importlib.import_module(module)
        child = os.fork()
        if not child:
            code = 1
            try:
                _run(
                    reader,
                    everything[reader.samples],
                    int(seed),
                    range(first, first + count),
                    trial,
                    Path(scratch),
                    answers,
                )
                code = 0
            except BaseException as error:
                _tell(answers, bench=f"{type(error).__name__}: {error}")
            finally:
                os._exit(code)
        _tell(answers, child=child)
        _, status = os.waitpid(child, 0)
        _tell(answers, ended=os.waitstatus_to_exitcode(status))


def _run(
    reader: Reader, samples: list[Case], seed: int, numbers: range, trial: bool, scratch: Path, answers: TextIO
) -> None:
    from edgekit_runtime import trial as trials

    os.umask(0o077)  # keys that others may read are refused
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    trials.LIMIT_S = TRIAL_LIMIT_S
    own = scratch / str(os.getpid())
    inside, temporary, empty = own / "in", own / "tmp", own / "cwd"
    for folder in (inside, temporary, empty):
        folder.mkdir(parents=True)
    os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
    os.chdir(empty)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    guard = Guard(temporary)
    for case in samples:  # those that are whole: they must be read, and then imports and caches are had
        result, message = _read(reader, case.write(_fresh(inside)), case, trial, guard)
        if result != "accepted" and "UntrustedCheckpointError" not in message:
            raise AssertionError(f"{reader.name} refuses a valid input: {message}")
    trials.limit_memory(HARD_MEMORY)
    for number in numbers:
        case = case_of(reader, samples, seed, number)
        path = case.write(_fresh(inside))
        before = {*_names(own)}
        _tell(answers, begin=number)
        began = time.monotonic()
        rose_from = _reset_peak()
        result, message = _read(reader, path, case, trial, guard)
        rose = _peak() - rose_from
        code, files = list(guard.code), list(guard.files)
        if trial:
            code = [each for each in code if not each.startswith("subprocess.Popen")]  # the trial itself
        files += sorted(name for name in {*_names(own)} - before if not name.startswith(("tmp", "in/made.edgekit")))
        for name in _names(empty):
            with contextlib.suppress(OSError):
                (empty / name).unlink()
        _tell(
            answers,
            done=number,
            result=result,
            message=message[:600],
            note=case.note,
            rose=rose,
            seconds=round(time.monotonic() - began, 3),
            code=code[:3],
            files=files[:3],
        )
    os.chdir(scratch)
    shutil.rmtree(own, ignore_errors=True)


def _read(reader: Reader, path: Path, case: Case, trial: bool, guard: Guard) -> tuple[str, str]:
    """``accepted``, ``refused`` or ``untyped``, and what the error said."""
    from edgekit_runtime.errors import EdgekitError

    try:
        with warnings.catch_warnings(), guard:
            warnings.simplefilter("ignore")
            reader.read(path, case, trial)
    except EdgekitError as error:
        said = str(error)
        if "\n" in said.strip() or len(said) > 3000:
            return (
                "untyped",
                f"{type(error).__name__} of {len(said)} characters on {said.count(chr(10)) + 1} lines: {said[:300]}",
            )
        return "refused", f"{type(error).__name__}: {said}"
    except BaseException as error:
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}" if trace else "?"
        return "untyped", f"{type(error).__name__} at {place}: {str(error)[:300]}"
    return "accepted", ""


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _names(folder: Path) -> list[str]:
    return [
        str(Path(root, name).relative_to(folder))
        for root, folders, files in os.walk(folder)
        for name in (*folders, *files)
    ]


def _reset_peak() -> int:
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
    return _peak()


def _peak() -> int:
    with open("/proc/self/status", encoding="ascii") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith("VmHWM:"))


def _tell(answers: TextIO, **said: Any) -> None:
    answers.write(json.dumps(said) + "\n")
    answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
