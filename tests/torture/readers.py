"""The readers, what breaks their inputs, and what a process does with a broken one."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from torture import programs, texts, wires, zips
from torture.blind import BLIND
from torture.case import Breaker, Case, of_bytes
from torture.pickles import MARK, code, lying, mutated
from torture.samples import MAPS, PASSPHRASE, SEALING_KEY, TEXTS, contents

ENGINES = ("litert", "executorch", "onnx")


@dataclass(frozen=True)
class Reader:
    """One reader.

    Attributes:
        name: Its name in the table.
        samples: Which samples it reads.
        read: Reads what lies at a path; another argument is whether an engine is tried in a process of its own first.
        breakers: What breaks its inputs by their structure; what breaks any bytes comes besides.
        share: How many inputs it gets, against the others.
        native: Whether it hands the bytes to an engine, for which ``trial`` is made.
        imports: What it needs, so that it is in memory before the first input.
    """

    name: str
    samples: str
    read: Callable[[Path, Case, bool], object]
    breakers: tuple[Breaker, ...]
    share: int = 4
    native: bool = False
    imports: tuple[str, ...] = ()

    @property
    def all_breakers(self) -> tuple[Breaker, ...]:
        return (*self.breakers, *BLIND)


def case_of(reader: Reader, samples: list[Case], seed: int, number: int) -> Case:
    """The broken input with a number: the same for the same seed."""
    rng = Random(f"{seed}/{reader.name}/{number}")
    breakers = reader.all_breakers
    case, other = rng.choice(samples), rng.choice(samples)
    breaker = breakers[number % len(breakers)]
    broken = breaker(rng, case, other)
    if rng.random() < 0.15:
        data = {name: content for name, content in broken.files.items() if isinstance(content, bytes)}
        second = rng.choice(BLIND[:4])
        if data and broken.given in {*data, ""}:
            broken = second(rng, broken, other)
    return broken


# What a process does with an input. Errors are those of the reader; these functions have none of their own.


def _say(message: str) -> None:
    assert message


def read_checkpoint(path: Path, case: Case, trial: bool) -> object:
    from edgekit_converters.checkpoint import ReadOptions
    from edgekit_converters.checkpoint import read_checkpoint as read

    heads = 2 if case.given == "" else None
    return read(path, ReadOptions(heads=heads), _say)


def read_bundle(path: Path, case: Case, trial: bool) -> object:
    from edgekit_runtime.bundle import open_bundle
    from edgekit_runtime.loading import read_golden
    from edgekit_runtime.text import TextEncoder

    bundle = open_bundle(path)
    bundle.check()
    for model in bundle.manifest.models:
        read_golden(bundle, model)
        encoder = TextEncoder(bundle.read(model.text.tokenizer), model.text)
        for text in TEXTS:
            encoder.pad(encoder.ids(text), None)
    return bundle


def read_entry(name: str) -> Callable[[Path, Case, bool], object]:
    """Reads a bundle of which one entry is broken and every sum right, so that the entry is what is read."""

    def read(path: Path, case: Case, trial: bool) -> object:
        broken = _raw(path)
        bundle = Path(tempfile.gettempdir()) / "made.edgekit"
        bundle.write_bytes(rewritten({name: broken}))
        if trial or name in ("manifest.json", "golden.json"):
            return _run(bundle, trial, ENGINES[zlib.crc32(broken) % 3] if name == "manifest.json" else None)
        return read_bundle(bundle, case, trial)

    return read


def run_program(engine: str, name: str) -> Callable[[Path, Case, bool], object]:
    """Loads a bundle whose sums are right and whose program is broken, so that the engine sees it, and asks it."""

    def read(path: Path, case: Case, trial: bool) -> object:
        broken = _raw(path)
        bundle = Path(tempfile.gettempdir()) / "made.edgekit"
        bundle.write_bytes(rewritten({name: broken}))
        return _run(bundle, trial, engine)

    return read


def _raw(path: Path) -> bytes:
    """The bytes for what does not read files itself."""
    return path.read_bytes() if path.is_file() and not path.is_symlink() else b""


def _run(bundle: Path, trial: bool, engine: str | None) -> object:
    from edgekit_runtime import load

    with load(bundle, engine=engine, threads=1, trial=trial) as classifier:
        return [classifier(text) for text in TEXTS]


def rewritten(changes: dict[str, bytes]) -> bytes:
    """The probe with other contents, whose sums and sizes fit."""
    import hashlib

    parts = {**probe(), **changes}
    if "manifest.json" not in changes:
        manifest = json.loads(parts["manifest.json"])
        for name, data in changes.items():
            manifest["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        parts["manifest.json"] = json.dumps(manifest).encode()
    return zips.written([zips.Entry(name.encode(), data) for name, data in parts.items()], align=4096)


def probe() -> dict[str, bytes]:
    from importlib import resources

    if not _PROBE:
        _PROBE.update(contents((resources.files("edgekit_runtime") / "probe.edgekit").read_bytes()))
    return _PROBE


_PROBE: dict[str, bytes] = {}


def read_tokenizer(path: Path, case: Case, trial: bool) -> object:
    from edgekit_converters.tokenizer import check_fits, find_tokenizer
    from edgekit_converters.tokenizer import read_tokenizer as read
    from edgekit_runtime.manifest import TextSpec
    from edgekit_runtime.text import TextEncoder

    found = find_tokenizer(path, path)
    file = read(found, _say)
    check_fits(file, file.size, str(found), _say)
    spec = TextSpec("tokenizer.json", file.kind, file.lower_case, 16, (16,), file.special_ids, dropped=file.dropped)
    encoder = TextEncoder(file.json, spec)
    return [encoder.ids(text) for text in TEXTS]


def read_stop_words(path: Path, case: Case, trial: bool) -> object:
    from edgekit_converters.stop_words import read_stop_words as read

    return read(path)


def read_data(path: Path, case: Case, trial: bool) -> object:
    """As labelled text or as texts alone, passing over bad rows or not, by the input."""
    from edgekit_converters.data import DataOptions, read_labelled, read_texts

    kind = zlib.crc32(case.note.encode()) % 4 if case.note else 2
    skip = DataOptions(skip_bad=bool(kind % 2))
    if ".txt" in case.given or kind < 2:
        return read_texts(str(path), skip, _say)
    return read_labelled(str(path), ("negative", "positive"), skip, say=_say)


def read_recipe(path: Path, case: Case, trial: bool) -> object:
    from edgekit_converters.recipe_file import RecipeFile

    return RecipeFile.load(path)


def read_student(path: Path, case: Case, trial: bool) -> object:
    from edgekit_converters.distillation.student_file import read_student as read

    return read(path)


def read_label_map(path: Path, case: Case, trial: bool) -> object:
    from edgekit_converters.data.labelmap import LabelMap

    written = _raw(path).decode("utf-8", "replace")
    found = LabelMap.parse(written[:100_000])
    for label in ("1", "3", "1e400", "nan", "x", "9" * 5000):
        try:
            found.class_name(label)
        except KeyError:
            continue
    return found


def read_phone_profile(path: Path, case: Case, trial: bool) -> object:
    from edgekit.android.adb import Answer
    from edgekit.android.bench import to_profile
    from edgekit.android.folder import _object

    data = _raw(path)
    return to_profile(_object(Answer(0, data, "")))


def read_signed(path: Path, case: Case, trial: bool) -> object:
    """A bundle that is accepted must have the manifest that was signed."""
    from edgekit_runtime.bundle import open_bundle

    bundle = open_bundle(path, trusted_keys=[path.parent / "key.pub"])
    bundle.check()
    assert bundle.manifest_bytes == probe()["manifest.json"], "what nobody signed was accepted"
    return bundle


def read_sealed(path: Path, case: Case, trial: bool) -> object:
    """A program that is accepted must be one that was sealed."""
    from edgekit_runtime.bundle import open_bundle

    bundle = open_bundle(path, key=SEALING_KEY)
    for name in [program.file for model in bundle.manifest.models for program in model.programs]:
        found = bundle.part(name).read()
        assert bundle.manifest.sealed is None or found in probe().values(), "what nobody sealed was opened"
    return bundle


def read_keys(path: Path, case: Case, trial: bool) -> object:
    from edgekit_runtime.errors import EdgekitError
    from edgekit_runtime.trust.keys import given_key, read_private_key, read_public_keys

    os.environ["EDGEKIT_KEY_PASSPHRASE"] = PASSPHRASE
    reads: dict[str, Callable[[Path], object]] = {
        "key.pub": lambda path: read_public_keys([path]),
        "key": read_private_key,
        "sealing.key": given_key,
    }
    for name, read in reads.items():
        if name != case.given:
            with contextlib.suppress(EdgekitError):
                read(path)
    return reads[case.given](path)


def signature_entry(rng: Random, data: bytes) -> bytes:
    """The entry with the signatures as other JSON."""
    entries = zips.entries_or_none(data)
    for entry in entries:
        if entry.name == b"signature":
            entry.data = texts.json_value(rng, entry.data)
    return zips.written(entries) if entries else texts.text_junk(rng, data)


def manifest_entry(rng: Random, data: bytes) -> bytes:
    """The manifest as other JSON, in a bundle that is whole otherwise."""
    entries = zips.entries_or_none(data)
    for entry in entries:
        if entry.name == b"manifest.json":
            entry.data = texts.json_value(rng, entry.data)
    return zips.written(entries) if entries else texts.text_junk(rng, data)


def code_file(rng: Random, data: bytes) -> bytes:
    """A bare pickle with code, or one that lies, in the place of the file; a legacy file's parts keep their places."""
    made = code(rng) if rng.random() < 0.7 else lying(rng)
    if rng.random() < 0.4 and data.startswith(b"\x80"):
        ends = [at + 1 for at in range(len(data)) if data[at : at + 1] == b"." and data[at + 1 : at + 2] == b"\x80"][:4]
        if ends:
            begin = rng.choice([0, *ends])
            end = next((end for end in ends if end > begin), len(data))
            return data[:begin] + made + data[end:]
    return made


