"""edgekit's .pte and its engine against what they must reach, ExecuTorch's own binding and its stock recipe.

Example:
    python benchmarks/pte_programs.py --model demo-out/model.pt --data demo-out/dev.csv
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import harness
from contenders.edgekit import EdgekitBundle, make_bundle
from contenders.executorch import PteProgram
from edgekit.cli.terminal import Terminal
from edgekit_converters.data import LabelledText, read_labelled
from edgekit_runtime import Bundle, open_bundle
from edgekit_runtime.manifest import Verification
from edgekit_runtime.text import TextEncoder
from harness import Contender, Lane, Ratio, Times, interleave, markdown_table, ratio_of_medians
from machine import Machine, describe_machine

if TYPE_CHECKING:
    from edgekit_converters.networks.bert import Bert

DISTRIBUTIONS = ("edgekit", "edgekit-executorch", "executorch", "torch", "torchao", "ai-edge-litert", "numpy")
OURS, FIXED, OPEN, TEXTBOOK = (
    "edgekit",
    "stock recipe, a file a length",
    "stock recipe, open length",
    "stock recipe, open length, textbook network",
)
BINDINGS = {"edgekit": "edgekit-executorch", "official": "ExecuTorch's binding"}

IMPORT = """
import time
import numpy
begin = time.perf_counter()
import edgekit_executorch
print(time.perf_counter() - begin)
"""

STATUS = """
import json, sys

