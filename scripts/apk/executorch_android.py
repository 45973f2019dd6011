"""ExecuTorch for Android: an AAR that is given, Maven's, or, where Maven has none, what an npm package carries.

PyTorch publishes ``org.pytorch:executorch-android``, which Gradle's build takes. Not every mirror of Maven Central has it;
the npm package react-native-executorch (MIT) brings the same Java classes and JNI library of the same project.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import archives
import catalogue
import maven
import tools
from errors import ApkError, FetchError, ToolMissingError
from layout import ABIS, NPM_SUMS, Build

MAVEN = "org.pytorch:executorch-android"
DISTRIBUTION = "distribution.txt"
"""Beside what was unpacked: who built it."""

NPM = "react-native-executorch"

PROJECT = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>dev.edgekit</groupId><artifactId>executorch</artifactId><version>0</version>
  <packaging>pom</packaging><repositories>{repositories}</repositories>
</project>
"""
"""Maven's project that asks for nothing itself."""


@dataclass(frozen=True)
class ExecuTorch:
    """The Java classes and the JNI library.

    Attributes:
        library: Where they lie.
        distribution: Who built them, as the app names them in a profile: ``executorch-android 1.5.1``.
    """

    library: archives.Library
    distribution: str


def provide(
    build: Build, say: Callable[[str], None], aar: Path | None = None, repository: str | None = None
) -> ExecuTorch:
    """Finds ExecuTorch and unpacks it; what was unpacked before from the same source is taken as it is.

    Args:
        build: Where it is unpacked to.
        say: Told where it comes from when that is not Maven.
        aar: Use this archive and ask nobody.
        repository: Ask this Maven repository (an address, or a folder as file://…) beside those that Maven knows.

    Raises:
        FetchError: No source has it, or what came is not what is pinned.
    """
    versions = catalogue.versions()
    if aar is not None:
        if not aar.is_file():
            raise FetchError(f"{aar} is no file; --executorch takes an AAR of {MAVEN}")
        digest = hashlib.sha256(aar.read_bytes()).hexdigest()
        return _kept(
            build, f"aar-{digest[:12]}", lambda folder: _from_aar(aar, folder, f"{aar.name} sha256 {digest[:12]}")
        )
    version, npm_version = versions["executorch"], versions["reactNativeExecutorch"]
    maven_name, npm_name = f"maven-{version}", f"npm-{npm_version}"
    if repository is None and not _folder(build, maven_name).exists() and _folder(build, npm_name).exists():
        return _kept(build, npm_name, lambda folder: None)
    try:
        return _kept(build, maven_name, lambda folder: _from_maven(version, folder, repository))
    except _NotThereError:
        say(
            f"Maven has no {MAVEN}:{version}; taking ExecuTorch's Java classes and JNI library from npm's {NPM} {npm_version} "
            "(give an AAR with --executorch FILE to decide otherwise)"
        )
        return _kept(build, npm_name, lambda folder: _from_npm(npm_version, folder))


class _NotThereError(FetchError):
    """Maven answered that it has no such artifact."""


def _folder(build: Build, name: str) -> Path:
    return build.folder / "executorch" / name


def _kept(build: Build, name: str, make: Callable[[Path], object]) -> ExecuTorch:
    """Makes the folder once, whole or not at all, and reads it."""
    folder = _folder(build, name)
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder.parent) as scratch:
            made = Path(scratch) / "made"
            made.mkdir()
            make(made)
            os.replace(made, folder)
    natives = {abi: sorted((folder / "jni" / abi).glob("*.so")) for abi in ABIS}
    distribution = (folder / DISTRIBUTION).read_text(encoding="utf-8")
    return ExecuTorch(archives.Library(folder / "classes.jar", natives), distribution)


def _from_aar(aar: Path, folder: Path, distribution: str) -> None:
    library = archives.unpack(aar, folder)
    if not all(any(native.name == "libexecutorch.so" for native in library.natives[abi]) for abi in ABIS):
        raise FetchError(
            f"{aar} has no libexecutorch.so for {' and '.join(ABIS)}; --executorch takes an AAR of {MAVEN}"
        )
    (folder / DISTRIBUTION).write_text(distribution, encoding="utf-8")


def _from_maven(version: str, folder: Path, repository: str | None) -> None:
    asked = f"<repository><id>given</id><url>{escape(repository)}</url></repository>" if repository else ""
    with tempfile.TemporaryDirectory() as scratch:
        pom = Path(scratch) / "pom.xml"
        pom.write_text(PROJECT.format(repositories=asked), encoding="utf-8")
        try:
            tools.run(
                *("mvn", "-B", "-q", "-U", "-f", pom, maven.COPY, f"-Dartifact={MAVEN}:{version}:aar"),
                f"-DoutputDirectory={scratch}",
            )
        except ToolMissingError:
            raise
        except ApkError as error:
            absent = re.search(r"Could not find artifact|Failure to find|was not found in", error.output)
            kind = _NotThereError if absent else FetchError
            raise kind(
                f"{error}; check the network and Maven's settings, or give an AAR with --executorch FILE"
            ) from error
        (found,) = Path(scratch).glob("*.aar")
        _from_aar(found, folder, f"executorch-android {version}")


def _from_npm(version: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        try:
            tools.run("npm", "pack", "--silent", "--prefer-offline", "--pack-destination", scratch, f"{NPM}@{version}")
        except ToolMissingError:
            raise
        except ApkError as error:
            raise FetchError(
                f"{error}; check the network and npm's settings, or give an AAR with --executorch FILE"
            ) from error
        (tarball,) = Path(scratch).glob("*.tgz")
        unpack_npm(tarball, folder)
    (folder / DISTRIBUTION).write_text(f"{NPM} {version} (ExecuTorch's JNI library)", encoding="utf-8")


def unpack_npm(tarball: Path, folder: Path) -> None:
    """Takes the pinned files out of the npm package, laid out as in an AAR.

    Raises:
        FetchError: A file is missing, or has another checksum than the pinned one.
    """
    with tarfile.open(tarball) as archive:
        for line in NPM_SUMS.read_text(encoding="utf-8").splitlines():
            digest, name = line.split()
            try:
                member = archive.extractfile(f"package/{name}")
            except KeyError:
                member = None
            if member is None:
                raise FetchError(f"{tarball.name} holds no {name}; {NPM_SUMS} pins another version")
            target = folder / (Path(name).name if name.endswith(".jar") else Path("jni", *Path(name).parts[-2:]))
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as out:
                shutil.copyfileobj(member, out)
            found = hashlib.sha256(target.read_bytes()).hexdigest()
            if found != digest:
                raise FetchError(
                    f"{name} of {tarball.name} has sha256 {found[:12]}…, not {digest[:12]}… as {NPM_SUMS.name} pins; refused"
                )
