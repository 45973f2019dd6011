"""Instructions a text, counted by callgrind: where time is too noisy to tell a few per cent.

Start-up cancels out: a process that goes through the texts several times is compared with one that does it once. One
thread. Valgrind knows no AVX-512 and no AMX, so that engines choose their AVX2 kernels: counts compare versions of one
thing, not machines. It takes minutes for a CNN, and too long for most BERTs, whose float32 products it emulates slowly.

Example:
    python benchmarks/instructions.py --bundle demo-out/cnn.edgekit --data demo-out/dev.csv
"""

from __future__ import annotations

import argparse
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import harness
from contenders.edgekit import bundle_name
from contenders.part import PARTS, EdgekitPart
from edgekit_converters.data import read_labelled
from edgekit_runtime import open_bundle
from harness import Contender, markdown_table
from machine import Machine, describe_machine

DISTRIBUTIONS = ("edgekit", "ai-edge-litert", "edgekit-executorch", "tokenizers", "numpy")


@dataclass(frozen=True)
class Count:
    """Instructions a text of one contender, or of one part of it; one figure for each time that it was counted."""

    name: str
    instructions: tuple[float, ...]

    @property
    def spread(self) -> float:
        """Largest less smallest, as a share of the smallest."""
        return max(self.instructions) / min(self.instructions) - 1


@dataclass(frozen=True)
class Counts:
    """What the benchmark found."""

    machine: Machine
    valgrind: str
    bundle: str
    texts: int
    counts: tuple[Count, ...]


def main() -> None:
    """Parses, counts and reports."""
    parser = harness.parser(__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, help="bundle of one model")
    parser.add_argument("--engine", help="run it on this engine; default: its first program's")
    parser.add_argument("--data", type=Path, help="labelled texts, csv or tsv")
    parser.add_argument("--texts", type=int, default=20, help="of the first texts")
    parser.add_argument("--passes", type=int, default=100, help="through the texts; the more, the smaller the spread")
    parser.add_argument("--runs", type=int, default=2, help="times that each is counted")
    arguments = parser.parse_args()
    harness.required(arguments, parser, "bundle")
    harness.required(arguments, parser, "data")
    valgrind = valgrind_version()
    machine = describe_machine(DISTRIBUTIONS)
    bundle = open_bundle(arguments.bundle)
    texts = read_labelled(arguments.data, bundle.manifest.labels).texts[: arguments.texts]
    engine = arguments.engine or bundle.manifest.main.programs[0].engine
    with harness.workspace(arguments.keep) as work:
        contenders: list[Contender] = [EdgekitPart(arguments.bundle.absolute(), engine, part) for part in PARTS]
        counts = tuple(count(each, texts, arguments, work) for each in contenders)
    name = f"{bundle_name(bundle)} ({arguments.bundle.name})"
    result = Counts(machine, valgrind, name, len(texts), counts)
    harness.publish(arguments, markdown(result), result)


def count(contender: Contender, texts: Sequence[str], arguments: argparse.Namespace, work: Path) -> Count:
    """Instructions a text, each time of two fresh processes.

    Raises:
        RuntimeError: The contender fails under callgrind.
    """
    print(f"counting {contender.name} …", file=sys.stderr)
    given = work / "counted.pickle"
    given.write_bytes(pickle.dumps((contender, list(texts))))
    calls = arguments.passes * len(texts)
    found = [
        (instructions(given, 1 + arguments.passes) - instructions(given, 1)) / calls for _ in range(arguments.runs)
    ]
    return Count(contender.name, tuple(found))


def instructions(given: Path, passes: int) -> int:
    """Instructions of a whole process.

    Raises:
        RuntimeError: It failed.
    """
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable]
    script = Path(__file__).with_name("counted.py")
    settings = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(
        [*command, str(script), str(given), str(passes)], capture_output=True, text=True, env={**os.environ, **settings}
    )
    collected = re.search(r"Collected : (\d+)", ended.stderr)
    if ended.returncode or collected is None:
        raise RuntimeError(f"a process failed under callgrind:\n{ended.stderr[-2000:]}")
    return int(collected[1])


def valgrind_version() -> str:
    """The version that is installed.

    Raises:
        RuntimeError: None is.
    """
    if shutil.which("valgrind") is None:
        raise RuntimeError("valgrind is not installed, which counts the instructions: apt install valgrind")
    return subprocess.run(["valgrind", "--version"], capture_output=True, text=True, check=True).stdout.strip()


def markdown(result: Counts) -> str:
    """The table for people."""
    rows = [
        [each.name, f"{min(each.instructions) / 1e6:.3f}", f"{each.spread:.2%}" if len(each.instructions) > 1 else "–"]
        for each in result.counts
    ]
    return "\n\n".join(
        [
            f"{result.bundle}: the first {result.texts} texts, one thread, {result.valgrind} (callgrind, AVX2 at most). "
            "The spread is between countings of the same thing.",
            markdown_table(["", "million instructions a text", "spread"], rows),
            str(result.machine),
        ]
    )


if __name__ == "__main__":
    harness.run_benchmark(main)
