"""A CNN that learned from labelled texts alone, beside TF-IDF with logistic regression on the same texts.

A tenth of the data, stratified, is measured on and otherwise not looked at. The CNN comes out of edgekit's own finetune and
convert; several of them are fused to an average. Cross-validation chooses what suits scikit-learn best.

Example:
    python benchmarks/tfidf.py --data reviews.csv --models 3
"""

from __future__ import annotations

import csv
import json
import pickle
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import harness
from contenders.edgekit import COMMAND
from edgekit.cli.terminal import Terminal
from edgekit_converters.data import LabelledText, read_labelled
from edgekit_converters.training.examples import split
from edgekit_converters.training.settings import TrainSettings
from edgekit_runtime import load
from harness import markdown_table
from machine import Machine, describe_machine

SEED = 42
CHARACTERS = {"analyzer": "char"}
FORMS: dict[str, dict[str, Any]] = {
    "words": {"analyzer": "word"},
    "characters": CHARACTERS,
    "characters 1-2": CHARACTERS | {"ngram_range": (1, 2)},
    "characters 1-3": CHARACTERS | {"ngram_range": (1, 3)},
}
"""What TF-IDF counts, to the arguments of TfidfVectorizer."""

STRENGTHS = (1.0, 3.0, 10.0, 30.0)
"""Values of C, the inverse strength of the regularisation."""


@dataclass(frozen=True)
class Row:
    """One classifier.

    Attributes:
        name: What the table calls it.
        accuracy: On the test texts, as a share.
        bytes: Of the bundle; of scikit-learn, of its pickle.
        ms: Mean milliseconds of a text, one at a time.
    """

    name: str
    accuracy: float
    bytes: int
    ms: float


@dataclass(frozen=True)
class Result:
    """All of them on the same ``test`` texts, having learned from the same ``train`` texts."""

    machine: Machine
    train: int
    test: int
    rows: tuple[Row, ...]


def main() -> None:
    """Parses, trains, measures and reports."""
    parser = harness.parser(__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="labelled texts, csv or tsv")
    parser.add_argument("--models", type=int, default=1, help="CNNs to train and to average")
    parser.add_argument("--finetune", default="", help="more flags for edgekit finetune, such as '--epochs 6'")
    arguments = parser.parse_args()
    machine = describe_machine(("edgekit", "scikit-learn", "torch", "ai-edge-litert"))
    with Terminal() as terminal:
        data = read_labelled(arguments.data, None, say=terminal.say)
        parts = split(data.labels, TrainSettings(seed=SEED))
        train, test = (_part(data, indices) for indices in (parts.train, parts.held_out))
        with harness.workspace(arguments.keep) as work:
            rows = [linear(name, train, test, work, terminal) for name in FORMS]
            rows += networks(train, test, arguments, work, terminal)
    result = Result(machine, len(train.texts), len(test.texts), tuple(rows))
    harness.publish(arguments, markdown(result), result)


def linear(name: str, train: LabelledText, test: LabelledText, work: Path, terminal: Terminal) -> Row:
    """TF-IDF of one form with logistic regression, its strength and damping chosen by cross-validation on ``train``."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline

    terminal.stage(f"TF-IDF of {name}")
    search = GridSearchCV(
        make_pipeline(TfidfVectorizer(**FORMS[name], min_df=2), LogisticRegression(max_iter=1000)),
        {"tfidfvectorizer__sublinear_tf": [False, True], "logisticregression__C": STRENGTHS},
        cv=3,
    )
    best = search.fit(train.texts, train.labels).best_estimator_
    path = work / f"tfidf-{name.replace(' ', '-')}.pickle"
    path.write_bytes(pickle.dumps(best))
    accuracy, ms = timed(lambda text: int(best.predict([text])[0]), test)
    return Row(f"TF-IDF of {name}, logistic regression", accuracy, path.stat().st_size, ms)


def networks(train: LabelledText, test: LabelledText, arguments: Any, work: Path, terminal: Terminal) -> list[Row]:
    """As many CNNs as are wanted, each with a seed of its own, and their average."""
    source = work / "train.csv"
    with source.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows((text, train.names[label]) for text, label in zip(train.texts, train.labels, strict=True))
    bundles, rows = [], []
    for seed in range(arguments.models):
        terminal.stage(f"CNN {seed + 1} of {arguments.models}")
        model, bundle = work / f"cnn-{seed}.pt", work / f"cnn-{seed}.edgekit"
        flags = ["--arch", "cnn", "--test", "0", "--seed", str(seed), *arguments.finetune.split()]
        edgekit("finetune", source, "--labels", ",".join(train.names), *flags, "--out", model, "--json")
        edgekit("convert", model, "--out", bundle, *lengths(flags), "--json")
        bundles.append(bundle)
        rows.append(bundled(f"CNN, int8, seed {seed}", bundle, test))
    if len(bundles) > 1:
        edgekit("fuse", *bundles, "--out", average := work / "average.edgekit", "--json")
        rows.append(bundled(f"average of {len(bundles)} CNNs, int8", average, test))
    return rows


def lengths(flags: Sequence[str]) -> list[str]:
    """The flags of ``convert`` for what ``finetune`` was told of lengths."""
    if "--max-length" not in flags:
        return []
    longest = int(flags[flags.index("--max-length") + 1])
    buckets = [length for length in (16, 32, 64, 128, 256, 512) if length < longest]
    return ["--max-length", str(longest), "--buckets", ",".join(map(str, [*buckets, longest]))]


def edgekit(*arguments: object) -> Any:
    """Runs an edgekit command and returns its JSON.

    Raises:
        RuntimeError: It failed; its message is on stderr.
    """
    ended = subprocess.run([*COMMAND, *map(str, arguments)], stdout=subprocess.PIPE)
    if ended.returncode:
        raise RuntimeError(f"edgekit {arguments[0]} failed with exit code {ended.returncode}")
    return json.loads(ended.stdout)


def bundled(name: str, bundle: Path, test: LabelledText) -> Row:
    """A bundle through the runtime, on one thread."""
    with load(bundle, threads=1) as classify:
        accuracy, ms = timed(lambda text: test.names.index(classify(text).label), test)
    return Row(name, accuracy, bundle.stat().st_size, ms)


def timed(classify: Callable[[str], int], test: LabelledText) -> tuple[float, float]:
    """Share of right labels, and mean milliseconds of a text."""
    begin = time.perf_counter()
    right = sum(classify(text) == label for text, label in zip(test.texts, test.labels, strict=True))
    return right / len(test.texts), (time.perf_counter() - begin) * 1e3 / len(test.texts)


def _part(data: LabelledText, indices: Sequence[int]) -> LabelledText:
    texts, labels = zip(*((data.texts[index], data.labels[index]) for index in indices), strict=True)
    return LabelledText(texts, labels, data.source, data.names)


def markdown(result: Result) -> str:
    """The table for people."""
    rows = [[row.name, f"{row.accuracy:.2%}", f"{row.bytes / 1e6:.2f}", f"{row.ms:.3f}"] for row in result.rows]
    intro = f"Learned from {result.train} texts, measured on {result.test} others, one text at a time."
    return "\n\n".join([intro, markdown_table(["", "accuracy", "MB", "ms"], rows), str(result.machine)])


if __name__ == "__main__":
    harness.run_benchmark(main)
