"""Every scheme of ``edgekit convert --quantize`` on one model and any targets: size, accuracy, agreement with float32, and time.

Example:
    python benchmarks/precisions.py --model demo-out/model.pt --data demo-out/dev.csv --calibrate demo-out/train.csv
    python benchmarks/precisions.py --target litert --target executorch --target onnx --route --compat --model …
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import harness
from contenders.edgekit import EdgekitBundle
from contenders.tflite_runtime import TfliteRuntime
from conversion import DISTRIBUTIONS, convert
from edgekit.cli.terminal import Terminal
from edgekit_converters.data import read_labelled
from edgekit_converters.environments import TFLITE_RUNTIME
from edgekit_converters.quantspec import CALIBRATED, COMPATIBLE, SCHEMES
from edgekit_converters.targets import TARGETS, find_target
from edgekit_runtime import load, open_bundle
from edgekit_runtime.manifest import Verification
from harness import Contender, Lane, Ratio, interleave, markdown_table, ratio_of_medians
from machine import Machine, describe_machine

MARK = "targets"
BASE = "int8"
"""The scheme of the program that the times of the others are compared with; the first target's."""


@dataclass(frozen=True)
class Variant:
    """One program to be made.

    Attributes:
        target: Its target.
        scheme: Its scheme.
        options: What else ``edgekit convert`` is told.
    """

    target: str
    scheme: str
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What the tables call it."""
        return " ".join([f"{self.target}, {self.scheme}", *(f"`{option}`" for option in self.options)])


@dataclass(frozen=True)
class Timing:
    """One program at one thread count.

    Attributes:
        threads: Threads that a call may use.
        median_ms: Text in to label out, over all timed calls.
        by_length_ms: The same over the texts of each padded length, by length in tokens.
        against_base: How many times the base's median it is; None for the base itself, and where there is none.
    """

    threads: int
    median_ms: float
    by_length_ms: dict[str, float]
    against_base: Ratio | None


@dataclass(frozen=True)
class Row:
    """One program on one engine.

    Attributes:
        variant: The program.
        bundle: Where it lies while the benchmark runs; None if it was refused.
        verify: What ``edgekit convert`` measured; None likewise.
        timings: One a thread count.
        refused: What ``edgekit convert`` said; empty if it made a bundle.
        bytes: Size of the program; 0 if it was refused.
    """

    variant: Variant
    bundle: str | None
    verify: Verification | None
    timings: tuple[Timing, ...]
    refused: str
    bytes: int = 0


@dataclass(frozen=True)
class Precisions:
    """What the benchmark found."""

    machine: Machine
    texts: int
    rounds: int
    rows: tuple[Row, ...]


def main() -> None:
    """Parses, converts, measures and reports."""
    parser = harness.parser(__doc__.splitlines()[0], MARK)
    parser.add_argument("--model", type=Path, help="checkpoint or Hugging Face folder")
    parser.add_argument("--data", type=Path, help="labelled texts, for accuracy and times")
    parser.add_argument("--calibrate", type=Path, help="texts for int8-static, none of them in --data")
    parser.add_argument("--target", action="append", choices=[*TARGETS], help="repeatable; default: litert")
    parser.add_argument("--scheme", action="append", choices=[*SCHEMES], help="repeatable; default: all")
    parser.add_argument("--route", action="store_true", help="int8 by `--route onnx`, too")
    parser.add_argument("--compat", action="store_true", help="programs by `--compat tflite-runtime`, too")
    harness.add_timing(parser)
    arguments = parser.parse_args()
    harness.required(arguments, parser, "model")
    harness.required(arguments, parser, "data")
    machine = describe_machine((*DISTRIBUTIONS, "executorch", "onnxruntime"))
    with harness.workspace(arguments.keep) as work:
        made = [make(variant, arguments, work / str(place)) for place, variant in enumerate(variants(arguments))]
        data = read_labelled(arguments.data, None)
        rows = measure([row for each in made for row in each], data.texts[: arguments.texts], arguments)
    result = Precisions(machine, min(arguments.texts, len(data.texts)), arguments.rounds, tuple(rows))
    harness.publish(arguments, markdown(result), result)


def variants(arguments: argparse.Namespace) -> list[Variant]:
    """The programs, the first target's first."""
    wanted = arguments.scheme or SCHEMES
    found = [
        Variant(target, scheme)
        for target in arguments.target or ["litert"]
        for scheme in find_target(target).schemes
        if scheme in wanted
    ]
    found += [Variant("litert", BASE, ("--route onnx",))] if arguments.route else []
    for runtime, schemes in COMPATIBLE.items() if arguments.compat else ():
        found += [Variant("litert", scheme, (f"--compat {runtime}",)) for scheme in schemes if scheme in wanted]
    return found


