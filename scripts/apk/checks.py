"""An APK is refused unless it is signed, complete and able to run on what it says it runs on."""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import elf
import programs
import tools
from errors import ApkError
from layout import ABIS, APPLICATION, MAIN
from package import BUNDLE

from edgekit_runtime.bundle import open_bundle

LIMIT_BYTES = 60_000_000

ANDROIDS_OWN = {
    "libc.so",
    "libm.so",
    "libdl.so",
    "liblog.so",
    "libandroid.so",
    "libz.so",
    "libEGL.so",
    "libGLESv2.so",
    "libGLESv3.so",
}
"""Libraries that every Android 8 lets an app use (the NDK's list, as far as engines use it)."""

ENGINES = ("libtensorflowlite_jni.so", "libexecutorch.so")

CLASSES = (
    "dev/edgekit/demo/R",
    "kotlin/Unit",
    "kotlinx/serialization/json/Json",
    "org/tensorflow/lite/Interpreter",
    "org/pytorch/executorch/Module",
    "com/facebook/jni/HybridData",
    "com/facebook/soloader/nativeloader/NativeLoader",
)
"""One class of each library; the app's own are those that were compiled."""


@dataclass(frozen=True)
class Checked:
    """What the checks found.

    Attributes:
        size_bytes: The APK's.
        signature_schemes: Those that verify.
        classes: How many the code has.
        abis: What it has native libraries for.
        page_bytes: The largest memory page on which every native library of an ABI can be loaded.
        operators: What the bundle's ExecuTorch program asks of the engine.
    """

    size_bytes: int
    signature_schemes: list[str]
    classes: int
    abis: list[str]
    page_bytes: dict[str, int]
    operators: list[str]


def check(apk: Path, versions: dict[str, str], version_name: str, classes: Sequence[str]) -> Checked:
    """Runs every check.

    Args:
        apk: The file.
        versions: The catalogue's.
        version_name: The app's.
        classes: Classes of the app that must be in, as ``dev/edgekit/demo/Main``.

    Raises:
        ApkError: One of them failed; the message says which.
    """
    size = apk.stat().st_size
    if size > LIMIT_BYTES:
        raise ApkError(f"{apk} has {size:,} bytes, more than {LIMIT_BYTES:,}; compress or leave out native libraries")
    try:
        with zipfile.ZipFile(apk) as archive:
            libraries = {name: archive.read(name) for name in archive.namelist() if name.startswith("lib/")}
            check_resources(archive)
            operators = check_bundle(archive, libraries)
    except zipfile.BadZipFile as error:
        raise ApkError(f"{apk} is no APK ({error}); build it again") from error
    schemes = check_signature(apk)
    tools.run("zipalign", "-c", "-p", "4", apk)
    check_badging(apk, versions, version_name)
    count = check_code(apk, [*CLASSES, *classes])
    pages = check_libraries(libraries)
    return Checked(size, schemes, count, list(ABIS), pages, operators)


def check_signature(apk: Path) -> list[str]:
    """The schemes by which it is signed: v2 or v3 must be among them."""
    try:
        said = tools.run("apksigner", "verify", "--verbose", "--min-sdk-version", "26", apk)
    except ApkError as error:
        raise ApkError(f"{apk} is not signed as Android asks ({error}); build it again") from error
    schemes = re.findall(r"Verified using (v[\d.]+) scheme .*: true", said)
    if not {"v2", "v3"} & set(schemes):
        raise ApkError(f"{apk} is signed by {', '.join(schemes) or 'no scheme'}; Android 11 and newer ask for v2 or v3")
    return schemes


def check_badging(apk: Path, versions: dict[str, str], version_name: str) -> None:
    """Package, versions, launcher and ABIs, as aapt reads them, are the build's."""
    said = tools.run("aapt", "dump", "badging", apk)
    expected = {
        "package": rf"^package: name='{APPLICATION}' .*versionName='{re.escape(version_name)}'",
        "minSdkVersion": rf"^sdkVersion:'{versions['minSdk']}'",
        "targetSdkVersion": rf"^targetSdkVersion:'{versions['targetSdk']}'",
        "launchable activity": rf"^launchable-activity: name='{APPLICATION}\.",
        "native code": "^native-code: " + " ".join(f"'{abi}'" for abi in ABIS) + "$",
    }
    for what, pattern in expected.items():
        if not re.search(pattern, said, re.MULTILINE):
            raise ApkError(
                f"{apk}: aapt finds another {what} than the build's; compare AndroidManifest.xml and the catalogue"
            )


