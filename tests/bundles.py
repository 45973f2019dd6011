"""Hand-made bundles that need no model, and ways to break them."""

from __future__ import annotations

import dataclasses
import json
import struct
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from edgekit_runtime import jsonio
from edgekit_runtime.bundle import MANIFEST, write_bundle_file
from edgekit_runtime.golden import Golden, GoldenText
from edgekit_runtime.manifest import Manifest, ModelEntry, Program, TensorSpec, TextSpec

NO_PLAIN_NAMES = (
    "../x",
    "..",
    "/etc/passwd",
    "a\\b",
    "..\\x",
    "C:x",
    "sub/x",
    "sub/",
    ".hidden",
    "",
    "a\0b",
    "naïve",
    "x\n",
    "a b",
)
"""Names of entries that every reader refuses."""

SPECIAL = {"pad": 0, "unk": 1, "cls": 2, "sep": 3}
WORDS = ("a", "good", "bad", "film", "very", "##ly", "好", "坏", "😀")

TEXT = TextSpec(
    tokenizer="tokenizer.json",
    kind="wordpiece",
    lower_case=True,
    max_length=16,
    buckets=(4, 8, 16),
    special_ids=SPECIAL,
)
PROGRAM = Program(
    engine="litert",
    file="model.tflite",
    scheme="int8",
    min_engine="ai-edge-litert 2.3.0",
    right_on=("ai-edge-litert",),
    inputs=(TensorSpec("args_0", "ids", "int32", (1, "L")), TensorSpec("args_1", "mask", "float32", (1, "L"))),
    outputs=(TensorSpec("output_0", "logits", "float32", (1, 2)),),
)


def tokenizer_json(*, padding: int | None = None, truncation: int | None = None) -> bytes:
    """A small WordPiece tokenizer with [CLS] and [SEP], with settings of its own if asked for."""
    vocabulary = {piece: index for index, piece in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", SPECIAL["cls"]), ("[SEP]", SPECIAL["sep"])]
    )
    if padding is not None:
        tokenizer.enable_padding(length=padding)
    if truncation is not None:
        tokenizer.enable_truncation(truncation)
    return str(tokenizer.to_str()).encode()


def make_manifest(programs: tuple[Program, ...] = (PROGRAM,), **changes: Any) -> Manifest:
    entry = ModelEntry("main", TEXT, "golden.json", programs)
    made = Manifest(name="hand-made", labels=("negative", "positive"), models=(entry,))
    return dataclasses.replace(made, **changes)


def make_contents(
    programs: tuple[Program, ...] = (PROGRAM,), logits: tuple[float, ...] = (1.0, -1.0)
) -> dict[str, bytes]:
    """The tokenizer, golden texts with the same logits for every program, and programs that are no programs."""
    texts = (GoldenText("a good film", (2, 4, 5, 7, 3), {program.file: logits for program in programs}),)
    files = {program.file: bytes(range(256)) * 20 + program.file.encode() for program in programs}
    return {"tokenizer.json": tokenizer_json(), "golden.json": jsonio.to_bytes(Golden(texts)), **files}


def write_hand_made(path: Path) -> Path:
    return write_bundle_file(path, make_manifest(), make_contents())


def entries(path: Path) -> dict[str, bytes]:
    """Every entry of a bundle, the manifest included."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_zip(path: Path, pairs: Iterable[tuple[str, bytes]], compression: Mapping[str, int] | None = None) -> Path:
    """A zip with just these entries, whatever they are."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in pairs:
            entry = zipfile.ZipInfo("placeholder")
            entry.filename = name
            entry.compress_type = (compression or {}).get(name, zipfile.ZIP_STORED)
            archive.writestr(entry, data)
    return path


def with_manifest(path: Path, out: Path, **changes: Any) -> Path:
    """The bundle with some keys of its manifest set, or removed where the value is ``...``."""
    contents = entries(path)
    manifest = json.loads(contents[MANIFEST]) | changes
    kept = {key: value for key, value in manifest.items() if value is not ...}
    return write_zip(out, [*(contents | {MANIFEST: json.dumps(kept).encode()}).items()])


def with_contents(path: Path, out: Path, **changes: bytes) -> Path:
    """The bundle with other contents under some names and checksums that agree with them; ``_`` stands for the dot."""
    contents = entries(path)
    manifest = Manifest.from_bytes(contents.pop(MANIFEST))
    named = {name.replace("_", "."): data for name, data in changes.items()}
    return write_bundle_file(out, manifest, contents | named)


def directory_entry(data: bytes, name: str) -> int:
    """Where the zip directory's record of an entry begins."""
    position = data.index(b"PK\x01\x02")
    while data[position + 46 : position + 46 + len(name)] != name.encode():
        position = data.index(b"PK\x01\x02", position + 1)
    return position


def with_directory_field(path: Path, out: Path, name: str, offset: int, value: int) -> Path:
    """The bundle with one four-byte field of an entry's record in the zip directory changed."""
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, directory_entry(bytes(data), name) + offset, value)
    out.write_bytes(data)
    return out


COMPRESSED_SIZE, SIZE, HEADER_OFFSET = 20, 24, 42
