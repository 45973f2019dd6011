"""A teacher and what becomes of it: distilled, pruned, trimmed, in a cascade. Size, accuracy and speed beside transformers.

Every bundle is int8 and made by edgekit's own commands; one that lies in --keep already is measured as it is. They share the
teacher's answers: the first that learns from them pays for all.

Example:
    python benchmarks/long_reviews.py --without dev.tsv --out reviews.txt
    python benchmarks/students.py --model model.pt --train train.tsv --unlabelled reviews.txt --data dev.tsv --keep students
"""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import harness
from contenders.edgekit import COMMAND, EdgekitBundle
from contenders.folder import Folder, hugging_face_folder
from contenders.lineup import DISTRIBUTIONS
from contenders.pipeline import TransformersPipeline
from edgekit.cli.terminal import Terminal
from edgekit_converters.data import LabelledText, read_labelled
from edgekit_runtime import open_bundle
from harness import Lane, Ratio, Times, interleave, markdown_table, ratio_of_means, ratio_of_medians
from machine import Machine, describe_machine

TEACHER = "teacher"
COLORS = ("#8a8f98", "#1b2a49", "#3b6fb6", "#d1495b", "#edae49", "#00798c", "#66a182", "#a8c686", "#7d4f9e")
"""Of the rows in the picture; the first is transformers."""

TRIMMED = "teacher, trimmed"
UNLABELLED = "--unlabelled"
VARIANTS: dict[str, tuple[str, ...]] = {
    TEACHER: (),
    TRIMMED: ("--trim-vocab",),
    "cnn": ("--distill", "cnn", UNLABELLED),
    "cnn-small": ("--distill", "cnn-small", UNLABELLED),
    "bert-3x384, trimmed": ("--distill", "bert-3x384", "--trim-vocab"),
    "pruned by half": ("--prune", "0.5"),
    "pruned by half, trimmed": ("--prune", "0.5", "--trim-vocab"),
    "cascade cnn → teacher": ("--cascade", "cnn", UNLABELLED),
}
"""Name in the tables to the flags of ``edgekit convert``. CNNs get the unlabelled texts too, if there are such."""


@dataclass(frozen=True)
class Row:
    """One way to answer.

    Attributes:
        name: What the table calls it.
        bytes: Size of the bundle; null for the peer.
        accuracy: On all texts of the data, as a share.
        of_teacher: The same as a share of the teacher's float32 accuracy.
        threads: Threads that a call may use; the better count of those measured.
        median_ms: Over all timed calls.
        mean_ms: Over all timed calls.
        faster: How many times the peer's median is its own, each at its better thread count.
        faster_on_average: The same of means, which is what counts in a cascade.
        made_in_s: Seconds that making it took, of any run; null where no report lies beside the bundle.
        answered_by: Role to the share of texts that it answered; null in what is no cascade.
    """

    name: str
    bytes: int | None
    accuracy: float
    of_teacher: float
    threads: int
    median_ms: float
    mean_ms: float
    faster: Ratio
    faster_on_average: Ratio
    made_in_s: float | None
    answered_by: dict[str, float] | None


@dataclass(frozen=True)
class Students:
    """What the benchmark found; the first row is transformers."""

    machine: Machine
    examples: int
    texts: int
    rounds: int
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Made:
    """A bundle, and how many seconds making it took; None if nobody knows."""

    name: str
    path: Path
    seconds: float | None


