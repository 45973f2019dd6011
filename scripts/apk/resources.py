"""The manifest and the resources: Debian's aapt2 compiles and links them against Debian's build of Android's own."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import tools
from errors import ApkError
from layout import APPLICATION

VERSION_CODE = "1"


@dataclass(frozen=True)
class Linked:
    """What aapt2 made.

    Attributes:
        package: A zip with AndroidManifest.xml, resources.arsc and res/, as binary XML.
        java: A folder with R.java.
    """

    package: Path
    java: Path


def link(main: Path, versions: dict[str, str], version_name: str, folder: Path) -> Linked:
    """Compiles ``res`` and links it with the manifest.

    Args:
        main: The source folder that holds AndroidManifest.xml and res.
        versions: The catalogue's.
        version_name: edgekit's version.
        folder: Where to.

    Raises:
        ApkError: aapt2 refuses something; it knows attributes up to Android 10.
    """
    tools.need("aapt2")
    folder.mkdir(parents=True, exist_ok=True)
    linked = Linked(folder / "resources.zip", folder / "java")
    with tempfile.TemporaryDirectory(prefix=".link-", dir=folder) as scratch:
        manifest = Path(scratch) / "AndroidManifest.xml"
        manifest.write_text(
            complete_manifest((main / "AndroidManifest.xml").read_text(encoding="utf-8")), encoding="utf-8"
        )
        compiled = Path(scratch) / "compiled.zip"
        tools.run("aapt2", "compile", "--dir", main / "res", "-o", compiled)
        tools.run(
            *(
                "aapt2",
                "link",
                "-o",
                linked.package,
                "--manifest",
                manifest,
                "-I",
                tools.FRAMEWORK_RES,
                "--java",
                linked.java,
            ),
            *("--min-sdk-version", versions["minSdk"], "--target-sdk-version", versions["targetSdk"]),
            *("--version-code", VERSION_CODE, "--version-name", version_name, "--debug-mode", compiled),
        )
    return linked


def complete_manifest(text: str) -> str:
    """Adds what Gradle's plug-in adds: the package's name, and that native libraries are unpacked when installing.

    Raises:
        ApkError: The manifest has neither a root nor an application to add it to.
    """
    text, roots = re.subn(r"<manifest\b", f'<manifest package="{APPLICATION}"', text, count=1)
    text, applications = re.subn(r"<application\b", '<application android:extractNativeLibs="true"', text, count=1)
    if not roots or not applications:
        raise ApkError("AndroidManifest.xml has no <manifest> or no <application>; compare it with the repository's")
    return text
