"""The app's unit tests on a plain JVM: compiled with the sources that they test, run by JUnit."""

from __future__ import annotations

import base64
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import archives
import executorch_android
import framework
import kotlin
import maven
import sources
import tools
from errors import ApkError
from layout import CHECKOUT, MAIN, TEST, Build

RUNNER = Path(__file__).with_name("RunTests.java")
SPEED = "dev.edgekit.text.TokenizerSpeed"
SPEED_NEEDS = ("dev/edgekit/EdgekitException.kt", "dev/edgekit/json", "dev/edgekit/text")


@dataclass(frozen=True)
class Outcome:
    """What became of one test.

    Attributes:
        outcome: ``passed``, ``failed`` or ``skipped``.
        case: Its class.
        name: Its method, or ``null`` when the class itself failed.
        milliseconds: What it took.
        why: The stack trace of a failure, the reason of a skip, else empty.
    """

    outcome: str
    case: str
    name: str
    milliseconds: int
    why: str


def run_tests(
    build: Build, say: Callable[[str], None], only: Sequence[str] = (), filtered: str = "", out: Path | None = None
) -> list[Outcome]:
    """Compiles sources and tests, and runs the tests.

    Args:
        build: Whose libraries, and by default where the classes go: beside those of the APK.
        say: Told of progress.
        only: Paths below ``app/src/main/kotlin`` to which the sources, and the tests under the same paths, are cut; a
            ``.kt`` file or a folder each. Nothing means all.
        filtered: Only test classes whose name contains this.
        out: A folder for the classes.

    Raises:
        ApkError: Something does not compile, or no test is there to run.
    """
    classes = (out or build.folder / "classes").resolve()
    class_path = _compile(build, say, only, classes)
    if not class_path:
        return []
    cases = [case for case in _cases(classes / "test") if filtered in case]
    if not cases:
        raise ApkError(f"no test class has {filtered!r} in its name")
    return _run(class_path, cases, say)


def run_speed(build: Build, say: Callable[[str], None]) -> str:
    """Measures how fast texts become ids; what it says is for reading.

    Raises:
        ApkError: Something does not compile.
    """
    class_path = _compile(build, say, SPEED_NEEDS, build.folder / "classes-speed")
    return tools.java(class_path, SPEED, options=_options()).strip()


def _compile(build: Build, say: Callable[[str], None], only: Sequence[str], classes: Path) -> list[Path]:
    """Compiles sources and tests; the class path of both, or nothing where there are no tests.

    Raises:
        ApkError: Something does not compile.
    """
    tools.need("java", "javac")
    main = _below(MAIN / "kotlin", only) if only else None
    tests = _below(TEST / "kotlin", only)
    if not (main or tests):
        raise ApkError(f"nothing below {MAIN / 'kotlin'} is named {', '.join(only)}")
    with tools.alone(build.folder):
        maven.fetch(build)
        executorch = executorch_android.provide(build, say)
        libraries = [*archives.app_libraries(build).jars, executorch.library.classes]
        android = framework.callable_jar(build)
        app = sources.compile_app(build, libraries, classes, main)
        if not tests:
            return []
        compiled = [*app.class_path, *libraries, *maven.jars(build, "test"), android]
        kotlin.compile_sources(build, tests, compiled, classes / "test", friends=app.classes)
        return [classes / "test", *compiled]


def _run(class_path: Sequence[Path], cases: Sequence[str], say: Callable[[str], None]) -> list[Outcome]:
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report"
        say(tools.java(class_path, str(RUNNER), report, *cases, options=_options()).strip())
        return [_outcome(line) for line in report.read_text(encoding="utf-8").splitlines()]


def _options() -> tuple[str, ...]:
    return (f"-Dedgekit.root={CHECKOUT}", f"-Dedgekit.python={sys.executable}", "-Dfile.encoding=UTF-8", "-Xmx1g")


def _below(root: Path, only: Sequence[str]) -> list[Path]:
    if not only:
        return sorted(root.rglob("*.kt"))
    found: list[Path] = []
    for name in only:
        path = root / name
        found += [path] if path.is_file() else sorted(path.rglob("*.kt"))
    return found


def _cases(classes: Path) -> list[str]:
    """The classes that hold JUnit tests."""
    return [
        str(file.relative_to(classes).with_suffix("")).replace("/", ".")
        for file in sorted(classes.rglob("*.class"))
        if "$" not in file.name and re.search(rb"Lorg/junit/Test;|Lorg/junit/runner/RunWith;", file.read_bytes())
    ]


def _outcome(line: str) -> Outcome:
    outcome, case, name, milliseconds, why = line.split("\t")
    return Outcome(outcome, case, name, int(milliseconds), base64.b64decode(why).decode())
