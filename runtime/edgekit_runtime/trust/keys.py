"""Keys: Ed25519 pairs that sign bundles, and secrets of 32 bytes that seal them (docs/security.md).

A private key is PKCS#8 in PEM, a public one SubjectPublicKeyInfo in PEM, as OpenSSL writes them; a sealing key is a line of
base64.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import getpass
import hashlib
import hmac
import os
import secrets
import stat
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit_runtime.errors import FileError, OptionError, SealError, require
from edgekit_runtime.filepart import open_regular

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SEALING_KEY_BYTES = 32
KEY_VARIABLE, KEY_FILE_VARIABLE = "EDGEKIT_KEY", "EDGEKIT_KEY_FILE"
"""Environment variables with the sealing key in base64, and with the path of its file."""
PASSPHRASE_VARIABLE = "EDGEKIT_KEY_PASSPHRASE"
PUBLIC_SUFFIX = ".pub"
_MOST_BYTES = 1 << 16  # of a file with a key
_KEY_ID_LABEL = b"edgekit seal key id"
_PRIME = 2**255 - 19
_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER = {0, 1, _PRIME - 1, _ORDER_8, _PRIME - _ORDER_8}
"""The y of the eight points of the curve whose order divides 8: under such a public key anybody can sign."""

SealingKey = str | os.PathLike[str] | bytes | Callable[[str], bytes] | None
"""The path of a key file, the 32 bytes, what gives them for a key id, or None: as the environment says."""


@dataclass(frozen=True)
class PublicKey:
    """A key that checks signatures, and its id: the first 8 bytes of its SHA-256, in hexadecimal."""

    key: Ed25519PublicKey
    key_id: str


def write_signing_key(path: str | os.PathLike[str]) -> str:
    """Makes a pair of keys: the private one, for its owner alone to read, and ``PATH.pub``.

    Returns:
        The key's id.

    Raises:
        FileError: One of the files exists, or cannot be written; nothing is left behind.
        MissingExtraError: cryptography is not installed.
    """
    ed25519 = _cryptography("hazmat.primitives.asymmetric.ed25519")
    serialization = _cryptography("hazmat.primitives.serialization")
    private = ed25519.Ed25519PrivateKey.generate()
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    path = Path(path)
    beside = Path(f"{path}{PUBLIC_SUFFIX}")
    if path.is_dir():
        raise FileError(f"{path} is a folder; give the name of a file in it")
    if os.path.lexists(beside):
        raise FileError(f"{beside} exists, and a key is never replaced; choose another name")
    _write_new(path, pem, 0o600)
    try:
        _write_new(beside, public, 0o644)
    except BaseException:
        path.unlink()
        raise
    return public_key_id(private.public_key())


def write_sealing_key(path: str | os.PathLike[str]) -> str:
    """Makes a key that seals and opens bundles, for its owner alone to read.

    Returns:
        The key's id.

    Raises:
        FileError: The file exists, or cannot be written; nothing is left behind.
    """
    key = secrets.token_bytes(SEALING_KEY_BYTES)
    _write_new(Path(path), base64.b64encode(key) + b"\n", 0o600)
    return sealing_key_id(key)


def public_key_id(key: Ed25519PublicKey) -> str:
    """The id under which a public key's signatures are listed."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def sealing_key_id(key: bytes) -> str:
    """The id of a sealing key, of which nothing about the key can be told."""
    return hmac.digest(key, _KEY_ID_LABEL, "sha256")[:8].hex()


def read_public_keys(sources: Sequence[str | os.PathLike[str] | bytes]) -> dict[str, PublicKey]:
    """Public keys by their ids.

    Args:
        sources: Paths of PEM files, or their contents.

    Raises:
        FileError: A file is missing or cannot be read.
        OptionError: There are none, or one is no Ed25519 public key.
    """
    if isinstance(sources, str | bytes | os.PathLike):
        raise OptionError("trusted keys are a list of public keys; put this one into a list")
    if not sources:
        raise OptionError("the list of trusted keys is empty, so no bundle could pass; give one, or none at all")
    serialization = _cryptography("hazmat.primitives.serialization")
    ed25519 = _cryptography("hazmat.primitives.asymmetric.ed25519")
    keys = {}
    for source in sources:
        pem, named = (source, "a trusted key") if isinstance(source, bytes) else (_contents(Path(source)), str(source))
        if b"PRIVATE KEY" in pem:
            raise OptionError(f"{named} is a private key; to check signatures give the public one, NAME.pub")
        try:
            key: Any = serialization.load_pem_public_key(pem) if pem.count(b"-----BEGIN") == 1 else None
        except Exception as error:  # cryptography has several, of no base but Exception
            raise OptionError(f"{named} is no public key in PEM ({error})".partition("\n")[0]) from error
        if not isinstance(key, ed25519.Ed25519PublicKey):
            raise OptionError(f"{named} must hold one Ed25519 public key in PEM; edgekit keygen makes such a pair")
        if int.from_bytes(key.public_bytes_raw(), "little") % 2**255 % _PRIME in _SMALL_ORDER:
            raise OptionError(f"{named} is a key under which anybody can sign; do not trust it, nor who gave it")
        found = PublicKey(key, public_key_id(key))
        keys[found.key_id] = found
    return keys


