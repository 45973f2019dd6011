"""The engine executorch: a bundle's program on the device, without torch, and whatever may be wrong with it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest

import edgekit_runtime as ek
from bundles import entries, with_contents
from edgekit_runtime.bundle import write_bundle_file
from edgekit_runtime.engines.executorch import ExecuTorchEngine
from edgekit_runtime.errors import GoldenMismatchError
from edgekit_runtime.manifest import Manifest, TensorSpec
from test_layers import ROOT

PROBE = resources.files("edgekit_runtime") / "probe.edgekit"
"""A tiny CNN for both engines; it takes 1 to 16 tokens."""
TEXT = "this film was good , not bad"


@pytest.fixture
def bundle(tmp_path):
    path = tmp_path / "probe.edgekit"
    path.write_bytes(PROBE.read_bytes())
    return path


@pytest.fixture
def classify(bundle):
    with ek.load(bundle, engine="executorch") as classifier:
        yield classifier


def python(program, *arguments):
    """What a Python of its own prints, or how it ends."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# Without torch


def test_a_program_runs_with_torch_blocked(bundle):
    seen = python(
        """
import sys
sys.modules["torch"] = None
import edgekit_runtime
classify = edgekit_runtime.load(sys.argv[1], engine="executorch")
print(classify(sys.argv[2]).label, classify.engine.distribution.split()[0])
print(*sorted(name for name in sys.modules if name.partition(".")[0] in {"torch", "executorch", "pandas", "torchao"}))
""",
        bundle,
        TEXT,
    ).split("\n")
    with ek.load(bundle, engine="litert") as other:
        assert seen == [f"{other(TEXT).label} edgekit-executorch", "torch"]


def test_importing_the_runtime_loads_no_engine():
    assert python("import edgekit_runtime, sys; print([n for n in sys.modules if 'executorch' in n])") == "[]"


# The official binding


ALONE = """
import sys
for name in sys.argv[3].split(","):
    sys.modules[name] = None
import edgekit_runtime as ek
from edgekit_runtime.errors import EngineUnavailableError
try:
    with ek.load(sys.argv[1], engine="executorch", threads=1) as classify:
        print(classify(sys.argv[2]).score, classify.engine.distribution, sep="|")
        try:
            classify.engine.close()
            classify(sys.argv[2])
        except ek.EngineError as error:
            print(error)
except EngineUnavailableError as error:
    print(error)
"""


def test_the_official_binding_serves_where_it_alone_is_installed(bundle, classify):
    first, closed = python(ALONE, bundle, TEXT, "edgekit_executorch").splitlines()
    score, distribution = first.split("|")
    assert distribution.startswith("executorch 1.") and distribution.endswith("(its own binding, with torch)")
    assert float(score) == pytest.approx(classify(TEXT).score, abs=1e-3)
    assert "the program was closed" in closed


def test_without_either_the_next_step_is_named(bundle):
    answer = python(ALONE, bundle, TEXT, "edgekit_executorch,executorch")
    assert answer == "edgekit-executorch is not installed: pip install 'edgekit[executorch]'"


# Texts


@pytest.mark.parametrize(("shape", "reason"), [((1, 17), "17"), ((1, 0), "empty"), ((2, 4), "[2, 4]"), ((4,), "[4]")])
def test_a_shape_that_the_program_does_not_take_is_refused(classify, shape, reason):
    with pytest.raises(ek.EngineError) as caught:
        classify.engine.run(np.ones(shape, np.int32), np.ones(shape, np.float32))
    assert reason in str(caught.value) and "\n" not in str(caught.value)
    assert classify(TEXT), "it goes on"


# Damaged programs


def damaged(bundle, change):
    """The bundle with another model.pte and checksums that agree with it, as a careless tool would leave it."""
    data = bytearray(entries(bundle)["model.pte"])
    return with_contents(bundle, bundle.with_name("damaged.edgekit"), model_pte=bytes(change(data)))


def newer(data):
    at = data.index(b"ET12")
    return data[:at] + b"ET13" + data[at + 4 :]


def test_a_program_of_a_newer_schema_is_an_error_in_one_line(bundle):
    with pytest.raises(ek.EngineError, match=r"ExecuTorch refuses model\.pte") as caught:
        ek.load(damaged(bundle, newer), engine="executorch")
    assert "\n" not in str(caught.value)


