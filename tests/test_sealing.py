"""Sealed programs: who has the key runs them, and nobody else reads or changes one. docs/bundle.md."""

from __future__ import annotations

import base64
import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import edgekit as sdk
import edgekit_runtime as ek
import trusted_bundles
from bundles import entries, make_contents, make_manifest
from conftest import missing
from edgekit_converters.packing import read_part
from edgekit_converters.stripping import strip_bundle
from edgekit_runtime.bundle import MANIFEST, SIGNATURE, open_bundle, write_bundle_file
from edgekit_runtime.engines import ENGINES, engine_class
from edgekit_runtime.errors import BundleIntegrityError, EdgekitError, FileError, OptionError, SealError
from edgekit_runtime.profiling.operators.measure import TRACERS, trace_program
from edgekit_runtime.selftest import run_golden_texts
from edgekit_runtime.trust import keys, sealing
from edgekit_runtime.trust.sealing import SealedPart
from test_cli import edgekit
from trusted_bundles import MASTER, PROBE

OTHER = bytes(32)


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key in the environment but those that a test puts there."""
    monkeypatch.delenv("EDGEKIT_KEY", raising=False)
    monkeypatch.delenv("EDGEKIT_KEY_FILE", raising=False)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The probe, a small real program for each engine, sealed with MASTER; ``seal.key`` lies beside it."""
    folder = tmp_path_factory.mktemp("sealed")
    (folder / "seal.key").write_bytes(base64.b64encode(MASTER) + b"\n")
    (folder / "seal.key").chmod(0o600)
    return sdk.seal_bundle(PROBE, MASTER, folder / "sealed.edgekit")


@pytest.fixture
def own_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder that is both the one for temporary files and the working directory."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.chdir(folder)
    return folder


def engine_or_skip(name: str) -> str:
    if reason := engine_class(name).unavailable():
        missing(reason)
    return name


def test_every_bundle_that_was_sealed_by_other_code_is_opened_or_refused_as_it_should_be(tmp_path: Path) -> None:
    trusted_bundles.write_keys(tmp_path)
    for name in ("seal.key", "other.key"):
        (tmp_path / name).chmod(0o600)
    cases = trusted_bundles.write_sealed(tmp_path)
    assert len(cases) > 25
    for case in cases:
        trusted = [tmp_path / f"{name}.pub" for name in case.trusted.split()]
        try:
            key = tmp_path / case.key if case.key else None
            opened = open_bundle(tmp_path / f"{case.name}.edgekit", trusted_keys=trusted or None, key=key)
            opened.check()
            for program in opened.manifest.program_files:
                opened.part(program).read()
            found = "accepted"
        except EdgekitError as error:
            found = type(error).__name__.replace("Error", "Exception")
        assert found == case.expected, case


def test_what_is_sealed_here_is_opened_by_other_code(sealed: Path) -> None:
    plain, stored = entries(PROBE), entries(sealed)
    manifest = json.loads(stored[MANIFEST])
    said = manifest["sealed"]
    assert (manifest["schema_version"], said["cipher"], said["segment_bytes"]) == (3, "AES-256-GCM", 1 << 20)
    assert set(said["files"]) == {"model.tflite", "model.pte", "model.onnx"}
    assert said["key_id"] == trusted_bundles.mac(MASTER, b"edgekit seal key id")[:8].hex()
    salts = {name: base64.b64decode(file["salt"]) for name, file in said["files"].items()}
    assert len(set(salts.values())) == 3, "each file has its own"
    for name, salt in salts.items():
        key = trusted_bundles.file_key(MASTER, salt, name)
        assert sealing.file_key(MASTER, salt, name) == key
        assert stored[name] == b"".join(trusted_bundles.seal(plain[name], key, 1 << 20))
        assert open_bundle(sealed).stored(name).offset % 4096 == 0
    for name in plain.keys() - salts.keys() - {MANIFEST}:
        assert stored[name] == plain[name]
    again = sdk.seal_bundle(PROBE, MASTER, sealed.parent / "again.edgekit")
    assert json.loads(entries(again)[MANIFEST])["sealed"]["files"] != said["files"], "salts are random"


@pytest.mark.parametrize("size", [0, 1, 4096, 4097, 3 * 4096])
def test_segments_at_their_borders(size: int) -> None:
    data = os.urandom(size)
    pieces = [data[at : at + 4096] for at in range(0, size, 4096)]
    assert list(sealing.encrypted(pieces, size, OTHER, 4096)) == trusted_bundles.seal(data, OTHER, 4096)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_runs_a_sealed_program_as_it_runs_the_open_one(engine: str, sealed: Path) -> None:
    engine_or_skip(engine)
    with ek.load(sealed, engine=engine, key=MASTER) as closed, ek.load(PROBE, engine=engine) as plain:
        for text in ("ok", "what a film"):
            assert closed(text) == plain(text)


