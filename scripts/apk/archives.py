"""Android's library archives (AAR): zips that hold classes and native libraries."""

from __future__ import annotations

import os
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import maven
from errors import ApkError
from layout import ABIS, Build


@dataclass(frozen=True)
class Library:
    """A library's parts, unpacked.

    Attributes:
        classes: Its jar.
        natives: Its shared libraries by ABI; none of other ABIs than the app's.
    """

    classes: Path
    natives: dict[str, list[Path]]


@dataclass(frozen=True)
class Libraries:
    """All that the app uses but ExecuTorch, whose source differs.

    Attributes:
        jars: Classes.
        natives: Shared libraries by ABI.
    """

    jars: list[Path]
    natives: dict[str, list[Path]]


def app_libraries(build: Build) -> Libraries:
    """The app's libraries from Maven; archives are unpacked once.

    Raises:
        ApkError: An archive is not as it should be.
    """
    unpacked = [_unpacked(build, aar) for aar in sorted((build.libs / "app").glob("*.aar"))]
    return Libraries(
        [*maven.jars(build, "app"), *(library.classes for library in unpacked)],
        {abi: [native for library in unpacked for native in library.natives[abi]] for abi in ABIS},
    )


def _unpacked(build: Build, aar: Path) -> Library:
    folder = build.libs / "unpacked" / aar.stem
    if not folder.exists():
        folder.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".unpack-", dir=folder.parent) as scratch:
            unpack(aar, Path(scratch) / "made")
            os.replace(Path(scratch) / "made", folder)
    return Library(folder / "classes.jar", {abi: sorted((folder / "jni" / abi).glob("*.so")) for abi in ABIS})


def unpack(aar: Path, folder: Path) -> Library:
    """Unpacks what the app uses of an AAR.

    Args:
        aar: The archive.
        folder: Made when it is not there.

    Raises:
        ApkError: It is no AAR, or lacks the app's ABIs while it has others.
    """
    try:
        with zipfile.ZipFile(aar) as archive:
            names = archive.namelist()
            natives = {abi: [name for name in names if _is_library(name, abi)] for abi in ABIS}
            if "classes.jar" not in names:
                raise ApkError(f"{aar} holds no classes.jar: is it an AAR?")
            lacking = [abi for abi in ABIS if not natives[abi]]
            if lacking and any(name.endswith(".so") for name in names):
                raise ApkError(f"{aar} has no native library for {' and '.join(lacking)}; take one that has")
            archive.extractall(folder, ["classes.jar", *(name for abi in ABIS for name in natives[abi])])
    except (OSError, zipfile.BadZipFile) as error:
        raise ApkError(f"{aar} cannot be read as an AAR ({error}); fetch it again") from error
    return Library(folder / "classes.jar", {abi: [folder / name for name in natives[abi]] for abi in ABIS})


def _is_library(name: str, abi: str) -> bool:
    return name.startswith(f"jni/{abi}/") and name.endswith(".so")
