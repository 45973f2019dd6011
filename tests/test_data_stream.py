"""Long, growing and endless-looking files: one example at a time, in a memory that does not grow."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from edgekit_converters.data import read_labelled, stream_labelled
from edgekit_runtime.errors import DataError

NAMES = ("negative", "positive")
LONG = 4000


def write(path: Path, rows: int) -> Path:
    path.write_text("text,label\n" + "".join(f"text {index},{index % 2}\n" for index in range(rows)), encoding="utf-8")
    return path


# Memory

MEMORY = """
import sys
from pathlib import Path
from edgekit_converters.data import read_labelled, stream_labelled

def peak():
    status = Path("/proc/self/status").read_text()  # what getrusage says has the parent's peak in it
    return int(status.split("VmHWM:")[1].split()[0]) * 1024

how, small, large = sys.argv[1:]
names = ("negative", "positive")
for path in small, large:
    before = peak()
    count = sum(1 for _ in stream_labelled(path, names)) if how == "stream" else len(read_labelled(path, names).texts)
    print(count, peak() - before)
"""


def growth(how: str, small: Path, large: Path) -> tuple[int, float]:
    """Examples of the large file, and by how much of its size the peak memory grew, after a small one was read."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, how, small, large], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    count, grown = done.stdout.splitlines()[-1].split()
    return int(count), int(grown) / large.stat().st_size


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """A small and a large file, 12,000 texts of 4 KB, in each form."""
    folder, made = tmp_path_factory.mktemp("large"), {}
    for form in ("csv", "tsv.gz", "jsonl", "parquet"):
        made[form] = (folder / f"small.{form}", folder / f"large.{form}")
        for path, count in zip(made[form], (1100, 12_000), strict=True):
            rows = [(f"the film number {index} was good" + " " * 4000 + "end", index % 2) for index in range(count)]
            if form == "parquet":
                table = pyarrow.table({"text": [text for text, _ in rows], "label": [label for _, label in rows]})
                pyarrow.parquet.write_table(table, path, compression="none", use_dictionary=False)
            elif form == "jsonl":
                path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))
            elif form == "csv":
                with path.open("w", newline="", encoding="utf-8") as file:
                    csv.writer(file).writerows([("text", "label"), *rows])
            else:
                path.write_bytes(
                    gzip.compress(b"".join(b"%b\t%d\n" % (text.encode(), label) for text, label in rows), 1)
                )
    return made


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_file_is_read_in_a_memory_that_does_not_grow_with_it(form: str, texts: dict[str, tuple[Path, Path]]) -> None:
    count, grown = growth("stream", *texts[form])
    assert count == 12_000
    assert grown < 0.3


def test_what_gzip_packed_is_not_unpacked_into_memory(texts: dict[str, tuple[Path, Path]]) -> None:
    count, grown = growth("stream", *texts["tsv.gz"])
    unpacked = texts["csv"][1].stat().st_size / texts["tsv.gz"][1].stat().st_size
    assert count == 12_000
    assert grown < 0.3 * unpacked


def test_the_measure_sees_rows_that_are_collected(texts: dict[str, tuple[Path, Path]]) -> None:
    count, grown = growth("collect", *texts["csv"])
    assert count == 12_000
    assert grown > 0.7


# Files that change while they are read


def test_a_file_that_grows_is_read_up_to_the_size_that_it_had(tmp_path: Path) -> None:
    path, said = write(tmp_path / "x.csv", LONG), []
    size = path.stat().st_size
    stream = stream_labelled(path, NAMES, say=said.append)
    with path.open("a", encoding="utf-8") as more:
        more.write("later,1\n" * LONG)
    assert sum(1 for _ in stream) == LONG
    assert said == [f"{path} grew while it was read; its first {size} bytes were read, up to their last complete line"]


@pytest.mark.parametrize("half", ["half a te", '"half a quoted\ntext'])
def test_a_line_that_was_being_written_is_left_out(half: str, tmp_path: Path) -> None:
    path, said = write(tmp_path / "x.csv", LONG), []
    with path.open("a", encoding="utf-8") as more:
        more.write(half)
        more.flush()
        stream = stream_labelled(path, NAMES, say=said.append)
        more.write('xt",1\n')
    assert [example.text for example in stream][-1] == f"text {LONG - 1}"
    assert "grew while it was read" in said[0]


def test_a_last_line_without_an_end_is_read_where_nothing_grows(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("text,label\na,1\nb,0", encoding="utf-8")
    assert read_labelled(path, NAMES).texts == ("a", "b")


def test_a_file_that_never_stops_growing_comes_to_an_end(tmp_path: Path) -> None:
    path, stop = write(tmp_path / "x.csv", LONG), threading.Event()

    def grow() -> None:
        with path.open("a", encoding="utf-8") as more:
            while not stop.wait(0.001):
                more.write("later,1\n" * 500)
                more.flush()

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        count = sum(1 for _ in stream_labelled(path, NAMES))
    finally:
        stop.set()
        writer.join()
    assert count >= LONG


def test_a_file_that_shrinks_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", 20_000)
    stream = stream_labelled(path, NAMES)
    os.truncate(path, 100_000)
    with pytest.raises(DataError, match=r"x\.csv became shorter while it was read; read it again"):
        list(stream)


# Progress


def test_progress_of_a_short_file_is_in_examples(tmp_path: Path) -> None:
    stream = stream_labelled(write(tmp_path / "x.csv", 5), NAMES)
    assert [stream.progress() for _ in stream] == [(done, 5) for done in range(1, 6)]


@pytest.mark.parametrize("packed", [False, True])
def test_progress_of_a_long_file_is_in_bytes(packed: bool, tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", 100_000)
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    size = path.stat().st_size
    stream = stream_labelled(path, NAMES)
    steps = [stream.progress() for _ in stream]
    assert steps == sorted(steps)
    assert steps[0] is not None and steps[0][0] < size / 2
    assert steps[-1] == (size, size)


# Pipes


def test_stdin_is_read_as_it_comes_and_has_no_total(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write(tmp_path / "x.csv", LONG).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    stream = stream_labelled("-", NAMES)
    assert stream.source == "stdin"
    assert next(iter(stream)).text == "text 0"
    assert stream.progress() is None
    assert sum(1 for _ in stream) == LONG - 1
    assert not sys.stdin.closed


def test_an_error_of_stdin_calls_it_by_that_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"text,label\na,1\nb\n")))
    with pytest.raises(DataError, match=r"^stdin, line 3: 1 columns are too few"):
        read_labelled("-", NAMES)


def test_a_named_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    data = write(tmp_path / "x.csv", LONG).read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(data,))
    writer.start()
    assert len(read_labelled(pipe, NAMES).texts) == LONG
    writer.join()


def test_what_is_wrong_behind_the_first_rows_is_raised_when_it_is_reached(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", LONG)
    with path.open("a", encoding="utf-8") as more:
        more.write("alone\n")
    stream: Iterator[object] = iter(stream_labelled(path, NAMES))
    for _ in range(LONG):
        next(stream)
    with pytest.raises(DataError, match=f"line {LONG + 2}: 1 columns are too few"):
        next(stream)
