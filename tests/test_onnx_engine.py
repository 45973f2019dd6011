"""The engine onnx: a bundle's program on ONNX Runtime, and whatever may be wrong with it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest

import edgekit_runtime as ek
from bundles import entries, with_contents
from edgekit_runtime.errors import EngineUnavailableError, GoldenMismatchError
from edgekit_runtime.manifest import TensorSpec
from test_executorch_engine import PROBE, TEXT, THREE, lying, python


@pytest.fixture
def bundle(tmp_path):
    path = tmp_path / "probe.edgekit"
    path.write_bytes(PROBE.read_bytes())
    return path


@pytest.fixture
def classify(bundle):
    with ek.load(bundle, engine="onnx") as classifier:
        yield classifier


def changed(bundle, change):
    """The bundle with a model.onnx in which something is otherwise, and checksums that agree with it."""
    model = onnx.load_from_string(entries(bundle)["model.onnx"])
    change(model)
    return with_contents(bundle, bundle.with_name("changed.edgekit"), model_onnx=model.SerializeToString())


# Where it runs


def test_onnxruntime_is_all_that_it_needs(bundle):
    said = python(
        """
import sys
for name in ("torch", "onnx", "ai_edge_litert", "edgekit_executorch", "executorch"):
    sys.modules[name] = None
import edgekit_runtime as ek
with ek.load(sys.argv[1]) as classify:
    print(classify(sys.argv[2]).label, classify.engine.distribution.split()[0])
""",
        bundle,
        TEXT,
    )
    with ek.load(bundle, engine="litert") as other:
        assert said == f"{other(TEXT).label} onnxruntime"


def test_without_it_the_next_step_is_named(bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EngineUnavailableError, match=r"not installed: pip install 'edgekit\[onnx\]'"):
        ek.load(bundle, engine="onnx")


@pytest.mark.parametrize("threads", [1, 2])
def test_it_uses_no_more_threads_than_it_may(bundle, threads):
    """Counted by the kernel, in a process of its own."""
    said = python(
        """
import os, sys
import onnxruntime, edgekit_runtime as ek
before = len(os.listdir("/proc/self/task"))
with ek.load(sys.argv[1], engine="onnx", threads=int(sys.argv[2])) as classify:
    classify("good film")
    print(len(os.listdir("/proc/self/task")) - before)
""",
        bundle,
        threads,
    )
    assert int(said) == threads - 1, "the caller is one of them"


# Texts


@pytest.mark.parametrize(("shape", "reason"), [((1, 0), "none"), ((2, 4), "[2, 4]"), ((4,), "[4]")])
def test_a_shape_that_the_program_does_not_take_is_refused(classify, shape, reason):
    with pytest.raises(ek.EngineError) as caught:
        classify.engine.run(np.ones(shape, np.int32), np.ones(shape, np.float32))
    assert reason in str(caught.value) and "\n" not in str(caught.value)
    assert classify(TEXT), "it goes on"


def test_an_id_outside_the_table_is_an_error(classify):
    for strange in (10_000, -10_000):
        with pytest.raises(ek.EngineError, match="out of"):
            classify.engine.run(np.full((1, 4), strange, np.int32), np.ones((1, 4), np.float32))


# Damaged programs


def newer_opset(model):
    model.opset_import[0].version = 900


def cycle(model):
    model.graph.node[0].input[0] = model.graph.output[0].name


def outside(model):
    table = max(model.graph.initializer, key=lambda each: len(each.raw_data))
    table.ClearField("raw_data")
    table.data_location = onnx.TensorProto.EXTERNAL
    table.external_data.add(key="location", value="/etc/passwd")


def beside(model):
    """A tensor in the working directory, which ONNX Runtime would read."""
    outside(model)
    table = next(each for each in model.graph.initializer if each.external_data)
    table.external_data[0].value = "weights.bin"


def unknown(model):
    model.graph.node[0].op_type = "Surprise"


@pytest.mark.parametrize("change", [newer_opset, cycle, unknown])
def test_a_graph_that_cannot_be_is_an_error_in_one_line(bundle, change):
    with pytest.raises(ek.EngineError, match=r"ONNX Runtime refuses model\.onnx: .* convert the model anew") as caught:
        ek.load(changed(bundle, change), engine="onnx")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", [outside, beside])
def test_weights_in_another_file_are_not_read(change, bundle, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.bin").write_bytes(bytes(1 << 20))
    with pytest.raises(ek.EngineError, match=r"from a file outside the bundle; do not trust it"):
        ek.load(changed(bundle, change), engine="onnx", verify=False)


def test_onnxruntime_keeps_no_number_of_the_device_and_prints_nothing(bundle, tmp_path):
    """A program that fails says so once, by its error; newer versions of onnxruntime report their use otherwise."""
    folders = [tmp_path / name for name in ("home", "temporary")]
    for folder in folders:
        folder.mkdir()
    program = """
import sys
import numpy as np
import edgekit_runtime as ek
with ek.load(sys.argv[1], engine="onnx") as classify:
    try:
        classify.engine.run(np.full((1, 4), 10_000, np.int32), np.ones((1, 4), np.float32))
    except ek.EngineError:
        print("refused")
"""
    places = {"HOME": str(folders[0]), "TMPDIR": str(folders[1])}
    told = {"XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run(
        [sys.executable, "-c", program, bundle],
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if name not in told} | places,
    )
    assert (done.stdout, done.stderr) == ("refused\n", "")
    assert not [path for folder in folders for path in folder.iterdir()]


def other_weights(model):
    table = max(model.graph.initializer, key=lambda each: len(each.raw_data))
    table.raw_data = table.raw_data[::-1]


def test_other_weights_under_a_right_checksum_fail_the_golden_texts(bundle):
    with pytest.raises(GoldenMismatchError):
        ek.load(changed(bundle, other_weights), engine="onnx")


# A manifest that lies


IDS = TensorSpec("ids", "ids", "int64", (1, "L"))


def test_a_manifest_that_lies_is_an_error_at_load(bundle):
    for changes in (
        {"inputs": (replace(IDS, dtype="int32"),)},
        {"inputs": (replace(IDS, dtype="foo"),)},
        {"inputs": (replace(IDS, name="other"),)},
        {"inputs": (replace(IDS, shape=("L",)),)},
        THREE,
    ):
        with pytest.raises(ek.EngineError, match=r"and the manifest says .* convert the model anew") as caught:
            ek.load(lying(bundle, "onnx", **changes), verify=False)
        assert "\n" not in str(caught.value)
    with pytest.raises(ek.EngineError, match="one input, the ids"):
        ek.load(lying(bundle, "onnx", inputs=(IDS, replace(IDS, name="mask", role="mask"))))
