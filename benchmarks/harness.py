"""What the benchmarks share: contenders in processes of their own, timed in turn; medians, ratios, tables, options."""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from document import Place
from edgekit_runtime import EdgekitError, jsonio

HOW_TO = (
    "No model at hand? 'edgekit demo' fine-tunes one and leaves demo-out/model.pt and demo-out/dev.csv; "
    "give these as --model and --data."
)
COMPARED = "both medians are over the same texts and rounds; the interval is a 95 % bootstrap over rounds"

Times = NDArray[np.float64]
"""(rounds, texts) milliseconds."""


@dataclass(frozen=True)
class Opened:
    """A contender that is ready: text in, label out; ``labels`` in the order of the classes."""

    classify: Callable[[str], str]
    labels: tuple[str, ...]


class Contender(Protocol):
    """One way to classify text. It is sent to a process of its own, which opens it there.

    Attributes:
        name: What the tables call it.
    """

    name: str

    def size_bytes(self) -> int:
        """Bytes on disk of the model and its tokenizer, without any library."""

    def open(self, threads: int) -> Opened:
        """Loads the model; one call may use ``threads`` threads."""


@dataclass(frozen=True)
class Block:
    """What one run over some texts gave: milliseconds and class of each."""

    milliseconds: tuple[float, ...]
    classes: tuple[int, ...]


class Runner(Protocol):
    """Runs blocks of texts; a Lane, or a stand-in for tests."""

    def run(self, texts: Sequence[str], warmup: Sequence[str]) -> Block:
        """Classifies ``warmup`` untimed, then times each of ``texts``."""


class Lane:
    """One contender at one thread count, in a process of its own. A context manager.

    Raises:
        RuntimeError: The contender failed over there; the message is its traceback.
    """

    def __init__(self, contender: Contender, threads: int) -> None:
        self.contender = contender
        self.threads = threads
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, contender, threads), daemon=True)
        self._process.start()
        theirs.close()

    def run(self, texts: Sequence[str], warmup: Sequence[str]) -> Block:
        with contextlib.suppress(BrokenPipeError):  # it has failed before; what it said is still to be read
            self._connection.send((list(texts), list(warmup)))
        try:
            answer = self._connection.recv()
        except EOFError:
            raise RuntimeError(f"{self.contender.name} ended without a word (out of memory?)") from None
        if isinstance(answer, str):
            raise RuntimeError(f"{self.contender.name} failed:\n{answer}")
        block: Block = answer
        return block

    def __enter__(self) -> Lane:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()


def _serve(connection: Connection, contender: Contender, threads: int) -> None:
    try:
        opened = contender.open(threads)
        ids = {label: index for index, label in enumerate(opened.labels)}
        while True:
            texts, warmup = connection.recv()
            connection.send(_timed(opened, ids, texts, warmup))
    except (EOFError, KeyboardInterrupt):
        return
    except Exception:
        connection.send(traceback.format_exc())


def _timed(opened: Opened, ids: dict[str, int], texts: list[str], warmup: list[str]) -> Block:
    classify = opened.classify
    for text in warmup:
        classify(text)
    nanoseconds, answers = [], []
    for text in texts:
        begin = time.perf_counter_ns()
        answer = classify(text)
        nanoseconds.append(time.perf_counter_ns() - begin)
        answers.append(ids[answer])
    return Block(tuple(value / 1e6 for value in nanoseconds), tuple(answers))


