"""The single-file bundle: a zip of stored entries, each checked against the manifest (docs/bundle.md)."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import re
import secrets
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from edgekit_runtime.errors import BundleError, BundleIntegrityError, FileError, OptionError
from edgekit_runtime.filepart import Contents, FilePart, reading
from edgekit_runtime.manifest import FileEntry, Manifest
from edgekit_runtime.trust import signing
from edgekit_runtime.trust.keys import SealingKey, read_public_keys, read_sealing_key
from edgekit_runtime.trust.sealing import SealedPart

SUFFIX = ".edgekit"
SHOWN = 40
"""So many characters of a file's name are in that of the one beside it; names have a limit."""
MOST_NAMED = 5
"""So many entries a message names."""
MANIFEST = "manifest.json"
SIGNATURE = "signature"
ALIGNMENT = 4096
"""A program's data starts at a multiple of this many bytes, so that an engine can map it."""

MAX_MANIFEST_BYTES = 16_000_000
_PADDING_FIELD = 0xD935  # the zip extra field that Android's zipalign pads with
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)  # the same contents give the same bytes
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


class Bundle:
    """An open bundle. Its structure has been checked; each entry's checksum is checked when it is read.

    Attributes:
        path: The file.
        manifest: What it says of itself.
        manifest_bytes: The same as it is written, which is what signatures are of.
        signature: Its entry ``signature``, of too long a one the begin; None if it has none.
        signed_by: Ids of the trusted keys whose signatures were checked; empty where none were asked for.
    """

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        offsets: Mapping[str, int],
        *,
        manifest_bytes: bytes,
        signature: bytes | None,
        signed_by: tuple[str, ...],
        key: SealingKey,
    ) -> None:
        self.path = path
        self.manifest = manifest
        self.manifest_bytes = manifest_bytes
        self.signature = signature
        self.signed_by = signed_by
        self._offsets = offsets
        self._key = key

    def read(self, name: str) -> bytes:
        """The contents of one entry as they are stored: of a sealed program what is encrypted.

        Raises:
            BundleIntegrityError: The contents are not those that the manifest promises.
            FileError: The file has gone or cannot be read.
        """
        return self.stored(name).read()

    def check(self) -> None:
        """Reads every entry and compares it with its checksum.

        Raises:
            BundleIntegrityError: The first entry that differs.
        """
        for name in self.manifest.files:
            self.stored(name).check()

    def signatures(self) -> tuple[signing.Signature, ...]:
        """The signatures that it carries, none of them checked.

        Raises:
            BundleSignatureError: Its entry ``signature`` is malformed.
        """
        return () if self.signature is None else signing.parse(self.signature, str(self.path))

    def part(self, name: str) -> Contents:
        """The contents of one entry for who uses them; those of a sealed program are opened when they are read."""
        stored, sealed = self.stored(name), self.manifest.sealed
        if sealed is None or name not in sealed.files:
            return stored
        return SealedPart(stored, sealed, lambda: read_sealing_key(self._key, sealed.key_id, str(self.path)))

    def sealing_key(self) -> bytes | None:
        """The key that opens its programs; None if they are not sealed.

        Raises:
            SealError: There is none, it is malformed, or another one.
            FileError: Its file is missing, cannot be read, or others may read it.
        """
        if self.manifest.sealed is None:
            return None
        return read_sealing_key(self._key, self.manifest.sealed.key_id, str(self.path))

    def stored(self, name: str) -> FilePart:
        """Where the contents of one entry lie, as they are stored."""
        try:
            entry = self.manifest.files[name]
        except KeyError:
            raise BundleError(f"{self.path} has no {name!r}; it has {', '.join(self.manifest.files)}") from None
        return FilePart(name, self.path, self._offsets[name], entry.bytes, entry.sha256)


