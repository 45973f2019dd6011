"""Hostile files: a short run of the bench (tests/torture), what it found, and what holds a program that crashes its engine."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
import zipfile
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import edgekit_runtime as ek
from bundles import entries, with_contents
from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
from edgekit_converters.data import read_labelled
from edgekit_converters.recipe_file import RecipeFile
from edgekit_converters.tokenizer import read_tokenizer
from edgekit_runtime import trial
from edgekit_runtime.bundle import open_bundle
from edgekit_runtime.errors import (
    BundleError,
    BundleIntegrityError,
    CheckpointError,
    DataError,
    EdgekitError,
    EngineError,
    FileError,
    OptionError,
    TokenizerError,
)
from edgekit_runtime.golden import Golden
from edgekit_runtime.manifest import Manifest
from edgekit_runtime.text import load_tokenizer
from edgekit_runtime.trust.keys import read_public_keys
from torture import programs, texts, zips
from torture.bench import BAD
from torture.readers import READERS, SELF_TEST, case_of
from torture.samples import _bundles

TORTURE = Path(__file__).parent / "torture"
ENTRIES = {"litert": "model_tflite", "executorch": "model_pte", "onnx": "model_onnx"}


@pytest.fixture
def probe(tmp_path: Path) -> Path:
    path = tmp_path / "probe.edgekit"
    path.write_bytes((resources.files("edgekit_runtime") / "probe.edgekit").read_bytes())
    return path


# The bench


def bench(*arguments: str, **variables: str) -> tuple[int, dict[str, Any]]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    command = [sys.executable, str(TORTURE), "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode in (0, 1), done.stderr[-2000:]
    return done.returncode, json.loads(done.stdout)


def test_a_short_run_finds_nothing(tmp_path: Path) -> None:
    code, found = bench("--inputs", "300", "--seed", "9", "--jobs", "1", "--keep", str(tmp_path))
    assert code == 0, found["findings"]
    assert found["total"]["inputs"] >= 300
    assert set(found["readers"]) == {reader.name for reader in READERS}
    assert all(row["refused"] for row in found["readers"].values())
    assert not any(found["total"][kind] for kind in BAD)


@pytest.mark.parametrize(("number", "kind"), [*enumerate(("crashes", "hangs", "memory", "code", "files", "untyped"))])
def test_the_bench_sees(number: int, kind: str, tmp_path: Path) -> None:
    given = ("--reader", "self-test", "--only", "3", "--hang-s", "2", "--keep", str(tmp_path))
    code, found = bench(*given, **{SELF_TEST: str(number)})
    assert code == 1
    assert {each["kind"] for each in found["findings"]} == {kind}
    assert found["readers"]["self-test"][kind] == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_an_input_is_known_by_its_seed_and_number() -> None:
    samples = _bundles()
    reader = next(each for each in READERS if each.name == "bundle")
    made = [case_of(reader, samples["bundle"], 1, number) for number in range(40)]
    assert [each.files for each in made] == [
        case_of(reader, samples["bundle"], 1, number).files for number in range(40)
    ]
    assert len({str(each.files) for each in made}) > 35


# Programs that no checksum holds


def evil(folder: Path, act: str) -> None:
    """An engine of another package that does something when it is given a program in another process than this one."""
    (folder / "evil_engine.py").write_text(
        f"""
import os, time
from edgekit_runtime.engines.onnx import OnnxEngine

class EvilEngine(OnnxEngine):
    name = "evil"

    @classmethod
    def load(cls, program, contents, threads):
        contents.read()
        if os.getpid() != {os.getpid()}:
            {act}
        return super().load(program, contents, threads)