@pytest.mark.parametrize("engine", TRACERS)
def test_times_by_operator_of_a_sealed_program(engine: str, sealed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine_or_skip(engine)
    monkeypatch.setenv("EDGEKIT_KEY_FILE", str(sealed.parent / "seal.key"))
    program = next(each for each in open_bundle(sealed).manifest.main.programs if each.engine == engine)
    assert trace_program(str(sealed), "main", program.file, TRACERS[engine], 1, 2, 2).operators


def test_a_key_in_every_form(sealed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, asked = sealed.parent / "seal.key", []

    def callback(key_id: str) -> bytes:
        asked.append(key_id)
        return MASTER

    plain = entries(PROBE)["model.onnx"]
    for key in (MASTER, file, str(file), callback):
        assert open_bundle(sealed, key=key).part("model.onnx").read() == plain
    assert asked == [keys.sealing_key_id(MASTER)]
    monkeypatch.setenv("EDGEKIT_KEY", base64.b64encode(MASTER).decode())
    assert open_bundle(sealed).part("model.onnx").read() == plain
    monkeypatch.setenv("EDGEKIT_KEY_FILE", str(file))
    with pytest.raises(SealError, match="both set"):
        open_bundle(sealed).part("model.onnx").read()
    monkeypatch.delenv("EDGEKIT_KEY")
    assert open_bundle(sealed).part("model.onnx").read() == plain


def test_no_key_a_wrong_one_and_none_at_all(sealed: Path, tmp_path: Path) -> None:
    opened = open_bundle(sealed)
    opened.check()  # checksums, manifest and tokenizer need no key
    assert opened.read("tokenizer.json") == entries(PROBE)["tokenizer.json"]
    key_id = keys.sealing_key_id(MASTER)
    with pytest.raises(SealError, match=f"are sealed: give the key {key_id} by --key-file"):
        ek.load(sealed)
    with pytest.raises(
        SealError, match=f"sealed with the key {key_id}, and the given one is {keys.sealing_key_id(OTHER)}"
    ):
        ek.load(sealed, key=OTHER)
    (tmp_path / "short.key").write_bytes(base64.b64encode(MASTER[:31]))
    (tmp_path / "junk.key").write_bytes(b"no base64 at all")
    for file in tmp_path.iterdir():
        file.chmod(0o600)
    for key in (MASTER[:31], lambda _: b"", tmp_path / "short.key", tmp_path / "junk.key"):
        with pytest.raises(SealError, match="no sealing key"):
            ek.load(sealed, key=key)
    with pytest.raises(FileError, match="there is no key"):
        ek.load(sealed, key=tmp_path / "none.key")


def test_a_key_in_the_environment_that_is_no_text(sealed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_KEY", os.fsdecode(b"secret\xff"))
    with pytest.raises(SealError, match="EDGEKIT_KEY is no sealing key") as raised:
        ek.load(sealed)
    assert "secret" not in "".join(traceback.format_exception(raised.value))


def test_a_sealed_bundle_never_takes_the_place_of_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "seal.key"
    keys.write_sealing_key(file)
    before = file.read_bytes()
    (tmp_path / "link").symlink_to(file)
    monkeypatch.setenv("EDGEKIT_KEY_FILE", str(file))
    for key in (None, file):
        for out in (file, tmp_path / "link"):
            with pytest.raises(OptionError, match="is read and would be replaced"):
                sdk.seal_bundle(PROBE, key, out)
    assert file.read_bytes() == before


@pytest.mark.skipif(os.name != "posix", reason="POSIX file modes")
def test_a_sealing_key_is_its_owners_alone(sealed: Path, tmp_path: Path) -> None:
    keys.write_sealing_key(tmp_path / "key")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert len(base64.b64decode((tmp_path / "key").read_text())) == 32
    (tmp_path / "key").chmod(0o604)
    with pytest.raises(FileError, match="others may read"):
        ek.load(sealed, key=tmp_path / "key")


def forged(sealed: Path, out: Path, name: str, data: bytes) -> Path:
    """A bundle with another sealed program and checksums that agree with it."""
    contents = entries(sealed) | {name: data}
    manifest = json.loads(contents[MANIFEST])
    contents[MANIFEST] = b""
    made = trusted_bundles.Sealed({key: each for key, each in contents.items() if key != MANIFEST}, manifest)
    made.write(out)
    return out


def test_nothing_reaches_an_engine_before_the_last_segment_is_authentic(sealed: Path, tmp_path: Path) -> None:
    stored = entries(sealed)["model.pte"]
    path = forged(sealed, tmp_path / "x.edgekit", "model.pte", stored[:-1] + bytes([stored[-1] ^ 1]))
    part = open_bundle(path, key=MASTER).part("model.pte")
    assert isinstance(part, SealedPart)
    with pytest.raises(SealError, match="was changed or moved"):
        part.read()
    with pytest.raises(SealError, match="was changed or moved"), part.mapped():
        pytest.fail("an engine could have mapped it")
    with pytest.raises(SealError, match="was changed or moved"):
        ek.load(path, engine=engine_or_skip("executorch"), key=MASTER)


def test_the_checksum_is_compared_before_anything_is_opened(sealed: Path, tmp_path: Path) -> None:
    data = bytearray(sealed.read_bytes())
    data[open_bundle(sealed).stored("model.onnx").offset + 9] ^= 1
    (tmp_path / "x.edgekit").write_bytes(data)
    with pytest.raises(BundleIntegrityError, match="differs from its checksum"):
        open_bundle(tmp_path / "x.edgekit", key=MASTER).part("model.onnx").read()


class Spy:
    """edgekit_executorch's Program, with what it was given to map."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.real = folder, importlib.import_module("edgekit_executorch").Program
        self.path, self.target, self.modes, self.files = "", "", (0, 0), [""]

    def __call__(self, path: Path, **options: Any) -> Any:
        self.path, self.target = str(path), str(path.readlink()) if path.is_symlink() else ""
        self.modes = (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777)
        self.files = [str(each) for each in self.folder.rglob("*")]
        return self.real(path, **options)


@pytest.fixture
def spy(own_temporary: Path, monkeypatch: pytest.MonkeyPatch) -> Spy:
    if engine_or_skip("executorch") and not importlib.util.find_spec("edgekit_executorch"):
        missing("edgekit-executorch")
    made = Spy(own_temporary)
    monkeypatch.setattr("edgekit_executorch.Program", made)
    return made


@pytest.mark.skipif(sys.platform != "linux", reason="anonymous memory is Linux'")
def test_executorch_maps_memory_that_is_on_no_disk(sealed: Path, spy: Spy) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with ek.load(sealed, engine="executorch", key=MASTER) as classify:
        assert spy.path.startswith("/proc/self/fd/")
        assert spy.target.startswith("/memfd:")
        assert spy.files == [str(each) for each in spy.folder.iterdir()] == []
        assert classify("ok").label
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_elsewhere_a_private_file_is_removed_at_once(sealed: Path, spy: Spy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    with ek.load(sealed, engine="executorch", key=MASTER) as classify:
        assert spy.path.startswith(str(spy.folder))
        assert spy.modes == (0o600, 0o700)
        assert not any(spy.folder.iterdir()), "before the first text is classified"
        assert classify("ok").label


@pytest.mark.parametrize("engine", ["litert", "onnx"])
def test_engines_that_take_bytes_leave_nothing_on_disk(engine: str, sealed: Path, own_temporary: Path) -> None:
    with ek.load(sealed, engine=engine_or_skip(engine), key=MASTER):
        assert not any(own_temporary.iterdir())


def test_the_self_test_and_the_trial_take_the_key_along(sealed: Path) -> None:
    tests = run_golden_texts(open_bundle(sealed, key=MASTER))
    assert any(test.golden for test in tests)
    with ek.load(sealed, key=MASTER, trial=True) as classify:
        assert classify("ok").label


def test_what_cannot_be_done_with_a_sealed_bundle(sealed: Path, tmp_path: Path) -> None:
    with pytest.raises(SealError, match="sealed already"):
        sdk.seal_bundle(sealed, MASTER, tmp_path / "x.edgekit")
    with pytest.raises(SealError, match="are sealed; give the bundle as it was before"):
        read_part(sealed)
    with pytest.raises(SealError, match="no key to seal with"):
        sdk.seal_bundle(PROBE, None, tmp_path / "x.edgekit")
    assert not any(tmp_path.iterdir())


def test_a_sealed_bundle_can_be_stripped_and_stays_sealed(sealed: Path, tmp_path: Path) -> None:
    out = tmp_path / "stripped.edgekit"
    strip_bundle(sealed, out)
    assert entries(out)["model.onnx"] == entries(sealed)["model.onnx"]
    assert open_bundle(out, key=MASTER).part("model.onnx").read() == entries(PROBE)["model.onnx"]


def test_sealing_drops_a_signature_and_signing_comes_after(sealed: Path, tmp_path: Path) -> None:
    keys.write_signing_key(tmp_path / "a")
    signed = sdk.sign_bundle(PROBE, tmp_path / "a", tmp_path / "signed.edgekit")
    again = sdk.seal_bundle(signed, MASTER, tmp_path / "sealed.edgekit")
    assert SIGNATURE not in entries(again)
    sdk.sign_bundle(again, tmp_path / "a")
    with ek.load(again, trusted_keys=[tmp_path / "a.pub"], key=MASTER) as classify:
        assert classify("ok").label


def write_large(path: Path, size: int) -> Path:
    return write_bundle_file(path, make_manifest(), make_contents() | {"model.tflite": bytes(size)})


@pytest.mark.skipif(sys.platform != "linux", reason="a process's own peak is told by Linux")
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    write_large(tmp_path / "large.edgekit", 200_000_000)
    code = """
        import sys
        from pathlib import Path
        import edgekit_runtime.trust.writing as writing
        from edgekit_runtime.bundle import open_bundle
        from edgekit_runtime.trust.keys import write_signing_key
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        folder, status = sys.argv[1], Path("/proc/self/status")
        most = lambda: int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024
        AESGCM(bytes(32)).encrypt(bytes(12), bytes(1 << 20), None)
        write_signing_key(folder + "/a")
        before = most()
        writing.seal_bundle(folder + "/large.edgekit", bytes(32), folder + "/sealed.edgekit")
        writing.sign_bundle(folder + "/sealed.edgekit", folder + "/a")
        writing_took = most() - before
        data = open_bundle(folder + "/sealed.edgekit", key=bytes(32)).part("model.tflite").read()
        print(writing_took, most() - before, len(data))
    """
    code = "\n".join(line.strip() for line in code.splitlines())
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    writing, reading, size = map(float, done.stdout.split())
    assert size == 200_000_000
    assert 0 < writing < 30, "MiB, of a file of 191"
    assert 191 < reading < 191 * 1.3, "one copy and what a growing buffer keeps spare"


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    write_large(tmp_path / "large.edgekit", 3_000_000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        with pytest.raises(FileError, match="nothing was left behind"):
            sdk.seal_bundle(tmp_path / "large.edgekit", MASTER, tmp_path / "sealed.edgekit")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [each.name for each in tmp_path.iterdir()] == ["large.edgekit"]


def test_an_interruption_leaves_the_bundle_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_large(tmp_path / "large.edgekit", 3_000_000)
    before = path.read_bytes()

    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        sdk.seal_bundle(path, MASTER)
    assert [each.name for each in tmp_path.iterdir()] == ["large.edgekit"]
    assert path.read_bytes() == before


def test_the_commands(tmp_path: Path, labelled_csv: Path) -> None:
    key, out = tmp_path / "seal.key", tmp_path / "sealed.edgekit"
    made = json.loads(edgekit("keygen", "--sealing", "--out", key, "--json").stdout)
    assert made == {"key": str(key), "public": None, "key_id": made["key_id"]}
    done = json.loads(edgekit("seal", PROBE, "--key-file", key, "--out", out, "--json").stdout)
    assert done == {
        "bundle": str(out),
        "key_id": made["key_id"],
        "sealed": list(open_bundle(PROBE).manifest.program_files),
        "signature_dropped": False,
    }
    assert f"AES-256-GCM, key {made['key_id']}" in edgekit("inspect", out).stdout
    assert "answers its golden texts rightly" in edgekit("verify", out, "--key-file", key).stdout
    assert edgekit("predict", out, "--key-file", key, "ok").returncode == 0
    assert edgekit("eval", out, labelled_csv, "--key-file", key).returncode == 0
    closed = edgekit("predict", out, "ok")
    assert (closed.returncode, closed.stdout) == (1, "")
    assert f"are sealed: give the key {made['key_id']} by --key-file" in closed.stderr
    assert closed.stderr.count("\n") == 1


@pytest.mark.slow
def test_profile_and_compare_open_it_in_their_processes_too(sealed: Path, labelled_csv: Path) -> None:
    key = sealed.parent / "seal.key"
    for call in (
        ("profile", sealed, "--seconds", "0.2"),
        ("compare", sealed, "--data", labelled_csv, "--seconds", "0.2"),
    ):
        done = edgekit(*call, "--key-file", key, "--json")
        assert done.returncode == 0, done.stderr
