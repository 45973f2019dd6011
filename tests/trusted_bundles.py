"""Signed and sealed bundles, right and wrong: ``python tests/trusted_bundles.py FOLDER``.

The tests of the Android app run it (TrustedBundlesTest.kt). Here bundles are signed and sealed by the page alone that
describes them (docs/bundle.md) and by the package cryptography. What a reader must say of each stands in ``cases.tsv``;
where Python's says something else, this fails.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode

from bundles import entries, write_hand_made, write_zip
from edgekit_runtime.bundle import MANIFEST, open_bundle
from edgekit_runtime.errors import EdgekitError

PROBE = Path(__file__).parents[1] / "runtime" / "edgekit_runtime" / "probe.edgekit"

KEYS = {name: Ed25519PrivateKey.from_private_bytes(name.encode() * 32) for name in "abc"}
MASTER, OTHER_MASTER = bytes(range(32)), bytes(range(32, 64))
ORDER = 2**252 + 27742317777372353535851937790883648493
"""Of the group of Ed25519 (RFC 8032, section 5.1)."""

SEGMENT_BYTES = 4096
ACCEPTED, BUNDLE, SIGNATURE, SEAL, INTEGRITY = (
    "accepted",
    *(f"{name}Exception" for name in ("Bundle", "BundleSignature", "Seal", "BundleIntegrity")),
)


@dataclass(frozen=True)
class Case:
    """A bundle and what a reader says of it.

    Attributes:
        name: The file's, without its suffix.
        trusted: Names of the trusted keys.
        key: The sealing key's file; empty for none.
        expected: ``accepted``, or the name that the error has in Kotlin.
    """

    name: str
    trusted: str
    key: str
    expected: str


def raw_public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def key_id(key: Ed25519PrivateKey) -> str:
    return hashlib.sha256(raw_public(key)).hexdigest()[:16]


def signature(key: Ed25519PrivateKey, manifest: bytes, **changes: Any) -> dict[str, Any]:
    signed = key.sign(b"edgekit bundle signature 1\n" + manifest)
    made = {"algorithm": "Ed25519", "key_id": key_id(key), "signature": base64.b64encode(signed).decode()}
    return made | changes


def write_signatures(folder: Path) -> list[Case]:
    """Bundles with the entry ``signature``."""
    contents = entries(write_hand_made(folder / "hand-made.edgekit"))
    manifest = contents[MANIFEST]
    a, b, c = (signature(key, manifest) for key in KEYS.values())
    wrong = signature(KEYS["a"], manifest + b" ")
    without_prefix = base64.b64encode(KEYS["a"].sign(manifest)).decode()
    raw = base64.b64decode(a["signature"])
    scalar = int.from_bytes(raw[32:], "little") + ORDER
    malleable = base64.b64encode(raw[:32] + scalar.to_bytes(32, "little")).decode()
    newer = {"algorithm": "ML-DSA-44", "key_id": 7}

    def listed(*signatures: object) -> bytes:
        return json.dumps({"signatures": signatures, "comment": "no reader knows this key"}).encode()

    made: dict[str, tuple[bytes | None, Mapping[str, str]]] = {
        "unsigned": (None, {"": ACCEPTED, "a": SIGNATURE}),
        "by-a": (listed(a), {"": ACCEPTED, "a": ACCEPTED, "b": SIGNATURE, "b a": ACCEPTED}),
        "by-a-and-b": (listed(a, b), {"a": ACCEPTED, "b": ACCEPTED, "a b": ACCEPTED, "c": SIGNATURE}),
        "wrong-beside-right": (listed(wrong, c), {"": ACCEPTED, "a": SIGNATURE, "c": ACCEPTED, "a c": SIGNATURE}),
        "twice-once-wrong": (listed(a, wrong), {"a": SIGNATURE}),
        "of-another-manifest": (listed(wrong), {"a": SIGNATURE}),
        "without-prefix": (listed(a | {"signature": without_prefix}), {"a": SIGNATURE}),
        "under-another-id": (listed(a | {"key_id": key_id(KEYS["b"])}), {"a": SIGNATURE, "b": SIGNATURE}),
        "malleable": (listed(a | {"signature": malleable}), {"a": SIGNATURE}),
        "newer-algorithm": (listed(newer), {"": ACCEPTED, "a": SIGNATURE}),
        "newer-beside-a": (listed(newer, a), {"a": ACCEPTED}),
        "no-signatures": (listed(), {"": ACCEPTED, "a": SIGNATURE}),
        "sixteen": (listed(*[a] * 16), {"a": ACCEPTED}),
        "seventeen": (listed(*[a] * 17), {"": ACCEPTED, "a": SIGNATURE}),
        "large": (listed(a) + b" " * 65_536, {"": ACCEPTED, "a": SIGNATURE}),
        "largest": (listed(a).ljust(65_536), {"a": ACCEPTED}),
        "empty": (b"", {"": ACCEPTED, "a": SIGNATURE}),
        "no-json": (b"{", {"": ACCEPTED, "a": SIGNATURE}),
        "a-list": (b"[]", {"a": SIGNATURE}),
        "no-utf-8": (listed(a) + b"\xff", {"a": SIGNATURE}),
        "short": (listed(a | {"signature": base64.b64encode(raw[:63]).decode()}), {"a": SIGNATURE}),
        "no-base64": (listed(a | {"signature": "*" * 88}), {"a": SIGNATURE}),
        "url-base64": (listed(a | {"signature": "-_" * 43 + "=="}), {"a": SIGNATURE}),
        "a-number": (listed(a | {"signature": 1}), {"a": SIGNATURE}),
        "capital-id": (listed(a | {"key_id": "ABCDEF0123456789"}), {"a": SIGNATURE}),
        "no-id": (listed({key: value for key, value in a.items() if key != "key_id"}), {"a": SIGNATURE}),
    }
    cases = []
    for name, (entry, expected) in made.items():
        added = [] if entry is None else [("signature", entry)]
        write_zip(folder / f"{name}.edgekit", [*contents.items(), *added])
        cases += [Case(name, trusted, "", verdict) for trusted, verdict in expected.items()]
    changed = contents | {"model.tflite": bytes(len(contents["model.tflite"]))}
    write_zip(folder / "swapped-program.edgekit", [*changed.items(), ("signature", listed(a))])
    cases += [Case("swapped-program", trusted, "", INTEGRITY) for trusted in ("", "a")]
    edited = json.loads(manifest)
    edited["files"]["model.tflite"]["sha256"] = hashlib.sha256(changed["model.tflite"]).hexdigest()
    changed[MANIFEST] = json.dumps(edited).encode()
    write_zip(folder / "swapped-with-checksum.edgekit", [*changed.items(), ("signature", listed(a))])
    cases += [Case("swapped-with-checksum", "", "", ACCEPTED), Case("swapped-with-checksum", "a", "", SIGNATURE)]
    return cases


def mac(master: bytes, message: bytes) -> bytes:
    made = hmac.HMAC(master, hashes.SHA256())
    made.update(message)
    return made.finalize()


def file_key(master: bytes, salt: bytes, name: str) -> bytes:
    kdf = KBKDFHMAC(
        hashes.SHA256(),
        Mode.CounterMode,
        32,
        4,
        4,
        CounterLocation.BeforeFixed,
        b"edgekit seal 1",
        salt + name.encode(),
        None,
    )
    return kdf.derive(master)


def nonce(index: int, last: bool) -> bytes:
    return bytes(7) + index.to_bytes(4, "big") + bytes([last])


def segments(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)] or [b""]


def seal(data: bytes, key: bytes, size: int = SEGMENT_BYTES) -> list[bytes]:
    parts = segments(data, size)
    return [AESGCM(key).encrypt(nonce(index, index == len(parts) - 1), part, None) for index, part in enumerate(parts)]


@dataclass(frozen=True)
class Sealed:
    """The probe's contents, sealed; each change makes it wrong."""

    contents: dict[str, bytes]
    manifest: dict[str, Any]

    def write(self, path: Path) -> None:
        """Writes it with checksums that fit whatever was changed."""
        manifest = self.manifest | {
            "files": {
                name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
                for name, data in self.contents.items()
            }
        }
        write_zip(path, [(MANIFEST, json.dumps(manifest).encode()), *self.contents.items()])

    def with_stored(self, name: str, data: bytes) -> Sealed:
        return dataclasses.replace(self, contents=self.contents | {name: data})

    def with_seal(self, **changes: Any) -> Sealed:
        spec = {key: value for key, value in (self.manifest["sealed"] | changes).items() if value is not ...}
        return dataclasses.replace(self, manifest=self.manifest | {"sealed": spec})

    def with_file(self, name: str, **changes: Any) -> Sealed:
        files = self.manifest["sealed"]["files"]
        return self.with_seal(files=files | {name: files[name] | changes})

    def with_manifest(self, **changes: Any) -> Sealed:
        return dataclasses.replace(self, manifest=self.manifest | changes)


