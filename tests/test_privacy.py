"""What a bundle tells of its making, and that nothing leaves the device (docs/privacy.md)."""

from __future__ import annotations

import dataclasses
import json
import platform
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import edgekit_runtime as ek
from bundles import with_contents, with_manifest
from conftest import missing
from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
from edgekit_converters.combining.fuse import combine_bundles
from edgekit_converters.packing import join_programs, read_part
from edgekit_converters.pipeline import Conversion, convert
from edgekit_converters.recipe import Recipe
from edgekit_converters.stripping import strip_bundle
from edgekit_runtime import jsonio
from edgekit_runtime.bundle import SIGNATURE
from edgekit_runtime.errors import BundleError, GoldenMismatchError, OptionError
from edgekit_runtime.golden import Golden
from edgekit_runtime.loading import read_golden
from edgekit_runtime.selftest import run_golden_texts
from edgekit_runtime.text import TextEncoder
from edgekit_runtime.trust.writing import seal_bundle
from offline import SOCKET
from test_cli import edgekit

PROBE = Path(ek.__file__).parent / "probe.edgekit"
"""A bundle with a program for every engine."""


def golden_of(path: Path, index: int = 0) -> Golden:
    bundle = ek.open_bundle(path)
    return read_golden(bundle, bundle.manifest.models[index])


@pytest.fixture
def stripped(bundle: Path, tmp_path: Path) -> Path:
    out = tmp_path / "stripped.edgekit"
    strip_bundle(bundle, out)
    return out


# What is taken out


def test_words_and_history_go_and_all_else_stays(bundle: Path, stripped: Path) -> None:
    before, after = ek.open_bundle(bundle), ek.open_bundle(stripped)
    assert before.manifest.history and all(item.text is not None for item in golden_of(bundle).texts)
    assert golden_of(stripped) == golden_of(bundle).without_texts()
    assert all(item.text is None for item in golden_of(stripped).texts)
    kept = {"history": (), "schema_version": 3, "files": after.manifest.files}
    assert after.manifest == dataclasses.replace(before.manifest, **kept)
    for name in before.manifest.files:
        assert name == "golden.json" or after.read(name) == before.read(name)


def test_no_name_of_a_file_nor_of_a_tool_is_left_in_it(bundle: Path, stripped: Path) -> None:
    told = json.dumps(jsonio.encode(ek.open_bundle(bundle).manifest.history))
    names = [name for name in ("labelled.csv", "model.pt", "litert-torch", "learning_rate") if name in told]
    assert len(names) == 4
    for name in names:
        assert name.encode() in bundle.read_bytes()
        assert name.encode() not in stripped.read_bytes()


def test_a_stripped_bundle_answers_as_before_and_its_self_test_still_finds_a_wrong_program(
    bundle: Path, stripped: Path, tmp_path: Path
) -> None:
    texts = ["the film was good", "i hate this room", ""]
    with ek.load(bundle) as before, ek.load(stripped) as after:
        assert after.predict(texts) == before.predict(texts)
    first, second, *rest = golden_of(stripped).texts
    off = {file: tuple(value + 1 for value in row) for file, row in second.logits.items()}
    golden = Golden((first, dataclasses.replace(second, logits=off), *rest))
    wrong = with_contents(stripped, tmp_path / "wrong.edgekit", golden_json=jsonio.to_bytes(golden))
    with pytest.raises(GoldenMismatchError, match=r"answers .* to golden text 2, where the conversion had"):
        ek.load(wrong)


