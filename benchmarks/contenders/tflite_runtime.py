"""tflite-runtime, the engine of older boards, in a Python of its own: it needs Python 3.11 or older and numpy 1.

It computes int8 with scales per channel wrongly and without a word, so that it gets weights with one scale a tensor.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contenders.folder import TOKENIZER, Folder
from harness import Opened

WORKER = Path(__file__).with_name("tflite_worker.py")
VERSION = """
import numpy, tflite_runtime.interpreter, tokenizers
from importlib import metadata
print(metadata.version("tflite-runtime"))
"""
HOW = "'make bench-tflite-runtime' makes such a Python"


@dataclass(frozen=True)
class TfliteRuntime:
    """A worker process of that Python, which tokenizes, pads to the bucket and runs.

    A call passes a line of text and a line of answer through two pipes, about 0.05 ms that count as the peer's.

    Attributes:
        python: The interpreter that has tflite-runtime, numpy and tokenizers.
        program: With signatures ``length_N`` of ids and mask, and ``output_0``.
        folder: The tokenizer, the labels, and where texts are cut.
        name: What the tables call it.
    """

    python: Path
    program: Path
    folder: Folder
    name: str

    def size_bytes(self) -> int:
        return self.folder.size_with(self.program)

    def open(self, threads: int) -> Opened:
        given = (self.program, self.folder.path / TOKENIZER, self.folder.max_length, threads)
        command = [str(self.python), "-I", str(WORKER), *map(str, given)]
        worker: Any = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        labels = self.folder.labels

        def classify(text: str) -> str:
            worker.stdin.write(json.dumps(text) + "\n")
            answer = worker.stdout.readline()
            if not answer:
                raise RuntimeError(f"the worker ended with exit code {worker.wait()}; what it said is on stderr")
            return labels[int(answer)]

        return Opened(classify, labels)


def check_python(python: Path) -> str:
    """The version of tflite-runtime that a Python has.

    Raises:
        RuntimeError: There is no such Python, or it lacks something.
    """
    try:
        ended = subprocess.run([str(python), "-c", VERSION], capture_output=True, text=True)
    except OSError as error:
        raise RuntimeError(f"--tflite-runtime {python} cannot be run: {error.strerror}; {HOW}") from error
    if ended.returncode:
        said = ended.stderr.strip().splitlines() or ["no message"]
        raise RuntimeError(f"--tflite-runtime {python} cannot import what it needs: {said[-1]}; {HOW}")
    return ended.stdout.strip()


def export_per_tensor(checkpoint: Path, buckets: tuple[int, ...], out: Path) -> Path:
    """Edgekit's own network and lowering, int8 with one scale a tensor, a signature a bucket.

    Raises:
        LoweringError: The tools cannot.
    """
    from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
    from edgekit_converters.quantspec import QuantSpec
    from edgekit_converters.targets.litert import LiteRtTarget
    from edgekit_runtime.progress import LogListener

    network = read_checkpoint(checkpoint, ReadOptions(), lambda remark: None).network()
    lowered = LiteRtTarget().lower(network, buckets, QuantSpec("int8-per-tensor"), LogListener())
    out.write_bytes(lowered.data)
    return out
