"""How ``edgekit serve`` holds under load: throughput, latency, a soak, reloads and kills, overload. On Linux, on loopback.

Example:
    python benchmarks/service.py --model demo-out/model-int8.edgekit --data demo-out/dev.csv --soak-s 60
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import harness
from contenders.edgekit import bundle_name, make_bundle
from document import around, fill
from edgekit_converters.data import read_labelled
from edgekit_runtime import open_bundle
from machine import Machine, describe_machine
from service_load import kills, latency, overload, soak, throughput
from service_load.bench import QUICK, Bench, Settings, bench
from service_load.figure import Figure, table

DISTRIBUTIONS = ("edgekit", "ai-edge-litert", "uvicorn", "httptools", "uvloop", "tokenizers", "numpy")


class Found(Protocol):
    """What a part found: a dataclass of its figures."""

    @property
    def figures(self) -> list[Figure]: ...


PARTS: dict[str, Callable[[Bench], Found]] = {
    "throughput": throughput.measure,
    "latency": latency.measure,
    "overload": overload.measure,
    "soak": soak.measure,
    "kills": kills.measure,
}
"""In the order in which they run; the last one starts the service anew."""


@dataclasses.dataclass(frozen=True)
class Service:
    """What the benchmark found for one bundle.

    Attributes:
        machine: Where.
        bundle: What was served.
        texts: Different texts that were asked about.
        settings: How long and how hard.
        parts: What each part found.
    """

    machine: Machine
    bundle: str
    texts: int
    settings: Settings
    parts: dict[str, Found]

    @property
    def missed(self) -> list[str]:
        """Names of the figures that are out of their bounds."""
        return [
            f"{part}: {figure.name}"
            for part, found in self.parts.items()
            for figure in found.figures
            if not figure.held
        ]


def main() -> None:
    """Parses, measures and reports."""
    parser = harness.parser(__doc__.splitlines()[0])
    parser.add_argument(
        "--model", type=Path, help="bundle to serve, or checkpoint to convert with the default settings"
    )
    parser.add_argument("--data", type=Path, help="labelled texts, csv or tsv")
    parser.add_argument("--only", type=_names, default=tuple(PARTS), help="some of: " + ",".join(PARTS))
    parser.add_argument("--workers", type=int, help="of the service; default: its own")
    parser.add_argument("--threads", type=int, help="of each worker; default: the service's own")
    parser.add_argument("--engine", help="default: the runtime's choice")
    parser.add_argument("--fill", type=Path, metavar="FILE", help="put each table into its place in this document")
    parser.add_argument("--quick", action="store_true", help="only try whether it works, in seconds")
    for field in dataclasses.fields(Settings):
        name = "--" + field.name.replace("_", "-")
        parser.add_argument(name, type=type(field.default), default=None, help=f"default: {field.default}")
    arguments = parser.parse_args()
    harness.required(arguments, parser, "model")
    harness.required(arguments, parser, "data")
    machine = describe_machine(DISTRIBUTIONS)
    for name in arguments.only if arguments.fill is not None else ():
        around(arguments.fill, _place(name))  # a document without the place is found before the measuring
    result = measure(arguments, machine)
    harness.publish(arguments, markdown(result), result)
    if result.missed:
        raise RuntimeError("out of their bounds: " + "; ".join(result.missed))


def measure(arguments: argparse.Namespace, machine: Machine) -> Service:
    """Serves the bundle and runs the parts that were asked for; each is told, and filled in, as soon as it is done."""
    names = [field.name for field in dataclasses.fields(Settings)]
    given = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    settings = dataclasses.replace(QUICK if arguments.quick else Settings(), **given)
    with harness.workspace(arguments.keep) as work:
        path = arguments.model
        if path.suffix != ".edgekit":
            path = make_bundle(path, work / "service.edgekit")
        bundle = open_bundle(path)
        texts = read_labelled(arguments.data, bundle.manifest.labels).texts
        options = {name: getattr(arguments, name) for name in ("workers", "threads", "engine")}
        with bench(path, texts, work, settings, **options) as made:
            result = Service(machine, bundle_name(bundle), len(texts), settings, {})
            for name in (name for name in PARTS if name in arguments.only):
                print(f"{name} …", file=sys.stderr, flush=True)
                found = result.parts[name] = PARTS[name](made)
                print(table(found.figures), file=sys.stderr, flush=True)
                if arguments.fill is not None:
                    fill(arguments.fill, _place(name), part_markdown(result, found))
    return result


def markdown(result: Service) -> str:
    """All tables, for people."""
    tables = [f"{name.capitalize()}:\n\n{table(found.figures)}" for name, found in result.parts.items()]
    return "\n\n".join([_subject(result), *tables, str(result.machine)])


def part_markdown(result: Service, found: Found) -> str:
    """One table, with all that is to be known of it."""
    return "\n\n".join([table(found.figures), f"{_subject(result)} {result.machine}"])


def _subject(result: Service) -> str:
    return f"{result.bundle}, {result.texts} texts in their own lengths, client and service on the same processors."


def _place(name: str) -> str:
    return f"service {name}"


def _names(given: str) -> tuple[str, ...]:
    names = tuple(given.split(","))
    if unknown := [name for name in names if name not in PARTS]:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not among {', '.join(PARTS)}")
    return names


if __name__ == "__main__":
    harness.run_benchmark(main)
