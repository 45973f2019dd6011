"""What profiling costs itself, and how well two profiles of one bundle agree.

Example:
    python benchmarks/profiling_overhead.py --bundle cnn.edgekit --bundle bert.edgekit --data demo-out/dev.csv
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import harness
from edgekit.cli.terminal import Terminal
from edgekit_converters.data import read_labelled
from edgekit_runtime import load, open_bundle
from edgekit_runtime.profiling.latency import MOST_CALLS, spread, time_round
from harness import Ratio, Times, markdown_table
from machine import Machine, describe_machine

DISTRIBUTIONS = ("edgekit", "ai-edge-litert", "edgekit-executorch", "tokenizers", "numpy")
MOST_OVERHEAD, MOST_DIFFERENCE = 0.02, 0.10
"""What must be reached, on an idle machine."""

PROFILE = """
import json, sys
from edgekit_runtime import load
from edgekit_runtime.profiling.latency import time_in_turns
asked = json.load(sys.stdin)
with load(asked["bundle"], threads=asked["threads"]) as classify:
    (timed,) = time_in_turns([classify], asked["texts"], seconds=asked["seconds"])
print(timed.latency.p50)
"""


@dataclass(frozen=True)
class Row:
    """One bundle.

    Attributes:
        bundle: Its file name.
        bare_ms: Milliseconds a text of a loop that does nothing else, from the clock around the whole loop.
        reported: What the profile's calls say a text takes, as a multiple of that.
        passed: What the profile's round takes a text, all its bookkeeping included, as a multiple of that.
        pairs_p50_ms: Medians of two profiles, each in a process of its own, one right after the other.
    """

    bundle: str
    bare_ms: float
    reported: Ratio
    passed: Ratio
    pairs_p50_ms: tuple[tuple[float, float], ...]

    @property
    def differences(self) -> tuple[float, ...]:
        """Of each pair, as a share of the smaller."""
        return tuple(max(pair) / min(pair) - 1 for pair in self.pairs_p50_ms)


@dataclass(frozen=True)
class Profiling:
    """What the benchmark found."""

    machine: Machine
    threads: int
    texts: int
    rounds: int
    rows: tuple[Row, ...]


def main() -> None:
    """Parses, measures and reports."""
    parser = harness.parser(__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, action="append", help="repeatable")
    parser.add_argument("--data", type=Path, help="labelled texts, csv or tsv")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--texts", type=int, default=MOST_CALLS, help="this many, from all over the data")
    parser.add_argument("--rounds", type=int, default=60, help="of the bare loop and of the profile's, by turns")
    parser.add_argument("--pairs", type=int, default=5, help="pairs of profiles")
    parser.add_argument("--seconds", type=float, default=5.0, help="of one profile")
    arguments = parser.parse_args()
    harness.required(arguments, parser, "bundle")
    harness.required(arguments, parser, "data")
    machine = describe_machine(DISTRIBUTIONS)
    with Terminal() as terminal:
        rows = tuple(measure(path, arguments, terminal) for path in arguments.bundle)
    result = Profiling(machine, arguments.threads, arguments.texts, arguments.rounds, rows)
    harness.publish(arguments, markdown(result), result)


def measure(path: Path, arguments: argparse.Namespace, terminal: Terminal) -> Row:
    """Both for one bundle."""
    texts = spread(read_labelled(arguments.data, open_bundle(path).manifest.labels).texts, arguments.texts)
    terminal.stage(f"{path.name}: {arguments.rounds} rounds of each loop")
    with load(path, threads=arguments.threads) as classify:
        bare, reported, passed = loops(classify, texts, arguments.rounds, terminal.progress)
    terminal.stage(f"{path.name}: {arguments.pairs} pairs of profiles")
    asked = {"bundle": str(path), "threads": arguments.threads, "texts": texts, "seconds": arguments.seconds}
    pairs = []
    for number in range(arguments.pairs):
        one, two = (float(harness.fresh_python(PROFILE, stdin=json.dumps(asked))) for _ in range(2))
        pairs.append((one, two))
        terminal.progress(number + 1, arguments.pairs)
    return Row(
        bundle=path.name,
        bare_ms=_middle(bare),
        reported=harness.ratio_of(_middle, reported, bare),
        passed=harness.ratio_of(_middle, passed, bare),
        pairs_p50_ms=tuple(pairs),
    )


def loops(
    classify: Callable[[str], object], texts: Sequence[str], rounds: int, progress: Callable[[int, int], None]
) -> tuple[Times, Times, Times]:
    """Times the bare loop and the profile's by turns; which of them is first changes from round to round.

    Returns:
        Milliseconds a text, each (rounds, 1): of the bare loop, as the profile's calls report them, and as its loop takes.
    """
    found = np.empty((3, rounds, 1))
    time_round(classify, texts)

    def bare(number: int) -> None:
        begin = time.perf_counter_ns()
        for text in texts:
            classify(text)
        found[0, number] = (time.perf_counter_ns() - begin) / 1e6 / len(texts)

    def profiled(number: int) -> None:
        begin = time.perf_counter_ns()
        timed = time_round(classify, texts)
        found[2, number] = (time.perf_counter_ns() - begin) / 1e6 / len(texts)
        found[1, number] = timed.milliseconds.mean()

    for number in range(rounds):
        for loop in (bare, profiled) if number % 2 else (profiled, bare):
            loop(number)
        progress(number + 1, rounds)
    return found[0], found[1], found[2]


def _middle(times: Times) -> float:
    return float(np.median(times))


def markdown(result: Profiling) -> str:
    """The table for people."""
    rows = [
        [
            row.bundle,
            f"{row.bare_ms:.4f}",
            _percent(row.reported),
            _percent(row.passed),
            _reached(row.reported.value - 1 <= MOST_OVERHEAD),
            *((f"{np.median(row.differences):.1%}", f"{max(row.differences):.1%}") if row.pairs_p50_ms else ("–", "–")),
            _reached(max(row.differences, default=0) <= MOST_DIFFERENCE) if row.pairs_p50_ms else "–",
        ]
        for row in result.rows
    ]
    columns = ["", "bare loop, ms a text", "reported more", "loop takes more", f"≤ {MOST_OVERHEAD:.0%}"]
    columns += ["two profiles differ, median", "at most", f"≤ {MOST_DIFFERENCE:.0%}"]
    return "\n\n".join(
        [
            f"{result.threads} thread{'s' * (result.threads > 1)}, {result.texts} texts, medians of {result.rounds} rounds of "
            "both loops by turns, with 95 % bootstrap intervals over rounds; profiles by pairs of fresh processes.",
            markdown_table(columns, rows),
            str(result.machine),
        ]
    )


def _percent(ratio: Ratio) -> str:
    value, low, high = (f"{each - 1:+.2%}" for each in (ratio.value, ratio.low, ratio.high))
    return f"{value} ({low} – {high})"


def _reached(met: bool) -> str:
    return "yes" if met else "**no**"


if __name__ == "__main__":
    harness.run_benchmark(main)
