"""How near the engines come to the machine: int8 rate and bandwidth as the limit, each engine at each length beside it.

Example:
    edgekit convert demo-out/model.pt --target litert --target executorch --target onnx --buckets 8,16,32,64,128
    python benchmarks/roofline.py --model demo-out/model.pt --bundle demo-out/model-int8.edgekit --picture docs/roofline.svg
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import harness
from contenders.edgekit import ENGINES, make_bundle
from edgekit.cli.terminal import Terminal
from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
from edgekit_converters.networks.bert import Bert
from edgekit_runtime import open_bundle
from harness import Lane, interleave
from machine import Machine, describe_machine
from roofline_ceilings import FROM_MEMORY_BYTES, Peak, clock_hz, peak, read_rate
from roofline_engines import DISTRIBUTIONS, FLOAT, INT8, OPS, SUFFIX, OnEngine, square_program
from roofline_parts import TRACED, Parts, parts_of
from roofline_picture import draw
from roofline_tables import markdown
from roofline_work import Work, work_of

PART = "roofline"
LENGTHS = (8, 16, 32, 64, 128)
COUNTS = (1, 2)


@dataclass(frozen=True)
class Reading:
    """Bytes a second that ``threads`` threads read: as many as the weights are, again and again, and from memory."""

    threads: int
    weights: float
    memory: float


@dataclass(frozen=True)
class Rate:
    """Operations a second of an engine's own square product in int8 and in float32, its quickest call."""

    engine: str
    threads: int
    int8: float
    float32: float


@dataclass(frozen=True)
class Point:
    """An engine at a length.

    Attributes:
        engine: Its name in the tables.
        threads: That one inference may use.
        length: In tokens; nothing is padded.
        median_ms: Over all calls.
        quickest_ms: The quickest call.
        roofline_ms: int8 operations at the engine's int8 rate, or the weights at the rate of reading, whichever is longer.
        by_bytes: Whether reading is.
        with_attention_ms: The same, where attention's products, at the engine's float32 rate, are added to the first.
    """

    engine: str
    threads: int
    length: int
    median_ms: float
    quickest_ms: float
    roofline_ms: float
    by_bytes: bool
    with_attention_ms: float

    @property
    def ratio(self) -> float:
        """The median over the roofline."""
        return self.median_ms / self.roofline_ms


@dataclass(frozen=True)
class Roofline:
    """What the benchmark found.

    Attributes:
        machine: Where and how.
        rounds: Rounds, of ``calls`` each.
        calls: Of each length and product in a round.
        work: What a text of each length asks for.
        clock_hz: Of a busy core; None where it is not known how to measure it.
        peak: What a core is built for; None where it is unknown.
        reading: Rates by threads.
        rates: The engines' ceilings.
        points: The engines at the lengths.
        parts: Where their time goes, with one thread.
    """

    machine: Machine
    rounds: int
    calls: int
    work: tuple[Work, ...]
    clock_hz: float | None
    peak: Peak | None
    reading: tuple[Reading, ...]
    rates: tuple[Rate, ...]
    points: tuple[Point, ...]
    parts: tuple[Parts, ...]

    @property
    def peak_rate(self) -> float | None:
        """Int8 operations a second that a core is built for; None where that is unknown."""
        return None if self.peak is None or self.clock_hz is None else 2 * self.peak.macs_a_cycle * self.clock_hz


def main() -> None:
    """Parses, prepares, measures and reports."""
    parser = harness.parser(__doc__.splitlines()[0], PART)
    parser.add_argument("--model", type=Path, help="BERT checkpoint or Hugging Face folder")
    parser.add_argument(
        "--bundle", type=Path, help="bundle of the model with every length as a bucket; default: make it"
    )
    parser.add_argument("--engine", action="append", choices=ENGINES, help="only these; repeatable; default: all")
    parser.add_argument("--picture", type=Path, help="the plot, .svg")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--calls", type=int, default=10, help="timed calls of each length in a round")
    arguments = parser.parse_args()
    harness.required(arguments, parser, "model")
    engines = tuple(dict.fromkeys(arguments.engine or ENGINES))
    machine = describe_machine(DISTRIBUTIONS)
    with Terminal() as terminal, harness.workspace(arguments.keep) as work:
        network = read_checkpoint(arguments.model, ReadOptions(), terminal.say).network()
        if not isinstance(network, Bert):
            raise RuntimeError("the roofline counts the operations of a BERT, which the model is not")
        bundle = arguments.bundle or _bundle(arguments.model, work, engines)
        _check(bundle, engines)
        contenders = [OnEngine(bundle, engine, _products(engine, work, terminal)) for engine in engines]
        works = tuple(work_of(network.config, length) for length in LENGTHS)
        result = measure(contenders, works, arguments, machine, terminal)
    if arguments.picture is not None:
        draw(result, arguments.picture)
    harness.publish(arguments, markdown(result), result)