def seal_probe(size: int = SEGMENT_BYTES, empty: Sequence[str] = ()) -> Sealed:
    contents = entries(PROBE)
    manifest = json.loads(contents.pop(MANIFEST))
    programs = sorted(program["file"] for model in manifest["models"] for program in model["programs"])
    files = {}
    for name in programs:
        salt = hashlib.sha256(b"salt of " + name.encode()).digest()
        data = b"" if name in empty else contents[name]
        contents[name] = b"".join(seal(data, file_key(MASTER, salt, name), size))
        files[name] = {"salt": base64.b64encode(salt).decode(), "bytes": len(data)}
    spec = {
        "cipher": "AES-256-GCM",
        "segment_bytes": size,
        "key_id": mac(MASTER, b"edgekit seal key id")[:8].hex(),
        "files": files,
    }
    return Sealed(contents, manifest | {"sealed": spec, "schema_version": 3})


def write_sealed(folder: Path) -> list[Case]:
    """The probe sealed, and in every way that its parts can be changed with checksums that fit."""
    right, name = seal_probe(), "model.tflite"
    stored = right.contents[name]
    parts = segments(stored, SEGMENT_BYTES + 16)
    assert len(parts) > 2, "the probe has become too small for several segments"
    swapped = [parts[1], parts[0], *parts[2:]]
    other_salt = right.manifest["sealed"]["files"]["model.pte"]["salt"]
    shorter = right.with_stored(name, b"".join(parts[:-1])).with_file(name, bytes=SEGMENT_BYTES * (len(parts) - 1))
    size = right.manifest["sealed"]["files"][name]["bytes"]
    flipped = bytearray(stored)
    flipped[len(stored) // 2] ^= 1
    tag = bytearray(stored)
    tag[-1] ^= 1
    other_id = mac(OTHER_MASTER, b"edgekit seal key id")[:8].hex()

    made: dict[str, tuple[Sealed, Mapping[str, str]]] = {
        "sealed": (right, {"": SEAL, "seal.key": ACCEPTED, "other.key": SEAL}),
        "sealed-one-segment": (seal_probe(1 << 20), {"seal.key": ACCEPTED}),
        "sealed-empty": (seal_probe(empty=[name]), {"seal.key": ACCEPTED}),
        "sealed-under-another-id": (right.with_seal(key_id=other_id), {"seal.key": SEAL, "other.key": SEAL}),
        "sealed-bit": (right.with_stored(name, bytes(flipped)), {"seal.key": SEAL}),
        "sealed-tag": (right.with_stored(name, bytes(tag)), {"seal.key": SEAL}),
        "sealed-moved": (right.with_stored(name, b"".join(swapped)), {"seal.key": SEAL}),
        "sealed-cut": (shorter, {"seal.key": SEAL}),
        "sealed-other-salt": (right.with_file(name, salt=other_salt), {"seal.key": SEAL}),
        "sealed-zeros": (right.with_stored(name, bytes(len(stored))), {"seal.key": SEAL}),
        "sealed-size": (right.with_file(name, bytes=size + 1), {"": BUNDLE}),
        "sealed-negative": (right.with_file(name, bytes=-1), {"": BUNDLE}),
        "sealed-huge": (right.with_file(name, bytes=10**30), {"": BUNDLE}),
        "sealed-salt-short": (right.with_file(name, salt="AAAA"), {"": BUNDLE}),
        "sealed-salt-number": (right.with_file(name, salt=7), {"": BUNDLE}),
        "sealed-not-all": (right.with_seal(files={name: right.manifest["sealed"]["files"][name]}), {"": BUNDLE}),
        "sealed-tokenizer": (
            right.with_seal(
                files=right.manifest["sealed"]["files"] | {"tokenizer.json": {"salt": other_salt, "bytes": 1}}
            ),
            {"": BUNDLE},
        ),
        "sealed-cipher": (right.with_seal(cipher="AES-128-CBC"), {"": BUNDLE}),
        "sealed-no-cipher": (right.with_seal(cipher=...), {"": BUNDLE}),
        "sealed-small-segments": (right.with_seal(segment_bytes=4095), {"": BUNDLE}),
        "sealed-large-segments": (right.with_seal(segment_bytes=2**24 + 1), {"": BUNDLE}),
        "sealed-key-id": (right.with_seal(key_id="none"), {"": BUNDLE}),
        "sealed-list": (right.with_manifest(sealed=[]), {"": BUNDLE}),
        "sealed-null": (right.with_manifest(sealed=None), {"": ACCEPTED}),
        "sealed-version-2": (right.with_manifest(schema_version=2), {"": BUNDLE}),
    }
    cases = []
    for case, (sealed, expected) in made.items():
        sealed.write(folder / f"{case}.edgekit")
        cases += [Case(case, "", key, verdict) for key, verdict in expected.items()]
    damaged = bytearray((folder / "sealed.edgekit").read_bytes())
    damaged[bytes(damaged).index(stored) + 5000] ^= 1
    (folder / "sealed-damaged.edgekit").write_bytes(damaged)
    contents = entries(folder / "sealed.edgekit")
    signed = json.dumps({"signatures": [signature(KEYS["a"], contents[MANIFEST])]}).encode()
    write_zip(folder / "sealed-signed.edgekit", [*contents.items(), ("signature", signed)])
    return [
        *cases,
        Case("sealed-damaged", "", "seal.key", INTEGRITY),
        Case("sealed-signed", "a", "seal.key", ACCEPTED),
        Case("sealed-signed", "b", "seal.key", SIGNATURE),
    ]


def write_keys(folder: Path) -> None:
    for name, key in KEYS.items():
        pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        (folder / f"{name}.pub").write_bytes(pem)
    for name, master in (("seal", MASTER), ("other", OTHER_MASTER)):
        file = folder / f"{name}.key"
        file.write_bytes(base64.b64encode(master) + b"\n")
        file.chmod(0o600)


def python_says(case: Case, folder: Path) -> str:
    """What Python's reader says of a case, after every program was opened."""
    trusted = [folder / f"{name}.pub" for name in case.trusted.split()] or None
    key = folder / case.key if case.key else None
    try:
        bundle = open_bundle(folder / f"{case.name}.edgekit", trusted_keys=trusted, key=key)
        bundle.check()
        if case.name != "sealed-null":  # it is sealed, and does not say so
            for name in bundle.manifest.program_files:
                bundle.part(name).read()
    except EdgekitError as error:
        return type(error).__name__.replace("Error", "Exception")
    return ACCEPTED


def write_all(folder: Path) -> list[Case]:
    """Every bundle and key; the cases are in ``cases.tsv``, too."""
    write_keys(folder)
    cases = [*write_signatures(folder), *write_sealed(folder)]
    lines = ["\t".join((case.name, case.trusted, case.key, case.expected)) for case in cases]
    (folder / "cases.tsv").write_text("\n".join(lines) + "\n")
    return cases


if __name__ == "__main__":
    target = Path(sys.argv[1])
    found = [(case, python_says(case, target)) for case in write_all(target)]
    if others := [f"{case}, but Python says {said}" for case, said in found if said != case.expected]:
        sys.exit("\n".join(others))
