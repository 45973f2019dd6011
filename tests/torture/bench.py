"""Runs the workers, watches them, and counts what comes of each input."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torture.readers import READERS, Reader, case_of

HANG_S = 20.0
"""Seconds after which an input has hung the reader. What is then tried once more, alone, has three times as long."""

CHUNK = 100
"""Inputs of one process."""

BAD = ("crashes", "hangs", "memory", "code", "files", "untyped")
MOST_MEMORY = 1 << 30


@dataclass
class Counts:
    """What came of a reader's inputs."""

    inputs: int = 0
    refused: int = 0
    accepted: int = 0
    contained: int = 0
    crashes: int = 0
    hangs: int = 0
    memory: int = 0
    code: int = 0
    files: int = 0
    untyped: int = 0


@dataclass(frozen=True)
class Finding:
    """An input on which a reader did what it must not."""

    reader: str
    number: int
    kind: str
    message: str
    note: str = ""


@dataclass
class Bench:
    """All of a run.

    Attributes:
        seed: Decides every input.
        jobs: Processes at a time.
        keep: Where failing inputs go.
        hang_s: Seconds after which an input has hung the reader.
    """

    seed: int
    jobs: int
    keep: Path
    hang_s: float = HANG_S
    counts: dict[str, Counts] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    slowest: list[tuple[float, str, int]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, work: dict[str, range], deadline: float | None = None) -> None:
        """Throws the inputs with these numbers at the readers; those of all readers in turns, until the deadline."""
        from torture import samples

        with tempfile.TemporaryDirectory(prefix="torture-") as name:
            scratch = Path(name)
            self.samples = samples.make({each.samples for each in READERS if each.name in work})
            (scratch / "samples").write_bytes(pickle.dumps(self.samples))
            tasks: queue.Queue[tuple[str, int, int]] = queue.Queue()
            chunks = [
                (at / max(1, len(numbers)), reader, numbers.start + at, min(CHUNK, len(numbers) - at))
                for reader, numbers in work.items()
                for at in range(0, len(numbers), CHUNK)
            ]
            for _, reader, first, count in sorted(chunks):
                tasks.put((reader, first, count))
            with ThreadPoolExecutor(self.jobs) as pool:
                for done in [pool.submit(self._work, tasks, scratch, deadline) for _ in range(self.jobs)]:
                    done.result()

    def _work(self, tasks: queue.Queue[tuple[str, int, int]], scratch: Path, deadline: float | None) -> None:
        with Worker(scratch, self.seed) as worker:
            while deadline is None or time.monotonic() < deadline:
                try:
                    name, first, count = tasks.get_nowait()
                except queue.Empty:
                    return
                end = first + count
                while first < end:
                    first = self._chunk(worker, name, first, end)
                self._progress()

    def _chunk(self, worker: Worker, name: str, first: int, end: int) -> int:
        """Reads inputs until the process dies; gives the number behind the last one."""
        reader = next(each for each in READERS if each.name == name)
        at, bloated = first, []
        for said in worker.ask(name, first, end - first, trial=False, hang_s=self.hang_s):
            if "done" in said:
                at = said["done"] + 1
                if reader.native and said["rose"] > MOST_MEMORY:
                    bloated.append(said)
                else:
                    self._count(reader, said)
            elif "lost" in said:
                at = said["lost"] + 1
                self._lost(worker, reader, said["lost"], said["kind"], said["how"])
            elif "bench" in said:
                raise RuntimeError(f"the bench itself failed at {name}: {said['bench']}")
        for said in bloated:
            self._lost(worker, reader, said["done"], "memory", f"{said['rose'] >> 20} MiB")
        return max(at, first + 1)

    def _count(self, reader: Reader, said: dict[str, Any]) -> None:
        with self._lock:
            counts = self.counts.setdefault(reader.name, Counts())
            counts.inputs += 1
            self.slowest = sorted([*self.slowest, (said["seconds"], reader.name, said["done"])], reverse=True)[:10]
            kinds = [kind for kind in ("code", "files") if said[kind]]
            kinds += ["memory"] if said["rose"] > MOST_MEMORY else []
            if said["result"] == "untyped":
                kinds.append("untyped")
            else:
                setattr(counts, said["result"], getattr(counts, said["result"]) + 1)
            for kind in kinds:
                what = {"memory": f"{said['rose'] >> 20} MiB", "untyped": said["message"]}.get(
                    kind, str(said.get(kind))
                )
                self._found(reader, said["done"], kind, what)

    def _lost(self, worker: Worker, reader: Reader, number: int, kind: str, how: str) -> None:
        """Tries an input again that ended, hung or bloated the process: alone, and where an engine has it, by a trial.

        What a trial refuses is contained. What it accepts has done its harm only after other inputs, and is a finding.
        """
        result: dict[str, Any] = {}
        for said in worker.ask(reader.name, number, 1, trial=reader.native, hang_s=3 * self.hang_s):
            if "done" in said or "lost" in said:
                result = said
        with self._lock:
            counts = self.counts.setdefault(reader.name, Counts())
        if "done" in result:
            self._count(reader, result)
            with self._lock:
                if reader.native and result["result"] == "refused":
                    counts.contained += 1
                elif reader.native:
                    self._found(reader, number, kind, f"{how}, and not again by a trial")
            return
        with self._lock:
            counts.inputs += 1
            self._found(reader, number, result.get("kind", kind), f"{result.get('how', how)}")

    def _found(self, reader: Reader, number: int, kind: str, message: str) -> None:
        counts = self.counts.setdefault(reader.name, Counts())
        setattr(counts, kind, getattr(counts, kind) + 1)
        case = case_of(reader, self.samples[reader.samples], self.seed, number)
        self.findings.append(Finding(reader.name, number, kind, message, case.note))
        sys.stderr.write(f"{reader.name} {number}: {kind}: {message[:300]} [{case.note}]\n")
        place = self.keep / f"{reader.name.replace(': ', '-').replace(' ', '-')}-{self.seed}-{number}-{kind}"
        with contextlib.suppress(OSError):
            place.mkdir(parents=True, exist_ok=True)
            case.write(place)

    def _progress(self) -> None:
        with self._lock:
            done, bad = sum(each.inputs for each in self.counts.values()), len(self.findings)
        sys.stderr.write(f"{done} inputs, {bad} findings\n")


