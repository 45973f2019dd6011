"""The single file: what writing promises and what reading refuses."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bundles import (
    COMPRESSED_SIZE,
    HEADER_OFFSET,
    NO_PLAIN_NAMES,
    PROGRAM,
    SIZE,
    directory_entry,
    entries,
    make_contents,
    make_manifest,
    with_directory_field,
    with_manifest,
    write_hand_made,
    write_zip,
)
from conftest import missing
from edgekit_runtime.bundle import ALIGNMENT, MANIFEST, SIGNATURE, open_bundle, replacing, write_bundle_file
from edgekit_runtime.errors import BundleError, BundleIntegrityError, BundleVersionError, EdgekitError, FileError
from edgekit_runtime.manifest import SCHEMA_VERSION

NAMES = ("tokenizer.json", "golden.json", "model.tflite")


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return write_hand_made(tmp_path / "made.edgekit")


def read_everything(path: Path) -> None:
    bundle = open_bundle(path)
    bundle.check()
    for name in bundle.manifest.files:
        bundle.read(name)


def refused(path: Path, kind: type[EdgekitError], match: str) -> None:
    """Opening the file raises exactly this kind of error, on one line that names the file."""
    with pytest.raises(kind, match=match) as caught:
        open_bundle(path)
    assert caught.type is kind
    assert "\n" not in str(caught.value)


def test_round_trip(made: Path) -> None:
    bundle = open_bundle(made)
    bundle.check()
    assert {name: bundle.read(name) for name in bundle.manifest.files} == make_contents()
    assert bundle.manifest.models == make_manifest().models
    assert bundle.path == made


def test_any_zip_tool_reads_it_and_nothing_is_deflated(made: Path) -> None:
    with zipfile.ZipFile(made) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [MANIFEST, *NAMES]
        assert all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())


def test_data_of_programs_starts_at_a_multiple_of_4096(tmp_path: Path) -> None:
    second = dataclasses.replace(PROGRAM, engine="executorch", file="model.pte")
    programs = (PROGRAM, second)
    path = write_bundle_file(tmp_path / "two.edgekit", make_manifest(programs), make_contents(programs))
    bundle, raw = open_bundle(path), path.read_bytes()
    for program in programs:
        offset = bundle.part(program.file).offset
        assert offset % ALIGNMENT == 0
        data = make_contents(programs)[program.file]
        assert raw[offset : offset + len(data)] == data
    assert ALIGNMENT == 4096


def test_the_same_contents_give_the_same_bytes(made: Path, tmp_path: Path) -> None:
    os.utime(made, (0, 0))
    assert write_hand_made(tmp_path / "again.edgekit").read_bytes() == made.read_bytes()


def test_an_existing_file_is_replaced_and_the_new_one_obeys_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "made.edgekit"
    path.write_bytes(b"old")
    mask = os.umask(0o027)
    try:
        write_hand_made(path)
    finally:
        os.umask(mask)
    open_bundle(path).check()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_reading_an_entry_that_is_not_there_lists_those_that_are(made: Path) -> None:
    with pytest.raises(BundleError, match=r"no 'model\.onnx'; it has tokenizer\.json, golden\.json, model\.tflite"):
        open_bundle(made).read("model.onnx")


@pytest.mark.parametrize("position", ["first", "middle", "last"])
@pytest.mark.parametrize("name", NAMES)
def test_one_byte_changed_in_an_entry(made: Path, name: str, position: str) -> None:
    bundle = open_bundle(made)
    size = bundle.manifest.files[name].bytes
    data = bytearray(made.read_bytes())
    data[bundle.part(name).offset + {"first": 0, "middle": size // 2, "last": size - 1}[position]] ^= 1
    made.write_bytes(data)
    bundle = open_bundle(made)
    with pytest.raises(BundleIntegrityError, match=f"{name} .* differs from its checksum"):
        bundle.read(name)
    with pytest.raises(BundleIntegrityError, match=f"{name} .* differs from its checksum"):
        bundle.check()
    for other in set(NAMES) - {name}:
        assert bundle.read(other) == make_contents()[other]


def test_one_byte_changed_in_the_manifest(made: Path) -> None:
    changed = made.read_bytes().replace(b'"hand-made"', b'"hand-mads"')
    made.write_bytes(changed)
    refused(made, BundleIntegrityError, r"manifest\.json .* differs from its checksum")


def test_one_bit_changed_anywhere_never_gives_other_contents(made: Path) -> None:
    """A bit that nobody reads may change; whatever is read is as it was, or is refused."""
    good, expected = made.read_bytes(), (make_contents(), open_bundle(made).manifest)
    generator = random.Random(0)
    structure = [*range(4000), *range(len(good) - 400, len(good))]
    for position in {*generator.sample(structure, 600), *generator.sample(range(len(good)), 200)}:
        data = bytearray(good)
        data[position] ^= 1 << generator.randrange(8)
        made.write_bytes(data)
        try:
            bundle = open_bundle(made)
            assert ({name: bundle.read(name) for name in NAMES}, bundle.manifest) == expected
        except EdgekitError:
            pass


def test_contents_that_change_after_opening(made: Path) -> None:
    bundle = open_bundle(made)
    made.write_bytes(made.read_bytes()[: bundle.part("model.tflite").offset + 10])
    with pytest.raises(BundleIntegrityError, match=r"model\.tflite"):
        bundle.read("model.tflite")
    with pytest.raises(BundleIntegrityError, match=r"model\.tflite"):
        bundle.check()
    made.unlink()
    with pytest.raises(FileError, match="no file"):
        bundle.read("model.tflite")


@pytest.mark.parametrize("name", NAMES)
def test_missing_entry(made: Path, tmp_path: Path, name: str) -> None:
    left = {key: data for key, data in entries(made).items() if key != name}
    refused(write_zip(tmp_path / "x.edgekit", left.items()), BundleIntegrityError, f"lacks {name}")


def test_missing_manifest(made: Path, tmp_path: Path) -> None:
    left = {key: data for key, data in entries(made).items() if key != MANIFEST}
    refused(write_zip(tmp_path / "x.edgekit", left.items()), BundleIntegrityError, r"has no manifest\.json")


def test_extra_entry(made: Path, tmp_path: Path) -> None:
    more = entries(made) | {"model.onnx": b"extra"}
    refused(
        write_zip(tmp_path / "x.edgekit", more.items()), BundleIntegrityError, r"holds model\.onnx, which its manifest"
    )


def test_a_signature_is_no_extra_entry(made: Path, tmp_path: Path) -> None:
    signed = write_zip(tmp_path / "x.edgekit", (entries(made) | {SIGNATURE: b"signed"}).items())
    read_everything(signed)


@pytest.mark.parametrize("name", NO_PLAIN_NAMES)
def test_names_that_are_no_plain_file_names(made: Path, tmp_path: Path, name: str) -> None:
    pairs = [*entries(made).items(), (name, b"x")]
    refused(write_zip(tmp_path / "x.edgekit", pairs), BundleError, "no plain file name; do not trust")


@pytest.mark.parametrize("name", ["model.tflite", MANIFEST])
@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_duplicate_names(made: Path, tmp_path: Path, name: str) -> None:
    pairs = [*entries(made).items(), (name, b"another")]
    refused(write_zip(tmp_path / "x.edgekit", pairs), BundleError, f"holds '{name}' twice")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressed_entry(made: Path, tmp_path: Path, method: int) -> None:
    path = write_zip(tmp_path / "x.edgekit", entries(made).items(), {"model.tflite": method})
    refused(path, BundleError, r"model\.tflite .* is compressed or encrypted")


def test_encrypted_entry(made: Path, tmp_path: Path) -> None:
    data = bytearray(made.read_bytes())
    data[directory_entry(bytes(data), "model.tflite") + 8] |= 1
    made.write_bytes(data)
    refused(made, BundleError, r"model\.tflite .* is compressed or encrypted")


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (6, b"\xff"),  # needs a zip reader of version 25.5
        (46, b"\xff"),  # a name that is no UTF-8, though flagged as such
    ],
)
def test_a_directory_that_no_zip_reader_understands(made: Path, offset: int, value: bytes) -> None:
    data = bytearray(made.read_bytes())
    record = directory_entry(bytes(data), "model.tflite")
    data[record + 9] |= 0x08  # names are UTF-8
    data[record + offset : record + offset + 1] = value
    made.write_bytes(data)
    refused(made, BundleError, "no edgekit bundle, or was cut short")


def test_two_different_sizes(made: Path, tmp_path: Path) -> None:
    path = with_directory_field(made, tmp_path / "x.edgekit", "model.tflite", SIZE, 7)
    refused(path, BundleError, r"model\.tflite .* two different sizes")


@pytest.mark.parametrize(
    ("name", "size", "kind", "match"),
    [
        ("model.tflite", 0xFFFFFFF0, BundleError, "overlaps"),
        ("golden.json", 5000, BundleError, "overlaps"),
        ("golden.json", 10, BundleIntegrityError, r"golden\.json .* has 10 bytes, and the manifest says"),
        (MANIFEST, 10, BundleIntegrityError, "differs from its checksum"),
    ],
)
def test_sizes_that_lie(made: Path, tmp_path: Path, name: str, size: int, kind: type[EdgekitError], match: str) -> None:
    path = with_directory_field(made, tmp_path / "1.edgekit", name, SIZE, size)
    path = with_directory_field(path, tmp_path / "2.edgekit", name, COMPRESSED_SIZE, size)
    refused(path, kind, match)


def test_a_manifest_that_lies_about_sizes(made: Path, tmp_path: Path) -> None:
    files = json.loads(entries(made)[MANIFEST])["files"]
    files["model.tflite"]["bytes"] += 1
    path = with_manifest(made, tmp_path / "x.edgekit", files=files)
    refused(path, BundleIntegrityError, r"model\.tflite .* and the manifest says")


def test_a_manifest_of_absurd_size_is_not_parsed(made: Path, tmp_path: Path) -> None:
    pairs = [*(entries(made) | {MANIFEST: b" " * 16_000_001}).items()]
    refused(write_zip(tmp_path / "x.edgekit", pairs), BundleError, "claims 16000001 bytes")


def test_entries_that_share_their_data(made: Path, tmp_path: Path) -> None:
    start = made.read_bytes().index(b"PK\x03\x04")
    path = with_directory_field(made, tmp_path / "x.edgekit", "golden.json", HEADER_OFFSET, start)
    refused(path, BundleError, r"golden\.json has another name inside")


@pytest.mark.parametrize("offset", [5, 2**31, 2**32 - 2])
def test_an_entry_that_is_not_where_the_directory_says(made: Path, tmp_path: Path, offset: int) -> None:
    path = with_directory_field(made, tmp_path / "x.edgekit", "model.tflite", HEADER_OFFSET, offset)
    refused(path, BundleError, r"model\.tflite is not where the directory")


def test_a_directory_that_claims_to_lie_further_behind(made: Path) -> None:
    """Then zip readers take the file's beginning for lost, and its first entry for lying before the file."""
    data = bytearray(made.read_bytes())
    place = data.rindex(b"PK\x05\x06") + 16
    struct.pack_into("<I", data, place, struct.unpack_from("<I", data, place)[0] + 10)
    made.write_bytes(data)
    with pytest.raises(BundleError):
        open_bundle(made)


