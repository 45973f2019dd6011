"""Text in, label out: edgekit and what people use today, on the same model and texts, timed in turn.

Example:
    edgekit demo
    python benchmarks/latency.py --model demo-out/model.pt --data demo-out/dev.csv
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import harness
from contenders.edgekit import EdgekitBundle, make_bundle
from contenders.lineup import DISTRIBUTIONS, PEERS, LeftOut, make_peers, ours, source_of
from edgekit.cli.terminal import Terminal
from edgekit_converters.data import LabelledText, read_labelled
from edgekit_runtime import open_bundle
from harness import Contender, Lane, Ratio, Times, interleave, markdown_table, ratio_of_medians
from machine import Machine, describe_machine

PART = "peers"
"""The part of the document that ``--fill`` writes."""

NOTHING = "–"


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
        slower: How many times its median is that of edgekit's default, the first bundle; None in that one's own row.
    """

    name: str
    threads: int
    median_ms: float
    round_medians_ms: tuple[float, ...]
    accuracy: float
    size_bytes: int
    slower: Ratio | None


@dataclass(frozen=True)
class Latencies:
    """What the benchmark found.

    Attributes:
        machine: Where and how.
        examples: Texts that accuracy is of.
        texts: Texts that were timed in each round.
        rounds: How many there were.
        by_threads: A table for each thread count.
        at_best: Each contender at its better thread count.
        left_out: Who does not take part.
    """

    machine: Machine
    examples: int
    texts: int
    rounds: int
    by_threads: tuple[tuple[Row, ...], ...]
    at_best: tuple[Row, ...]
    left_out: tuple[LeftOut, ...]


def main() -> None:
    """Parses, prepares, measures and reports."""
    parser = harness.parser(__doc__.splitlines()[0], PART)
    parser.add_argument("--model", type=Path, help="BERT checkpoint or Hugging Face folder")
    parser.add_argument("--data", type=Path, help="labelled texts, csv or tsv")
    parser.add_argument("--bundle", type=Path, action="append", help="bundle of the model; default: make one an engine")
    parser.add_argument(
        "--buckets", action="append", help="make a bundle with these buckets, 16,32,… or auto; repeatable"
    )
    parser.add_argument(
        "--calibrate", type=Path, help="texts for buckets auto, none of them in --data; default: --data"
    )
    parser.add_argument("--peer", action="append", choices=PEERS, help="only these peers; repeatable; default: all")
    harness.add_timing(parser)
    arguments = parser.parse_args()
    harness.required(arguments, parser, "model")
    harness.required(arguments, parser, "data")
    machine = describe_machine(DISTRIBUTIONS)
    with harness.workspace(arguments.keep) as work:
        bundles = list(arguments.bundle or []) or make_bundles(arguments, work)
        data = read_labelled(arguments.data, open_bundle(bundles[0]).manifest.labels)
        source = source_of(arguments.model, bundles, work)
        names = dict.fromkeys(arguments.peer or PEERS)
        peers, left_out = make_peers(source, tuple(names), lambda line: print(line, file=sys.stderr))
        result = measure(peers, ours(bundles), left_out, data, arguments, machine)
    harness.publish(arguments, markdown(result), result)


def make_bundles(arguments: argparse.Namespace, work: Path) -> list[Path]:
    """Edgekit's default on LiteRT, or one for each choice of buckets, and its default on the other engines."""
    checked = ("--eval", str(arguments.data))
    seen = () if arguments.calibrate is None else ("--calibrate", str(arguments.calibrate))
    litert = [("--buckets", buckets, *(seen if buckets == "auto" else ())) for buckets in arguments.buckets or ()] or [
        ()
    ]
    options = [
        *(("--target", "litert", *each) for each in litert),
        *(("--target", other) for other in ("executorch", "onnx")),
    ]
    return [
        make_bundle(arguments.model, work / f"edgekit-{index}.edgekit", *checked, *each)
        for index, each in enumerate(options)
    ]