def test_other_weights_under_a_right_checksum_fail_the_golden_texts(bundle):
    data = bytearray(entries(bundle)["model.pte"])
    for at in range(len(data) - 400, len(data)):  # the end of the word table
        data[at] ^= 0x08
    path = with_contents(bundle, bundle.with_name("other.edgekit"), model_pte=bytes(data))
    with pytest.raises(GoldenMismatchError):
        ek.load(path, engine="executorch")


def test_fallback_goes_from_a_damaged_program_to_the_other(bundle):
    broken = with_contents(bundle, bundle.with_name("b.edgekit"), model_tflite=b"no program" * 100)
    with pytest.raises(ek.EngineError, match="LiteRT refuses"):
        ek.load(broken)
    with (
        pytest.warns(RuntimeWarning, match="engine litert is passed over"),
        ek.load(broken, fallback=True) as classifier,
    ):
        assert isinstance(classifier.engine, ExecuTorchEngine)


# The mapped file


def test_a_bundle_that_is_replaced_goes_on_answering(bundle, classify):
    expected = classify(TEXT)
    other = bundle.with_name("other")
    other.write_bytes(b"something else")
    os.replace(other, bundle)
    assert classify(TEXT) == expected
    bundle.unlink()
    assert classify(TEXT) == expected


def test_a_bundle_that_is_cut_in_place_is_an_error_and_no_crash(bundle, classify):
    classify(TEXT)
    os.truncate(bundle, 100)
    with pytest.raises(ek.EngineError, match="changed"):
        classify(TEXT)


def test_the_program_is_mapped_where_it_lies(bundle, classify):
    with open("/proc/self/maps", encoding="utf-8") as maps:
        assert str(bundle) in maps.read(), "and not copied"


def test_what_a_bundle_says_must_fit_the_program(bundle):
    opened = ek.open_bundle(bundle)
    programs = {program.engine: program for program in opened.manifest.main.programs}
    with pytest.raises(ek.EngineError, match="one input, the ids"):
        ExecuTorchEngine.load(programs["litert"], opened.part("model.pte"), 1)


def lying(bundle, engine, labels=("negative", "positive"), **changes):
    """The bundle with one program alone, of which the manifest says something else."""
    contents = entries(bundle)
    manifest = Manifest.from_bytes(contents.pop("manifest.json"))
    (program,) = (each for each in manifest.main.programs if each.engine == engine)
    entry = replace(manifest.main, programs=(replace(program, **changes),))
    return write_bundle_file(
        bundle.with_name("lying.edgekit"), replace(manifest, labels=labels, models=(entry,)), contents
    )


IDS = TensorSpec("ids", "ids", "int64", (1, "L"))
LOGITS = TensorSpec("logits", "logits", "float32", (1, 2))
THREE = {"outputs": (replace(LOGITS, shape=(1, 3)),), "labels": ("a", "b", "c")}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, which the official binding imports
@pytest.mark.parametrize("alone", [False, True], ids=["edgekit-executorch", "the official binding"])
def test_a_manifest_that_lies_is_an_error_at_load(bundle, alone, monkeypatch):
    if alone:
        monkeypatch.setitem(sys.modules, "edgekit_executorch", None)
    for changes in (
        {"inputs": (replace(IDS, dtype="int32"),)},
        {"inputs": (replace(IDS, dtype="foo"),)},
        {"inputs": (replace(IDS, shape=("L",)),)},
        {"outputs": (replace(LOGITS, role="other"), LOGITS)},
        THREE,
    ):
        with pytest.raises(ek.EngineError, match=r"and the manifest says .* convert the model anew") as caught:
            ek.load(lying(bundle, "executorch", **changes), verify=False)
        assert "\n" not in str(caught.value)


def test_more_labels_than_logits_are_an_error_on_every_engine(bundle):
    outputs = (replace(THREE["outputs"][0], name="output_0"),)
    with pytest.raises(ek.EngineError, match="2 logits for 3 labels"):
        ek.load(lying(bundle, "litert", THREE["labels"], outputs=outputs))
