"""What monitoring costs a text, and what a snapshot takes.

Example:
    python benchmarks/monitoring_cost.py --bundle cnn.edgekit --bundle bert.edgekit --data demo-out/dev.csv
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import harness
from edgekit.cli.terminal import Terminal
from edgekit_converters.data import read_labelled
from edgekit_runtime import Classifier, load, open_bundle
from edgekit_runtime.monitoring.monitor import Monitor
from edgekit_runtime.profiling.latency import spread
from harness import Ratio, Times, markdown_table
from machine import Machine, describe_machine

DISTRIBUTIONS = ("edgekit", "ai-edge-litert", "edgekit-executorch", "tokenizers", "numpy")
MOST_US = 3.0
"""What counting a text may take, in µs, on an idle machine."""

PLACE = "monitoring"


@dataclass(frozen=True)
class Row:
    """One bundle.

    Attributes:
        bundle: Its file name.
        bare_us: Microseconds a text of a loop without a monitor.
        watched: What the same loop takes with one, as a multiple of that.
        counting_us: What counting a text takes by itself, the model left out.
        snapshot_us: What a snapshot takes, its window full.
    """

    bundle: str
    bare_us: float
    watched: Ratio
    counting_us: float
    snapshot_us: float


@dataclass(frozen=True)
class Cost:
    """What the benchmark found."""

    machine: Machine
    threads: int
    texts: int
    rounds: int
    rows: tuple[Row, ...]


def main() -> None:
    """Parses, measures and reports."""
    parser = harness.parser(__doc__.splitlines()[0], PLACE)
    parser.add_argument("--bundle", type=Path, action="append", help="repeatable")
    parser.add_argument("--data", type=Path, help="labelled texts, csv or tsv")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--texts", type=int, default=300, help="this many, from all over the data")
    parser.add_argument("--rounds", type=int, default=60, help="of both loops, by turns")
    arguments = parser.parse_args()
    harness.required(arguments, parser, "bundle")
    harness.required(arguments, parser, "data")
    machine = describe_machine(DISTRIBUTIONS)
    with Terminal() as terminal:
        rows = tuple(measure(path, arguments, terminal) for path in arguments.bundle)
    result = Cost(machine, arguments.threads, arguments.texts, arguments.rounds, rows)
    harness.publish(arguments, markdown(result), result)


def measure(path: Path, arguments: argparse.Namespace, terminal: Terminal) -> Row:
    """All for one bundle."""
    texts = spread(read_labelled(arguments.data, open_bundle(path).manifest.labels).texts, arguments.texts)
    terminal.stage(f"{path.name}: {arguments.rounds} rounds of each loop")
    with load(path, threads=arguments.threads) as bare, load(path, threads=arguments.threads, monitor=True) as watched:
        without, with_monitor = loops((bare, watched), texts, arguments.rounds, terminal.progress)
        ratio = harness.ratio_of(_middle, with_monitor, without)
        return Row(path.name, _middle(without), ratio, counting_us(watched, texts), snapshot_us(watched.monitor))


def loops(
    calls: Sequence[Callable[[str], object]], texts: Sequence[str], rounds: int, progress: Callable[[int, int], None]
) -> list[Times]:
    """Times a loop over the texts of each call by turns; which is first changes from round to round.

    Returns:
        Microseconds a text, each (rounds, 1).
    """
    found = [np.empty((rounds, 1)) for _ in calls]
    for call in calls:
        _loop_us(call, texts)
    for number in range(rounds):
        for place in range(len(calls)):
            index = (place + number) % len(calls)
            found[index][number] = _loop_us(calls[index], texts)
        progress(number + 1, rounds)
    return found


def counting_us(classify: Classifier, texts: Sequence[str], calls: int = 2560) -> float:
    """Microseconds that counting a text takes, the fastest of 40 loops over texts that are classified already.

    The fastest, since what else the machine does adds to a loop and never takes from it.
    """
    counted = [(classify(text), classify.encoder.ids(text)) for text in texts]
    watch = classify._watch
    assert watch is not None, "it is loaded with a monitor"
    found: list[float] = []
    for _ in range(40):
        begin = time.perf_counter_ns()
        for number in range(calls):
            answer, ids = counted[number % len(counted)]
            watch(answer, ids, time.perf_counter_ns() - begin)
        found.append((time.perf_counter_ns() - begin) / 1e3 / calls)
    return min(found)


def snapshot_us(monitor: Monitor, calls: int = 50) -> float:
    """Microseconds that a snapshot takes, the median."""
    found = []
    for _ in range(calls):
        begin = time.perf_counter_ns()
        monitor.snapshot()
        found.append((time.perf_counter_ns() - begin) / 1e3)
    return float(np.median(found))


def _loop_us(call: Callable[[str], object], texts: Sequence[str]) -> float:
    begin = time.perf_counter_ns()
    for text in texts:
        call(text)
    return (time.perf_counter_ns() - begin) / 1e3 / len(texts)


def _middle(times: Times) -> float:
    return float(np.median(times))


def markdown(result: Cost) -> str:
    """The table for people."""
    rows = [
        [
            row.bundle,
            f"{row.bare_us:.1f}",
            _percent(row.watched),
            f"{row.counting_us:.2f}",
            "yes" if row.counting_us <= MOST_US else "**no**",
            f"{row.snapshot_us:.0f}",
        ]
        for row in result.rows
    ]
    columns = ["", "a text, µs", "with a monitor", "counting alone, µs", f"≤ {MOST_US:g} µs", "a snapshot, µs"]
    return "\n\n".join(
        [
            f"{result.threads} thread{'s' * (result.threads > 1)}, {result.texts} texts, medians of {result.rounds} rounds of "
            "both loops by turns, with 95 % bootstrap intervals over rounds.",
            markdown_table(columns, rows),
            str(result.machine),
        ]
    )


def _percent(ratio: Ratio) -> str:
    value, low, high = (f"{each - 1:+.2%}" for each in (ratio.value, ratio.low, ratio.high))
    return f"{value} ({low} – {high})"


if __name__ == "__main__":
    harness.run_benchmark(main)