def test_an_entry_beyond_what_a_file_can_hold(made: Path) -> None:
    """A zip64 field puts the entry at 2**64 - 1, where nothing can seek to."""
    data = made.read_bytes()
    record = directory_entry(data, "golden.json")
    name_end = record + 46 + len("golden.json")
    field = struct.pack("<HHQ", 1, 8, 2**64 - 1)
    head = bytearray(data[record:name_end])
    struct.pack_into("<H", head, 30, len(field))
    struct.pack_into("<I", head, HEADER_OFFSET, 0xFFFFFFFF)
    end = bytearray(data[data.rindex(b"PK\x05\x06") :])
    struct.pack_into("<I", end, 12, struct.unpack_from("<I", end, 12)[0] + len(field))
    middle = data[name_end : data.rindex(b"PK\x05\x06")]
    made.write_bytes(data[:record] + head + field + middle + end)
    refused(made, BundleError, r"golden\.json is not where the directory")


@pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, SCHEMA_VERSION + 2, 10**6])
def test_newer_schema(made: Path, tmp_path: Path, version: int) -> None:
    path = with_manifest(made, tmp_path / "x.edgekit", schema_version=version, models="of another shape")
    refused(
        path, BundleVersionError, f"schema version {version}, and this edgekit reads up to {SCHEMA_VERSION}: upgrade"
    )