def open_bundle(
    path: str | os.PathLike[str],
    *,
    trusted_keys: Sequence[str | os.PathLike[str] | bytes] | None = None,
    key: SealingKey = None,
) -> Bundle:
    """Opens a bundle and checks its structure.

    Args:
        path: The ``.edgekit`` file.
        trusted_keys: Public keys, as paths of PEM files or as their contents, one of which must have signed it; None asks
            for no signature, and looks at none.
        key: What opens its programs if they are sealed, once they are read: the path of a key file, the 32 bytes, a function
            that gives them for a key id, or None for what EDGEKIT_KEY or EDGEKIT_KEY_FILE says.

    Raises:
        FileError: There is no such file, or it cannot be read.
        BundleError: It is no bundle, or has duplicate, compressed or encrypted entries, paths, or sizes that lie.
        BundleIntegrityError: An entry is missing or extra.
        BundleVersionError: It was written by a newer edgekit.
        BundleSignatureError: No trusted key signed it, or its signature is wrong.
        OptionError: There are no trusted keys, or one is no Ed25519 public key.
    """
    path = Path(path)
    trusted = None if trusted_keys is None else read_public_keys(trusted_keys)
    with reading(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, OverflowError) as error:
            raise BundleError(f"{path} is no edgekit bundle, or was cut short ({error})") from error
        sizes = _check_entries(path, entries)
        file_bytes = os.fstat(file.fileno()).st_size
        offsets = {entry.orig_filename: _data_offset(path, file, file_bytes, entry) for entry in entries}
        _check_layout(path, offsets, sizes, file_bytes)
        if MANIFEST not in offsets:
            raise BundleIntegrityError(f"{path} has no {MANIFEST}: it is no edgekit bundle, or a damaged one")
        if sizes[MANIFEST] > MAX_MANIFEST_BYTES:
            raise BundleError(f"{MANIFEST} in {path} claims {sizes[MANIFEST]} bytes; no bundle needs that")
        file.seek(offsets[MANIFEST])
        data = file.read(sizes[MANIFEST])
        crc = next(entry.CRC for entry in entries if entry.orig_filename == MANIFEST)
        if zlib.crc32(data) != crc:
            raise BundleIntegrityError(f"{MANIFEST} in {path} differs from its checksum: the file is damaged")
        signature = _read_signature(file, offsets, sizes)
    signed_by = () if trusted is None else signing.check(data, signature, trusted, str(path))
    manifest = Manifest.from_bytes(data)
    _compare_names(path, set(offsets) - {MANIFEST, SIGNATURE}, set(manifest.files))
    for name, entry in manifest.files.items():
        if sizes[name] != entry.bytes:
            raise BundleIntegrityError(
                f"{name} in {path} has {sizes[name]} bytes, and the manifest says {entry.bytes}: the file is damaged"
            )
    return Bundle(path, manifest, offsets, manifest_bytes=data, signature=signature, signed_by=signed_by, key=key)


def write_bundle_file(path: str | os.PathLike[str], manifest: Manifest, contents: Mapping[str, bytes]) -> Path:
    """Writes a bundle beside ``path`` and renames it into place, so that no half-written file is ever seen.

    Args:
        path: Where the bundle goes; an existing file is replaced.
        manifest: What the bundle says of itself; ``files`` is filled in here.
        contents: Every entry but the manifest, by name.

    Returns:
        The path.

    Raises:
        FileError: The folder is missing or not writable, or the disk is full.
    """
    path = Path(path)
    files = {name: FileEntry(hashlib.sha256(data).hexdigest(), len(data)) for name, data in contents.items()}
    manifest = dataclasses.replace(manifest, files=files)
    entries = {MANIFEST: manifest.to_bytes(), **contents}
    pieces = ((name, (data,)) for name, data in entries.items())
    return write_entries(path, pieces, aligned=manifest.program_files)


def write_entries(path: Path, entries: Iterable[tuple[str, Iterable[bytes]]], *, aligned: Collection[str]) -> Path:
    """Writes the zip beside ``path`` and renames it into place.

    Args:
        path: Where the bundle goes; an existing file is replaced.
        entries: Name and contents, in pieces, of each.
        aligned: Names of those whose contents begin at a multiple of ALIGNMENT.

    Returns:
        The path.

    Raises:
        FileError: The folder is missing or not writable, or the disk is full.
    """
    with replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=False) as archive:
        for name, pieces in entries:
            entry = zipfile.ZipInfo(name, _FIXED_TIME)
            entry.external_attr = 0o644 << 16
            if name in aligned:
                entry.extra = _padding(file.tell() + 30 + len(name))
            with archive.open(entry, "w") as stream:
                for piece in pieces:
                    stream.write(piece)
    return path


