"""LiteRT by ONNX, onnx-tf and TensorFlow: it answers as the direct route does, and what is not right is refused."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from conftest import missing
from edgekit_converters.bridges import BRIDGES
from edgekit_converters.environments import ONNX_TF, ask_there, python_of
from edgekit_converters.environments.places import installed_python
from edgekit_converters.networks.bert import Bert, BertConfig
from edgekit_converters.networks.cnn import Cnn, CnnConfig
from edgekit_converters.networks.head import HeadLayer
from edgekit_converters.pipeline import Conversion, convert
from edgekit_converters.quantspec import QuantSpec
from edgekit_converters.recipe import Recipe
from edgekit_converters.targets import Lowered, find_target
from edgekit_converters.targets.litert_by_onnx import LiteRtByOnnxTarget
from edgekit_converters.targets.litert_proof import check_answers, check_operators, check_signatures
from edgekit_converters.targets.litert_shared import content_of, written
from edgekit_runtime import load, open_bundle
from edgekit_runtime.errors import LoweringError, MissingExtraError, OptionError
from edgekit_runtime.progress import LogListener
from test_cli import fails

BUCKETS = (16, 64)


@pytest.fixture(scope="module")
def onnx_tf() -> None:
    if installed_python(ONNX_TF) is None:
        missing(f"the environment onnx-tf: {ONNX_TF.install}")


@pytest.fixture(scope="module")
def by_onnx(
    onnx_tf: None, bert_checkpoint: Path, labelled_csv: Path, tmp_path_factory: pytest.TempPathFactory
) -> Conversion:
    out = tmp_path_factory.mktemp("route") / "bert.edgekit"
    recipe = Recipe(max_length=64, buckets=BUCKETS, route="onnx")
    return convert(bert_checkpoint, out, recipe=recipe, eval_data=labelled_csv)


def random_network(network: torch.nn.Module) -> torch.nn.Module:
    """With weights that make the answers differ from text to text."""
    choose = torch.Generator().manual_seed(1)
    for tensor in network.parameters():
        with torch.no_grad():
            tensor.copy_(torch.randn(tensor.shape, generator=choose) * (0.3 if tensor.dim() > 1 else 0.1) + 0.05)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def cnn() -> torch.nn.Module:
    """A CNN with a layer of each activation behind it, and a table larger than all the rest."""
    layers = tuple(HeadLayer(16, activation) for activation in ("gelu", "gelu_new", "relu", "tanh"))
    return random_network(Cnn(CnnConfig(4000, 24, (3, 4, 5), (8, 8, 8), 3, layers)))


@pytest.fixture(scope="module")
def lowered_cnn(onnx_tf: None, cnn: torch.nn.Module) -> Lowered:
    return LiteRtByOnnxTarget().lower(cnn, BUCKETS, QuantSpec("none"), LogListener())


# --- what it makes ----------------------------------------------------------------------------------------------------


def test_it_answers_as_the_direct_route_does(by_onnx: Conversion, bert_on_both: Conversion, labelled_csv: Path) -> None:
    (report,) = by_onnx.verify
    assert report.agreement == 1.0 and report.accuracy == report.accuracy_float
    texts = [line.rpartition(",")[0] for line in labelled_csv.read_text(encoding="utf-8").splitlines()[1:]]
    with load(by_onnx.bundle) as ours, load(bert_on_both.bundle, engine="litert") as direct:
        scores = [[list(classify(text).scores.values()) for text in texts] for classify in (ours, direct)]
    assert np.abs(np.subtract(*scores)).max() < 0.1
    direct_program = next(program for program in bert_on_both.programs if program.engine == "litert")
    assert by_onnx.programs[0].bytes < 1.05 * direct_program.bytes, "the table is int8, and the weights are shared"


def test_the_bundle_tells_of_the_route(by_onnx: Conversion) -> None:
    manifest = open_bundle(by_onnx.bundle).manifest
    (step,) = (step for step in manifest.history if step.stage == "lower")
    assert step.settings["route"] == "onnx" and step.settings["bridge"] == "onnx-tf"
    assert (step.tools["onnx-tf"], step.tools["tensorflow-cpu"], step.tools["onnx"]) == ("1.10.0", "2.15.1", "1.16.2")
    assert step.tools.keys() >= {"torch", "ai-edge-quantizer", "ai-edge-litert"}


def test_a_cnn_with_every_activation_is_the_same_each_time(lowered_cnn: Lowered, cnn: torch.nn.Module) -> None:
    again = LiteRtByOnnxTarget().lower(cnn, BUCKETS, QuantSpec("none"), LogListener())
    assert again == lowered_cnn
    weights = sum(tensor.numel() * 4 for tensor in cnn.parameters())
    assert weights < len(lowered_cnn.data) < 1.25 * weights, "two lengths, one set of weights"


def test_a_bert_with_a_projection_and_pruned_layers(onnx_tf: None) -> None:
    config = BertConfig(
        *(200, 32, 2, 4, 64, 40, 2),
        embedding=16,
        family="electra",
        heads_by_layer=(4, 1),
        neurons_by_layer=(64, 24),
        layer_norm_eps=1e-6,
    )
    network = random_network(Bert(config))
    made = LiteRtByOnnxTarget().lower(network, (40,), QuantSpec("fp16"), LogListener())
    check_signatures(made.data, (40,), "output_0", 2)
    with pytest.raises(LoweringError, match=r"a logit differs by"):
        check_answers(made.data, random_network(Bert(config)).double().float().apply(_louder), (40,), 200, "output_0")


def _louder(module: torch.nn.Module) -> None:
    if isinstance(module, torch.nn.Linear):
        module.weight.mul_(1.1)


# --- what is refused --------------------------------------------------------------------------------------------------


def test_a_real_program_with_a_flex_operator_is_refused(onnx_tf: None, tmp_path: Path) -> None:
    made = tmp_path / "flex.tflite"
    code = """
