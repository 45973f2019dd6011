"""From the start of Python to a printed label: fresh processes, by turns.

Example:
    edgekit demo
    python benchmarks/first_answer.py --bundle demo-out/model-int8.edgekit --model demo-out/model.pt
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import harness
from contenders.edgekit import COMMAND
from contenders.folder import Folder, hugging_face_folder
from contenders.onnx import export_onnx
from edgekit.cli.terminal import Terminal
from edgekit_runtime import open_bundle
from edgekit_runtime.engines.packed_cache import SETTING
from harness import Ratio, markdown_table, ratio_of_medians
from machine import Machine, describe_machine

PART = "first-answer"
TEXT = "what a film"
DISTRIBUTIONS = ("edgekit", "ai-edge-litert", "tokenizers", "numpy", "typer", "torch", "transformers")

RUNTIME = "import sys, edgekit_runtime as ek; print(ek.load(sys.argv[1])(sys.argv[2]).label, flush=True)"
IMPORTS = "import numpy, tokenizers; print('nothing', flush=True)"
PIPELINE = """
import sys
from transformers import pipeline
print(pipeline("text-classification", sys.argv[1])(sys.argv[2])[0]["label"], flush=True)
"""

SESSION = """
import sys, numpy, onnxruntime
from tokenizers import Tokenizer
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
ids = numpy.array([Tokenizer.from_file(sys.argv[2] + "/tokenizer.json").encode(sys.argv[3]).ids])
print(session.run(None, {"ids": ids, "mask": numpy.ones_like(ids)})[0].argmax(), flush=True)
"""

COMMAND_LINE = "`edgekit predict`"
RUNTIME_ALONE = "`edgekit_runtime.load`, and one call"
NO_PACKED = "the same without packed weights from the run before"
FLOOR = "numpy and tokenizers imported, and nothing else"
ONNX_RUNTIME = "onnxruntime and tokenizers, int8, which check nothing"
PEER = "`transformers.pipeline`"


@dataclass(frozen=True)
class Row:
    """One way to an answer.

    Attributes:
        name: What the table calls it.
        median_s: From the start of Python to the printed label.
        longest_s: The slowest start.
        against_floor: How many times the median is that of the imports alone.
    """

    name: str
    median_s: float
    longest_s: float
    against_floor: Ratio


@dataclass(frozen=True)
class FirstAnswers:
    """What the benchmark found."""

    machine: Machine
    runs: int
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Start:
    """A command that prints an answer, and what it finds in its environment."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]

    def seconds(self) -> float:
        """Runs it once: seconds from the start of Python to the printed label.

        Raises:
            RuntimeError: It fails.
        """
        environment = {**os.environ, **self.environment}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # which would have every start compile edgekit anew
        begin = time.perf_counter()
        with subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
            assert process.stdout is not None, "it is a pipe"
            label = process.stdout.readline()
            seconds = time.perf_counter() - begin
            _, errors = process.communicate()
        if process.returncode or not label:
            raise RuntimeError(f"{self.name} failed:\n{errors.decode(errors='replace')}")
        return seconds


def main() -> None:
    """Parses, measures and reports."""
    parser = harness.parser(__doc__.splitlines()[0], PART)
    parser.add_argument("--bundle", type=Path, help="what answers")
    parser.add_argument("--model", type=Path, help="the same model as a checkpoint, for peers; default: none")
    parser.add_argument("--runs", type=int, default=15, help="starts of each")
    arguments = parser.parse_args()
    harness.required(arguments, parser, "bundle")
    machine = describe_machine(DISTRIBUTIONS)
    with Terminal() as terminal, harness.workspace(arguments.keep) as work:
        starts = ways(arguments, work)
        terminal.stage(f"{arguments.runs} starts of each")
        for start in starts:
            start.seconds()  # the bundle and the libraries into the system's cache, packed weights into edgekit's
        seconds = np.empty((arguments.runs, len(starts), 1))
        for number in range(arguments.runs):
            for place in range(len(starts)):
                index = (place + number) % len(starts)
                seconds[number, index] = starts[index].seconds()
                terminal.progress(number * len(starts) + place + 1, arguments.runs * len(starts))
    floor = seconds[:, [start.name for start in starts].index(FLOOR)]
    rows = tuple(
        Row(start.name, float(np.median(each)), float(each.max()), ratio_of_medians(each, floor))
        for start, each in zip(starts, seconds.transpose(1, 0, 2), strict=True)
    )
    harness.publish(arguments, markdown(result := FirstAnswers(machine, arguments.runs, rows)), result)


def ways(arguments: argparse.Namespace, work: Path) -> list[Start]:
    """What is started. Packed weights are kept in a folder of the benchmark's own."""
    compiled = {"PYTHONPYCACHEPREFIX": str(work / "compiled")}
    here = {SETTING: str(work / "packed"), **compiled}
    bundle = str(arguments.bundle)
    runtime = (sys.executable, "-c", RUNTIME, bundle, TEXT)
    starts = [
        Start(COMMAND_LINE, (*COMMAND, "predict", bundle, TEXT), here),
        Start(RUNTIME_ALONE, runtime, here),
        Start(NO_PACKED, runtime, {SETTING: "off", **compiled}),
        Start(FLOOR, (sys.executable, "-c", IMPORTS), compiled),
    ]
    if arguments.model is not None:
        folder = hugging_face_folder(arguments.model, work / "folder")
        quantized = export_onnx(Folder(folder, open_bundle(arguments.bundle).manifest.main.text.max_length), work)[1]
        starts += [
            Start(ONNX_RUNTIME, (sys.executable, "-c", SESSION, str(quantized), str(folder), TEXT), compiled),
            Start(PEER, (sys.executable, "-c", PIPELINE, str(folder), TEXT), compiled),
        ]
    return starts


def markdown(result: FirstAnswers) -> str:
    """The table for people."""
    table = markdown_table(
        ["", "median s", "longest s", "÷ imports alone"],
        [[row.name, f"{row.median_s:.3f}", f"{row.longest_s:.3f}", str(row.against_floor)] for row in result.rows],
    )
    return (
        f"{result.runs} starts of each, by turns, from the start of Python to the printed label; files are in the system's "
        "cache, and modules are compiled, as an installation leaves them. Ratios: of medians, with a 95 % bootstrap over starts."
        f"\n\n{table}\n\n{result.machine}"
    )


if __name__ == "__main__":
    harness.run_benchmark(main)
