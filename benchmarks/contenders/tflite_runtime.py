"""A bundle on tflite-runtime, the engine of older boards: edgekit's runtime in the environment that has that package."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit_converters.environments import TFLITE_RUNTIME, python_of
from edgekit_runtime import open_bundle
from harness import Opened

WORKER = Path(__file__).with_name("tflite_worker.py")
RUNTIME = Path(__file__).parents[2] / "runtime"


@dataclass(frozen=True)
class TfliteRuntime:
    """A worker process of that Python.

    A call passes a line of text and a line of answer through two pipes, about 0.05 ms that count as the contender's.

    Attributes:
        bundle: By ``edgekit convert --compat tflite-runtime``.
        name: What the tables call it.
    """

    bundle: Path
    name: str

    def size_bytes(self) -> int:
        return self.bundle.stat().st_size

    def open(self, threads: int) -> Opened:
        command = [str(python_of(TFLITE_RUNTIME)), "-I", str(WORKER), str(RUNTIME), str(self.bundle), str(threads)]
        worker: Any = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

        def classify(text: str) -> str:
            worker.stdin.write(json.dumps(text) + "\n")
            answer = worker.stdout.readline()
            if not answer:
                raise RuntimeError(f"the worker ended with exit code {worker.wait()}; what it said is on stderr")
            label: str = json.loads(answer)
            return label

        return Opened(classify, open_bundle(self.bundle).manifest.labels)