import sys
import tensorflow as tf
function = tf.function(lambda x: tf.math.erf(x), input_signature=[tf.TensorSpec([1, 2])])
converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
open(sys.argv[1], "wb").write(converter.convert())
"""
    subprocess.run([python_of(ONNX_TF), "-I", "-c", code, made], capture_output=True, check=True)
    with pytest.raises(LoweringError, match=r"operators that TFLite has not: FlexErf; .* leave --route out"):
        check_operators(made.read_bytes())


def test_a_graph_that_tensorflow_cannot_convert(onnx_tf: None, tmp_path: Path) -> None:
    path = tmp_path / "erf.onnx"
    graph = helper.make_graph(
        [helper.make_node("Erf", ["x"], ["y"])],
        "erf",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
    )
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)]), path)
    options = {"graphs": {"length_4": str(path)}, "out": str(tmp_path / "out.tflite")}
    with pytest.raises(LoweringError, match=r"TensorFlow could not convert the network: TFLite has no Erf; leave"):
        ask_there(ONNX_TF, BRIDGES["onnx-tf"].function, options, limit_s=120)
    assert not (tmp_path / "out.tflite").exists()


def test_answers_that_are_off_are_refused(lowered_cnn: Lowered, cnn: torch.nn.Module) -> None:
    check_answers(lowered_cnn.data, cnn, BUCKETS, 4000, "output_0")
    content = content_of(lowered_cnn.data)
    table = max(content.buffers, key=lambda buffer: 0 if buffer.data is None else len(buffer.data))
    table.data = (table.data.view(np.float32) * np.float32(1.01)).view(np.uint8)
    with pytest.raises(LoweringError, match=r"at length 16 a logit differs by .* more than 0\.001; leave --route out"):
        check_answers(written(content), cnn, BUCKETS, 4000, "output_0")
    table.data = (table.data.view(np.float32) * np.float32("nan")).view(np.uint8)
    with pytest.raises(LoweringError, match="a logit differs by nan"):
        check_answers(written(content), cnn, BUCKETS, 4000, "output_0")


def test_signatures_that_are_not_those_asked_for_are_refused(lowered_cnn: Lowered) -> None:
    check_signatures(lowered_cnn.data, BUCKETS, "output_0", 3)
    for buckets, output, classes in (((16,), "output_0", 3), (BUCKETS, "logits", 3), (BUCKETS, "output_0", 2)):
        with pytest.raises(LoweringError, match=r"not what was asked for: its signature length_\d+ has .*, not "):
            check_signatures(lowered_cnn.data, buckets, output, classes)
    content = content_of(lowered_cnn.data)
    first, second = content.signatureDefs[0].inputs
    first.name, second.name = second.name, first.name  # what a change of order looks like
    with pytest.raises(LoweringError, match=r"not what was asked for"):
        check_signatures(written(content), BUCKETS, "output_0", 3)


def test_without_the_environment_nothing_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cnn_checkpoint: Path
) -> None:
    monkeypatch.setenv("EDGEKIT_ENVIRONMENTS", str(tmp_path))
    with pytest.raises(
        MissingExtraError, match=r"--route onnx needs .* onnx-tf, .*: edgekit doctor --install-onnx-tf \(1\.4 GB\)"
    ):
        find_target("litert", "onnx").check(QuantSpec())
    fails("convert", cnn_checkpoint, "--route", "onnx", because="edgekit doctor --install-onnx-tf (1.4 GB)")


def test_schemes_that_the_route_cannot_do(onnx_tf: None) -> None:
    target = find_target("litert", "onnx")
    with pytest.raises(
        OptionError, match=r"--route onnx cannot do int8-per-tensor; it can do int8, .* leave --route out"
    ):
        target.check(QuantSpec("int8-per-tensor"))
    with pytest.raises(OptionError, match=r"litert does not support int8-static for bert"):
        target.check(QuantSpec("int8-static"), "bert")
    target.check(QuantSpec("int8-static"), "cnn")
