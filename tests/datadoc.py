"""The tables of docs/data.md, so that a row of them without a test is seen."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

DOC = Path(__file__).parents[1] / "docs" / "data.md"


def rows(section: str) -> list[str]:
    """The first cell of every row of the table in a section."""
    text = DOC.read_text(encoding="utf-8").split(f"\n## {section}\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| ([^|]*?) \|", text, re.MULTILINE)
    return cells[1:]


def each_is_tested(section: str, tested: Iterable[str]) -> None:
    """The test has exactly the rows of the table."""
    assert rows(section) == list(tested)
    assert len(rows(section)) >= 8
