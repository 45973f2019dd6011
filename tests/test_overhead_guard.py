"""What edgekit adds around an engine may not grow: instructions, which repeat to a per cent, not milliseconds.

Each count is divided by that of plain statements which do the same without checks, in the same process, so that versions of
Python and numpy cancel out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from shutil import which

import pytest

from conftest import missing

SECTIONS = ("plain answer", "answer", "plain ids", "ids", "calls", "predict")


@pytest.fixture(scope="module")
def counts(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Instructions of each section of overhead_counted.py."""
    if which("valgrind") is None:
        missing("valgrind")
    folder = tmp_path_factory.mktemp("callgrind")
    command = ["valgrind", "--tool=callgrind", "--dump-before=getppid", f"--callgrind-out-file={folder / 'counts'}"]
    script = Path(__file__).with_name("overhead_counted.py")
    settings = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [*command, sys.executable, str(script), str(bundle)],
        capture_output=True,
        text=True,
        env={**os.environ, **settings},
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    dumps = [
        folder / f"counts.{number}" for number in range(2, 2 * len(SECTIONS) + 1, 2)
    ]  # between two is the next mark
    totals = [re.search(r"^totals: (\d+)", dump.read_text(), re.MULTILINE) for dump in dumps]
    return {name: int(total[1]) for name, total in zip(SECTIONS, totals, strict=True) if total is not None}


@pytest.mark.parametrize(
    ("part", "of", "most"),
    [
        ("answer", "plain answer", 2.5),
        ("ids", "plain ids", 1.6),
        ("predict", "calls", 1.2),
    ],
)
def test_what_is_around_the_engine_does_not_grow(part: str, of: str, most: float, counts: dict[str, int]) -> None:
    assert counts[of] > 1e5, "of a hundred texts"
    assert counts[part] / counts[of] < most, f"{part} takes more instructions than it did: {counts}"
