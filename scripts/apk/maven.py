"""What Maven Central has: the compiler, the dexer, the framework's classes and the app's libraries."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import tools
from errors import ApkError, FetchError, ToolMissingError
from layout import POM, Build

COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"


def fetch(build: Build) -> None:
    """Copies what ``pom.xml`` names into folders below ``build/libs``; asks nobody while that file is as it was.

    Raises:
        FetchError: Maven could not get something.
    """
    digest = hashlib.sha256(POM.read_bytes()).hexdigest()
    stamp = build.libs / "pom.sha256"
    if stamp.exists() and stamp.read_text() == digest:
        return
    build.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".libs-", dir=build.folder) as scratch:
        made = Path(scratch) / "libs"
        try:
            tools.run("mvn", "-B", "-q", "-f", POM, f"-Dlibs={made}", COPY)
        except ToolMissingError:
            raise
        except ApkError as error:
            raise FetchError(f"{error}; check the network and Maven's settings, then run this again") from error
        (made / stamp.name).write_text(digest)
        shutil.rmtree(build.libs, ignore_errors=True)
        os.replace(made, build.libs)


def jars(build: Build, *groups: str) -> list[Path]:
    """The jars of a group of ``pom.xml``: compiler, app, framework, dexer or test."""
    return [jar for group in groups for jar in sorted((build.libs / group).glob("*.jar"))]


def only(build: Build, group: str, pattern: str) -> Path:
    """The one file of a group whose name fits.

    Raises:
        ApkError: There is none, or more than one.
    """
    found = sorted((build.libs / group).glob(pattern))
    if len(found) != 1:
        raise ApkError(
            f"{build.libs / group} should hold one {pattern}, not {len(found)}; delete {build.libs}, run again"
        )
    return found[0]
