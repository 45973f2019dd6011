"""tflite-runtime, the engine of older boards, in edgekit's environment for it: it needs Python 3.11 or older and numpy 1.

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