@pytest.mark.parametrize("version", [0, -1])
def test_schema_versions_begin_at_one(made: Path, tmp_path: Path, version: int) -> None:
    path = with_manifest(made, tmp_path / "x.edgekit", schema_version=version)
    refused(path, BundleError, "versions begin at 1")


def test_unknown_keys_are_passed_over(made: Path, tmp_path: Path) -> None:
    models = json.loads(entries(made)[MANIFEST])["models"]
    models[0]["from_the_future"] = {"deep": [1]}
    models[0]["text"]["from_the_future"] = True
    path = with_manifest(made, tmp_path / "x.edgekit", models=models, from_the_future=[None, 1.5])
    read_everything(path)
    assert open_bundle(path).manifest == open_bundle(made).manifest


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"{" * 100_000, b"[" * 100_000, b"1" * 5000])
def test_a_manifest_that_is_no_json_object(made: Path, tmp_path: Path, data: bytes) -> None:
    path = write_zip(tmp_path / "x.edgekit", [*(entries(made) | {MANIFEST: data}).items()])
    refused(path, BundleError, r"manifest\.json (is not valid JSON|should be an object)")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32-le", "utf-8-sig"])
def test_a_manifest_in_another_encoding(made: Path, tmp_path: Path, encoding: str) -> None:
    data = entries(made)[MANIFEST].decode().encode(encoding)
    path = write_zip(tmp_path / "x.edgekit", [*(entries(made) | {MANIFEST: data}).items()])
    refused(path, BundleError, r"manifest\.json is not valid JSON")