def main() -> None:
    """Parses, makes the bundles, measures and reports."""
    parser = harness.parser(__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="the teacher: BERT checkpoint or Hugging Face folder")
    parser.add_argument("--train", type=Path, help="labelled texts to learn from, csv or tsv")
    parser.add_argument("--unlabelled", type=Path, help="more texts to learn from")
    parser.add_argument("--data", type=Path, help="labelled texts to measure on")
    parser.add_argument("--only", action="append", choices=VARIANTS, help="measure these; repeatable; default: all")
    parser.add_argument("--picture", type=Path, help="plot of accuracy against time and size, .svg or .png")
    parser.add_argument("--epochs", type=int, help="passes in each training; default: edgekit's own")
    harness.add_timing(parser)
    arguments = parser.parse_args()
    for name in ("model", "train", "data"):
        harness.required(arguments, parser, name)
    machine = describe_machine(DISTRIBUTIONS)
    with harness.workspace(arguments.keep) as work:
        made = [make(name, arguments, work) for name in dict.fromkeys([TEACHER, *(arguments.only or VARIANTS)])]
        data = read_labelled(arguments.data, open_bundle(made[0].path).manifest.labels)
        result = measure(made, hugging_face_folder(arguments.model, work / "folder"), data, arguments, machine)
    if arguments.picture is not None:
        draw(result, arguments.picture)
    harness.publish(arguments, markdown(result), result)


def make(name: str, arguments: Any, work: Path) -> Made:
    """One bundle, by ``edgekit convert`` unless it is there.

    Raises:
        RuntimeError: The command failed; its message is on stderr.
    """
    path = work / ("-".join(name.replace("→", "").replace(",", "").split()) + ".edgekit")
    report = path.with_suffix(".json")
    if not path.exists():
        flags = [flag for flag in VARIANTS[name] if flag != UNLABELLED]
        if UNLABELLED in VARIANTS[name] and arguments.unlabelled:
            flags += [UNLABELLED, str(arguments.unlabelled)]
        if flags:
            flags += ["--data", str(arguments.train), "--max-total-drop", "1"]
        if flags and name != TRIMMED:  # which trains nothing
            flags += ["--cache", str(work / "answers")]
            flags += ["--epochs", str(arguments.epochs)] if arguments.epochs else []
        command = [*COMMAND, "convert", str(arguments.model), "--out", str(path), "--eval", str(arguments.data), *flags]
        ended = subprocess.run([*command, "--json"], stdout=subprocess.PIPE)
        if ended.returncode:
            raise RuntimeError(f"edgekit convert for {name} failed with exit code {ended.returncode}")
        report.write_bytes(ended.stdout)
    return Made(name, path, json.loads(report.read_bytes())["seconds"]["total"] if report.exists() else None)


def measure(made: Sequence[Made], folder: Path, data: LabelledText, arguments: Any, machine: Machine) -> Students:
    """Opens everything at every thread count, all at once, and times it in turn."""
    texts = data.texts[: arguments.texts]
    counts = tuple(dict.fromkeys(arguments.threads or [1, 2]))
    max_length = open_bundle(made[0].path).manifest.main.text.max_length
    contenders = [
        TransformersPipeline(Folder(folder, max_length)),
        *(EdgekitBundle(each.path, each.name) for each in made),
    ]
    with contextlib.ExitStack() as stack:
        terminal = stack.enter_context(Terminal())
        lanes = [[stack.enter_context(Lane(each, threads)) for threads in counts] for each in contenders]
        accuracies = []
        for first, *_ in lanes:
            terminal.stage(f"{first.contender.name}: {len(data.texts)} texts for its accuracy")
            accuracies.append(float(np.mean(np.equal(first.run(data.texts, ()).classes, data.labels))))
        terminal.stage(f"{arguments.rounds} rounds of {len(texts)} texts")
        flat = interleave(
            [lane for lanes_of_one in lanes for lane in lanes_of_one],
            texts,
            rounds=arguments.rounds,
            warmup=arguments.warmup,
            pause_s=arguments.pause,
            progress=terminal.progress,
        )
    times = [flat[index : index + len(counts)] for index in range(0, len(flat), len(counts))]
    best = [min(range(len(counts)), key=lambda index: float(np.median(each[index]))) for each in times]
    chosen: list[Times] = [each[index] for each, index in zip(times, best, strict=True)]
    builds: list[Made | None] = [None, *made]
    rows = tuple(
        Row(
            name=contender.name,
            bytes=None if build is None else build.path.stat().st_size,
            accuracy=accuracy,
            of_teacher=accuracy / accuracies[0],
            threads=counts[index],
            median_ms=float(np.median(mine)),
            mean_ms=float(np.mean(mine)),
            faster=ratio_of_medians(chosen[0], mine),
            faster_on_average=ratio_of_means(chosen[0], mine),
            made_in_s=None if build is None else build.seconds,
            answered_by=None if build is None else shares(build.path, data.texts),
        )
        for contender, build, accuracy, index, mine in zip(contenders, builds, accuracies, best, chosen, strict=True)
    )
    return Students(machine, len(data.texts), len(texts), arguments.rounds, rows)


