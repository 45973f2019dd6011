"""Classifies a column of a CSV file of any size and writes it again with the columns label and score.

How to start it::

    python batch_csv.py model.edgekit reviews.csv answered.csv --column text
"""

import argparse
import csv
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import edgekit_runtime as ek

CHUNK = 256  # rows in memory at a time


def rows(lines: Iterable[str]) -> Iterator[list[str]]:
    """The header, and the rows that are not blank, all as wide as it."""
    reader = csv.reader(lines)
    header = next(reader, [])
    yield header
    for row in filter(None, reader):
        if len(row) != len(header):
            raise ValueError(f"line {reader.line_num} has {len(row)} columns, and the header {len(header)}")
        yield row


def copy(classify: ek.Classifier, source: Path, out: Path, column: str) -> int:
    """Writes every row with its answer; the number of rows."""
    done = 0
    with (
        source.open(encoding="utf-8-sig", errors="replace", newline="") as given,
        out.open("w", encoding="utf-8", newline="") as wanted,
    ):
        table, writer = rows(given), csv.writer(wanted)
        header = next(table)
        if column not in header:
            raise ValueError(f"there is no column {column!r}, only {', '.join(header)}: choose one with --column")
        writer.writerow([*header, "label", "score"])
        while chunk := list(islice(table, CHUNK)):
            answers = classify.predict([row[header.index(column)] for row in chunk])
            for row, answer in zip(chunk, answers, strict=True):
                writer.writerow([*row, answer.label, f"{answer.score:.4f}"])
            done += len(chunk)
    return done


def main() -> None:
    """Writes beside ``out`` and renames, so that nobody finds half a file."""
    parser = argparse.ArgumentParser(description="Adds label and score to a CSV file.")
    parser.add_argument("bundle")
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--column", default="text", help="the column with the text")
    options = parser.parse_args()
    csv.field_size_limit(1 << 30)
    part = options.out.with_name(f".{options.out.name}.{os.getpid()}.part")
    try:
        with ek.load(options.bundle) as classify:
            done = copy(classify, options.source, part, options.column)
        part.replace(options.out)
        sys.stderr.write(f"{options.out}: {done} rows\n")
    finally:
        part.unlink(missing_ok=True)


if __name__ == "__main__":
    try:
        main()
    except (ek.EdgekitError, OSError, ValueError, csv.Error) as error:
        sys.exit(f"batch_csv.py: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
