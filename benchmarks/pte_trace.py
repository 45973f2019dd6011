"""Where ExecuTorch programs spend their time, by operator, on edgekit's engine with one thread.

Example:
    python benchmarks/pte_programs.py --model demo-out/model.pt --data demo-out/dev.csv --keep kept
    python benchmarks/pte_trace.py kept/edgekit.pte kept/open.pte --length 32
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import harness
from edgekit_runtime.profiling.operators.etdump import inferences
from harness import markdown_table
from machine import Machine, describe_machine

WORDS = 50
"""Ids that are drawn from: even small vocabularies have them."""

REST = "the rest: calls, quantizing, copies"

BEST = 0.1
"""Share of the runs that counts, the quickest: a run that was interrupted tells nothing."""


@dataclass(frozen=True)
class Trace:
    """A program's time in milliseconds: of a whole run, and by operator, XNNPACK's inside the delegate and others."""

    name: str
    total_ms: float
    operators: dict[str, float]


@dataclass(frozen=True)
class Traces:
    """What the benchmark found."""

    machine: Machine
    length: int
    traces: tuple[Trace, ...]


def main() -> None:
    """Parses, runs and reports."""
    parser = harness.parser(__doc__.splitlines()[0])
    parser.add_argument("program", type=Path, nargs="+", help=".pte file that takes ids, or ids and a mask")
    parser.add_argument("--length", type=int, default=32, help="tokens")
    parser.add_argument("--runs", type=int, default=200, help="at most 256")
    arguments = parser.parse_args()
    machine = describe_machine(("edgekit-executorch", "executorch"))
    traces = tuple(trace(path, arguments.length, arguments.runs) for path in arguments.program)
    result = Traces(machine, arguments.length, traces)
    harness.publish(arguments, markdown(result), result)


def trace(path: Path, length: int, runs: int) -> Trace:
    """Runs a program on random ids."""
    import edgekit_executorch

    ids = np.random.default_rng(0).integers(WORDS, size=(1, length))
    with edgekit_executorch.Program(path, trace=True) as program:
        given = (ids, np.ones((1, length), dtype=np.float32))[: len(program.inputs())]
        program.run(*given)
        program.etdump()  # the first run is another: it makes room
        for _ in range(runs):
            program.run(*given)
        traced = inferences(program.etdump())
    best = sorted(traced, key=lambda each: each.total_ms)[: max(1, int(BEST * runs))]
    total_ms = float(np.mean([each.total_ms for each in best]))
    operators = Counter[str]()
    for each in best:
        for name, milliseconds in each.calls:
            operators[name] += milliseconds / len(best)
    operators[REST] = total_ms - operators.total()
    return Trace(path.stem, total_ms, operators)


def markdown(result: Traces) -> str:
    """The table for people."""
    total: Counter[str] = Counter()
    for each in result.traces:
        total.update(each.operators)
    rows = [
        [name, *(f"{each.operators[name]:.3f}" if name in each.operators else "–" for each in result.traces)]
        for name, _ in total.most_common()
        if any(each.operators.get(name, 0) >= 0.005 * each.total_ms for each in result.traces)
    ]
    rows.append(["all", *(f"{each.total_ms:.3f}" for each in result.traces)])
    return "\n\n".join(
        [
            f"Milliseconds by operator, {result.length} tokens, one thread, with tracing on; operators over 0.5 %.",
            markdown_table(["", *(each.name for each in result.traces)], rows),
            str(result.machine),
        ]
    )


if __name__ == "__main__":
    harness.run_benchmark(main)