def make(variant: Variant, arguments: argparse.Namespace, folder: Path) -> list[Row]:
    """Runs ``edgekit convert`` with its gates: a row for each engine that it measured, or one that says why it refused."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ["--target", variant.target, "--quantize", variant.scheme, "--eval", str(arguments.data)]
    options += [word for option in variant.options for word in option.split()]
    if variant.scheme in CALIBRATED and arguments.calibrate:
        options += ["--calibrate", str(arguments.calibrate)]
    run = convert(variant.name, arguments.model, folder, options)
    if run.conversion is None:
        return [Row(variant, None, None, (), run.error)]
    bundle: str = run.conversion["bundle"]
    manifest = open_bundle(bundle).manifest
    (program,) = manifest.main.programs
    return [Row(variant, bundle, report, (), "", manifest.files[program.file].bytes) for report in manifest.verify]


def measure(rows: Sequence[Row], texts: Sequence[str], arguments: argparse.Namespace) -> list[Row]:
    """Opens every program on its engine at every thread count, all at once, and times them in turn."""
    counts = tuple(dict.fromkeys(arguments.threads or [1, 2]))
    made = [place for place, row in enumerate(rows) if row.bundle]
    if not made:
        return list(rows)
    base = next((place for place in made if rows[place].variant.scheme == BASE), None)
    with load(rows[made[0]].bundle) as classify:
        spec = classify.encoder.spec
        lengths = np.array([classify.encoder.pad(classify.encoder.ids(text), spec.buckets)[0].size for text in texts])
    with contextlib.ExitStack() as stack:
        terminal = stack.enter_context(Terminal())
        lanes = {
            (place, threads): stack.enter_context(Lane(contender(rows[place]), threads))
            for threads in counts
            for place in made
        }
        terminal.stage(f"{arguments.rounds} rounds of {len(lanes)} blocks of {len(texts)} texts")
        times = interleave(
            list(lanes.values()),
            texts,
            rounds=arguments.rounds,
            warmup=arguments.warmup,
            pause_s=arguments.pause,
            progress=terminal.progress,
        )
    found = dict(zip(lanes, times, strict=True))
    timed = list(rows)
    for place in made:
        timings = tuple(
            Timing(
                threads=threads,
                median_ms=float(np.median(found[place, threads])),
                by_length_ms={
                    str(length): float(np.median(found[place, threads][:, lengths == length]))
                    for length in np.unique(lengths)
                },
                against_base=None
                if base in (None, place)
                else ratio_of_medians(found[place, threads], found[base, threads]),
            )
            for threads in counts
        )
        timed[place] = replace(rows[place], timings=timings)
    return timed


def contender(row: Row) -> Contender:
    """What runs the program on the engine of this row."""
    assert row.bundle is not None and row.verify is not None, "it was not refused"
    if not row.verify.distribution.startswith(TFLITE_RUNTIME.name):
        return EdgekitBundle(Path(row.bundle), row.variant.name)
    return TfliteRuntime(Path(row.bundle), row.variant.name)


def markdown(result: Precisions) -> str:
    """The tables for people."""
    counts = next((tuple(timing.threads for timing in row.timings) for row in result.rows if row.timings), ())
    columns = ["", "program MB", "engine", "accuracy", "agreement", "largest logit difference"]
    for threads in counts:
        columns += [f"ms, {threads} thread{'s' * (threads > 1)}", f"÷ {BASE}"]
    rows = []
    for row in result.rows:
        cells = ["refused"]
        if row.verify is not None:
            verify = row.verify
            cells = [f"{row.bytes / 1e6:.2f}", verify.distribution, f"{verify.accuracy:.2%}", f"{verify.agreement:.2%}"]
            cells.append(f"{verify.max_abs_logit_diff:.3f}")
            for timing in row.timings:
                cells += [f"{timing.median_ms:.3f}", str(timing.against_base or "–")]
        rows.append([row.variant.name, *cells, *["–"] * (len(columns) - 1 - len(cells))])
    parts = [
        f"Accuracy and agreement with the float32 network: on all texts. Times: medians over {result.rounds} rounds of "
        f"the first {result.texts} texts in their own lengths, one at a time, text in to label out; {harness.COMPARED}.",
        markdown_table(columns, rows),
    ]
    parts += [f"{row.variant.name} was refused: {row.refused}" for row in result.rows if row.refused]
    parts += [
        f"{row.variant.name}, {timing.threads} thread(s), ms by padded length: "
        + ", ".join(f"{length}: {ms:.3f}" for length, ms in timing.by_length_ms.items())
        for row in result.rows
        for timing in row.timings
        if row.variant == Variant("litert", BASE)
    ]
    return "\n\n".join([*parts, str(result.machine)])


if __name__ == "__main__":
    harness.run_benchmark(main)