def mutated_pickle(rng: Random, data: bytes) -> bytes:
    """One of the pickles of a legacy file with other opcodes."""
    ends = [at + 1 for at in range(len(data)) if data[at : at + 1] == b"." and data[at + 1 : at + 2] in (b"\x80", b"")][
        :5
    ]
    begin = rng.choice([0, *ends[:-1]]) if ends else 0
    end = next((end for end in ends if end > begin), len(data))
    return data[:begin] + mutated(rng, data[begin:end]) + data[end:]


def _by(*damages: Callable[[Random, bytes], bytes]) -> tuple[Breaker, ...]:
    return tuple(of_bytes(each) for each in damages)


_ZIP = _by(zips.zip_entries, zips.zip_fields, zips.zip_inside, zips.zip_inside, zips.zip_code)
_JSON = _by(texts.json_value, texts.json_value, texts.json_value, texts.text_junk)
_ROWS = _by(texts.text_junk, texts.lines, texts.json_value)
_FLAT = _by(wires.flatbuffer_words, wires.flatbuffer_words, wires.flatbuffer_halves, wires.not_numbers)
_CONVERT = ("edgekit_converters.checkpoint", "edgekit_converters.tokenizer", "safetensors.torch", "onnx")
_TRUST = ("edgekit_runtime.loading", "cryptography.hazmat.primitives.serialization", "edgekit_runtime.trust.writing")
_DATA = ("edgekit_converters.data", "pyarrow.parquet", "datasets")