def report():
    with open("/proc/self/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    memory = {name: int(fields[key].split()[0]) / 1024 for name, key in (("anonymous", "RssAnon"), ("peak", "VmHWM"))}
    print(json.dumps({**memory, "torch": "torch" in sys.modules}))

asked = json.load(sys.stdin)
"""

ENGINE_MEMORY = """
import edgekit_executorch, numpy
program = edgekit_executorch.Program(asked["path"], offset=asked["offset"], size=asked["size"], threads=asked["threads"])
for length in range(1, asked["longest"] + 1):
    program.run(numpy.zeros((1, length), numpy.int64))
report()
"""

CLASSIFIER_MEMORY = """
import edgekit_runtime
classify = edgekit_runtime.load(asked["path"], engine="executorch", threads=asked["threads"])
for length in range(1, asked["longest"] + 1):
    classify.logits([0] * length)
for text in asked["texts"]:
    classify(text)
report()
"""


@dataclass(frozen=True)
class Memory:
    """A fresh process after runs at every length, in MiB.

    Attributes:
        what: ``engine`` or ``classifier``.
        threads: Threads that a run may use.
        anonymous: What is its own, RssAnon of /proc/self/status.
        peak: The most that was resident, mapped files included, VmHWM.
        torch: Whether it has imported torch.
    """

    what: str
    threads: int
    anonymous: float
    peak: float
    torch: bool


@dataclass(frozen=True)
class Timing:
    """One program on one engine.

    Attributes:
        name: The program.
        engine: What ran it.
        threads: Threads that a run may use.
        length: Tokens; None for texts in their own lengths.
        median_ms: Over all timed calls.
        ours: How many times this median edgekit's program takes: on the same engine; on edgekit's, where this is
            edgekit's program itself. None for edgekit's program on edgekit's engine.
    """

    name: str
    engine: str
    threads: int
    length: int | None
    median_ms: float
    ours: Ratio | None


@dataclass(frozen=True)
class Target:
    """What must be reached; ``met`` tells whether it was."""

    what: str
    bound: str
    measured: str
    met: bool


@dataclass(frozen=True)
class Result:
    """What the benchmark found; sizes and accuracies are by program."""

    machine: Machine
    verify: Verification
    sizes: dict[str, int]
    accuracies: dict[str, float]
    import_ms: float
    memory: tuple[Memory, ...]
    timings: tuple[Timing, ...]
    texts: tuple[Timing, ...]
    targets: tuple[Target, ...]


def main() -> None:
    """Parses, converts, measures and reports."""
    parser = harness.parser(__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="BERT checkpoint or Hugging Face folder")
    parser.add_argument("--data", type=Path, help="labelled texts, csv or tsv")
    parser.add_argument("--length", type=int, action="append", help="tokens; repeatable; default: 8, 16, 32, 64, 128")
    parser.add_argument(
        "--stock-length", type=int, action="append", help="the same beside the stock recipe; default: 32, 128"
    )
    parser.add_argument("--calls", type=int, default=20, help="timed calls a block at each length")
    parser.add_argument("--starts", type=int, default=3, help="fresh processes of each, all for all rounds")
    parser.add_argument("--runs", type=int, default=15, help="fresh processes behind the import time")
    parser.add_argument("--reuse", action="store_true", help="take the bundles and programs that --keep has kept")
    harness.add_timing(parser)
    arguments = parser.parse_args()
    for name in ("model", "data"):
        harness.required(arguments, parser, name)
    machine = describe_machine(DISTRIBUTIONS)
    network = read_network(arguments)
    with harness.workspace(arguments.keep) as work:
        ours, litert = (
            made(arguments, work / f"{target}.edgekit", partial(convert, arguments, target))
            for target in ("executorch", "litert")
        )
        bundle = open_bundle(ours)
        data = read_labelled(arguments.data, bundle.manifest.labels)
        texts = data.texts[: arguments.texts]
        counts = tuple(dict.fromkeys(arguments.threads or [1, 2]))
        memory = tuple(each for threads in counts for each in measure_memory(bundle, threads, texts))
        import_ms = 1e3 * statistics.median(float(harness.fresh_python(IMPORT)) for _ in range(arguments.runs))
        programs = make_programs(arguments, network, bundle, data, work)
        readers = [
            EdgekitBundle(ours, "ExecuTorch, int8", "executorch"),
            EdgekitBundle(litert, "LiteRT, int8", "litert"),
        ]
        timings: list[Timing] = []
        by_text: list[Timing] = []
        with Terminal() as terminal:
            track = Track(arguments, data, terminal)
            for threads in counts:
                timings += time_programs(track, programs, threads)
                by_text += time_texts(track, readers, threads, texts)
        sizes = {each.name: each.size_bytes() for each in (*programs, *readers)}
    verify = bundle.manifest.verify[0]
    result = Result(
        machine=machine,
        verify=verify,
        sizes=sizes,
        accuracies=track.accuracies,
        import_ms=import_ms,
        memory=memory,
        timings=tuple(timings),
        texts=tuple(by_text),
        targets=(
            *accuracy_targets(sizes[OURS], verify),
            *footprint_targets(import_ms, memory),
            *time_targets(timings),
        ),
    )
    harness.publish(arguments, markdown(result), result)


def read_network(arguments: argparse.Namespace) -> Bert:
    """The network that is lowered, edgekit's way and by the stock recipe.

    Raises:
        EdgekitError: The checkpoint cannot be read.
        RuntimeError: It is no BERT, or an asked length is too long for it.
    """
    # Not at the top: the process of every contender imports this file, and torch takes seconds.
    from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
    from edgekit_converters.networks.bert import Bert
    from edgekit_converters.recipe import Recipe

    with Terminal() as terminal:
        model = read_checkpoint(arguments.model, ReadOptions(), terminal.say)
        longest = Recipe().text_spec(model, terminal).max_length
    network = model.network()
    if not isinstance(network, Bert):
        raise RuntimeError(f"{arguments.model} is a CNN, for which there is no stock peer here: give a BERT as --model")
    if (asked := max(lengths(arguments) + stock_lengths(arguments))) > longest:
        raise RuntimeError(
            f"{arguments.model} takes {longest} tokens, not {asked}: give other --length, --stock-length"
        )
    return network


def make_programs(
    arguments: argparse.Namespace, network: Bert, bundle: Bundle, data: LabelledText, work: Path
) -> list[PteProgram]:
    """Edgekit's program and the stock recipe's, each on both engines.

    Raises:
        LoweringError: ExecuTorch cannot lower the network by its stock recipe.
    """
    from stock_pte import export_fixed, export_open, textbook

    text = bundle.manifest.main.text
    longest = text.max_length
    own = work / "edgekit.pte"
    own.write_bytes(bundle.read(bundle.manifest.main.programs[0].file))
    with Terminal() as terminal:
        terminal.stage("Exporting by the stock recipe")
        files: dict[str, dict[int | None, Path]] = {
            OURS: {None: own},
            FIXED: {
                each: made(arguments, work / f"fixed-{each}.pte", partial(export_fixed, network, each))
                for each in stock_lengths(arguments)
            },
            OPEN: {None: made(arguments, work / "open.pte", partial(export_open, network, longest))},
            TEXTBOOK: {None: made(arguments, work / "textbook.pte", partial(export_open, textbook(network), longest))},
        }
    numbers = np.random.default_rng(0)
    inputs = {
        input_name(length, call): tuple(numbers.integers(network.config.vocab_size, size=length).tolist())
        for length in {*lengths(arguments), *stock_lengths(arguments)}
        for call in range(arguments.calls)
    }
    encoder = TextEncoder(bundle.read(text.tokenizer), text)
    inputs |= {each: tuple(encoder.ids(each)) for each in data.texts}
    labels = bundle.manifest.labels
    return [PteProgram(name, binding, found, inputs, labels) for name, found in files.items() for binding in BINDINGS]


def convert(arguments: argparse.Namespace, target: str, out: Path) -> Path:
    """Runs ``edgekit convert`` for one target."""
    return make_bundle(arguments.model, out, "--target", target, "--eval", str(arguments.data))


def made(arguments: argparse.Namespace, path: Path, make: Callable[[Path], Path]) -> Path:
    """Makes a file, unless it is there and --reuse was given."""
    return path if arguments.reuse and path.is_file() else make(path)


def lengths(arguments: argparse.Namespace) -> list[int]:
    """Tokens at which the two engines are timed."""
    return arguments.length or [8, 16, 32, 64, 128]


def stock_lengths(arguments: argparse.Namespace) -> list[int]:
    """Tokens at which the stock recipe's programs are timed, too."""
    return arguments.stock_length or [32, 128]


def input_name(length: int, call: int) -> str:
    """What stands for random ids in the place of a text."""
    return f"{length} random ids, number {call}"


class Track:
    """Where contenders run in turn.

    Attributes:
        arguments: How.
        accuracies: Of each that has run and takes texts of every length, on all texts of the data, by name.
    """

    def __init__(self, arguments: argparse.Namespace, data: LabelledText, terminal: Terminal) -> None:
        self.arguments = arguments
        self.accuracies: dict[str, float] = {}
        self._data = data
        self._terminal = terminal

    def run(self, contenders: Sequence[Contender], threads: int, texts: Sequence[str]) -> list[Times]:
        """Times all of them block by block, each in a process of its own, with fresh processes at every start.

        Two processes of one program differ by some percent, for as long as they run: it matters where in memory the
        weights come to lie.
        """
        starts = [self._start(contenders, threads, texts) for _ in range(self.arguments.starts)]
        return [np.concatenate(times) for times in zip(*starts, strict=True)]

    def _start(self, contenders: Sequence[Contender], threads: int, texts: Sequence[str]) -> list[Times]:
        rounds = self.arguments.rounds
        with contextlib.ExitStack() as stack:
            lanes = [stack.enter_context(Lane(each, threads)) for each in contenders]
            for lane in lanes:
                self._measure_accuracy(lane)
            self._terminal.stage(f"{rounds} rounds of {len(lanes)} blocks of {len(texts)} calls, {count(threads)}")
            return interleave(
                lanes,
                texts,
                rounds=rounds,
                warmup=self.arguments.warmup,
                pause_s=self.arguments.pause,
                progress=self._terminal.progress,
            )

    def _measure_accuracy(self, lane: Lane) -> None:
        contender, texts = lane.contender, self._data.texts
        if contender.name in self.accuracies or (isinstance(contender, PteProgram) and None not in contender.files):
            return
        self._terminal.stage(f"{contender.name}: {len(texts)} texts for its accuracy")
        classes = lane.run(texts, ()).classes
        self.accuracies[contender.name] = float(np.mean(np.equal(classes, self._data.labels)))


def time_programs(track: Track, programs: Sequence[PteProgram], threads: int) -> list[Timing]:
    """Times every program at the stock lengths, and edgekit's alone at the others."""
    beside, calls = stock_lengths(track.arguments), track.arguments.calls
    alone = [length for length in lengths(track.arguments) if length not in beside]
    rows = []
    for chosen, tokens in (([each for each in programs if each.name == OURS], alone), (programs, beside)):
        names = [input_name(length, call) for length in tokens for call in range(calls)]
        times = track.run(chosen, threads, names) if names else []
        for number, length in enumerate(tokens):
            columns = slice(number * calls, (number + 1) * calls)
            found = {(each.name, each.binding): time[:, columns] for each, time in zip(chosen, times, strict=True)}
            for (name, binding), time in found.items():
                base = found[OURS, "edgekit" if name == OURS else binding]
                ratio = None if base is time else ratio_of_medians(base, time)
                rows.append(Timing(name, BINDINGS[binding], threads, length, float(np.median(time)), ratio))
    return rows


def time_texts(track: Track, readers: Sequence[EdgekitBundle], threads: int, texts: Sequence[str]) -> list[Timing]:
    """Text in, label out: the first reader against the others."""
    first, *others = track.run(readers, threads, texts)
    ratios = [None, *(ratio_of_medians(first, time) for time in others)]
    return [
        Timing(each.name, str(each.engine), threads, None, float(np.median(time)), ratio)
        for each, time, ratio in zip(readers, (first, *others), ratios, strict=True)
    ]


def measure_memory(bundle: Bundle, threads: int, texts: Sequence[str]) -> tuple[Memory, Memory]:
    """The engine alone with numpy, and the classifier, each in a fresh process."""
    part = bundle.part(bundle.manifest.main.programs[0].file)
    asked = {"threads": threads, "longest": bundle.manifest.main.text.max_length, "path": str(bundle.path)}
    engine = json.dumps({**asked, "offset": part.offset, "size": part.size})
    classifier = json.dumps({**asked, "texts": list(texts)})
    return (
        Memory("engine", threads, **json.loads(harness.fresh_python(STATUS + ENGINE_MEMORY, stdin=engine))),
        Memory("classifier", threads, **json.loads(harness.fresh_python(STATUS + CLASSIFIER_MEMORY, stdin=classifier))),
    )


def accuracy_targets(size_bytes: int, verify: Verification) -> list[Target]:
    """What the program is."""
    assert verify.accuracy is not None and verify.accuracy_float is not None
    lost = verify.accuracy_float - verify.accuracy
    return [
        Target("size of the .pte", "≤ 25 MB", f"{size_bytes / 1e6:.2f} MB", size_bytes <= 25e6),
        Target("labels as the float network's", "≥ 98.5 %", f"{verify.agreement:.2%}", verify.agreement >= 0.985),
        Target("accuracy lost to the float network", "≤ 0.5 points", f"{100 * lost:.2f}", lost <= 0.005),
    ]


def footprint_targets(import_ms: float, memory: Sequence[Memory]) -> list[Target]:
    """What the engine takes."""
    found = [Target("import of the engine after numpy", "≤ 20 ms", f"{import_ms:.1f} ms", import_ms <= 20)]
    for what, bound in (("engine", 40), ("classifier", 60)):
        most = max(each.anonymous for each in memory if each.what == what)
        found.append(Target(f"anonymous memory, {what}", f"≤ {bound} MiB", f"{most:.1f} MiB", most <= bound))
    peak = max(each.peak for each in memory)
    found.append(Target("peak memory", "≤ 110 MiB", f"{peak:.1f} MiB", peak <= 110))
    loaded = any(each.torch for each in memory)
    found.append(Target("torch imported", "no", "yes" if loaded else "no", not loaded))
    return found


def time_targets(timings: Sequence[Timing]) -> list[Target]:
    """How fast it is: for each comparison the worst of both thread counts and both engines."""
    compared = [(each, each.ours) for each in timings if each.ours is not None]
    groups = [("edgekit-executorch ÷ ExecuTorch's binding", 1.05, [pair for pair in compared if pair[0].name == OURS])]
    for name, length in dict.fromkeys((each.name, each.length) for each, _ in compared if each.name != OURS):
        pairs = [pair for pair in compared if (pair[0].name, pair[0].length) == (name, length)]
        groups.append((f"length {length}: ÷ {name}", 0.85, pairs))
    found = []
    for what, bound, pairs in groups:
        worst, ratio = max(pairs, key=lambda pair: pair[1].value)
        where = f"length {worst.length}, " if worst.name == OURS else f"{worst.engine}, "
        measured = f"{ratio}, at worst ({where}{count(worst.threads)})"
        found.append(Target(what, f"≤ {bound} ×", measured, ratio.value <= bound))
    return found


def markdown(result: Result) -> str:
    """The tables for people."""
    verify = result.verify
    assert verify.accuracy is not None and verify.accuracy_float is not None
    targets = [[each.what, each.bound, each.measured, "yes" if each.met else "**no**"] for each in result.targets]
    memory = [
        [each.what, str(each.threads), f"{each.anonymous:.1f}", f"{each.peak:.1f}", "yes" if each.torch else "no"]
        for each in result.memory
    ]
    parts = [
        f"On {verify.examples} texts: accuracy {verify.accuracy:.2%}, of the float network {verify.accuracy_float:.2%}. "
        f"Ratios: {harness.COMPARED}.",
        markdown_table(["", "must be", "measured", "reached"], targets),
        "Fresh processes, MiB, after runs at every length:",
        markdown_table(["", "threads", "anonymous", "peak", "torch imported"], memory),
    ]
    for threads in dict.fromkeys(each.threads for each in result.timings):
        rows = [each for each in result.timings if each.threads == threads]
        parts += [
            f"{count(threads)}, ids in, logits out, edgekit's .pte on both engines:",
            _engines(rows),
            "The stock recipe's beside it; ratios are edgekit's time over theirs on the same engine:",
            _stock(rows, result),
            "Text in, label out:",
            _texts([each for each in result.texts if each.threads == threads], result),
        ]
    return "\n\n".join([*parts, str(result.machine)])


def count(threads: int) -> str:
    """As ``2 threads``."""
    return f"{threads} thread{'s' * (threads > 1)}"


def _engines(rows: Sequence[Timing]) -> str:
    by_length: dict[int | None, list[Timing]] = {}
    for row in rows:
        if row.name == OURS:
            by_length.setdefault(row.length, []).append(row)
    return markdown_table(
        ["tokens", *(f"{engine}, ms" for engine in BINDINGS.values()), "edgekit-executorch ÷ the other"],
        [
            [str(length), f"{ours.median_ms:.3f}", f"{official.median_ms:.3f}", str(official.ours)]
            for length, (ours, official) in sorted(by_length.items(), key=lambda pair: pair[0] or 0)
        ],
    )


def _stock(rows: Sequence[Timing], result: Result) -> str:
    tokens = list(dict.fromkeys(row.length for row in rows if row.name != OURS))
    beside = [row for row in rows if row.length in tokens]
    cells = []
    for name, engine in dict.fromkeys((row.name, row.engine) for row in beside):
        cells.append([name, engine, f"{result.sizes[name] / 1e6:.1f}", _share(result.accuracies.get(name))])
        for row in sorted((each for each in beside if (each.name, each.engine) == (name, engine)), key=_length):
            cells[-1] += [f"{row.median_ms:.3f}", str(row.ours) if name != OURS else "–"]
    columns = ["program", "engine", "MB", "accuracy"]
    for length in sorted(tokens, key=lambda length: length or 0):
        columns += [f"{length} tokens, ms", "edgekit ÷ it"]
    return markdown_table(columns, cells)


def _texts(rows: Sequence[Timing], result: Result) -> str:
    return markdown_table(
        ["engine", "MB", "accuracy", "median ms", "ExecuTorch ÷ it"],
        [
            [
                row.name,
                f"{result.sizes[row.name] / 1e6:.1f}",
                _share(result.accuracies[row.name]),
                f"{row.median_ms:.3f}",
                str(row.ours or "–"),
            ]
            for row in rows
        ],
    )


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2%}"


def _length(row: Timing) -> int:
    return row.length or 0


if __name__ == "__main__":
    harness.run_benchmark(main)
