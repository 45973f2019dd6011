"""Signatures: who is trusted, and that nothing of a signed bundle can be changed. RFC 8032; docs/bundle.md."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

import edgekit as sdk
import edgekit_runtime as ek
import trusted_bundles
from bundles import entries, write_hand_made
from conftest import missing
from edgekit_runtime import bundle as bundle_module
from edgekit_runtime.bundle import MANIFEST, SIGNATURE, open_bundle
from edgekit_runtime.errors import (
    BundleIntegrityError,
    BundleSignatureError,
    EdgekitError,
    FileError,
    OptionError,
)
from edgekit_runtime.trust import keys, signing
from test_cli import edgekit

PEM, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the keys ``a`` and ``b`` and a hand-made bundle, unsigned and signed by ``a``."""
    folder = tmp_path_factory.mktemp("signed")
    for name in "ab":
        keys.write_signing_key(folder / name)
    write_hand_made(folder / "plain.edgekit")
    sdk.sign_bundle(folder / "plain.edgekit", folder / "a", folder / "signed.edgekit")
    return folder


def refused(path: Path, trusted: Sequence[Path], match: str) -> None:
    with pytest.raises(BundleSignatureError, match=match):
        open_bundle(path, trusted_keys=trusted)


def test_the_vectors_of_rfc_8032() -> None:
    private = bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
    public = bytes.fromhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")
    value = bytes.fromhex(
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    )
    key = Ed25519PrivateKey.from_private_bytes(private).public_key()
    assert key.public_bytes_raw() == public
    pem = key.public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (read,) = keys.read_public_keys([pem]).values()
    assert signing.verifies(read, value, bytes.fromhex("af82"))
    assert not signing.verifies(read, value, bytes.fromhex("af83"))
    assert not signing.verifies(read, value[:-1] + bytes([value[-1] ^ 1]), bytes.fromhex("af82"))


def test_every_signature_that_was_written_by_other_code_is_taken_or_refused_as_it_should_be(tmp_path: Path) -> None:
    trusted_bundles.write_keys(tmp_path)
    cases = trusted_bundles.write_signatures(tmp_path)
    assert len(cases) > 40
    for case in cases:
        trusted = [tmp_path / f"{name}.pub" for name in case.trusted.split()]
        try:
            open_bundle(tmp_path / f"{case.name}.edgekit", trusted_keys=trusted or None).check()
            found = "accepted"
        except EdgekitError as error:
            found = type(error).__name__.replace("Error", "Exception")
        assert found == case.expected, case


def test_the_manifest_stays_byte_for_byte_and_programs_stay_aligned(place: Path) -> None:
    plain, signed = entries(place / "plain.edgekit"), entries(place / "signed.edgekit")
    assert {name: data for name, data in signed.items() if name != SIGNATURE} == plain
    assert list(signed)[-1] == SIGNATURE
    assert open_bundle(place / "signed.edgekit").stored("model.tflite").offset % 4096 == 0
    again = sdk.sign_bundle(place / "plain.edgekit", place / "a", place / "again.edgekit")
    assert again.read_bytes() == (place / "signed.edgekit").read_bytes(), "the same contents give the same bytes"
    (one,) = json.loads(signed[SIGNATURE])["signatures"]
    assert (one["algorithm"], len(one["key_id"]), set(one)) == ("Ed25519", 16, {"algorithm", "key_id", "signature"})


def test_a_signed_bundle_is_opened_by_its_key_and_by_no_other(place: Path) -> None:
    path, a, b = place / "signed.edgekit", place / "a.pub", place / "b.pub"
    (key_id,) = open_bundle(path, trusted_keys=[a]).signed_by
    assert open_bundle(path, trusted_keys=[b, a.read_bytes()]).signed_by == (key_id,)
    assert open_bundle(path).signed_by == ()
    refused(path, [b], f"is signed by {key_id}, and not by [0-9a-f]{{16}}; do not trust it")
    refused(place / "plain.edgekit", [a], "is not signed")


def test_keys_are_rotated_by_two_signatures(place: Path, tmp_path: Path) -> None:
    both = sdk.sign_bundle(place / "signed.edgekit", place / "b", tmp_path / "both.edgekit")
    for name in "ab":
        assert len(open_bundle(both, trusted_keys=[place / f"{name}.pub"]).signed_by) == 1
    assert len(open_bundle(both, trusted_keys=[place / "a.pub", place / "b.pub"]).signed_by) == 2
    sdk.sign_bundle(both, place / "a")
    assert len(open_bundle(both).signatures()) == 2, "the older one of the same key is replaced"