def interleave(
    runners: Sequence[Runner],
    texts: Sequence[str],
    *,
    rounds: int,
    warmup: int,
    pause_s: float,
    progress: Callable[[int, int], None],
) -> list[Times]:
    """Times every runner in every round, one block of all texts each; the order rotates from round to round.

    Blocks rather than single calls, and a pause between them: a thread pool goes on spinning for a while after
    its last call and would slow whoever comes next.

    Args:
        runners: What is timed.
        texts: What each block runs.
        rounds: How often.
        warmup: Untimed calls before each block, on texts from all over the list.
        pause_s: Seconds of rest before each block.
        progress: Told how many of how many blocks are done.

    Returns:
        One (rounds, texts) array a runner, in their order.
    """
    times = [np.empty((rounds, len(texts))) for _ in runners]
    first = [texts[index * len(texts) // warmup] for index in range(warmup)]
    for number in range(rounds):
        for place in range(len(runners)):
            index = (place + number) % len(runners)
            time.sleep(pause_s)
            times[index][number] = runners[index].run(texts, first).milliseconds
            progress(number * len(runners) + place + 1, rounds * len(runners))
    return times


@dataclass(frozen=True)
class Ratio:
    """How many times slower a peer's median is, with the ends of a 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} × ({self.low:.2f} – {self.high:.2f})"


def ratio_of_medians(peer: Times, ours: Times, *, resamples: int = 2000, seed: int = 0) -> Ratio:
    """The peer's median over ours; see :func:`ratio_of`."""
    return ratio_of(np.median, peer, ours, resamples=resamples, seed=seed)


def ratio_of_means(peer: Times, ours: Times, *, resamples: int = 2000, seed: int = 0) -> Ratio:
    """The peer's mean over ours; see :func:`ratio_of`."""
    return ratio_of(np.mean, peer, ours, resamples=resamples, seed=seed)


def ratio_of(
    middle: Callable[[Times], Any], peer: Times, ours: Times, *, resamples: int = 2000, seed: int = 0
) -> Ratio:
    """The peer's median or mean over ours, with a percentile bootstrap over rounds.

    Rounds are drawn for both together, so that a slow moment of the machine counts on both sides.

    Args:
        middle: What is compared.
        peer: The peer's times.
        ours: The times that it is compared with, of the same rounds.
        resamples: Number of bootstrap samples.
        seed: Of the random draws.
    """
    if peer.shape[0] != ours.shape[0]:
        raise ValueError(f"the peer ran {peer.shape[0]} rounds and the other {ours.shape[0]}")
    draws = np.random.default_rng(seed).integers(len(peer), size=(resamples, len(peer)))
    drawn = [float(middle(peer[rounds]) / middle(ours[rounds])) for rounds in draws]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Ratio(float(middle(peer) / middle(ours)), float(low), float(high))


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, the first column to the left and the others to the right."""
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def parser(description: str, part: str | None = None) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark takes: where the results go.

    Args:
        description: What the benchmark does.
        part: The part of a document that its tables may be put into.
    """
    made = argparse.ArgumentParser(
        description=description, epilog=HOW_TO, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    made.add_argument("--out", type=Path, help="Markdown file; default: stdout")
    made.add_argument("--json", type=Path, help="all figures as JSON")
    made.add_argument("--keep", type=Path, metavar="DIR", help="keep what is made on the way (bundles, folders) there")
    if part is not None:
        place = partial(Place.parse, name=part)
        made.add_argument(
            "--fill", type=place, metavar="DOCUMENT", help=f"put the tables between its {part} marks, too"
        )
    return made


def add_timing(parser: argparse.ArgumentParser) -> None:
    """The options of a benchmark that times several contenders in turns."""
    parser.add_argument("--threads", type=int, action="append", help="repeatable; default: 1 and 2")
    parser.add_argument("--texts", type=int, default=200, help="time this many of the first texts")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--warmup", type=int, default=20, help="untimed calls before each block")
    parser.add_argument("--pause", type=float, default=0.2, help="seconds of rest before each block")


def required(arguments: argparse.Namespace, made: argparse.ArgumentParser, *names: str) -> None:
    """Ends with the usage, and with how to come by a model, unless one of the named options was given."""
    if not any(getattr(arguments, name) for name in names):
        made.error(f"{' or '.join('--' + name for name in names)} is needed. {HOW_TO}")


def fresh_python(script: str, *arguments: object, stdin: str = "", environment: Mapping[str, str] | None = None) -> str:
    """Runs a script in a fresh Python, with more environment variables, and returns what it prints."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    variables = {**os.environ, **(environment or {})}
    ended = subprocess.run(command, input=stdin, capture_output=True, text=True, encoding="utf-8", env=variables)
    if ended.returncode:
        raise RuntimeError(f"a probe failed:\n{ended.stderr}")
    return ended.stdout


@contextlib.contextmanager
def workspace(keep: Path | None) -> Iterator[Path]:
    """The folder for what is made on the way: ``keep``, or a temporary one."""
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="edgekit-bench-") as folder:
        yield Path(folder)


def publish(arguments: argparse.Namespace, markdown: str, figures: Any) -> None:
    """Writes the Markdown to --out or stdout and into the document of --fill, and the figures, a dataclass, to --json."""
    place: Place | None = getattr(arguments, "fill", None)
    if place is not None:
        place.fill(markdown)
    if arguments.json is not None:
        arguments.json.write_bytes(jsonio.to_bytes(figures))
    if arguments.out is not None:
        arguments.out.write_text(markdown + "\n", encoding="utf-8")
    else:
        print(markdown)


def run_benchmark(main: Callable[[], None]) -> NoReturn:
    """Runs a benchmark's ``main``; an edgekit error becomes one line and exit code 1."""
    try:
        main()
    except (EdgekitError, RuntimeError, json.JSONDecodeError) as error:
        sys.exit(f"{Path(sys.argv[0]).name}: error: {error}")
    sys.exit(0)