def shares(bundle: Path, texts: Sequence[str]) -> dict[str, float] | None:
    """Of the texts, what each model of a cascade answered."""
    from edgekit_runtime import load

    if open_bundle(bundle).manifest.combine is None:
        return None
    with load(bundle) as classify:
        asked = [prediction.model for prediction in classify.predict(texts)]
    return {role: asked.count(role) / len(asked) for role in sorted(set(asked))}


def markdown(result: Students) -> str:
    """The table for people."""
    rows = [
        [
            row.name,
            "–" if row.bytes is None else f"{row.bytes / 1e6:.2f}",
            f"{row.accuracy:.2%}",
            f"{row.of_teacher:.1%}",
            f"{row.median_ms:.3f}",
            f"{row.mean_ms:.3f}",
            str(row.faster),
            str(row.faster_on_average),
            "–" if row.made_in_s is None else f"{row.made_in_s / 60:.1f}",
        ]
        for row in result.rows
    ]
    columns = [
        "",
        "MB",
        "accuracy",
        "of the teacher's",
        "median ms",
        "mean ms",
        "faster (medians)",
        "(means)",
        "made in min",
    ]
    answered = [
        f"{row.name}: " + ", ".join(f"{role} answered {share:.1%}" for role, share in row.answered_by.items())
        for row in result.rows
        if row.answered_by is not None
    ]
    intro = (
        f"{result.rounds} rounds of the first {result.texts} texts in their own lengths, one at a time, each at its better "
        f"thread count; accuracy on all {result.examples}; faster than the first row: {harness.COMPARED}."
    )
    return "\n\n".join([intro, markdown_table(columns, rows), *answered, str(result.machine)])


def draw(result: Students, path: Path) -> None:
    """Accuracy against time and against size; a row has one colour in both."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    colors = dict(zip((row.name for row in result.rows), COLORS, strict=False))
    with mpl.rc_context({"font.size": 10, "svg.hashsalt": "edgekit", "svg.fonttype": "none"}):
        figure = Figure(figsize=(10, 4.2), layout="constrained")
        FigureCanvasAgg(figure)
        time_axes, size_axes = figure.subplots(1, 2, sharey=True)
        for axes, label, places in (
            (time_axes, "mean time of a text, text in to label out, ms", [(row, row.mean_ms) for row in result.rows]),
            (size_axes, "bundle, MB", [(row, row.bytes / 1e6) for row in result.rows if row.bytes is not None]),
        ):
            for row, place in places:
                marker = "s" if row.bytes is None else "o"
                axes.plot([place], [100 * row.accuracy], marker, color=colors[row.name], ms=9, label=row.name)
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
            axes.set_xlabel(label)
            axes.margins(x=0.1, y=0.1)
            axes.grid(alpha=0.2)
            axes.spines[["top", "right"]].set_visible(False)
        figure.legend(*time_axes.get_legend_handles_labels(), loc="outside right center", frameon=False)
        time_axes.set_ylabel(f"accuracy on {result.examples} texts, %")
        picture = io.BytesIO()
        figure.savefig(picture, format=path.suffix[1:], metadata={"Date": None} if path.suffix == ".svg" else {})
    path.write_bytes(picture.getvalue())


if __name__ == "__main__":
    harness.run_benchmark(main)
