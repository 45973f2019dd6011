"""Every scheme of ``edgekit convert --quantize`` on one model: size, accuracy, agreement with float32, and time.

Example:
    python benchmarks/precisions.py --model demo-out/model.pt --data demo-out/dev.csv --calibrate demo-out/train.csv
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import harness
from contenders.edgekit import EdgekitBundle
from conversion import DISTRIBUTIONS, convert
from edgekit.cli.terminal import Terminal
from edgekit_converters.data import read_labelled
from edgekit_converters.quantspec import CALIBRATED, SCHEMES
from edgekit_runtime import load, open_bundle
from edgekit_runtime.manifest import Verification
from harness import Lane, Ratio, interleave, markdown_table, ratio_of_medians
from machine import Machine, describe_machine

BASE = "int8"
"""The scheme that the times of the others are compared with."""


@dataclass(frozen=True)
class Timing:
    """One scheme at one thread count.

    Attributes:
        threads: Threads that a call may use.
        median_ms: Text in to label out, over all timed calls.
        by_length_ms: The same over the texts of each padded length, by length in tokens.
        against_int8: How many times int8's median it is; None for int8 itself, and where int8 was not measured.
    """

    threads: int
    median_ms: float
    by_length_ms: dict[str, float]
    against_int8: Ratio | None


@dataclass(frozen=True)
class Row:
    """One scheme.

    Attributes:
        scheme: Its name.
        bytes: Size of the program; None if the scheme was refused.
        verify: What ``edgekit convert`` measured.
        timings: One a thread count.
        refused: What ``edgekit convert`` said; empty if it made a bundle.
    """

    scheme: str
    bytes: int | None
    verify: Verification | None
    timings: tuple[Timing, ...]
    refused: str


@dataclass(frozen=True)
class Precisions:
    """What the benchmark found."""

    machine: Machine
    texts: int
    rounds: int
    rows: tuple[Row, ...]


def main() -> None:
    """Parses, converts, measures and reports."""
    parser = harness.parser(__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="checkpoint or Hugging Face folder")
    parser.add_argument("--data", type=Path, help="labelled texts, for accuracy and times")
    parser.add_argument("--calibrate", type=Path, help="texts for int8-static, none of them in --data")
    parser.add_argument("--scheme", action="append", choices=[*SCHEMES], help="repeatable; default: all")
    harness.add_timing(parser)
    arguments = parser.parse_args()
    harness.required(arguments, parser, "model")
    harness.required(arguments, parser, "data")
    machine = describe_machine(DISTRIBUTIONS)
    with harness.workspace(arguments.keep) as work:
        rows = [make(scheme, arguments, work / scheme) for scheme in arguments.scheme or SCHEMES]
        bundles = {row.scheme: bundle_path(arguments.model, work / row.scheme) for row in rows if row.verify}
        data = read_labelled(arguments.data, None)
        timings = measure(bundles, data.texts[: arguments.texts], arguments) if bundles else {}
    rows = [replace(row, timings=timings.get(row.scheme, ())) for row in rows]
    result = Precisions(machine, min(arguments.texts, len(data.texts)), arguments.rounds, tuple(rows))
    harness.publish(arguments, markdown(result), result)


def make(scheme: str, arguments: argparse.Namespace, folder: Path) -> Row:
    """Runs ``edgekit convert`` with its gates, and tells what it measured or why it refused."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ["--quantize", scheme, "--eval", str(arguments.data)]
    if scheme in CALIBRATED and arguments.calibrate:
        options += ["--calibrate", str(arguments.calibrate)]
    run = convert(scheme, arguments.model, folder, options)
    if run.conversion is None:
        return Row(scheme, None, None, (), run.error)
    manifest = open_bundle(bundle_path(arguments.model, folder)).manifest
    (program,) = manifest.main.programs
    return Row(scheme, manifest.files[program.file].bytes, manifest.verify[0], (), "")


def measure(
    bundles: Mapping[str, Path], texts: Sequence[str], arguments: argparse.Namespace
) -> dict[str, tuple[Timing, ...]]:
    """Opens every bundle at every thread count, all at once, and times them in turn."""
    counts = tuple(dict.fromkeys(arguments.threads or [1, 2]))
    with load(next(iter(bundles.values()))) as classify:
        spec = classify.encoder.spec
        lengths = np.array([classify.encoder.pad(classify.encoder.ids(text), spec.buckets)[0].size for text in texts])
    with contextlib.ExitStack() as stack:
        terminal = stack.enter_context(Terminal())
        lanes = [
            stack.enter_context(Lane(EdgekitBundle(bundle, scheme), threads))
            for threads in counts
            for scheme, bundle in bundles.items()
        ]
        terminal.stage(f"{arguments.rounds} rounds of {len(lanes)} blocks of {len(texts)} texts")
        times = interleave(
            lanes,
            texts,
            rounds=arguments.rounds,
            warmup=arguments.warmup,
            pause_s=arguments.pause,
            progress=terminal.progress,
        )
    found = {(lane.contender.name, lane.threads): time for lane, time in zip(lanes, times, strict=True)}
    return {
        scheme: tuple(
            Timing(
                threads=threads,
                median_ms=float(np.median(found[scheme, threads])),
                by_length_ms={
                    str(length): float(np.median(found[scheme, threads][:, lengths == length]))
                    for length in np.unique(lengths)
                },
                against_int8=ratio_of_medians(found[scheme, threads], found[BASE, threads])
                if scheme != BASE and BASE in bundles
                else None,
            )
            for threads in counts
        )
        for scheme in bundles
    }


def markdown(result: Precisions) -> str:
    """The tables for people."""
    counts = next((tuple(timing.threads for timing in row.timings) for row in result.rows if row.timings), ())
    columns = ["", "program MB", "accuracy", "agreement", "largest logit difference"]
    for threads in counts:
        columns += [f"ms, {threads} thread{'s' * (threads > 1)}", f"÷ {BASE}"]
    rows = []
    for row in result.rows:
        cells = ["refused"] + ["–"] * (len(columns) - 2)
        if row.verify is not None and row.bytes is not None:
            verify = row.verify
            cells = [f"{row.bytes / 1e6:.2f}", f"{verify.accuracy:.2%}", f"{verify.agreement:.2%}"]
            cells.append(f"{verify.max_abs_logit_diff:.3f}")
            for timing in row.timings:
                cells += [f"{timing.median_ms:.3f}", str(timing.against_int8 or "–")]
        rows.append([row.scheme, *cells])
    parts = [
        f"Accuracy and agreement with the float32 network: on all texts. Times: medians over {result.rounds} rounds of "
        f"the first {result.texts} texts in their own lengths, one at a time, text in to label out; {harness.COMPARED}.",
        markdown_table(columns, rows),
    ]
    parts += [f"{row.scheme} was refused: {row.refused}" for row in result.rows if row.refused]
    parts += [
        f"{row.scheme}, {timing.threads} thread(s), ms by padded length: "
        + ", ".join(f"{length}: {ms:.3f}" for length, ms in timing.by_length_ms.items())
        for row in result.rows
        for timing in row.timings
        if row.scheme == BASE
    ]
    return "\n\n".join([*parts, str(result.machine)])


def bundle_path(model: Path, folder: Path) -> Path:
    """Where :func:`conversion.convert` puts the bundle."""
    return folder / f"{model.stem}.edgekit"


if __name__ == "__main__":
    harness.run_benchmark(main)