def measure(
    peers: Sequence[Contender],
    bundles: Sequence[EdgekitBundle],
    left_out: Sequence[LeftOut],
    data: LabelledText,
    arguments: argparse.Namespace,
    machine: Machine,
) -> Latencies:
    """Opens every contender at every thread count, all at once, and times them in turn.

    Raises:
        RuntimeError: One of edgekit's fails; a peer that fails is left out.
    """
    texts = data.texts[: arguments.texts]
    counts = tuple(dict.fromkeys(arguments.threads or [1, 2]))
    failed = list(left_out)
    with contextlib.ExitStack() as stack:
        terminal = stack.enter_context(Terminal())
        opened = [tuple(stack.enter_context(Lane(each, threads)) for threads in counts) for each in (*peers, *bundles)]
        accuracies: dict[str, float] = {}
        for lanes in opened:
            contender = lanes[0].contender
            terminal.stage(f"{contender.name}: {len(data.texts)} texts for its accuracy")
            try:
                for lane in lanes[1:]:
                    lane.run(texts[:1], ())  # the slowest to open is not to disturb the first round
                answers = lanes[0].run(data.texts, ()).classes
            except RuntimeError as error:
                if contender in bundles:
                    raise
                terminal.say(str(error))
                failed.append(LeftOut(contender.name, str(error).strip().splitlines()[-1]))
                continue
            accuracies[contender.name] = float(np.mean(np.equal(answers, data.labels)))
        taking_part = [lane for lanes in opened for lane in lanes if lane.contender.name in accuracies]
        terminal.stage(f"{arguments.rounds} rounds of {len(taking_part)} blocks of {len(texts)} texts")
        times = interleave(
            taking_part,
            texts,
            rounds=arguments.rounds,
            warmup=arguments.warmup,
            pause_s=arguments.pause,
            progress=terminal.progress,
        )
    measured = list(zip(taking_part, times, strict=True))
    by_threads = [[pair for pair in measured if pair[0].threads == threads] for threads in counts]
    best = [min(pairs, key=lambda pair: float(np.median(pair[1]))) for pairs in zip(*by_threads, strict=True)]
    default = bundles[0].name
    return Latencies(
        machine=machine,
        examples=len(data.texts),
        texts=len(texts),
        rounds=arguments.rounds,
        by_threads=tuple(_rows(pairs, accuracies, default) for pairs in by_threads),
        at_best=_rows(best, accuracies, default),
        left_out=tuple(failed),
    )


def _rows(measured: Sequence[tuple[Lane, Times]], accuracies: dict[str, float], default: str) -> tuple[Row, ...]:
    (base,) = (found for lane, found in measured if lane.contender.name == default)
    return tuple(
        Row(
            name=lane.contender.name,
            threads=lane.threads,
            median_ms=float(np.median(found)),
            round_medians_ms=tuple(np.median(found, axis=1).tolist()),
            accuracy=accuracies[lane.contender.name],
            size_bytes=lane.contender.size_bytes(),
            slower=None if found is base else ratio_of_medians(found, base),
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
        parts += [f"{_count(rows[0].threads)}:", _table(rows, result.left_out)]
    if len(result.by_threads) > 1:
        parts += ["Each at its better thread count:", _table(result.at_best, result.left_out)]
    parts += [f"Left out: {each.name}: {each.reason}" for each in result.left_out]
    return "\n\n".join([*parts, str(result.machine)])


def _count(threads: int) -> str:
    return "One thread" if threads == 1 else f"{threads} threads"


def _table(rows: Sequence[Row], left_out: Sequence[LeftOut]) -> str:
    (default,) = (row.name for row in rows if row.slower is None)
    return markdown_table(
        ["", "threads", "median ms", "accuracy", "MB on disk", f"÷ {default}"],
        [
            *([each.name, NOTHING, "left out", NOTHING, NOTHING, NOTHING] for each in left_out),
            *(
                [
                    row.name,
                    str(row.threads),
                    f"{row.median_ms:.3f}",
                    f"{row.accuracy:.2%}",
                    f"{row.size_bytes / 1e6:.1f}",
                    NOTHING if row.slower is None else str(row.slower),
                ]
                for row in rows
            ),
        ],
    )


if __name__ == "__main__":
    harness.run_benchmark(main)
