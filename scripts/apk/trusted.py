"""The keys that the app trusts: a bundle that none of them signed is refused, by the build and by the app."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from errors import ApkError

from edgekit_runtime.bundle import MANIFEST, SIGNATURE
from edgekit_runtime.errors import BundleSignatureError
from edgekit_runtime.trust import keys as key_files
from edgekit_runtime.trust import signing


def read_keys(files: Sequence[Path]) -> dict[str, bytes]:
    """Public keys as the APK holds them.

    Args:
        files: PEM files, each with an Ed25519 public key.

    Returns:
        PEM by the name ``KEYID.pem``, each key once.

    Raises:
        MissingExtraError: The package cryptography is not installed.
        FileError: A file is missing or cannot be read.
        OptionError: One is no Ed25519 public key.
    """
    if not files:
        return {}
    found = key_files.read_public_keys(files)
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return {
        f"{key_id}.pem": key.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        for key_id, key in sorted(found.items())
    }


def check_signed(bundle: Path, keys: Mapping[str, bytes]) -> None:
    """Refuses a bundle that the app with these keys would refuse; without keys it takes any.

    Args:
        bundle: A bundle whose structure has been checked.
        keys: As :func:`read_keys` gives them.

    Raises:
        ApkError: None of the keys signed it, or one of them wrongly.
    """
    if not keys:
        return
    with zipfile.ZipFile(bundle) as archive:
        manifest = archive.read(MANIFEST)
        entry = archive.read(SIGNATURE) if SIGNATURE in archive.namelist() else None
    try:
        signing.check(manifest, entry, key_files.read_public_keys(list(keys.values())), bundle.name)
    except BundleSignatureError as error:
        raise ApkError(
            f"the app would refuse the bundle inside ({error}): sign it, edgekit sign {bundle} --key FILE, and build with "
            f"--bundle {bundle}"
        ) from error
