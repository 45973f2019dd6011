"""Text in, label out: transformers, ONNX Runtime and edgekit on the same model and texts, timed in turn.

Example:
    edgekit demo
    python benchmarks/latency.py --model demo-out/model.pt --data demo-out/dev.csv
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import harness
from contenders import DISTRIBUTIONS, EdgekitBundle, make_bundle, make_contenders
from edgekit.cli.terminal import Terminal
from edgekit_converters.data import LabelledText, read_labelled
from edgekit_runtime import open_bundle
from harness import Contender, Lane, Ratio, Times, interleave, markdown_table, ratio_of_medians
from machine import Machine, describe_machine


@dataclass(frozen=True)
class Row:
    """One contender at one thread count.

    Attributes:
        name: The contender.
        threads: Threads that a call may use.
        median_ms: Over all timed calls.
        round_medians_ms: The same in each round.
        accuracy: On all texts of the data, as a share.
        size_bytes: Model and tokenizer on disk.
        slower_than: How many times its median is that of each edgekit variant that it stands beside, by name.
    """

    name: str
    threads: int
    median_ms: float
    round_medians_ms: tuple[float, ...]
    accuracy: float
    size_bytes: int
    slower_than: dict[str, Ratio]


@dataclass(frozen=True)
class Latencies:
    """What the benchmark found: a table for each thread count, and each contender at its better one."""

    machine: Machine
    examples: int
    texts: int
    rounds: int
    by_threads: tuple[tuple[Row, ...], ...]
    at_best: tuple[Row, ...]


def main() -> None:
    """Parses, prepares, measures and reports."""
    parser = harness.parser(__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="BERT checkpoint or Hugging Face folder")
    parser.add_argument("--data", type=Path, help="labelled texts, csv or tsv")
    parser.add_argument("--bundle", type=Path, action="append", help="edgekit bundle of the model; default: make one")
    parser.add_argument("--buckets", action="append", help="make a bundle with these buckets, 16,32,…; repeatable")
    harness.add_timing(parser)
    arguments = parser.parse_args()
    harness.required(arguments, parser, "model")
    harness.required(arguments, parser, "data")
    machine = describe_machine(DISTRIBUTIONS)
    with harness.workspace(arguments.keep) as work:
        bundles = list(arguments.bundle or [])
        for index, buckets in enumerate(arguments.buckets or ([] if bundles else [None])):
            options = () if buckets is None else ("--buckets", buckets)
            bundles.append(make_bundle(arguments.model, work / f"edgekit-{index}.edgekit", *options))
        contenders = make_contenders(arguments.model, bundles, work)
        data = read_labelled(arguments.data, open_bundle(bundles[0]).manifest.labels)
        result = measure(contenders, data, arguments, machine)
    harness.publish(arguments, markdown(result), result)


def measure(
    contenders: Sequence[Contender], data: LabelledText, arguments: argparse.Namespace, machine: Machine
) -> Latencies:
    """Opens every contender at every thread count, all at once, and times them in turn."""
    texts = data.texts[: arguments.texts]
    counts = tuple(dict.fromkeys(arguments.threads or [1, 2]))
    with contextlib.ExitStack() as stack:
        terminal = stack.enter_context(Terminal())
        lanes = [stack.enter_context(Lane(each, threads)) for threads in counts for each in contenders]
        accuracies = {}
        for lane in lanes[: len(contenders)]:
            terminal.stage(f"{lane.contender.name}: {len(data.texts)} texts for its accuracy")
            answers = lane.run(data.texts, ()).classes
            accuracies[lane.contender.name] = float(np.mean(np.equal(answers, data.labels)))
        terminal.stage(f"{arguments.rounds} rounds of {len(lanes)} blocks of {len(texts)} texts")
        times = interleave(
            lanes,
            texts,
            rounds=arguments.rounds,
            warmup=arguments.warmup,
            pause_s=arguments.pause,
            progress=terminal.progress,
        )
    measured = list(zip(lanes, times, strict=True))
    medians = [float(np.median(found)) for found in times]
    best = [
        measured[min(range(start, len(lanes), len(contenders)), key=medians.__getitem__)]
        for start in range(len(contenders))
    ]
    by_threads = [[pair for pair in measured if pair[0].threads == threads] for threads in counts]
    return Latencies(
        machine=machine,
        examples=len(data.texts),
        texts=len(texts),
        rounds=arguments.rounds,
        by_threads=tuple(_rows(pairs, accuracies) for pairs in by_threads),
        at_best=_rows(best, accuracies),
    )


def _rows(measured: Sequence[tuple[Lane, Times]], accuracies: dict[str, float]) -> tuple[Row, ...]:
    ours = {lane.contender.name: found for lane, found in measured if isinstance(lane.contender, EdgekitBundle)}
    return tuple(
        Row(
            name=lane.contender.name,
            threads=lane.threads,
            median_ms=float(np.median(found)),
            round_medians_ms=tuple(np.median(found, axis=1).tolist()),
            accuracy=accuracies[lane.contender.name],
            size_bytes=lane.contender.size_bytes(),
            slower_than={
                name: ratio_of_medians(found, base) for name, base in ours.items() if name != lane.contender.name
            },
        )
        for lane, found in measured
    )


def markdown(result: Latencies) -> str:
    """The tables for people."""
    parts = [
        f"Median over {result.rounds} rounds of the first {result.texts} texts in their own lengths, one at a time; "
        f"accuracy on all {result.examples}. Ratios: {harness.COMPARED}."
    ]
    for rows in result.by_threads:
        parts += [f"{_count(rows[0].threads)}:", _table(rows)]
    if len(result.by_threads) > 1:
        parts += ["Each at its better thread count:", _table(result.at_best)]
    return "\n\n".join([*parts, str(result.machine)])


def _count(threads: int) -> str:
    return "One thread" if threads == 1 else f"{threads} threads"


def _table(rows: Sequence[Row]) -> str:
    variants = list(dict.fromkeys(name for row in rows for name in row.slower_than))
    against = [f"÷ {name}" for name in variants]
    return markdown_table(
        ["", "threads", "median ms", "accuracy", "MB on disk", *against],
        [
            [
                row.name,
                str(row.threads),
                f"{row.median_ms:.3f}",
                f"{row.accuracy:.2%}",
                f"{row.size_bytes / 1e6:.1f}",
                *(str(row.slower_than.get(name, "–")) for name in variants),
            ]
            for row in rows
        ],
    )


if __name__ == "__main__":
    harness.run_benchmark(main)