def read_private_key(path: str | os.PathLike[str]) -> Ed25519PrivateKey:
    """The key that signs. The passphrase of an encrypted one is in EDGEKIT_KEY_PASSPHRASE, or asked for on a terminal.

    Raises:
        FileError: The file is missing, cannot be read, or others may read it.
        OptionError: It is no Ed25519 private key, or the passphrase is missing or wrong.
    """
    serialization = _cryptography("hazmat.primitives.serialization")
    ed25519 = _cryptography("hazmat.primitives.asymmetric.ed25519")
    pem = _contents(Path(path), secret=True)
    if b"PRIVATE KEY" not in pem:
        raise OptionError(f"{path} is no private key in PEM; edgekit keygen makes one")
    try:
        try:
            key: Any = serialization.load_pem_private_key(pem, password=None)
        except TypeError:  # it is encrypted
            key = serialization.load_pem_private_key(pem, password=_passphrase(path))
    except OptionError:
        raise
    except Exception as error:  # cryptography has several, of no base but Exception
        raise OptionError(
            f"{path} cannot be read as a private key: the passphrase is wrong, or the file is damaged"
        ) from error
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise OptionError(f"{path} is a private key of another kind than Ed25519; edgekit keygen makes one")
    found: Ed25519PrivateKey = key
    return found


def read_sealing_key(source: SealingKey, key_id: str, named: str) -> bytes:
    """The key that opens a bundle.

    Args:
        source: Where it is.
        key_id: The id that it must have.
        named: The bundle, for messages.

    Raises:
        SealError: There is none, it is malformed, or another one.
        FileError: Its file is missing, cannot be read, or others may read it.
    """
    key = given_key(source, key_id)
    if key is None:
        raise SealError(
            f"the programs of {named} are sealed: give the key {key_id} by --key-file, by key= in Python, or in "
            f"{KEY_FILE_VARIABLE} or {KEY_VARIABLE}"
        )
    if (found := sealing_key_id(key)) != key_id:
        raise SealError(f"{named} was sealed with the key {key_id}, and the given one is {found}; give that key")
    return key


def given_key(source: SealingKey, key_id: str = "") -> bytes | None:
    """The sealing key that was given; None if there is none.

    Args:
        source: Where it is.
        key_id: What a callable is asked for.

    Raises:
        SealError: It is malformed.
        FileError: Its file is missing, cannot be read, or others may read it.
    """
    if source is None:
        value, file = os.environ.get(KEY_VARIABLE), os.environ.get(KEY_FILE_VARIABLE)
        if value and file:
            raise SealError(f"{KEY_VARIABLE} and {KEY_FILE_VARIABLE} are both set; unset one of them")
        if value:
            return _decoded(os.fsencode(value), KEY_VARIABLE)  # bytes that are no text are no key, and no traceback
        return given_key(file) if file else None
    if isinstance(source, bytes | bytearray):
        return _checked(bytes(source), "the key")
    if callable(source):
        return _checked(source(key_id), "what the function for the key gave")
    return _decoded(_contents(Path(source), secret=True), str(source))


def _decoded(text: bytes, named: str) -> bytes:
    try:
        return _checked(base64.b64decode(text.strip(), validate=True), named)
    except (binascii.Error, ValueError):
        raise SealError(f"{named} is no sealing key, a line of base64; edgekit keygen --sealing makes one") from None


def _checked(key: bytes, named: str) -> bytes:
    if not isinstance(key, bytes) or len(key) != SEALING_KEY_BYTES:
        raise SealError(f"{named} is no sealing key of {SEALING_KEY_BYTES} bytes; edgekit keygen --sealing makes one")
    return key


def _contents(path: Path, *, secret: bool = False) -> bytes:
    """A key file's contents; one's own that others may read is refused, as ssh does."""
    try:
        with open_regular(path) as file:
            status, data = os.fstat(file.fileno()), file.read(_MOST_BYTES)
            secret = secret and (b"PRIVATE KEY" in data or b"PUBLIC KEY" not in data)
            if secret and os.name == "posix" and status.st_uid == os.getuid() and status.st_mode & 0o077:
                mode = stat.S_IMODE(status.st_mode)
                raise FileError(f"{path} is a secret that others may read (mode {mode:04o}): chmod 600 {path}")
            return data
    except FileNotFoundError:
        raise FileError(f"there is no key {path}; edgekit keygen makes one") from None
    except OSError as error:
        raise FileError(f"cannot read the key {path}: {error.strerror}") from error


def _write_new(path: Path, data: bytes, mode: int) -> None:
    """Writes a file that did not exist; nothing is left of it if that fails."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise FileError(f"{path} exists, and a key is never replaced; choose another name") from None
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}; choose another place for the key") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException as error:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        if isinstance(error, OSError):
            raise FileError(f"cannot write {path}: {error.strerror}; nothing was left behind") from error
        raise


def _passphrase(path: str | os.PathLike[str]) -> bytes:
    value = os.environ.get(PASSPHRASE_VARIABLE)
    if value is None and sys.stdin is not None and sys.stdin.isatty():
        value = getpass.getpass(f"passphrase of {path}: ")
    if not value:
        raise OptionError(f"{path} is encrypted: set {PASSPHRASE_VARIABLE}, or call it on a terminal")
    return value.encode()


def _cryptography(module: str) -> Any:
    return require(f"cryptography.{module}", extra="trust", purpose="a signed or sealed bundle")