def _bundle(model: Path, work: Path, engines: Sequence[str]) -> Path:
    targets = [option for engine in engines for option in ("--target", engine)]
    return make_bundle(model, work / "roofline.edgekit", "--buckets", ",".join(map(str, LENGTHS)), *targets)


def _check(bundle: Path, engines: Sequence[str]) -> None:
    """Refuses a bundle that lacks an engine or a length before anything is measured."""
    main = open_bundle(bundle).manifest.main
    if missing := set(engines) - {program.engine for program in main.programs}:
        raise RuntimeError(
            f"{bundle} has no program for {', '.join(sorted(missing))}: give the engines that it has by --engine"
        )
    if main.text.max_length < LENGTHS[-1] or ("litert" in engines and set(LENGTHS) - set(main.text.buckets)):
        raise RuntimeError(
            f"{bundle} must have the buckets {','.join(map(str, LENGTHS))}: convert the model with --buckets"
        )


def _products(engine: str, work: Path, terminal: Terminal) -> dict[str, Path]:
    """The square products of an engine; what lies in --keep already is taken as it is."""
    terminal.stage(f"Square products for {ENGINES[engine]}")
    files = {kind: work / f"{kind.replace(' ', '-')}{SUFFIX[engine]}" for kind in (INT8, FLOAT)}
    for kind, file in files.items():
        if not file.exists():
            file.write_bytes(square_program(engine, kind))
    return files


def measure(
    contenders: Sequence[OnEngine],
    works: tuple[Work, ...],
    arguments: argparse.Namespace,
    machine: Machine,
    terminal: Terminal,
) -> Roofline:
    """Times products and lengths of every engine in turn, each in processes of its own, then the machine."""
    calls: int = arguments.calls
    whats = [what for what in (*map(str, LENGTHS), INT8, FLOAT) for _ in range(calls)]
    with contextlib.ExitStack() as stack:
        lanes = [stack.enter_context(Lane(each, threads)) for each in contenders for threads in COUNTS]
        for lane in lanes:
            lane.run(whats[:1], ())  # the slowest to open is not to disturb the first round
        terminal.stage(f"{arguments.rounds} rounds of {len(lanes)} blocks")
        times = interleave(
            lanes, whats, rounds=arguments.rounds, warmup=len(whats) // calls, pause_s=0.1, progress=terminal.progress
        )
    terminal.stage("Reading, and the clock")
    reading = tuple(
        Reading(threads, read_rate(works[0].weight_bytes, threads), read_rate(FROM_MEMORY_BYTES, threads))
        for threads in COUNTS
    )
    clock = clock_hz()
    rates, points = [], []
    for lane, found in zip(lanes, times, strict=True):
        by_what = dict(zip(dict.fromkeys(whats), np.split(found, len(whats) // calls, axis=1), strict=True))
        int8, float32 = (1000 * OPS / float(by_what[kind].min()) for kind in (INT8, FLOAT))
        rate = Rate(lane.contender.name, lane.threads, int8, float32)
        rates.append(rate)
        (read,) = (each for each in reading if each.threads == lane.threads)
        points += [
            point(rate, read, work, float(np.median(t)), float(t.min()))
            for work in works
            for t in [by_what[str(work.length)]]
        ]
    parts = []
    for each in contenders:
        for work in works:
            if work.length in TRACED:
                terminal.stage(f"{each.name} by operator, {work.length} tokens")
                parts.append(parts_of(each.bundle, each.engine, each.name, work))
    return Roofline(
        machine, arguments.rounds, calls, works, clock, peak(), reading, tuple(rates), tuple(points), tuple(parts)
    )


def point(rate: Rate, read: Reading, work: Work, median_ms: float, quickest_ms: float) -> Point:
    """A measured time and its limits."""
    products, reading = 1000 * work.int8_ops / rate.int8, 1000 * work.bytes / read.weights
    return Point(
        engine=rate.engine,
        threads=rate.threads,
        length=work.length,
        median_ms=median_ms,
        quickest_ms=quickest_ms,
        roofline_ms=max(products, reading),
        by_bytes=reading > products,
        with_attention_ms=max(products + 1000 * work.attention_ops / rate.float32, reading),
    )


if __name__ == "__main__":
    harness.run_benchmark(main)
