"""The target onnx: what is lowered answers as the network, in little room, the same on every processor."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

import edgekit_runtime
from conftest import missing
from edgekit_converters.networks.unpadded import unpadded
from edgekit_converters.pipeline import convert
from edgekit_converters.quantspec import QuantSpec, Sample
from edgekit_converters.recipe import Recipe
from edgekit_converters.targets.onnx import IR_VERSION, OPSET, OnnxTarget
from edgekit_converters.targets.onnx_quantize import prepare
from edgekit_runtime.engines.onnx import OnnxEngine
from edgekit_runtime.errors import LoweringError, OptionError
from edgekit_runtime.progress import LogListener
from originals import random_rows
from test_executorch import RECIPE, differences, far_from, plain_bert, plain_cnn

SCHEMES = OnnxTarget.schemes


def lower(network, longest, scheme="none", samples=()):
    return OnnxTarget().lower(network, (longest,), QuantSpec(scheme, tuple(samples)), LogListener())


def samples(lengths=(5, 9, 12)):
    rows = random_rows(60, list(lengths), seed=3)
    return [Sample(np.array([row], np.int32), np.ones((1, len(row)), np.float32)) for row in rows]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A network and what it is lowered to, by architecture and scheme; each once, since exporting takes long."""
    networks = {"bert": plain_bert(tmp_path_factory.mktemp("bert")), "cnn": plain_cnn((2, 3))}
    found = {}

    def make(architecture, scheme):
        network = networks[architecture]
        if (architecture, scheme) not in found:
            found[architecture, scheme] = lower(network, 32, scheme, samples() if scheme == "int8-static" else ())
        return network, found[architecture, scheme]

    return make


def constants(data):
    """Name to array of everything that the model holds."""
    return {each.name: numpy_helper.to_array(each) for each in onnx.load_from_string(data).graph.initializer}


# Schemes


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_answers_nearly_as_the_network(scheme, made):
    """Of both architectures; int8's tolerance is a fraction of what the logits span."""
    for architecture in ("bert", "cnn"):
        network, lowered = made(architecture, scheme)
        assert lowered.program.scheme == scheme
        spread = float(network(torch.tensor(random_rows(60, [12])), torch.ones(1, 12)).abs().max())
        most = {"none": 1e-5, "fp16": 0.01, "int8": 0.1, "int8-static": 0.4}[scheme] * max(1.0, spread)
        found = differences(network, lowered, [3, 12, 32])
        assert max(found.values()) < most, found


@pytest.mark.parametrize(("scheme", "bytes_each"), [("int8", 1), ("int8-static", 1), ("fp16", 2), ("none", 4)])
def test_weights_and_table_take_the_room_that_the_scheme_says(scheme, bytes_each, made):
    network, lowered = made("bert", scheme)
    linears = [module for module in network.modules() if isinstance(module, nn.Linear)]
    matrices = sum(module.weight.numel() for module in linears) + network.words.weight.numel()
    held = constants(lowered.data)
    wanted = {1: np.int8, 2: np.float16, 4: np.float32}[bytes_each]
    in_matrices = sum(
        each.size for each in held.values() if each.ndim == 2 and each.dtype == wanted and 1 not in each.shape
    )
    at_least = matrices - (network.classifier.weight.numel() + network.head[0].weight.numel()) * (
        scheme == "int8-static"
    )
    assert in_matrices >= at_least, "int8-static leaves the head to float32"
    assert len(lowered.data) < bytes_each * matrices + 60_000


def test_weights_have_seven_bits(made):
    """Sums of two products of uint8 and int8 stay within 16 bits, which processors without VNNI add them in."""
    for scheme in ("int8", "int8-static"):
        network, lowered = made("bert", scheme)
        held = constants(lowered.data)
        tables = [
            each for each in held.values() if each.dtype == np.int8 and each.shape == tuple(network.words.weight.shape)
        ]
        assert np.abs(tables[0].astype(int)).max() == 127, "nothing is multiplied with the table's rows"
        products = [
            each for each in held.values() if each.dtype == np.int8 and each.ndim == 2 and each is not tables[0]
        ]
        assert len(products) >= 8
        assert max(int(np.abs(each.astype(int)).max()) for each in products) in (63, 64)


def test_a_scale_a_column(made):
    network, lowered = made("bert", "int8")
    held = constants(lowered.data)
    scales = [each for name, each in held.items() if name.endswith("_scale") and each.size > 1]
    assert sorted(each.size for each in scales) == sorted(
        module.out_features for name, module in unpadded(network, 32).named_modules() if isinstance(module, nn.Linear)
    )


def test_rows_of_zeros_are_no_trouble(tmp_path):
    network = plain_bert(tmp_path, num_hidden_layers=1, hidden_act="relu")
    network.layers[0].up.bias = nn.Parameter(torch.full((network.config.intermediate,), -1e3), requires_grad=False)
    found = differences(network, lower(network, 16, "int8"), [1, 8])
    assert max(found.values()) < 0.2, found


