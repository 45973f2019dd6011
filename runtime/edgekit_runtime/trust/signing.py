"""Signatures: who vouches for a bundle (docs/bundle.md, "Signature"). Ed25519, RFC 8032.

What is signed is the manifest, byte for byte; it names the SHA-256 of every other entry.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit_runtime.errors import BundleSignatureError
from edgekit_runtime.trust.keys import PublicKey, public_key_id

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ALGORITHM = "Ed25519"
PREFIX = b"edgekit bundle signature 1\n"
MAX_BYTES, MAX_SIGNATURES = 65_536, 16
_KEY_ID = re.compile(r"[0-9a-f]{16}")
_SIGNATURE_BYTES = 64


@dataclass(frozen=True)
class Signature:
    """One signature that a bundle carries.

    Attributes:
        algorithm: ``Ed25519``; others are passed over.
        key_id: Names the key; empty for another algorithm.
        signature: The 64 bytes; empty for another algorithm.
        raw: All that the entry says of it.
    """

    algorithm: str
    key_id: str
    signature: bytes
    raw: Mapping[str, Any]


def parse(entry: bytes, named: str) -> tuple[Signature, ...]:
    """Reads the entry ``signature``.

    Raises:
        BundleSignatureError: It is malformed.
    """
    if len(entry) > MAX_BYTES:
        raise _malformed(named, f"it has more than {MAX_BYTES} bytes")
    try:
        root = json.loads(entry.decode())
    except (ValueError, RecursionError):
        raise _malformed(named, "it is no JSON") from None
    listed = root.get("signatures") if isinstance(root, dict) else None
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise _malformed(named, "it has no list of signatures")
    if len(listed) > MAX_SIGNATURES:
        raise _malformed(named, f"it has more than {MAX_SIGNATURES} signatures")
    return tuple(_parse_one(each, named) for each in listed)


def check(manifest: bytes, entry: bytes | None, trusted: Mapping[str, PublicKey], named: str) -> tuple[str, ...]:
    """Makes sure that somebody trusted signed a manifest, and that no trusted key's signature on it is wrong.

    Args:
        manifest: Its bytes.
        entry: The bundle's entry ``signature``; None if it has none.
        trusted: Keys by their ids.
        named: The bundle, for messages.

    Returns:
        The ids of the trusted keys that signed it.

    Raises:
        BundleSignatureError: Nobody signed it, or none who is trusted, or a signature is wrong or malformed.
    """
    wanted = ", ".join(trusted)
    if entry is None:
        raise BundleSignatureError(f"{named} is not signed, and a signature of {wanted} is asked for; do not trust it")
    signatures = [each for each in parse(entry, named) if each.algorithm == ALGORITHM]
    passed = []
    for each in signatures:
        if each.key_id in trusted:
            if not verifies(trusted[each.key_id], each.signature, PREFIX + manifest):
                raise BundleSignatureError(
                    f"the signature of {each.key_id} in {named} is wrong: the bundle was changed after it was signed; "
                    "do not trust it"
                )
            passed.append(each.key_id)
    if not passed:
        others = ", ".join(each.key_id for each in signatures) or "nobody that this edgekit knows how to check"
        raise BundleSignatureError(f"{named} is signed by {others}, and not by {wanted}; do not trust it")
    return tuple(dict.fromkeys(passed))


def verifies(key: PublicKey, signature: bytes, message: bytes) -> bool:
    """Whether a signature is a key's on a message."""
    from cryptography.exceptions import InvalidSignature

    try:
        key.key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def signed(manifest: bytes, entry: bytes | None, key: Ed25519PrivateKey, named: str) -> bytes:
    """The entry ``signature`` with that of a key added, in the place of an older one of the same key.

    Raises:
        BundleSignatureError: The one before is malformed or full.
    """
    key_id = public_key_id(key.public_key())
    kept: Sequence[Signature] = () if entry is None else parse(entry, named)
    listed = [dict(each.raw) for each in kept if not (each.algorithm == ALGORITHM and each.key_id == key_id)]
    if len(listed) >= MAX_SIGNATURES:
        raise BundleSignatureError(f"{named} has {MAX_SIGNATURES} signatures already, and no reader takes more")
    value = base64.b64encode(key.sign(PREFIX + manifest)).decode()
    listed.append({"algorithm": ALGORITHM, "key_id": key_id, "signature": value})
    made = (json.dumps({"signatures": listed}, indent=1) + "\n").encode()
    if len(made) > MAX_BYTES:
        raise BundleSignatureError(f"the signatures of {named} would take more than {MAX_BYTES} bytes")
    return made


def _parse_one(raw: dict[str, Any], named: str) -> Signature:
    algorithm = raw.get("algorithm")
    if not isinstance(algorithm, str):
        raise _malformed(named, "a signature names no algorithm")
    if algorithm != ALGORITHM:
        return Signature(algorithm, "", b"", raw)
    key_id, text = raw.get("key_id"), raw.get("signature")
    if not isinstance(key_id, str) or not _KEY_ID.fullmatch(key_id) or not isinstance(text, str):
        raise _malformed(named, "a signature has no key_id of 16 hexadecimal digits, or no signature")
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        value = b""
    if len(value) != _SIGNATURE_BYTES:
        raise _malformed(named, f"a signature is not {_SIGNATURE_BYTES} bytes in base64")
    return Signature(algorithm, key_id, value, raw)


def _malformed(named: str, why: str) -> BundleSignatureError:
    return BundleSignatureError(f"the entry 'signature' of {named} is malformed: {why}; do not trust it")
