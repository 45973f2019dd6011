"""A cold start: what it does not load, how it compares with the imports alone, and the benchmark that measures it."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

from test_benchmarks import bench, document
from test_cli import edgekit

first_answer = importlib.import_module("first_answer")

NEEDLESS = ("torch", "transformers", "pandas", "rich", "fastapi", "cryptography", "edgekit_converters", "edgekit.serve")
"""What takes long to import and classifies nothing."""

COMMAND = """
import sys
from edgekit.cli import main
try:
    main()
finally:
    print(*sorted(sys.modules), file=sys.stderr)
"""


def test_classifying_from_the_command_line_loads_nothing_that_it_does_not_need(bundle: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "predict", str(bundle), "a good film"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stdout.startswith("positive")
    loaded = done.stderr.split()
    assert "edgekit.cli.predict" in loaded
    assert [name for name in loaded if name.split(".")[0] in NEEDLESS or name in NEEDLESS] == []
    assert sum(name.startswith("edgekit.") for name in loaded) <= 8, "of the face, the files of this command alone"


def test_a_command_that_is_not_there_still_gets_a_suggestion() -> None:
    done = edgekit("predic", "x")
    assert done.returncode == 2 and "predict" in done.stderr


def test_a_first_answer_takes_few_times_as_long_as_its_imports(bundle: Path, tmp_path: Path) -> None:
    figures, page = tmp_path / "first.json", tmp_path / "page.md"
    page.write_text("\n".join(document.marks(first_answer.PART)), encoding="utf-8")
    ended = bench("first_answer.py", "--bundle", bundle, "--runs", 5, "--json", figures, "--fill", page)
    assert ended.returncode == 0, ended.stderr
    rows = {row["name"]: row for row in json.loads(figures.read_text(encoding="utf-8"))["rows"]}
    assert [*rows] == [
        first_answer.COMMAND_LINE,
        first_answer.RUNTIME_ALONE,
        first_answer.NO_PACKED,
        first_answer.FLOOR,
    ]
    assert rows[first_answer.RUNTIME_ALONE]["against_floor"]["value"] <= 6
    assert rows[first_answer.COMMAND_LINE]["against_floor"]["value"] <= 9
    assert first_answer.COMMAND_LINE in page.read_text(encoding="utf-8")