READERS = (
    Reader("checkpoint: torch", "torch", read_checkpoint, (*_ZIP, *_by(zips.zip_code, code_file)), 8, imports=_CONVERT),
    Reader(
        "checkpoint: legacy torch",
        "legacy",
        read_checkpoint,
        _by(code_file, code_file, mutated_pickle, mutated_pickle, mutated_pickle),
        6,
        imports=_CONVERT,
    ),
    Reader("checkpoint: TorchScript", "torchscript", read_checkpoint, _ZIP, 2, imports=_CONVERT),
    Reader("checkpoint: export archive", "export", read_checkpoint, _ZIP, 4, imports=_CONVERT),
    Reader(
        "checkpoint: safetensors",
        "safetensors",
        read_checkpoint,
        _by(wires.safetensors_header, wires.safetensors_header, wires.not_numbers),
        5,
        imports=_CONVERT,
    ),
    Reader(
        "checkpoint: folder",
        "folder",
        read_checkpoint,
        _by(texts.json_value, texts.json_value, wires.safetensors_header, code_file, texts.text_junk),
        6,
        imports=_CONVERT,
    ),
    Reader(
        "checkpoint: ONNX",
        "onnx checkpoint",
        read_checkpoint,
        _by(wires.protobuf_fields, wires.protobuf_fields, programs.onnx_graph, programs.onnx_graph),
        4,
        imports=_CONVERT,
    ),
    Reader(
        "bundle",
        "bundle",
        read_bundle,
        (*_ZIP, *_by(zips.zip_entries, zips.zip_fields)),
        12,
        imports=("edgekit_runtime.loading",),
    ),
    Reader(
        "manifest", "manifest", read_entry("manifest.json"), _JSON, 8, native=True, imports=("edgekit_runtime.loading",)
    ),
    Reader(
        "golden texts", "golden", read_entry("golden.json"), _JSON, 4, native=True, imports=("edgekit_runtime.loading",)
    ),
    Reader("tokenizer.json", "tokenizer", read_entry("tokenizer.json"), _JSON, 8, imports=("edgekit_runtime.loading",)),
    Reader("tokenizer files", "tokenizer files", read_tokenizer, (*_JSON, *_by(texts.lines)), 6, imports=_CONVERT),
    Reader("stop words", "stop words", read_stop_words, _by(texts.text_junk, texts.lines), 1, imports=_CONVERT),
    Reader(
        "program: LiteRT",
        "litert",
        run_program("litert", "model.tflite"),
        (*_FLAT, *_by(programs.tflite_tables, programs.tflite_tables)),
        6,
        native=True,
        imports=("edgekit_runtime.loading", "ai_edge_litert.schema_py_generated"),
    ),
    Reader(
        "program: ExecuTorch",
        "executorch",
        run_program("executorch", "model.pte"),
        _FLAT,
        6,
        native=True,
        imports=("edgekit_runtime.loading",),
    ),
    Reader(
        "program: ONNX",
        "onnx",
        run_program("onnx", "model.onnx"),
        _by(
            wires.protobuf_fields, wires.protobuf_fields, programs.onnx_graph, programs.onnx_graph, programs.onnx_graph
        ),
        6,
        native=True,
        imports=("edgekit_runtime.loading", "onnx", "onnxruntime"),
    ),
    Reader("data: csv, tsv, JSON, text", "rows", read_data, (*_ROWS, *_by(texts.lines)), 8, imports=_DATA),
    Reader("data: gzip", "gzip", read_data, _by(texts.packed, texts.packed), 3, imports=_DATA),
    Reader(
        "data: parquet", "parquet", read_data, _by(wires.flatbuffer_words, wires.flatbuffer_halves), 5, imports=_DATA
    ),
    Reader(
        "data: dataset folder",
        "dataset folder",
        read_data,
        _by(texts.json_value, texts.json_value, wires.flatbuffer_words),
        3,
        imports=_DATA,
    ),
    Reader(
        "recipe",
        "recipe",
        read_recipe,
        _by(texts.toml_value, texts.toml_value, texts.toml_value, texts.text_junk),
        5,
        imports=("edgekit_converters.recipe_file",),
    ),
    Reader(
        "student",
        "student",
        read_student,
        _by(texts.toml_value, texts.toml_value, texts.text_junk),
        2,
        imports=("edgekit_converters.distillation.student_file",),
    ),
    Reader("label map", "label map", read_label_map, _by(texts.text_junk), 1, imports=_DATA),
    Reader(
        "signed bundle",
        "signed bundle",
        read_signed,
        (*_ZIP, *_by(signature_entry, signature_entry, manifest_entry)),
        5,
        imports=_TRUST,
    ),
    Reader(
        "sealed bundle", "sealed bundle", read_sealed, (*_ZIP, *_by(manifest_entry, manifest_entry)), 4, imports=_TRUST
    ),
    Reader("key files", "key files", read_keys, _by(texts.text_junk), 3, imports=_TRUST),
    Reader(
        "phone's profile",
        "phone profile",
        read_phone_profile,
        _JSON,
        2,
        imports=("edgekit.android.bench", "edgekit.android.folder"),
    ),
)


def misbehave(path: Path, case: Case, trial: bool) -> object:
    """Does, once each, what a reader must not: so that a test can see the bench see it."""
    kind = int(os.environ[SELF_TEST]) if _raw(path) not in MAPS else -1
    if kind == 0:
        os.abort()
    if kind == 1:
        time.sleep(600)
    if kind == 2:
        return len(bytearray(b"x") * (3 << 29))
    if kind == 3:
        return os.system(f"true {MARK}")
    if kind == 4:
        return (path.parents[2] / "outside").write_text("x")
    if kind == 5:
        raise KeyError("not of the tree")
    return None


SELF_TEST = "EDGEKIT_TORTURE_SELF_TEST"
if SELF_TEST in os.environ:
    READERS = (*READERS, Reader("self-test", "label map", misbehave, (), 1))