def test_one_of_the_two_can_stay(bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.edgekit"
    made = strip_bundle(bundle, out, texts=False)
    assert (made.texts, made.steps) == (0, len(ek.open_bundle(bundle).manifest.history))
    assert golden_of(out) == golden_of(bundle)
    assert (ek.open_bundle(out).manifest.history, ek.open_bundle(out).manifest.schema_version) == ((), 1)
    made = strip_bundle(bundle, out, history=False)
    assert (made.texts, made.steps) == (len(golden_of(bundle).texts), 0)
    assert golden_of(out) == golden_of(bundle).without_texts()
    assert ek.open_bundle(out).manifest.history == ek.open_bundle(bundle).manifest.history
    with pytest.raises(OptionError, match="nothing would be stripped: drop --keep-texts or --keep-history"):
        strip_bundle(bundle, out, texts=False, history=False)


# Where it goes


def test_in_place_the_same_bytes_every_time_and_nothing_beside(bundle: Path, tmp_path: Path) -> None:
    copy, other = tmp_path / "copy.edgekit", tmp_path / "other.edgekit"
    shutil.copy(bundle, copy)
    assert strip_bundle(copy).bundle == str(copy)
    strip_bundle(bundle, other)
    assert copy.read_bytes() == other.read_bytes() != bundle.read_bytes()
    assert sorted(tmp_path.iterdir()) == [copy, other]


def signed(path: Path) -> Path:
    """With an entry where signatures stand."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(SIGNATURE, (1980, 1, 1, 0, 0, 0)), b"{}")
    return path


def test_a_signature_goes_with_what_it_signed_and_stays_where_nothing_is_taken_out(
    bundle: Path, stripped: Path, tmp_path: Path
) -> None:
    copy = signed(Path(shutil.copy(bundle, tmp_path / "signed.edgekit")))
    assert strip_bundle(copy, tmp_path / "x.edgekit").signature_dropped
    assert (tmp_path / "x.edgekit").read_bytes() == stripped.read_bytes()
    before = signed(stripped).read_bytes()
    for out in (stripped, tmp_path / "again.edgekit"):
        made = strip_bundle(stripped, out)
        assert (made.texts, made.steps, made.signature_dropped) == (0, 0, False)
        assert out.read_bytes() == before


def test_a_sealed_bundle_is_stripped_without_its_key_and_stays_sealed(tmp_path: Path) -> None:
    key, sealed, out = bytes(range(32)), tmp_path / "sealed.edgekit", tmp_path / "x.edgekit"
    seal_bundle(PROBE, key, sealed)
    strip_bundle(sealed, out)
    before, after = ek.open_bundle(sealed), ek.open_bundle(out)
    assert after.manifest.sealed == before.manifest.sealed is not None
    assert after.manifest.history == () != before.manifest.history
    for program in before.manifest.program_files:
        assert after.read(program) == before.read(program) != ek.open_bundle(PROBE).read(program)
    with ek.load(out, engine="litert", key=key) as classify, ek.load(PROBE, engine="litert") as plain:
        assert classify("this film was good") == plain("this film was good")


def test_a_damaged_bundle_is_refused_and_left_alone(bundle: Path, tmp_path: Path) -> None:
    data = bytearray(bundle.read_bytes())
    data[data.index(b"TFL3") + 1000] ^= 1
    broken = tmp_path / "broken.edgekit"
    broken.write_bytes(data)
    with pytest.raises(BundleError, match="differs from its checksum"):
        strip_bundle(broken)
    assert broken.read_bytes() == data
    assert list(tmp_path.iterdir()) == [broken]


def test_all_models_of_a_bundle_are_stripped_and_stripped_bundles_can_be_fused(
    bundle: Path, stripped: Path, tmp_path: Path
) -> None:
    whole, after, half, fused, other = (tmp_path / f"{name}.edgekit" for name in ("a", "b", "c", "d", "other"))
    strip_bundle(PROBE, other)
    combine_bundles([bundle, PROBE], whole)
    strip_bundle(whole, after)
    combine_bundles([stripped, PROBE], half)
    combine_bundles([stripped, other], fused)
    golden = [golden_of(whole, index) for index in (0, 1)]
    none = [each.without_texts() for each in golden]
    for path, expected in ((after, none), (half, [none[0], golden[1]]), (fused, none)):
        assert [golden_of(path, index) for index in (0, 1)] == expected
        assert ek.open_bundle(path).manifest.schema_version == 3
        with ek.load(path) as classify, ek.load(whole) as before:
            assert classify("the film was good") == before("the film was good")


def test_of_golden_texts_that_were_stripped_equal_ids_suffice_to_join_programs(stripped: Path, bundle: Path) -> None:
    words, none = read_part(bundle), read_part(stripped)
    other = dataclasses.replace(words, contents={}, programs=(), reports=(), history=())
    assert (
        join_programs(none, other).golden == join_programs(words, dataclasses.replace(other, golden=none.golden)).golden
    )
    assert join_programs(none, other).golden.schema_version == 3
    assert join_programs(words, other).golden == words.golden
    first, *rest = none.golden.texts
    golden = Golden((dataclasses.replace(first, ids=(*first.ids, 5)), *rest))
    with pytest.raises(BundleError, match="are not of one model"):
        join_programs(dataclasses.replace(none, golden=golden), other)


# Commands


def test_strip_says_what_it_took_out(bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.edgekit"
    done = edgekit("strip", signed(Path(shutil.copy(bundle, tmp_path / "s.edgekit"))), "--out", out, "--json")
    texts, steps = len(golden_of(bundle).texts), len(ek.open_bundle(bundle).manifest.history)
    assert json.loads(done.stdout) == {
        "bundle": str(out),
        "bytes": out.stat().st_size,
        "texts": texts,
        "steps": steps,
        "signature_dropped": True,
    }
    assert f"{texts} golden texts and {steps} steps of history taken out" in done.stderr
    assert "its signatures went: sign it anew" in done.stderr
    done = edgekit("strip", out)
    assert (done.returncode, done.stdout) == (0, f"{out}\n")
    assert "signatures" not in done.stderr


def test_a_stripped_bundle_verifies_and_tells_no_recipe(stripped: Path) -> None:
    assert [test.golden for test in run_golden_texts(ek.open_bundle(stripped))] == [True]
    refused = edgekit("inspect", stripped, "--recipe")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "tells of no conversion" in refused.stderr and "stripped" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_converting_with_strip_gives_what_strip_makes_of_the_bundle(
    cnn_checkpoint: Path, cnn_conversion: Conversion, labelled_csv: Path, tmp_path: Path
) -> None:
    whole, at_once = tmp_path / "cnn.edgekit", tmp_path / "once" / "cnn.edgekit"
    at_once.parent.mkdir()
    strip_bundle(cnn_conversion.bundle, whole)
    made = convert(cnn_checkpoint, at_once, recipe=Recipe(strip=True), eval_data=labelled_csv)
    assert at_once.read_bytes() == whole.read_bytes()
    assert made.bytes == at_once.stat().st_size


# Texts that stand in where a profile has none


@pytest.mark.parametrize(
    ("changes", "ids", "text"),
    [
        ({}, [2, 6, 22, 60, 3], "this co"),
        ({"kind": "wordlevel"}, [6, 9], "this good"),
        ({"kind": "char"}, [12, 13], "很好"),
        ({}, [2, 3], ""),
        ({}, [1, 70_000], ""),
    ],
)
def test_a_text_that_has_about_these_ids(changes: dict[str, str], ids: list[int], text: str) -> None:
    probe = ek.open_bundle(PROBE)
    encoder = TextEncoder(probe.read("tokenizer.json"), dataclasses.replace(probe.manifest.main.text, **changes))
    assert encoder.spelled(ids) == text


# The rows of the word table


def test_a_conversion_writes_down_the_rows_of_the_word_table(bundle: Path, cnn_checkpoint: Path) -> None:
    model = read_checkpoint(cnn_checkpoint, ReadOptions(), lambda _: None)
    assert ek.open_bundle(bundle).manifest.main.text.vocab_size == model.config.vocab_size


USE = """
import sys
import edgekit_runtime as ek
try:
    with ek.load(sys.argv[1], engine="executorch", verify=sys.argv[2] == "verify") as classify:
        classify("[NEW]")
except ek.EdgekitError as error:
    print(type(error).__name__, error)
"""


def use(path: Path, verify: str) -> str:
    """Loads a bundle on ExecuTorch and classifies, in a process that may crash; the error, or nothing."""
    done = subprocess.run([sys.executable, "-c", USE, path, verify], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else f"ended with {done.returncode}"


def bounded(out: Path, rows: int | None, **contents: bytes) -> Path:
    """The probe with a tokenizer that has an id beyond its word table, or golden texts that have one."""
    (model,) = ek.open_bundle(PROBE).manifest.models
    text = dataclasses.replace(model.text, vocab_size=rows)
    changed = with_manifest(PROBE, out, models=jsonio.encode([dataclasses.replace(model, text=text)]))
    return with_contents(changed, out, **contents)


def test_no_id_beyond_the_word_table_reaches_executorch(tmp_path: Path) -> None:
    tokenizer = json.loads(ek.open_bundle(PROBE).read("tokenizer.json"))
    rows, beyond = len(tokenizer["model"]["vocab"]), 10**6
    tokenizer["model"]["vocab"]["[NEW]"] = beyond
    tokenizer["added_tokens"].append(tokenizer["added_tokens"][0] | {"id": beyond, "content": "[NEW]"})
    data = json.dumps(tokenizer).encode()
    reached = use(bounded(tmp_path / "a.edgekit", None, tokenizer_json=data), "no")
    assert reached.startswith(("EngineError", "ended with"))
    refused = use(bounded(tmp_path / "b.edgekit", rows, tokenizer_json=data), "no")
    assert refused.startswith(f"TokenizerError the tokenizer.json has ids up to {beyond}")
    first, *rest = golden_of(PROBE).without_texts().texts
    golden = jsonio.to_bytes(Golden((dataclasses.replace(first, ids=(2, beyond, 3)), *rest)))
    refused = use(bounded(tmp_path / "c.edgekit", rows, golden_json=golden), "verify")
    assert refused.startswith(f"BundleError an id of this text is none of the {rows} that the model has")


# Nothing leaves the device


def offline(*arguments: object) -> subprocess.CompletedProcess[str]:
    if platform.machine() not in SOCKET or sys.platform != "linux":
        missing("the filter is for Linux on x86-64 and aarch64")
    program = Path(__file__).parent / "offline.py"
    return subprocess.run(
        [sys.executable, program, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120
    )


def test_the_filter_ends_who_asks_for_a_socket() -> None:
    done = offline(PROBE, "socket")
    assert (done.returncode, done.stdout) == (-signal.SIGSYS, "asking\n")


@pytest.mark.parametrize("engine", ["litert", "executorch", "onnx"])
def test_nothing_that_uses_a_bundle_asks_for_a_socket_and_a_stripped_one_can_be_profiled(
    engine: str, tmp_path: Path
) -> None:
    stripped = tmp_path / "stripped.edgekit"
    strip_bundle(PROBE, stripped)
    done = offline(stripped, engine)
    assert done.returncode == 0, done.stderr
    longest = max(len(item.ids) for item in golden_of(PROBE).texts)
    assert done.stdout.splitlines()[2:] == ["not", "good", f"the bundle's golden texts, up to {longest} tokens"]