def test_the_prepared_form_answers_as_the_network(tmp_path):
    network = plain_bert(tmp_path)
    form = unpadded(network, 32)
    prepare(form)
    ids = torch.tensor(random_rows(60, [9]))
    torch.testing.assert_close(form(ids), network(ids, torch.ones(1, 9)), atol=0.05, rtol=0.02)


def test_outliers_of_one_token_leave_the_others_their_bits(tmp_path):
    """What row scaling is for: without it one scale must hold all rows of an activation."""
    network = plain_bert(tmp_path, num_hidden_layers=1)
    network.words.weight.data[7] *= 40.0
    scaled = lower(network, 16, "int8")
    assert max(differences(network, scaled, [8]).values()) < 0.2


# The file


def test_the_file_says_its_opset_and_nothing_of_the_machine_that_made_it(made):
    _, lowered = made("cnn", "int8")
    model = onnx.load_from_string(lowered.data)
    assert [(each.domain, each.version) for each in model.opset_import] == [
        ("", OPSET)
    ] and model.ir_version == IR_VERSION
    assert lowered.notes == {"opset": OPSET}
    assert not model.metadata_props and not model.graph.value_info
    assert b"/edgekit" not in lowered.data and b".py" not in lowered.data
    assert all(node.domain == "" for node in model.graph.node), "operators of the standard alone"
    (ids,) = model.graph.input
    assert [each.dim_value or each.dim_param for each in ids.type.tensor_type.shape.dim] == [1, "L"]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_same_network_gives_the_same_bytes(scheme, made):
    network, lowered = made("cnn", scheme)
    assert lower(network, 32, scheme, samples() if scheme == "int8-static" else ()).data == lowered.data


# Whole conversions


def test_a_bundle_runs_on_onnxruntime_where_nothing_else_is_wanted(bert_on_onnx, bert_checkpoint):
    (report,) = bert_on_onnx.verify
    assert (report.engine, report.accuracy >= report.accuracy_float - 0.01) == ("onnx", True)
    with edgekit_runtime.load(bert_on_onnx.bundle) as classifier:
        assert isinstance(classifier.engine, OnnxEngine)
        assert classifier("what a wonderful film it was in the end").label == "positive"
        assert far_from(bert_checkpoint, classifier) < 0.3
    manifest = edgekit_runtime.open_bundle(bert_on_onnx.bundle).manifest
    program = manifest.main.programs[0]
    assert program.right_on == ("onnxruntime",) and program.min_engine.startswith("onnxruntime ")
    (step,) = (step for step in manifest.history if step.stage == "lower")
    assert set(step.tools) == {"onnx", "onnxscript", "onnxruntime", "torch"} and step.settings["opset"] == OPSET


def test_ranges_from_texts_serve_a_cnn(cnn_checkpoint, labelled_csv, tmp_path):
    recipe = Recipe(targets=("onnx",), quantize="int8-static", **RECIPE)
    made = convert(
        cnn_checkpoint, tmp_path / "b.edgekit", recipe=recipe, eval_data=labelled_csv, calibrate=labelled_csv
    )
    assert made.verify[0].accuracy >= made.verify[0].accuracy_float - 0.01
    with edgekit_runtime.load(made.bundle) as classifier:
        assert far_from(cnn_checkpoint, classifier) < 0.6


ANSWERS = """
import sys
import edgekit_runtime
with edgekit_runtime.load(sys.argv[1], engine="onnx", threads=1, verify=False) as classifier:
    print([classifier.logits(classifier.encoder.ids(text)).tolist() for text in sys.argv[2:]])
"""
TEXTS = ("what a wonderful film it was in the end", "the room was bad", "电影很好")


def test_old_processors_answer_alike(bert_on_onnx):
    """Haswell has AVX2 without VNNI, Nehalem no AVX at all."""
    emulator = shutil.which("qemu-x86_64-static")
    if emulator is None:
        missing("qemu-x86_64-static is not installed: apt install qemu-user-static")
    import platform

    if platform.machine() != "x86_64":
        pytest.skip("the Python here is no x86-64 program, so that no x86-64 processor can be emulated for it")
    command = [sys.executable, "-c", ANSWERS, bert_on_onnx.bundle, *TEXTS]
    here = eval(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    for processor in ("Haswell", "Nehalem"):
        done = subprocess.run([emulator, "-cpu", processor, *command], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        np.testing.assert_allclose(eval(done.stdout), here, atol=0.01)


# Refusals


@pytest.mark.parametrize("scheme", ["int4", "int8-per-tensor"])
def test_a_scheme_that_it_lacks_is_refused_before_the_checkpoint_is_read(scheme, tmp_path):
    with pytest.raises(OptionError, match=f"onnx cannot do {scheme}; it can do int8, int8-static, fp16, none"):
        convert(tmp_path / "missing.pt", recipe=Recipe(targets=("onnx",), quantize=scheme))


def test_a_network_that_is_none_of_edgekits_is_refused():
    with pytest.raises(LoweringError, match="not Linear"):
        OnnxTarget().lower(nn.Linear(2, 2), (16,), QuantSpec("none"), LogListener())


def test_the_network_is_left_as_it_was(made, tmp_path):
    network, _ = made("bert", "int8")
    before = plain_bert(tmp_path).state_dict()
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert network.state_dict().keys() == before.keys()
