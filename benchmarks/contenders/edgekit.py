"""edgekit: a bundle on the thin runtime."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from edgekit_runtime import Bundle, load
from edgekit_runtime.manifest import Program
from harness import Opened

COMMAND = (sys.executable, "-c", "from edgekit.cli import main; main()")
"""The ``edgekit`` command of the Python that runs the benchmark."""

ENGINES = {"litert": "LiteRT", "executorch": "ExecuTorch", "onnx": "ONNX Runtime"}
"""What the tables call them."""


@dataclass(frozen=True)
class EdgekitBundle:
    """The thin runtime on a bundle, with the engine of that name or else the one that it chooses."""

    bundle: Path
    name: str
    engine: str | None = None

    def size_bytes(self) -> int:
        return self.bundle.stat().st_size

    def open(self, threads: int) -> Opened:
        classify = load(self.bundle, engine=self.engine, threads=threads)
        return Opened(lambda text: classify(text).label, classify.labels)


def bundle_name(bundle: Bundle, program: Program | None = None) -> str:
    """What the tables call a bundle, by its first program or another: engine, scheme, and its buckets if that engine pads."""
    text = bundle.manifest.main.text
    program = program or bundle.manifest.main.programs[0]
    lengths = "" if program.engine != "litert" else f", buckets {'/'.join(map(str, text.buckets))}"
    return f"edgekit on {ENGINES.get(program.engine, program.engine)}, {program.scheme}{lengths}"


def make_bundle(model: Path, out: Path, *options: str) -> Path:
    """Runs ``edgekit convert``, with its default settings but for the options.

    Raises:
        RuntimeError: It failed; its message is on stderr.
    """
    made = subprocess.run([*COMMAND, "convert", str(model), "--out", str(out), *options], stdout=subprocess.DEVNULL)
    if made.returncode:
        raise RuntimeError(f"edgekit convert {model} failed with exit code {made.returncode}")
    return out