def test_no_byte_of_a_signed_bundle_can_be_changed_unseen(place: Path, tmp_path: Path) -> None:
    path, changed = place / "signed.edgekit", tmp_path / "x.edgekit"
    data, opened = path.read_bytes(), open_bundle(path)
    parts = [opened.stored(name) for name in opened.manifest.files]
    spots = [part.offset + part.size * at // 8 for part in parts for at in range(8)]
    start = data.index(opened.manifest_bytes)
    spots += range(start, start + len(opened.manifest_bytes), 13)
    assert opened.signature is not None
    start = data.rindex(opened.signature)
    base64_at = start + opened.signature.index(b'"signature": "') + 14
    spots += range(base64_at, base64_at + 88, 5)
    for spot in spots:
        (mutable := bytearray(data))[spot] ^= 1
        changed.write_bytes(mutable)
        with pytest.raises((BundleIntegrityError, BundleSignatureError)):
            open_bundle(changed, trusted_keys=[place / "a.pub"]).check()


def rezipped(entry: Mapping[str, bytes], random: Random) -> bytes:
    """The same entries in another order, with other dates, modes and comments."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in random.sample(sorted(entry), len(entry)):
            info = zipfile.ZipInfo(name, (random.randrange(1980, 2100), 2, 3, 4, 5, 6))
            info.external_attr, info.comment = random.getrandbits(32), random.randbytes(5)
            archive.writestr(info, entry[name])
    return made.getvalue()


def test_what_still_opens_after_a_change_is_what_was_signed(place: Path, tmp_path: Path) -> None:
    """Around its entries a zip has much that no signature is of: none of it changes anything that a bundle says or holds."""
    path, random = tmp_path / "x.edgekit", Random(4)
    data = (place / "signed.edgekit").read_bytes()
    directory = data.index(b"PK\x01\x02")

    def flipped() -> bytes:
        at = random.choice((random.randrange(60), random.randrange(directory, len(data))))
        return data[:at] + random.randbytes(1) + data[at + 1 :]

    changes = (
        flipped,
        lambda: random.randbytes(random.randrange(1, 5000)) + data,
        lambda: data + random.randbytes(9),
        lambda: data[:-2] + (9).to_bytes(2, "little") + random.randbytes(9),
        lambda: data + data,
        lambda: rezipped(entries(place / "signed.edgekit"), random),
    )

    def told() -> tuple[object, ...]:
        opened = open_bundle(path, trusted_keys=[place / "a.pub"])
        held = {name: opened.read(name) for name in opened.manifest.files}
        return opened.manifest, opened.manifest_bytes, opened.signed_by, held

    path.write_bytes(data)
    before, opened = told(), 0
    for number in range(400):
        path.write_bytes(changes[number % len(changes)]())
        with contextlib.suppress(EdgekitError):
            assert told() == before
            opened += 1
    assert 200 < opened < 400


def test_a_manifest_edited_with_all_checksums_right_is_refused_before_anything_else_is_read(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = entries(place / "signed.edgekit")
    edited = contents | {MANIFEST: contents[MANIFEST].replace(b'"negative"', b'"positivE"')}
    assert edited != contents
    path = trusted_bundles.write_zip(tmp_path / "x.edgekit", edited.items())
    open_bundle(path).check()  # checksums find damage, not malice

    def never(*arguments: object) -> None:
        raise AssertionError("an entry was looked at before the signature was")

    monkeypatch.setattr(bundle_module.Bundle, "stored", never)
    with pytest.raises(BundleSignatureError, match="was changed after it was signed"):
        ek.load(path, trusted_keys=[place / "a.pub"])


def test_a_real_bundle_loads_by_its_key(place: Path, bundle: Path, tmp_path: Path) -> None:
    signed = sdk.sign_bundle(bundle, place / "a", tmp_path / "signed.edgekit")
    with ek.load(signed, trusted_keys=[place / "a.pub"]) as classify:
        assert classify("the film was good").label == "positive"
    with pytest.raises(BundleSignatureError):
        ek.load(bundle, trusted_keys=[place / "a.pub"])


def test_a_damaged_bundle_is_not_signed(place: Path, tmp_path: Path) -> None:
    data = bytearray((place / "plain.edgekit").read_bytes())
    data[open_bundle(place / "plain.edgekit").stored("model.tflite").offset + 5] ^= 1
    (tmp_path / "x.edgekit").write_bytes(data)
    with pytest.raises(BundleIntegrityError):
        sdk.sign_bundle(tmp_path / "x.edgekit", place / "a", tmp_path / "signed.edgekit")
    assert [each.name for each in tmp_path.iterdir()] == ["x.edgekit"]


def test_keys_that_are_none(place: Path, tmp_path: Path) -> None:
    path = place / "signed.edgekit"
    (tmp_path / "junk").write_bytes(b"junk")
    (tmp_path / "two.pub").write_bytes((place / "a.pub").read_bytes() * 2)
    other = generate_private_key(SECP256R1())
    public = other.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for trusted, match in (
        ([], "empty"),
        (str(place / "a.pub"), "a list"),
        ([place / "a"], "is a private key"),
        ([tmp_path / "junk"], "Ed25519 public key"),
        ([tmp_path / "two.pub"], "one Ed25519 public key"),
        ([public], "Ed25519 public key"),
    ):
        with pytest.raises(OptionError, match=match):
            open_bundle(path, trusted_keys=trusted)
    with pytest.raises(FileError, match="there is no key"):
        open_bundle(path, trusted_keys=[tmp_path / "none.pub"])
    (tmp_path / "ec").write_bytes(other.private_bytes(PEM, PKCS8, serialization.NoEncryption()))
    (tmp_path / "ec").chmod(0o600)
    for name, match in ((tmp_path / "ec", "another kind"), (place / "a.pub", "no private key")):
        with pytest.raises(OptionError, match=match):
            sdk.sign_bundle(path, name, tmp_path / "x.edgekit")


@pytest.mark.parametrize("y", [0, 1, 2**255 - 20, 2**255 - 19, 2**255 - 18, keys._ORDER_8, keys._PRIME - keys._ORDER_8])
@pytest.mark.parametrize("sign", [0, 1])
def test_a_key_under_which_anybody_can_sign_is_refused(y: int, sign: int, place: Path) -> None:
    key = Ed25519PublicKey.from_public_bytes((y + (sign << 255)).to_bytes(32, "little"))
    if (y, sign) == (1, 0):  # why: this signature needs no private key
        key.verify(b"\1" + bytes(63), b"anything")
    with pytest.raises(OptionError, match="anybody can sign"):
        keys.read_public_keys([key.public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)])


def test_the_points_of_order_8_are_twice_a_point_of_order_4() -> None:
    """Doubled, they have y = 0, so x² = -y², which the equation of the curve turns into d·y⁴ + 2·y² = 1."""
    prime, y = keys._PRIME, keys._ORDER_8
    d = -121665 * pow(121666, -1, prime)
    assert (d * y**4 + 2 * y**2 - 1) % prime == 0


@pytest.mark.skipif(os.name != "posix", reason="POSIX file modes")
def test_a_private_key_is_its_owners_alone(place: Path, tmp_path: Path) -> None:
    assert (place / "a").stat().st_mode & 0o777 == 0o600
    shutil.copy(place / "a", tmp_path / "a")
    (tmp_path / "a").chmod(0o640)
    with pytest.raises(FileError, match=r"others may read \(mode 0640\): chmod 600"):
        sdk.sign_bundle(place / "plain.edgekit", tmp_path / "a", tmp_path / "x.edgekit")


@pytest.mark.skipif(os.name != "posix", reason="POSIX file modes")
@pytest.mark.parametrize("order", ["ab", "ba"])
def test_a_private_key_is_secret_with_the_public_one_in_the_same_file_too(
    order: str, place: Path, tmp_path: Path
) -> None:
    halves = {"a": place / "a", "b": place / "a.pub"}
    (tmp_path / "both").write_bytes(b"".join(halves[half].read_bytes() for half in order))
    (tmp_path / "both").chmod(0o644)
    with pytest.raises(FileError, match=r"others may read \(mode 0644\)"):
        keys.read_private_key(tmp_path / "both")


@pytest.mark.skipif(os.name != "posix", reason="POSIX file modes")
def test_no_umask_opens_a_new_key_to_others(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        keys.write_signing_key(tmp_path / "key")
        keys.write_sealing_key(tmp_path / "seal.key")
    finally:
        os.umask(before)
    assert {each.name: each.stat().st_mode & 0o777 for each in tmp_path.iterdir()} == {
        "key": 0o600,
        "key.pub": 0o644,
        "seal.key": 0o600,
    }


def test_a_key_goes_into_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for place in (".", "", "/"):
        with pytest.raises(FileError, match="is a folder; give the name of a file in it"):
            keys.write_signing_key(place)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("existing", ["a", "a.pub"])
def test_a_key_is_never_replaced(existing: str, tmp_path: Path) -> None:
    (tmp_path / existing).write_text("old")
    with pytest.raises(FileError, match="exists, and a key is never replaced"):
        keys.write_signing_key(tmp_path / "a")
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [(existing, "old")]


def test_a_key_with_a_passphrase(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private = keys.read_private_key(place / "a")
    (tmp_path / "a").write_bytes(private.private_bytes(PEM, PKCS8, serialization.BestAvailableEncryption(b"open")))
    (tmp_path / "a").chmod(0o600)
    with pytest.raises(OptionError, match="set EDGEKIT_KEY_PASSPHRASE"):
        keys.read_private_key(tmp_path / "a")
    monkeypatch.setenv("EDGEKIT_KEY_PASSPHRASE", "shut")
    with pytest.raises(OptionError, match="the passphrase is wrong"):
        keys.read_private_key(tmp_path / "a")
    monkeypatch.setenv("EDGEKIT_KEY_PASSPHRASE", "open")
    assert keys.read_private_key(tmp_path / "a").private_bytes_raw() == private.private_bytes_raw()


def test_keys_that_openssl_made(place: Path, tmp_path: Path) -> None:
    if not shutil.which("openssl"):
        missing("openssl")
    for call in (
        ["genpkey", "-algorithm", "ed25519", "-out", "key"],
        ["pkey", "-in", "key", "-pubout", "-out", "key.pub"],
    ):
        subprocess.run(["openssl", *call], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "key").chmod(0o600)
    signed = sdk.sign_bundle(place / "plain.edgekit", tmp_path / "key", tmp_path / "signed.edgekit")
    assert len(open_bundle(signed, trusted_keys=[tmp_path / "key.pub"]).signed_by) == 1


def test_the_name_of_an_algorithm_cannot_forge_a_line(place: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(place / "plain.edgekit", tmp_path / "x.edgekit"))
    with zipfile.ZipFile(path, "a") as archive:
        forged = {"signatures": [{"algorithm": "\x1b[2K\rsigned\nby \u202eall"}]}
        archive.writestr(zipfile.ZipInfo(SIGNATURE, (1980, 1, 1, 0, 0, 0)), json.dumps(forged))
    for printed in (edgekit("inspect", path).stdout, edgekit("sign", path, "--key", place / "a").stdout):
        assert r"\x1b[2K\rsigned\nby \u202eall" in printed


def test_the_commands(bundle: Path, tmp_path: Path) -> None:
    key, signed = tmp_path / "release", tmp_path / "signed.edgekit"
    made = json.loads(edgekit("keygen", "--out", key, "--json").stdout)
    assert made == {"key": str(key), "public": f"{key}.pub", "key_id": made["key_id"]}
    again = edgekit("keygen", "--out", key)
    assert (again.returncode, again.stdout) == (1, "")
    assert "never replaced" in again.stderr
    done = json.loads(edgekit("sign", bundle, "--key", key, "--out", signed, "--json").stdout)
    assert done == {"bundle": str(signed), "signatures": [made["key_id"]]}
    assert f"said to be of {made['key_id']}; not checked" in edgekit("inspect", signed).stdout
    verified = json.loads(edgekit("verify", signed, "--key", f"{key}.pub", "--json").stdout)
    assert verified["signed_by"] == [made["key_id"]]
    good = edgekit("predict", signed, "--trusted-key", f"{key}.pub", "the film was good")
    assert good.stdout.startswith("positive\t")
    for name in ("verify", "predict"):
        option = "--key" if name == "verify" else "--trusted-key"
        bad = edgekit(name, bundle, option, f"{key}.pub", *(["x"] if name == "predict" else []))
        assert (bad.returncode, bad.stdout) == (1, "")
        assert "is not signed" in bad.stderr
        assert bad.stderr.count("\n") == 1
