"""Class files to Android's: D8, which on Maven Central lies inside software.coley:dex-translator."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import kotlin
import maven
import tools
from layout import Build

MAIN = "com.android.tools.r8.D8"


def dex(build: Build, classes: Sequence[Path], libraries: Sequence[Path], min_sdk: str, out: Path) -> list[Path]:
    """Translates the app and its libraries; what is as it was is not translated again.

    Args:
        build: Whose D8 and whose framework.
        classes: The app's class files.
        libraries: Jars.
        min_sdk: The oldest API level that the code must run on; what that lacks is rewritten.
        out: A folder.

    Returns:
        classes.dex, classes2.dex and so on.

    Raises:
        ApkError: D8 refuses something.
    """
    folder = build.folder / "dex"
    words = [min_sdk, *(jar.name for jar in maven.jars(build, "dexer"))]
    translated = _once(build, libraries, min_sdk, folder / "libraries", words, "--intermediate")
    with zipfile.ZipFile(_once(build, [*classes, translated], min_sdk, folder / "app", words)) as archive:
        archive.extractall(out)
    return sorted(out.glob("classes*.dex"))


def _once(
    build: Build, inputs: Sequence[Path], min_sdk: str, folder: Path, words: Sequence[str], *options: str
) -> Path:
    """The zip that D8 makes of these very inputs; the folder keeps the newest."""
    made = folder / f"{kotlin.fingerprint(list(inputs), words)[:16]}.zip"
    if not made.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        with tempfile.TemporaryDirectory(prefix=".dex-", dir=folder) as scratch:
            translate(build, inputs, min_sdk, Path(scratch) / made.name, Path(scratch), *options)
            os.replace(Path(scratch) / made.name, made)
    return made


def translate(build: Build, inputs: Sequence[Path], min_sdk: str, out: Path, scratch: Path, *options: str) -> None:
    """One run of D8, with its own options; ``out`` is a zip or a folder."""
    (framework,) = maven.jars(build, "framework")
    words = [
        "--release",
        "--min-api",
        min_sdk,
        "--lib",
        str(framework),
        "--output",
        str(out),
        *options,
        *map(str, inputs),
    ]
    arguments = scratch / "d8.arguments"
    arguments.write_text("\n".join(words))
    tools.java(maven.jars(build, "dexer"), MAIN, f"@{arguments}", options=tools.SHORT_LIVED)