def test_cut_short_anywhere(made: Path) -> None:
    data = made.read_bytes()
    generator = random.Random(0)
    for size in {*range(60), *range(len(data) - 500, len(data)), *generator.sample(range(len(data)), 300)}:
        made.write_bytes(data[:size])
        with pytest.raises(BundleError, match="no edgekit bundle, or was cut short"):
            open_bundle(made)


def test_bytes_in_front_or_behind_never_change_what_is_read(made: Path) -> None:
    data = made.read_bytes()
    for changed in (b"#!/bin/sh\n" + data, data + b"\n", data + data, data[:-1] + b"\1"):
        made.write_bytes(changed)
        try:
            bundle = open_bundle(made)
            assert {name: bundle.read(name) for name in NAMES} == make_contents()
        except EdgekitError:
            pass


@pytest.mark.parametrize("magic", [b"", b"PK\x03\x04", b"PK\x05\x06", b"PK\x01\x02"])
def test_random_bytes(tmp_path: Path, magic: bytes) -> None:
    path = tmp_path / "random.edgekit"
    generator = random.Random(1)
    for size in (0, 1, 18, 22, 30, 100, 5000):
        path.write_bytes(magic + generator.randbytes(size))
        with pytest.raises(BundleError):
            open_bundle(path)


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.edgekit"
    path.touch()
    refused(path, BundleError, "no edgekit bundle")


def test_a_zip_of_something_else(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", [("holiday.txt", b"beach")])
    refused(path, BundleIntegrityError, r"has no manifest\.json: it is no edgekit bundle")


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    refused(tmp_path / "none.edgekit", FileError, r"no file .*none\.edgekit")
    refused(tmp_path, FileError, "is a folder, not a bundle")


def test_a_path_through_a_file(made: Path) -> None:
    refused(made / "inside", FileError, "cannot read .*Not a directory")


def test_writing_to_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"cannot write to .*none: No such file"):
        write_hand_made(tmp_path / "none" / "x.edgekit")


def test_writing_where_a_folder_is(tmp_path: Path) -> None:
    (tmp_path / "x.edgekit").mkdir()
    with pytest.raises(FileError, match=r"cannot write .*x\.edgekit: .*nothing was left behind"):
        write_hand_made(tmp_path / "x.edgekit")
    assert [path.name for path in tmp_path.iterdir()] == ["x.edgekit"]


def test_writing_where_nobody_may_write() -> None:
    if not Path("/proc").is_dir():
        missing("/proc, a file system that nobody may write to")
    with pytest.raises(FileError, match="cannot write to /proc"):
        write_hand_made(Path("/proc/x.edgekit"))


def full_disk() -> None:
    raise OSError(28, "No space left on device")


def interrupted() -> None:
    raise KeyboardInterrupt


def defect() -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("trouble", "kind"), [(full_disk, FileError), (interrupted, KeyboardInterrupt), (defect, ZeroDivisionError)]
)
@pytest.mark.parametrize("existing", [True, False])
def test_writing_that_fails_leaves_everything_as_it_was(
    tmp_path: Path, trouble: Callable[[], None], kind: type[BaseException], existing: bool
) -> None:
    path = tmp_path / "x.edgekit"
    if existing:
        path.write_bytes(b"the former one")
    with pytest.raises(kind), replacing(path) as file:
        file.write(b"half")
        file.flush()
        assert len(list(tmp_path.iterdir())) == 1 + existing
        trouble()
    assert [(left.name, left.read_bytes()) for left in tmp_path.iterdir()] == (
        [("x.edgekit", b"the former one")] if existing else []
    )


def test_the_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.edgekit"
    with replacing(path) as file:
        file.write(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]
