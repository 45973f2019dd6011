"""What edgekit adds around the engine's own invoke, in milliseconds a text.

Example:
    python benchmarks/overhead.py --bundle demo-out/model-int8.edgekit --data demo-out/dev.csv
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import harness
from contenders.edgekit import bundle_name, make_bundle
from edgekit_converters.data import read_labelled
from edgekit_runtime import Classifier, load, open_bundle
from edgekit_runtime.engines.litert_compiled import CompiledRunner
from harness import markdown_table
from machine import Machine, describe_machine

DISTRIBUTIONS = ("edgekit", "ai-edge-litert", "tokenizers", "numpy")


class Stopwatch:
    """Adds up the time that wrapped calls take; ``nanoseconds`` may be set back."""

    def __init__(self) -> None:
        self.nanoseconds = 0

    def wrap(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, timed."""

        def timed(*args: Any) -> Any:
            begin = time.perf_counter_ns()
            result = call(*args)
            self.nanoseconds += time.perf_counter_ns() - begin
            return result

        return timed


@dataclass(frozen=True)
class Overhead:
    """Medians over all timed calls, in milliseconds.

    Attributes:
        threads: Threads that a call may use.
        total_ms: Text in to Prediction out.
        invoke_ms: Inside the native call that runs the program.
        added_ms: The difference, taken call by call; what the stopwatch itself costs counts as edgekit's.
        tokenizing_ms: Text to ids, in a second pass with more stopwatches, as are padding, runner and rest.
        tokenizing_alone_ms: The same with no inference in between: the difference is what reading the weights costs
            the tokenizer, whose vocabulary it drives out of the caches.
        padding_ms: Ids to arrays.
        runner_ms: The engine's ``run`` without that: input and output copies.
        rest_ms: All else: softmax, objects, the lock.
    """

    threads: int
    total_ms: float
    invoke_ms: float
    added_ms: float
    tokenizing_ms: float
    tokenizing_alone_ms: float
    padding_ms: float
    runner_ms: float
    rest_ms: float


@dataclass(frozen=True)
class Overheads:
    """What the benchmark found for one bundle."""

    machine: Machine
    bundle: str
    texts: int
    rounds: int
    by_threads: tuple[Overhead, ...]


def main() -> None:
    """Parses, measures and reports."""
    parser = harness.parser(__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="checkpoint to convert with the default settings")
    parser.add_argument("--bundle", type=Path, help="bundle to measure instead")
    parser.add_argument("--data", type=Path, help="labelled texts, csv or tsv")
    parser.add_argument("--threads", type=int, action="append", help="repeatable; default: 1 and 2")
    parser.add_argument("--texts", type=int, default=200, help="time this many of the first texts")
    parser.add_argument("--rounds", type=int, default=10, help="times that each text is classified")
    arguments = parser.parse_args()
    harness.required(arguments, parser, "model", "bundle")
    harness.required(arguments, parser, "data")
    machine = describe_machine(DISTRIBUTIONS)
    invoke = Stopwatch()
    with harness.workspace(arguments.keep) as work:
        path = arguments.bundle or make_bundle(arguments.model, work / "overhead.edgekit")
        bundle = open_bundle(path)
        texts = read_labelled(arguments.data, bundle.manifest.labels).texts[: arguments.texts]
        found = []
        for threads in dict.fromkeys(arguments.threads or [1, 2]):
            with load(path, engine="litert", threads=threads) as classifier:
                watch_invoke(classifier, invoke)
                found.append(measure(classifier, invoke, texts, threads, arguments.rounds))
    result = Overheads(machine, bundle_name(bundle), len(texts), arguments.rounds, tuple(found))
    harness.publish(arguments, markdown(result), result)


def watch_invoke(classifier: Classifier, invoke: Stopwatch) -> None:
    """Puts a stopwatch around the native call that runs a program.

    Raises:
        RuntimeError: The engine does not run it by LiteRT's C API.
    """
    engine: Any = classifier.engine
    runner: Any = engine._runner
    if not isinstance(runner, CompiledRunner):
        raise RuntimeError(f"LiteRT runs by {type(runner).__name__}; this benchmark follows its C API alone")
    runner._run = invoke.wrap(runner._run)


def measure(classifier: Classifier, invoke: Stopwatch, texts: Sequence[str], threads: int, rounds: int) -> Overhead:
    """Times every text in every round, first with the one stopwatch around the native call, then with one around each step.

    Raises:
        RuntimeError: The engine does not run by the call that is watched.
    """
    plain = _passes(classifier, (invoke,), texts, rounds)
    if not plain[:, 1].all():
        raise RuntimeError("the engine did not pass through the call that is watched; this benchmark must follow it")
    alone = _passes(classifier.encoder.ids, (), texts, rounds)
    encode, pad, run = Stopwatch(), Stopwatch(), Stopwatch()
    steps: Any = classifier.encoder
    steps.ids, steps.pad = encode.wrap(steps.ids), pad.wrap(steps.pad)
    engine: Any = classifier.engine
    engine.run = run.wrap(engine.run)
    split = _passes(classifier, (encode, pad, run, invoke), texts, rounds)
    total, tokenizing, padding, running, inside = split.T
    return Overhead(
        threads,
        total_ms=float(np.median(plain[:, 0])),
        invoke_ms=float(np.median(plain[:, 1])),
        added_ms=float(np.median(plain[:, 0] - plain[:, 1])),
        tokenizing_ms=float(np.median(tokenizing)),
        tokenizing_alone_ms=float(np.median(alone)),
        padding_ms=float(np.median(padding)),
        runner_ms=float(np.median(running - inside)),
        rest_ms=float(np.median(total - tokenizing - padding - running)),
    )


def _passes(
    call: Callable[[str], Any], watches: Sequence[Stopwatch], texts: Sequence[str], rounds: int
) -> harness.Times:
    """(rounds × texts, 1 + watches) milliseconds: the whole call, then what each stopwatch saw of it."""
    for text in texts:
        call(text)
    rows = []
    for _ in range(rounds):
        for text in texts:
            for watch in watches:
                watch.nanoseconds = 0
            begin = time.perf_counter_ns()
            call(text)
            total = time.perf_counter_ns() - begin
            rows.append([total, *(watch.nanoseconds for watch in watches)])
    return np.asarray(rows) / 1e6


def _steps(row: Overhead) -> tuple[float, ...]:
    return row.tokenizing_ms, row.tokenizing_alone_ms, row.padding_ms, row.runner_ms, row.rest_ms


def markdown(result: Overheads) -> str:
    """The table for people."""
    table = markdown_table(
        [
            "threads",
            "total ms",
            "invoke ms",
            "added ms",
            "tokenizing",
            "(alone)",
            "padding",
            "runner",
            "softmax, objects",
        ],
        [
            [
                str(row.threads),
                *(f"{value:.3f}" for value in (row.total_ms, row.invoke_ms, row.added_ms)),
                *(f"{value:.3f}" for value in _steps(row)),
            ]
            for row in result.by_threads
        ],
    )
    return "\n\n".join(
        [
            f"{result.bundle}: medians over {result.rounds} rounds of {result.texts} texts. Added is total less invoke, "
            "call by call; the four steps are from a second pass with a stopwatch around each; (alone) is tokenizing "
            "without inference in between.",
            table,
            str(result.machine),
        ]
    )


if __name__ == "__main__":
    harness.run_benchmark(main)
