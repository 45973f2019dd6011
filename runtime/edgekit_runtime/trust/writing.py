"""Bundles signed and sealed: each is written beside, a piece at a time, and renamed into place."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from edgekit_runtime.bundle import MANIFEST, SIGNATURE, Bundle, open_bundle, writable_file, write_entries
from edgekit_runtime.errors import SealError
from edgekit_runtime.manifest import FileEntry
from edgekit_runtime.trust.keys import (
    KEY_FILE_VARIABLE,
    KEY_VARIABLE,
    SealingKey,
    given_key,
    read_private_key,
    sealing_key_id,
)
from edgekit_runtime.trust.sealed import CIPHER, SALT_BYTES, SCHEMA_VERSION, SEGMENT_BYTES, Sealed, SealedFile
from edgekit_runtime.trust.sealing import encrypted, file_key
from edgekit_runtime.trust.signing import signed


def sign_bundle(
    path: str | os.PathLike[str], private_key: str | os.PathLike[str], out: str | os.PathLike[str] | None = None
) -> Path:
    """Adds a signature to a bundle; one of the same key before is replaced, those of other keys stay.

    Args:
        path: The bundle. Every entry is compared with its checksum first; the manifest stays byte for byte as it is.
        private_key: PEM file of an Ed25519 key, which nobody else may read.
        out: Where the signed bundle goes; None puts it in the place of the other. An existing file is replaced.

    Returns:
        Where it is.

    Raises:
        FileError, BundleError: The bundle or the key is missing or damaged, or the place cannot be written; nothing is left.
        BundleSignatureError: The signatures before are malformed, or too many.
        OptionError: The key is of another kind, or needs a passphrase; or the place is the key itself.
    """
    place = writable_file(Path(path if out is None else out), private_key)
    bundle = open_bundle(path)
    key = read_private_key(private_key)
    entry = signed(bundle.manifest_bytes, bundle.signature, key, str(path))
    entries = [(name, bundle.stored(name).chunks()) for name in bundle.manifest.files]
    return _write(place, bundle, bundle.manifest_bytes, entries, entry)


def seal_bundle(path: str | os.PathLike[str], key: SealingKey, out: str | os.PathLike[str] | None = None) -> Path:
    """Encrypts the programs of a bundle. Its signatures are left out, as they are of other contents: sign it afterwards.

    Args:
        path: The bundle.
        key: The sealing key: its file, its 32 bytes, or None for what the environment says.
        out: Where the sealed bundle goes; None puts it in the place of the other. An existing file is replaced.

    Returns:
        Where it is.

    Raises:
        FileError, BundleError: The bundle or the key is missing or damaged, or the place cannot be written; nothing is left.
        SealError: There is no key, or the bundle is sealed already.
        OptionError: The place is the file of the key.
    """
    key_file = os.environ.get(KEY_FILE_VARIABLE) if key is None else key
    place = writable_file(
        Path(path if out is None else out), key_file if isinstance(key_file, str | os.PathLike) else None
    )
    bundle = open_bundle(path)
    manifest = bundle.manifest
    if manifest.sealed is not None:
        raise SealError(
            f"{path} is sealed already, with the key {manifest.sealed.key_id}; seal the bundle that it was made of"
        )
    master = given_key(key)
    if master is None:
        raise SealError(f"there is no key to seal with: give --key-file, or set {KEY_FILE_VARIABLE} or {KEY_VARIABLE}")
    salts = {name: secrets.token_bytes(SALT_BYTES) for name in manifest.program_files}

    def contents(name: str) -> Iterator[bytes]:
        """What is stored of an entry; the same at each call, as nothing but the checked contents goes in."""
        part = bundle.stored(name)
        pieces = part.chunks(SEGMENT_BYTES)
        return (
            encrypted(pieces, part.size, file_key(master, salts[name], name), SEGMENT_BYTES)
            if name in salts
            else pieces
        )

    files = {name: _entry(contents(name)) if name in salts else entry for name, entry in manifest.files.items()}
    sealed = Sealed(
        cipher=CIPHER,
        segment_bytes=SEGMENT_BYTES,
        key_id=sealing_key_id(master),
        files={
            name: SealedFile(base64.b64encode(salt).decode(), manifest.files[name].bytes)
            for name, salt in salts.items()
        },
    )
    version = max(manifest.schema_version, SCHEMA_VERSION)
    made = replace(manifest, files=files, sealed=sealed, schema_version=version)
    return _write(place, bundle, made.to_bytes(), [(name, contents(name)) for name in files])


def _write(
    place: Path,
    bundle: Bundle,
    manifest: bytes,
    entries: Iterable[tuple[str, Iterable[bytes]]],
    signature: bytes | None = None,
) -> Path:
    last = [] if signature is None else [(SIGNATURE, [signature])]
    return write_entries(place, [(MANIFEST, [manifest]), *entries, *last], aligned=bundle.manifest.program_files)


def _entry(pieces: Iterable[bytes]) -> FileEntry:
    digest, size = hashlib.sha256(), 0
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
    return FileEntry(digest.hexdigest(), size)