class Worker:
    """A process that forks for each run of inputs."""

    def __init__(self, scratch: Path, seed: int) -> None:
        self._command = [
            sys.executable,
            str(Path(__file__).with_name("worker.py")),
            str(scratch / "samples"),
            str(seed),
            str(scratch),
        ]
        variables = {
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_OFFLINE": "1",
            "HF_HOME": str(scratch / "hf"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "TMPDIR": str(scratch),
            "MPLCONFIGDIR": str(scratch / "mpl"),
        }
        self._environment = {**os.environ, **variables}

    def __enter__(self) -> Worker:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self._environment
        )
        self._said: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *unused: object) -> None:
        self._process.kill()
        self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said.put(line)
        self._said.put(b"")

    def ask(self, name: str, first: int, count: int, *, trial: bool, hang_s: float) -> Any:
        """What the process says of each input; ``lost`` is the one on which it died or was killed."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([name, first, count, trial]).encode() + b"\n")
        self._process.stdin.flush()
        child, begun, hung = 0, None, False
        while True:
            try:
                line = self._said.get(timeout=hang_s if begun is not None else 180)
            except queue.Empty:
                if not child or begun is None:
                    raise RuntimeError(f"the worker says nothing about {name} {first}") from None
                hung = True
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
                continue
            if not line:
                raise RuntimeError(f"the worker died at {name} {first}")
            said = json.loads(line)
            child = said.get("child", child)
            if "begin" in said:
                begun = said["begin"]
            elif "ended" in said:
                if begun is not None:
                    code = said["ended"]
                    how = (
                        f"no answer within {hang_s:g} s"
                        if hung
                        else signal.Signals(-code).name
                        if code < 0
                        else f"exit {code}"
                    )
                    yield {"lost": begun, "kind": "hangs" if hung else "crashes", "how": how}
                elif said["ended"]:
                    yield {"bench": f"ended with {said['ended']} before an input"}
                return
            else:
                if "done" in said:
                    begun = None
                yield said