"""
    )
    info = folder / "evil-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[edgekit.engines]\nevil = evil_engine:EvilEngine\n")


def for_engine(path: Path, engine: str) -> None:
    """Gives the bundle's ONNX program to another engine, alone or before ONNX Runtime."""
    contents = entries(path)
    manifest = json.loads(contents.pop("manifest.json"))
    (program,) = (each for each in manifest["models"][0]["programs"] if each["engine"] == "onnx")
    manifest["models"][0]["programs"] = [program | {"engine": engine}]
    for name in ("model.tflite", "model.pte"):
        del manifest["files"][name], contents[name]
    zip_of = [("manifest.json", json.dumps(manifest).encode()), *contents.items()]
    path.write_bytes(zips.written([zips.Entry(name.encode(), data) for name, data in zip_of], align=4096))


@pytest.mark.parametrize(
    ("act", "said"),
    [
        ("os.abort()", r"tried in a process of its own, and it crashed \(SIGABRT\)"),
        ("time.sleep(600)", r"it gave no answer within 3 s"),
        ("bytearray(b'x') * (1 << 40)", r"asks for more than 1024 MiB"),
        ("bytearray(b'x') * (3 << 29)", r"asks for more than 1024 MiB"),
        ("os._exit(3)", r"it ended with 3 and no answer"),
    ],
)
def test_a_trial_holds_what_a_program_does_to_its_process(
    act: str, said: str, probe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "LIMIT_S", 3.0 if "sleep" in act else 60.0)
    evil(tmp_path, act)
    for_engine(probe, "evil")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EngineError, match=said):
        ek.load(probe, trial=True)
    with ek.load(probe) as classifier:  # here the engine does nothing: the trial, not the engine, refused
        assert classifier.engine.name == "evil"


