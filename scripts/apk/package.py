"""The APK: a zip of the linked resources, the code, the native libraries and the assets, aligned and signed."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import tools
from layout import ABIS

BUNDLE = "demo.edgekit"
"""The bundle's name among the assets."""

TRUSTED_KEYS = "trusted-keys"
"""The folder of the assets whose keys the app trusts."""

STORED = (".edgekit", ".arsc")
"""What lies uncompressed: a bundle is mapped from where it is in the APK; Android 11 asks it of resources.arsc."""

TIME = (1980, 1, 1, 0, 0, 0)
"""Every entry's time: equal inputs give an equal zip."""

PASSWORD = "android"
"""The debug key's, the same everywhere: the key protects nothing."""


def assemble(
    linked: Path,
    dexes: Sequence[Path],
    natives: Mapping[str, Sequence[Path]],
    plain: Path,
    assets: Mapping[str, bytes | Path],
    out: Path,
) -> None:
    """Writes the unsigned and unaligned APK.

    Args:
        linked: What aapt2 made.
        dexes: The code.
        natives: Shared libraries by ABI.
        plain: A folder of files that the code finds by its class loader; it need not be there.
        assets: Contents, or files, by their names below assets/.
        out: The zip to write.
    """
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        with zipfile.ZipFile(linked) as source:
            for name in source.namelist():
                _put(target, name, source.read(name))
        for path in dexes:
            _put(target, path.name, path.read_bytes())
        for abi, libraries in natives.items():
            for path in libraries:
                _put(target, f"lib/{abi}/{path.name}", path.read_bytes())
        for path in sorted(plain.rglob("*")):
            if path.is_file():
                _put(target, str(path.relative_to(plain)), path.read_bytes())
        for name, contents in sorted(assets.items()):
            _put(target, f"assets/{name}", contents if isinstance(contents, bytes) else contents.read_bytes())


def finish(unsigned: Path, key: Path, out: Path) -> None:
    """Aligns and signs.

    Raises:
        ApkError: A tool refuses.
    """
    aligned = unsigned.with_name("aligned.apk")
    tools.run("zipalign", "-p", "4", unsigned, aligned)
    tools.run(
        *("apksigner", "sign", "--ks", key, "--ks-pass", f"pass:{PASSWORD}", "--v4-signing-enabled", "false"),
        *("--out", out, aligned),
    )


def debug_key(path: Path) -> Path:
    """The key that signs debug builds: made once, kept, and worth nothing.

    An update of the app must have the key of the one that is installed, so it outlives the build's folder.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".key-", dir=path.parent) as scratch:
            made = Path(scratch) / path.name
            tools.run(
                *("keytool", "-genkeypair", "-keystore", made, "-storetype", "PKCS12", "-storepass", PASSWORD),
                *("-alias", "androiddebugkey", "-keyalg", "RSA", "-keysize", "2048", "-validity", "10950"),
                *("-dname", "CN=Android Debug,O=Android,C=US"),
            )
            os.replace(made, path)
    return path


def contents(apk: Path) -> dict[str, int]:
    """Bytes of an APK, as they lie in it, by kind."""
    sums = {"code": 0, **dict.fromkeys(ABIS, 0), "assets": 0, "resources and signature": 0}
    with zipfile.ZipFile(apk) as archive:
        for entry in archive.infolist():
            parts = entry.filename.split("/")
            kind = "code" if entry.filename.endswith(".dex") else parts[1] if parts[0] == "lib" else parts[0]
            sums[kind if kind in sums else "resources and signature"] += entry.compress_size
    sums["resources and signature"] += apk.stat().st_size - sum(sums.values())
    return sums


def _put(target: zipfile.ZipFile, name: str, contents: bytes) -> None:
    entry = zipfile.ZipInfo(name, TIME)
    entry.compress_type = zipfile.ZIP_STORED if name.endswith(STORED) else zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    target.writestr(entry, contents)