def check_code(apk: Path, expected: Sequence[str]) -> int:
    """Classes that must be in are in, and nothing links at run time by what devices of the oldest Android may lack."""
    with tempfile.TemporaryDirectory() as scratch, zipfile.ZipFile(apk) as archive:
        names = [name for name in archive.namelist() if re.fullmatch(r"classes\d*\.dex", name)]
        archive.extractall(scratch, names)
        dumped = "".join(tools.run("dexdump", "-d", Path(scratch) / name) for name in names)
    found = set(re.findall(r"^  Class descriptor  : 'L(.+);'$", dumped, re.MULTILINE))
    absent = sorted(set(expected) - found)
    if absent:
        raise ApkError(f"{apk} lacks {len(absent)} classes, {absent[0].replace('/', '.')} among them; build it again")
    linked = re.search(r"invoke-(?:custom|polymorphic)\S*|Ljava/lang/invoke/\w+;", dumped)
    if linked:
        raise ApkError(f"{apk} uses {linked.group()}, which not every Android 8 runs; compile with -Xlambdas=class")
    return len(found)


def check_libraries(libraries: dict[str, bytes]) -> dict[str, int]:
    """Every native library is for its folder's machine, and what it needs is there.

    Args:
        libraries: Contents by their names in the APK, ``lib/ABI/NAME.so``.

    Returns:
        The largest memory page by ABI.

    Raises:
        ApkError: One is not, or an engine is missing.
    """
    pages: dict[str, int] = {}
    for abi in ABIS:
        own = {
            name.rpartition("/")[2]: contents for name, contents in libraries.items() if name.startswith(f"lib/{abi}/")
        }
        for engine in ENGINES:
            if engine not in own:
                raise ApkError(f"the APK has no {engine} for {abi}; build it again")
        for name, contents in own.items():
            read = elf.read_elf(f"lib/{abi}/{name}", contents)
            if read.machine != elf.MACHINES[abi]:
                raise ApkError(
                    f"lib/{abi}/{name} is for another machine (ELF {read.machine}); take the library of {abi}"
                )
            absent = sorted(set(read.needed) - ANDROIDS_OWN - set(own))
            if absent:
                raise ApkError(f"lib/{abi}/{name} needs {', '.join(absent)}, which neither the APK nor Android has")
            pages[abi] = min(pages.get(abi, read.page_bytes), read.page_bytes)
    return pages


def check_resources(archive: zipfile.ZipFile) -> None:
    """What the code reads by its class loader, tables of characters, lies where that looks."""
    folder = MAIN / "resources"
    wanted = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    if absent := sorted(wanted - set(archive.namelist())):
        raise ApkError(f"the APK lacks {', '.join(absent)}, without which no text becomes ids; build it again")


def check_bundle(archive: zipfile.ZipFile, libraries: dict[str, bytes]) -> list[str]:
    """The bundle in the APK is stored, whole, and its ExecuTorch programs find every operator in the library."""
    name = f"assets/{BUNDLE}"
    if name not in archive.namelist():
        raise ApkError(f"the APK holds no {name}; build it again")
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise ApkError(f"{name} is compressed in the APK, so that it cannot be mapped; build it again")
    with tempfile.TemporaryDirectory() as scratch:
        bundle = open_bundle(archive.extract(name, scratch))
        bundle.check()
        files = [
            program.file
            for model in bundle.manifest.models
            for program in model.programs
            if program.engine == "executorch"
        ]
        operators = sorted({operator for file in files for operator in programs.required(bundle.part(file).read())})
    for abi in ABIS:
        library = libraries.get(f"lib/{abi}/libexecutorch.so", b"")
        absent = [operator for operator in operators if operator.encode() + b"\0" not in library]
        if absent:
            raise ApkError(
                f"lib/{abi}/libexecutorch.so lacks {', '.join(absent)}, which the bundle calls; take another library"
            )
    return operators
