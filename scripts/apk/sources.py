"""The app's sources to class files: resources' names by aapt2 and javac, then Kotlin."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import catalogue
import kotlin
import maven
import resources
import tools
from errors import ApkError
from layout import CHECKOUT, MAIN, Build

INIT = CHECKOUT / "runtime" / "edgekit_runtime" / "__init__.py"


@dataclass(frozen=True)
class Compiled:
    """The app, compiled.

    Attributes:
        linked: Manifest and resources.
        names: A folder with the class files of R.
        classes: A folder with all other class files.
        plain: A folder of files that lie beside the classes, as they are.
    """

    linked: Path
    names: Path
    classes: Path
    plain: Path

    @property
    def class_path(self) -> list[Path]:
        return [self.classes, self.names, self.plain]


def compile_app(build: Build, libraries: Sequence[Path], out: Path, sources: Sequence[Path] | None = None) -> Compiled:
    """Compiles the app, or some of its sources; what is as it was is not made again.

    Args:
        build: Whose compiler and framework.
        libraries: The jars that the app uses.
        out: Folder for what is made.
        sources: Kotlin files; by default all. Given some, resources are left out unless they need them.

    Raises:
        ApkError: A source or a resource is refused.
    """
    chosen = sorted((MAIN / "kotlin").rglob("*.kt")) if sources is None else list(sources)
    compiled = Compiled(out / "resources" / "resources.zip", out / "names", out / "main", MAIN / "resources")
    if sources is None or any(re.search(r"\bR\.\w+\.\w", source.read_text(encoding="utf-8")) for source in chosen):
        _name_resources(out, compiled)
    framework = maven.jars(build, "framework")
    names = [compiled.names] if compiled.names.is_dir() else []
    kotlin.compile_sources(build, chosen, [*names, *libraries, *framework], compiled.classes)
    return compiled


def version() -> str:
    """The app's, which is edgekit's own."""
    found = re.search(r'__version__ = "(.+)"', INIT.read_text(encoding="utf-8"))
    if found is None:
        raise ApkError("runtime/edgekit_runtime/__init__.py names no __version__; compare it with the repository's")
    return found.group(1)


def _name_resources(out: Path, compiled: Compiled) -> None:
    versions = catalogue.versions()
    inputs = [MAIN / "AndroidManifest.xml", MAIN / "res", Path(resources.__file__)]
    digest = kotlin.fingerprint(inputs, [version(), *versions.values()])
    stamp = out / "names.sha256"
    if stamp.exists() and compiled.names.is_dir() and stamp.read_text() == digest:
        return
    stamp.unlink(missing_ok=True)
    linked = resources.link(MAIN, versions, version(), compiled.linked.parent)
    with tempfile.TemporaryDirectory(prefix=".names-", dir=out) as scratch:
        made = Path(scratch) / "names"
        tools.run(
            "javac", "--release", "8", "-nowarn", "-Xlint:-options", "-d", made, *sorted(linked.java.rglob("*.java"))
        )
        shutil.rmtree(compiled.names, ignore_errors=True)
        os.replace(made, compiled.names)
    stamp.write_text(digest)
