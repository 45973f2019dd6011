"""Android's framework for unit tests: its classes, callable on any JVM."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import maven
import tools
from layout import Build

MAKER = Path(__file__).with_name("MakeCallable.java")


def callable_jar(build: Build) -> Path:
    """``android-callable.jar``: every class of android.* with methods that do nothing and return 0, false or null.

    Raises:
        ApkError: The rewriting failed.
    """
    out = build.libs / "android-callable.jar"
    if not out.exists() or out.stat().st_mtime < MAKER.stat().st_mtime:
        (framework,) = maven.jars(build, "framework")
        with tempfile.TemporaryDirectory(prefix=".callable-", dir=build.libs) as scratch:
            made = Path(scratch) / out.name
            tools.java([maven.only(build, "test", "asm-*.jar")], str(MAKER), framework, made)
            os.replace(made, out)
    return out