def writable_file(path: Path, *inputs: str | os.PathLike[str] | None, option: str = "--out") -> Path:
    """The path, if a file can be written there; asked before long work rather than after it. Of a link, where it leads.

    Args:
        path: Where the file goes.
        inputs: What is read, and so must not be replaced.
        option: What names the path on the command line, for messages.

    Raises:
        FileError: It is a folder or a device, its folder is missing, or that folder cannot be written to.
        OptionError: It is one of the inputs.
    """
    if path.is_symlink():
        path = path.resolve()
    if path.is_dir():
        raise FileError(f"{path} is a folder; give the name of a file in it")
    if path.exists() and not path.is_file():
        raise FileError(f"{path} is no file but a device or a pipe, which would be replaced; choose another {option}")
    if not path.parent.is_dir():
        raise FileError(f"there is no folder {path.parent}; make it, or choose another {option}")
    if not os.access(path.parent, os.W_OK):
        raise FileError(f"cannot write to {path.parent}; choose another {option}")
    for given in inputs:
        if given is not None and path.exists() and Path(given).exists() and path.samefile(given):
            raise OptionError(f"{path} is read and would be replaced by what is made: give another {option}")
    return path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Opens a file beside ``path`` for writing; when the block ends well it takes the place of ``path``.

    Raises:
        FileError: The folder is missing or not writable, or the disk is full; nothing is left behind.
    """
    name = path.parent / f".{path.name[:SHOWN]}.{secrets.token_hex(8)}.part"
    try:  # with the mode of any new file, which mkstemp would not give; asking for the umask sets it, for all threads
        handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as error:
        raise FileError(
            f"cannot write to {path.parent}: {error.strerror}; choose another place for the file"
        ) from error
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}; nothing was left behind") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def _read_signature(file: IO[bytes], offsets: Mapping[str, int], sizes: Mapping[str, int]) -> bytes | None:
    """The entry ``signature``; no more of it than tells that it is too long."""
    if SIGNATURE not in offsets:
        return None
    file.seek(offsets[SIGNATURE])
    return file.read(min(sizes[SIGNATURE], signing.MAX_BYTES + 1))


def _check_entries(path: Path, entries: list[zipfile.ZipInfo]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for entry in entries:
        name = entry.orig_filename
        if not _NAME.fullmatch(name):
            raise BundleError(
                f"{path} holds an entry named {name[:SHOWN]!r}, which is no plain file name; do not trust this file"
            )
        if name in sizes:
            raise BundleError(f"{path} holds {name[:SHOWN]!r} twice; do not trust this file")
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            raise BundleError(
                f"{name[:SHOWN]} in {path} is compressed or encrypted; the entries of a bundle are stored as they are"
            )
        if entry.file_size != entry.compress_size:
            raise BundleError(f"{name[:SHOWN]} in {path} claims two different sizes; do not trust this file")
        sizes[name] = entry.file_size
    return sizes


def _data_offset(path: Path, file: IO[bytes], file_bytes: int, entry: zipfile.ZipInfo) -> int:
    """Reads the local header, whose extra field may differ in length from the central one."""
    name = entry.orig_filename
    file.seek(max(0, min(entry.header_offset, file_bytes)))
    header = file.read(30)
    if len(header) < 30 or header[:4] != b"PK\x03\x04":
        raise BundleError(f"{name[:SHOWN]} is not where the directory of {path} says; the file is damaged")
    name_bytes, extra_bytes = int.from_bytes(header[26:28], "little"), int.from_bytes(header[28:30], "little")
    if file.read(name_bytes) != name.encode():
        raise BundleError(f"{name[:SHOWN]} has another name inside {path}; the file is damaged")
    return entry.header_offset + 30 + name_bytes + extra_bytes


def _check_layout(path: Path, offsets: Mapping[str, int], sizes: Mapping[str, int], file_bytes: int) -> None:
    end = 0
    for name in sorted(offsets, key=lambda key: offsets[key]):
        if offsets[name] < end or offsets[name] + sizes[name] > file_bytes:
            raise BundleError(
                f"{name[:SHOWN]} in {path} overlaps another entry or the end of the file; the file is damaged"
            )
        end = offsets[name] + sizes[name]


def _compare_names(path: Path, found: set[str], promised: set[str]) -> None:
    if missing := sorted(promised - found):
        raise BundleIntegrityError(f"{path} lacks {_listed(missing)}: the file is damaged; copy it again")
    if extra := sorted(found - promised):
        raise BundleIntegrityError(f"{path} holds {_listed(extra)}, which its manifest does not name; do not trust it")


def _listed(names: list[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(name[:SHOWN] for name in names[:MOST_NAMED]) + more


def _padding(offset: int) -> bytes:
    """A zip extra field that moves data from ``offset`` to the next multiple of ALIGNMENT."""
    fixed = 6  # field id, length of what follows, the alignment itself
    zeros = -(offset + fixed) % ALIGNMENT
    head = _PADDING_FIELD.to_bytes(2, "little") + (2 + zeros).to_bytes(2, "little")
    return head + ALIGNMENT.to_bytes(2, "little") + bytes(zeros)