def test_a_loop_without_end_is_an_error_by_a_trial(probe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnx

    model = onnx.ModelProto.FromString(entries(probe)["model.onnx"])
    programs._loop(onnx, model.graph, 2**62, of_constants=True)
    with_contents(probe, probe, model_onnx=model.SerializeToString())
    monkeypatch.setattr(trial, "LIMIT_S", 4.0)
    began = time.monotonic()
    with pytest.raises(EngineError, match=r"the onnx program of .* gave no answer within 4 s"):
        ek.load(probe, engine="onnx", trial=True)
    assert time.monotonic() - began < 15


def test_a_trial_passes_a_good_bundle_and_falls_back_from_a_bad_program(probe: Path) -> None:
    with ek.load(probe, trial=True) as classifier:
        assert classifier.engine.name == "litert"
    with_contents(probe, probe, model_tflite=entries(probe)["model.tflite"][:3000])
    with pytest.raises(EngineError):
        ek.load(probe, trial=True)
    with (
        pytest.warns(RuntimeWarning, match="engine litert is passed over"),
        ek.load(probe, trial=True, fallback=True) as other,
    ):
        assert other.engine.name == "executorch"


@pytest.mark.parametrize("engine", ENTRIES)
def test_no_engine_sees_a_program_whose_checksum_is_wrong(
    engine: str, probe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ai_edge_litert.interpreter
    import edgekit_executorch.program
    import onnxruntime

    asked: list[str] = []

    def spy(name: str) -> Any:
        return lambda *arguments, **named: asked.append(name)

    name = ENTRIES[engine].replace("_", ".")
    other = next(each for each in ENTRIES if each != engine)
    data = bytearray(probe.read_bytes())
    data[data.index(entries(probe)[name]) + 1000] ^= 1
    probe.write_bytes(data)
    with monkeypatch.context() as patched:
        patched.setattr(ai_edge_litert.interpreter, "Interpreter", spy("litert"))
        patched.setattr(onnxruntime, "InferenceSession", spy("onnx"))
        patched.setattr(edgekit_executorch.program._engine, "Program", spy("executorch"))
        for try_first in (False, True):
            with pytest.raises(BundleIntegrityError, match=f"{name} in .* differs from its checksum"):
                ek.load(probe, engine=engine, trial=try_first)
        assert asked == []
    ek.load(probe, engine=other).close()  # the others are whole


# What the bench found


@pytest.mark.parametrize("kind", ["pipe", "/dev/zero", "/dev/full"])
def test_a_pipe_or_a_device_is_refused_and_not_waited_for(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(kind)
    say = print
    with pytest.raises(FileError, match="no file but a pipe or a device"):
        open_bundle(path)
    with pytest.raises(FileError, match="no file but a pipe or a device"):
        read_checkpoint(path, ReadOptions(), say)
    with pytest.raises(FileError, match="no file but a pipe or a device"):
        read_tokenizer(path, say)
    with pytest.raises(FileError, match="no file but a pipe or a device"):
        RecipeFile.load(path)
    with pytest.raises(FileError, match="no file but a pipe or a device"):
        read_public_keys([path])
    if kind != "pipe":  # whose writer is waited for: data may come from another program
        with pytest.raises(FileError, match="it is a device"):
            read_labelled(path, ("negative", "positive"))


def test_what_gzip_blew_up_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.csv.gz"
    path.write_bytes(texts.gzip_bomb(b"good" * 500 + b",1\n", 1 << 30))
    began = time.monotonic()
    with pytest.raises(DataError, match="unpacks to over 200 times its size"):
        read_labelled(path, ("negative", "positive"))
    assert time.monotonic() - began < 30
    path.write_bytes(gzip.compress(b"text,label\ngood,1\nbad,0\n"))
    assert read_labelled(path, ("negative", "positive")).labels == (1, 0)


ARROW = """
import sys
from pathlib import Path
from edgekit_converters.data import read_labelled
from edgekit_runtime.errors import DataError
file = next(Path(sys.argv[1]).glob("*.arrow"))
data = file.read_bytes()
refused = 0
for at in range(0, len(data), 7):
    file.write_bytes(data[:at] + bytes([data[at] ^ 0x80]) + data[at + 1 :])
    try:
        read_labelled(sys.argv[1], ("negative", "positive"))
    except DataError:
        refused += 1
print(refused)
"""


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    import datasets

    datasets.Dataset.from_list([{"text": "good", "label": "1"}, {"text": "bad", "label": "0"}]).save_to_disk(
        tmp_path / "d"
    )
    return tmp_path / "d"


def test_a_damaged_arrow_file_does_not_end_the_process(dataset: Path) -> None:
    done = subprocess.run([sys.executable, "-c", ARROW, str(dataset)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr[-500:])
    assert int(done.stdout) > 50


def test_a_dataset_that_names_files_elsewhere_is_refused(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.arrow").write_bytes(next(dataset.glob("*.arrow")).read_bytes())
    state = json.loads((dataset / "state.json").read_text())
    state["_data_files"] = [{"filename": "../elsewhere.arrow"}]
    (dataset / "state.json").write_text(json.dumps(state))
    with pytest.raises(DataError, match=r"which is no \.arrow file in it"):
        read_labelled(dataset, ("negative", "positive"))


def test_a_panic_of_the_tokenizers_library_is_a_tokenizer_error(probe: Path) -> None:
    tokenizer = json.loads(entries(probe)["tokenizer.json"])
    tokenizer["post_processor"]["special_tokens"] = {}
    with_contents(probe, probe, tokenizer_json=json.dumps(tokenizer).encode())
    with pytest.raises(TokenizerError):
        ek.load(probe)


def test_a_tokenizer_without_its_unknown_token_is_refused_before_a_text_meets_it(probe: Path) -> None:
    tokenizer = json.loads(entries(probe)["tokenizer.json"])
    tokenizer["model"]["unk_token"] = "[NONE]"
    with_contents(probe, probe, tokenizer_json=json.dumps(tokenizer).encode())
    with pytest.raises(TokenizerError, match="cannot encode unknown words"):
        ek.load(probe)


def test_what_is_parsed_whole_has_a_largest_size() -> None:
    large = b" " * (1 << 25) + b"{}"
    with pytest.raises(BundleError, match="no bundle needs that"):
        Golden.from_bytes(large, "golden.json")
    with pytest.raises(TokenizerError, match="none that edgekit reads needs"):
        load_tokenizer(large)


def test_an_error_is_one_line_whatever_it_quotes() -> None:
    error = BundleError("a\nb\x1b[2Jc\u202e" + "x" * 5000)
    assert str(error).startswith("a b [2Jc x")
    assert len(str(error)) < 2100
    assert str(EdgekitError("as it is: äé很 ”")) == "as it is: äé很 ”"


def test_a_deeply_nested_tokenizer_config_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\ngood\n")
    (tmp_path / "tokenizer_config.json").write_text("[" * 200_000)
    assert read_tokenizer(tmp_path / "vocab.txt", print).kind == "wordpiece"


# Own parsers, by hypothesis

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
)
QUICK = settings(
    max_examples=80, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def changed(tree: Any, path: list[int], value: Any) -> Any:
    """The tree with the value at a place replaced; numbers choose among the keys."""
    keys = list(tree) if isinstance(tree, dict) else list(range(len(tree))) if isinstance(tree, list) else []
    if not keys or not path:
        return value
    key = keys[path[0] % len(keys)]
    tree[key] = changed(tree[key], path[1:], value)
    return tree


@QUICK
@given(path=st.lists(st.integers(0, 30), min_size=1, max_size=7), value=JSON)
def test_a_manifest_or_golden_file_with_any_value_anywhere_gives_a_bundle_error_or_is_read(
    path: list[int], value: Any
) -> None:
    data = zipfile.ZipFile(str(resources.files("edgekit_runtime") / "probe.edgekit"))
    with data:
        parts = {name: json.loads(data.read(name)) for name in ("manifest.json", "golden.json")}
    for name, tree in parts.items():
        raw = json.dumps(changed(tree, path, value)).encode()
        try:
            read: object = Manifest.from_bytes(raw) if name == "manifest.json" else Golden.from_bytes(raw, name)
        except BundleError as error:
            assert "\n" not in str(error)
        else:
            assert read


@QUICK
@given(
    files=st.lists(
        st.tuples(
            st.sampled_from(["manifest.json", "a", "../a", "", "model.tflite"]) | st.text(max_size=8),
            st.binary(max_size=40),
        ),
        max_size=5,
    ),
    method=st.sampled_from([0, 8, 99]),
    sizes=st.none() | st.integers(0, 2**32 - 1),
    behind=st.binary(max_size=10),
)
def test_a_zip_of_anything_gives_one_error_of_the_tree(
    files: list[tuple[str, bytes]], method: int, sizes: int | None, behind: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "any.edgekit"
    made = [zips.Entry(name.encode("utf-8", "replace"), data, method, size=sizes) for name, data in files]
    path.write_bytes(zips.written(made) + behind)
    with pytest.raises((BundleError, FileError)):
        open_bundle(path)


@QUICK
@given(
    key=st.sampled_from(["targets", "quantize", "max_length", "buckets", "data", "read", "compress"])
    | st.text(min_size=1, max_size=9),
    value=st.recursive(
        st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=9), inner, max_size=3),
    ),
)
def test_a_recipe_with_any_value_gives_an_option_error_or_is_read(key: str, value: Any) -> None:
    try:
        RecipeFile.from_values({key: value}, "the recipe")
    except OptionError as error:
        assert "\n" not in str(error)


@QUICK
@given(data=st.binary(max_size=300))
def test_a_checkpoint_of_any_bytes_gives_one_error(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "any.onnx"
    path.write_bytes(data)
    with pytest.raises((CheckpointError, FileError)):
        read_checkpoint(path, ReadOptions(), print)


def test_atheris_finds_nothing_in_two_seconds(tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    command = [sys.executable, str(TORTURE / "fuzzing.py"), "manifest", "2", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Done " in done.stderr
    assert " cov: " in done.stderr, "the search is guided by what the inputs reach"
