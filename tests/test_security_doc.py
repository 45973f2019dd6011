"""The threat table of docs/security.md: each row has its tests, and they are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYTHON = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
KOTLIN = re.compile(r"`(\w+\.kt): ([^`]+)`")


def rows() -> list[str]:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    lines = text.partition("\n## Threats\n")[2].splitlines()
    return [line for line in lines if line.startswith("|")][2:]


def functions(path: Path) -> set[str]:
    """Names of the tests of a Python file that pytest would run."""
    found = ast.parse(path.read_text(encoding="utf-8")).body
    return {each.name for each in found if isinstance(each, ast.FunctionDef) and each.name.startswith("test_")}


def of_kotlin(source: str) -> set[str]:
    """Names of the tests of a Kotlin file: what stands behind ``@Test``."""
    return {name.strip("`") for name in re.findall(r"@Test[^{]*?fun (`[^`]+`|\w+)\(", source)}


def is_there(file: str, name: str) -> bool:
    if file.endswith(".py"):
        return (ROOT / file).is_file() and name in functions(ROOT / file)
    found = list((ROOT / "android-demo" / "app" / "src" / "test").rglob(file))
    return len(found) == 1 and name in of_kotlin(found[0].read_text(encoding="utf-8"))


def test_every_row_names_tests_or_says_that_nothing_holds_it() -> None:
    assert len(rows()) >= 15
    for row in rows():
        threat, held, tests = (cell.strip() for cell in row.strip("|").split("|"))
        assert threat
        named = [*PYTHON.findall(tests), *KOTLIN.findall(tests)]
        assert bool(named) != held.startswith("**nothing"), row
        assert len(named) == tests.count("`") / 2, f"a test is written in another form: {row}"


def named_tests() -> list[tuple[str, str]]:
    return sorted({pair for row in rows() for pattern in (PYTHON, KOTLIN) for pair in pattern.findall(row)})


@pytest.mark.parametrize(("file", "name"), named_tests())
def test_every_test_that_is_named_is_there(file: str, name: str) -> None:
    assert is_there(file, name), f"{file} has no test {name}"


def test_a_test_that_is_not_there_is_seen() -> None:
    assert is_there("tests/test_security_doc.py", "test_a_test_that_is_not_there_is_seen")
    for file, name in (("tests/none.py", "test_x"), ("tests/test_security_doc.py", "rows"), ("None.kt", "x")):
        assert not is_there(file, name)
    assert of_kotlin("@Test\n    fun one() {}\n fun two() {}\n@Test(timeout = 1)\nfun `three of them`() = x()") == {
        "one",
        "three of them",
    }
