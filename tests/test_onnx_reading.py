"""ONNX files of torch's exporters: what is recognised answers as the module did, and everything else is refused."""

from __future__ import annotations

import json
import random
import shutil
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from transformers import (
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ElectraConfig,
    ElectraForSequenceClassification,
)

import edgekit_runtime
from conftest import PIECES, make_bert
from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
from edgekit_converters.model import TextModel
from edgekit_converters.pipeline import convert
from edgekit_converters.quantspec import QuantSpec
from edgekit_converters.recipe import Recipe
from edgekit_converters.targets.onnx import OnnxTarget
from edgekit_converters.training.bases import read_base
from edgekit_runtime.errors import CheckpointError, EdgekitError, OptionError
from edgekit_runtime.progress import LogListener
from originals import TextCnn, network_answers, random_rows, text_cnn
from test_executorch import plain_bert

LENGTH = 16
"""Of the texts that the modules are traced with, and that graphs of fixed shapes take."""

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
SIZES: dict[str, Any] = {"vocab_size": len(PIECES), "max_position_embeddings": 64}


def lively(module: nn.Module, seed: int = 5) -> Any:
    """Random weights under which attention, activations, head and batch norm all matter."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, tensor in module.named_parameters():
            if tensor.dim() == 2:
                tensor.mul_(6.0)
            if name.endswith("bias"):
                tensor.normal_(std=0.2)
            if "Norm" in name and name.endswith("weight"):
                tensor.uniform_(0.5, 1.5)  # a fresh module has ones everywhere, which exporters store once
        for name, tensor in module.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                tensor.uniform_(0.5, 2.0)
    return module.eval()


def bert(folder: Path, **changes: Any) -> Any:
    return lively(make_bert(folder / "made", max_position_embeddings=64, **changes))


def distilbert() -> Any:
    return lively(
        DistilBertForSequenceClassification(DistilBertConfig(**SIZES, dim=64, n_layers=2, n_heads=4, hidden_dim=96))
    )


def electra() -> Any:
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}
    return lively(ElectraForSequenceClassification(ElectraConfig(**SIZES, **sizes, embedding_size=32)))


class BatchNormCnn(TextCnn):
    """A TextCNN with batch norm in three places, a hidden layer with tanh, and convolutions that are not in order."""

    def __init__(self) -> None:
        super().__init__(len(PIECES), 12, (4, 2), 8, 2)
        self.norms = nn.ModuleList(nn.BatchNorm1d(8) for _ in range(2))
        self.joined = nn.BatchNorm1d(16)
        self.hidden = nn.Sequential(nn.Linear(16, 10), nn.BatchNorm1d(10), nn.Tanh())
        self.fc = nn.Linear(10, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embedding(x).permute(0, 2, 1)
        parts = [torch.relu(norm(conv(x)).amax(dim=2)) for conv, norm in zip(self.convs, self.norms, strict=True)]
        return self.fc(self.hidden(self.joined(torch.cat(parts[::-1], dim=1))))


class PictureCnn(nn.Module):
    """Kim's TextCNN by Conv2d over two tables as channels, pooled as the tutorials do."""

    def __init__(self) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(len(PIECES), 12) for _ in range(2))
        self.convs = nn.ModuleList(nn.Conv2d(2, 8, (width, 12)) for width in (2, 3))
        self.fc = nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.stack([table(x) for table in self.tables], dim=1)
        x = [torch.relu(conv(x)).squeeze(3) for conv in self.convs]
        return self.fc(torch.cat([nn.functional.max_pool1d(c, c.shape[2]).squeeze(2) for c in x], dim=1))


def cnn(**changes: Any) -> Any:
    return lively(text_cnn(len(PIECES), **changes))


def export(
    module: nn.Module,
    path: Path,
    *,
    opset: int,
    inputs: int = 3,
    dynamo: bool = False,
    fixed: bool = False,
    external: bool = False,
) -> Path:
    """Exports as optimum does: by torch.onnx.export, with the usual names; a CNN has one input."""
    ids = torch.randint(5, 40, (1, LENGTH), generator=torch.Generator().manual_seed(0))
    arguments = (ids, torch.ones_like(ids), torch.zeros_like(ids))[:inputs]
    names = list(INPUTS[:inputs])
    if hasattr(module, "config"):
        module.config.return_dict = False
    axes: dict[str, Any] = {}
    if not fixed and dynamo:
        axes["dynamic_shapes"] = [{0: "batch", 1: "length"} for _ in names]
        if hasattr(module, "config"):
            axes["dynamic_shapes"] = dict(zip(names, axes["dynamic_shapes"], strict=True))
    elif not fixed:
        axes["dynamic_axes"] = {name: {0: "batch", 1: "length"} for name in names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporters warn of each other, and of Python's numbers in traces
        torch.onnx.export(
            module,
            arguments,
            str(path),
            dynamo=dynamo,
            opset_version=opset,
            input_names=names,
            output_names=["logits"],
            external_data=external,
            verbose=False,
            **axes,
        )
    return path


@torch.inference_mode()
def module_answers(module: nn.Module, rows: Sequence[Sequence[int]]) -> np.ndarray:
    """Logits of each text alone, unpadded."""
    found = []
    for ids in (torch.tensor([row]) for row in rows):
        out = module(input_ids=ids, attention_mask=torch.ones_like(ids)) if hasattr(module, "config") else module(ids)
        found.append(out[0] if isinstance(out, tuple) else out)
    return torch.cat(found).numpy()


@dataclass(frozen=True)
class Given:
    """An exported file, and the module that gives the logits which it must answer with."""

    path: Path
    module: nn.Module
    fixed: bool = False


def given(folder: Path, module: nn.Module, *, exported: nn.Module | None = None, **how: Any) -> Given:
    path = export(module if exported is None else exported, folder / "model.onnx", **how)
    return Given(path, module, how.get("fixed", False))


def eager(module: BertForSequenceClassification) -> BertForSequenceClassification:
    """The same with attention written out, which old opsets need."""
    module.set_attn_implementation("eager")
    return module


FORMS: dict[str, Callable[[Path], Given]] = {
    "bert opset 11": lambda at: given(at, eager(bert(at)), opset=11),
    "bert opset 14, fixed shapes": lambda at: given(at, bert(at), opset=14, fixed=True),
    "bert opset 14, ids and mask, fixed shapes": lambda at: given(at, bert(at), opset=14, fixed=True, inputs=2),
    "bert opset 17, gelu_new": lambda at: given(at, bert(at, hidden_act="gelu_new"), opset=17, inputs=2),
    "bert opset 17, ids alone": lambda at: given(at, bert(at, hidden_act="relu"), opset=17, inputs=1),
    "bert dynamo, external data": lambda at: given(at, bert(at), opset=20, dynamo=True, external=True),
    "distilbert opset 20": lambda at: given(at, distilbert(), opset=20, inputs=2),
    "electra opset 14": lambda at: given(at, electra(), opset=14),
    "electra dynamo, fixed shapes": lambda at: given(at, electra(), opset=18, dynamo=True, fixed=True, inputs=2),
    "cnn opset 11 with softmax": lambda at: given(
        at, module := cnn(), exported=nn.Sequential(module, nn.Softmax(dim=1)).eval(), opset=11, inputs=1
    ),
    "cnn opset 13 with conv2d, fixed shapes": lambda at: given(
        at, lively(PictureCnn()), opset=13, fixed=True, inputs=1
    ),
    "cnn opset 17 with batch norm": lambda at: given(at, lively(BatchNormCnn()), opset=17, inputs=1),
    "cnn dynamo": lambda at: given(at, cnn(widths=(3, 2)), opset=20, dynamo=True, inputs=1),
}


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, vocabulary: Path) -> Callable[[str], Given]:
    """Makes each form once a session."""
    made: dict[str, Given] = {}

    def make(name: str) -> Given:
        if name not in made:
            folder = tmp_path_factory.mktemp("onnx")
            shutil.copy(vocabulary, folder)
            made[name] = FORMS[name](folder)
        return made[name]

    return make


def read(path: Path, said: list[str] | None = None, **options: Any) -> TextModel:
    return read_checkpoint(path, ReadOptions(**options), (said if said is not None else []).append)


def refused(path: Path, match: str, error: type[EdgekitError] = CheckpointError, **options: Any) -> None:
    with pytest.raises(error, match=match) as caught:
        read(path, **options)
    assert str(caught.value).isprintable()


# What is recognised


@pytest.mark.parametrize("form", FORMS)
def test_it_answers_as_the_module_that_was_exported(form, exported):
    it = exported(form)
    said: list[str] = []
    model = read(it.path, said)
    rows = random_rows(len(PIECES), [5, 9, LENGTH] if it.fixed else [5, 9, 30, 60])
    expected = module_answers(it.module, rows)
    assert np.ptp(expected, axis=0).min() > 0.05, "the texts must not all get one answer"
    np.testing.assert_allclose(network_answers(model, rows), expected, atol=1e-4)
    assert any("of onnxruntime's" in line for line in said)
    assert not any("no config.json" in line or "is taken to be" in line for line in said), "nothing needs guessing"


def test_the_graph_tells_what_a_state_dict_does_not(tmp_path, vocabulary):
    shutil.copy(vocabulary, tmp_path)
    module = bert(tmp_path, num_attention_heads=8, layer_norm_eps=1e-3, hidden_act="gelu_new")
    config = read(export(module, tmp_path / "model.onnx", opset=14)).config
    assert (config.heads, config.layer_norm_eps, config.activation) == (8, 1e-3, "gelu_new")


def test_the_order_of_the_convolutions_is_that_in_which_they_are_joined(exported):
    assert read(exported("cnn opset 17 with batch norm").path).config.widths == (2, 4)


def test_history_tells_the_file_the_opset_and_its_maker(exported):
    (step,) = read(exported("cnn opset 11 with softmax").path).history
    assert step.stage == "read"
    facts = {key: step.settings[key] for key in ("file", "format", "opset")}
    assert facts == {"file": "model.onnx", "format": "onnx", "opset": 11}
    assert str(step.settings["producer"]).startswith("pytorch ")
    assert "onnx" in step.tools


def test_a_cnn_of_one_length_is_padded_to_it_unless_it_is_said_otherwise(exported):
    path, said = exported("cnn opset 13 with conv2d, fixed shapes").path, []
    assert read(path, said).pad_to == LENGTH
    assert any("as by --pad-to 16" in line for line in said)
    assert read(path, pad_to=1).pad_to == 1


def test_one_output_before_a_sigmoid_becomes_two_classes(tmp_path, vocabulary):
    shutil.copy(vocabulary, tmp_path)
    module = cnn(classes=1)
    model = read(export(nn.Sequential(module, nn.Sigmoid()).eval(), tmp_path / "model.onnx", opset=17, inputs=1))
    rows = random_rows(len(PIECES), [6, 20])
    given = torch.softmax(torch.from_numpy(network_answers(model, rows)), dim=1)[:, 1:]
    np.testing.assert_allclose(given, torch.sigmoid(torch.from_numpy(module_answers(module, rows))), atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_in_other_floating_point_are_read_as_float32(dtype, tmp_path, vocabulary):
    shutil.copy(vocabulary, tmp_path)
    module = bert(tmp_path).to(dtype)
    path = export(eager(module), tmp_path / "model.onnx", opset=17)
    rows = random_rows(len(PIECES), [5, 30])
    np.testing.assert_allclose(network_answers(read(path), rows), module_answers(module.float(), rows), atol=1e-4)


@pytest.fixture(scope="session")
def optimum_folder(bert_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What optimum writes of a BERT that knows good from bad: model.onnx, config.json and the tokenizer."""
    folder = tmp_path_factory.mktemp("optimum")
    module = make_bert(folder)
    module.load_state_dict(dict(read(bert_checkpoint).weights))
    export(module, folder / "model.onnx", opset=17)
    (folder / "model.safetensors").unlink()
    return folder


def test_a_folder_of_optimum_becomes_a_bundle_that_answers_alike(
    optimum_folder, bert_checkpoint, labelled_csv, tmp_path
):
    recipe = Recipe(quantize="none", max_length=16, buckets=(16,))
    made = convert(optimum_folder, tmp_path / "it.edgekit", recipe=recipe, eval_data=labelled_csv)
    classifier = edgekit_runtime.load(made.bundle)
    found = classifier.predict(["the film was good", "i hate this room", "电影很好"])
    assert [each.label for each in found] == ["positive", "negative", "positive"]
    rows = random_rows(len(PIECES), [4, 16])
    expected = network_answers(read(bert_checkpoint), rows)
    np.testing.assert_allclose(network_answers(read(optimum_folder), rows), expected, atol=1e-5)


def test_finetune_goes_on_from_a_folder_of_optimum(optimum_folder):
    base = read_base(optimum_folder, None, 0, LogListener())
    assert base.classifies
    assert torch.equal(base.model.weights["classifier.weight"], read(optimum_folder).weights["classifier.weight"])


def test_a_folder_needs_no_config(exported, tmp_path, vocabulary):
    shutil.copy(vocabulary, tmp_path)
    shutil.copy(exported("cnn opset 11 with softmax").path, tmp_path)
    assert read(tmp_path).name == tmp_path.name


def test_safetensors_beside_it_are_preferred(tmp_path):
    make_bert(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"nothing of use")
    said: list[str] = []
    read(tmp_path, said)
    assert f"model.safetensors in {tmp_path} is read, and model.onnx beside it is not" in said


# What contradicts


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"num_attention_heads": 8}, "says num_attention_heads 8, and the graph has 4"),
        ({"layer_norm_eps": 1e-5}, "says layer_norm_eps 1e-05, and the graph has 1e-12"),
        ({"hidden_act": "relu"}, "says hidden_act relu, and the graph has gelu"),
        ({"num_hidden_layers": 3}, "says num_hidden_layers 3, and the weights have 2"),
        ({"model_type": "distilbert"}, "says distilbert, and the graph is a bert's"),
        ({"vocab_size": 7}, "says vocab_size 7"),
    ],
)
def test_a_config_that_says_otherwise_than_the_graph(change, match, optimum_folder, tmp_path):
    shutil.copytree(optimum_folder, tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    refused(tmp_path, match)


def test_options_that_say_otherwise_than_the_graph(exported):
    refused(exported("bert opset 11").path, "--heads 8 contradicts .*, which says 4", OptionError, heads=8)
    refused(exported("cnn dynamo").path, "--heads is for BERTs", OptionError, heads=8)


# What is proven


def test_a_graph_that_does_something_else_inside_is_found_out(exported, tmp_path, vocabulary):
    """Everything is recognised, but attention's scores are scaled otherwise."""
    shutil.copy(vocabulary, tmp_path)
    model = onnx.load(exported("bert opset 11").path)
    scales = [
        node.attribute[0].t
        for node in model.graph.node
        if node.op_type == "Constant"
        and "attention/self" in node.name
        and node.attribute[0].t.data_type == TensorProto.FLOAT
    ]
    for scale in scales:
        scale.raw_data = (numpy_helper.to_array(scale) * np.float32(1.3)).tobytes()
    assert len(scales) == 2
    onnx.save(model, tmp_path / "model.onnx")
    refused(tmp_path / "model.onnx", r"differ by up to [\d.e-]+ from those .* was not recognised")


def test_a_graph_that_asks_for_more_memory_than_there_is(exported, tmp_path, vocabulary):
    shutil.copy(vocabulary, tmp_path)
    model = onnx.load(exported("bert opset 11").path)
    at, softmax = next((at, node) for at, node in enumerate(model.graph.node) if node.op_type == "Softmax")
    model.graph.initializer.append(numpy_helper.from_array(np.array([2**34]), "size"))
    bomb = [
        helper.make_node("ConstantOfShape", ["size"], ["large"]),
        helper.make_node("ReduceMax", ["large"], ["largest"], keepdims=0),
        helper.make_node("Add", [softmax.input[0], "largest"], ["scores"]),
    ]
    nodes = list(model.graph.node)
    softmax.input[0] = "scores"
    del model.graph.node[:]
    model.graph.node.extend([*nodes[:at], *bomb, *nodes[at:]])
    onnx.save(model, tmp_path / "model.onnx")
    refused(tmp_path / "model.onnx", "onnxruntime cannot run")


# What is refused

Change = Callable[[onnx.ModelProto], None]


def node_of(model: onnx.ModelProto, op: str) -> Any:
    return next(node for node in model.graph.node if node.op_type == op)


def tensor_named(model: onnx.ModelProto, name: str) -> Any:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def rewired(op: str, *inputs: str, domain: str = "") -> Change:
    """Puts another operator into the place of the first ReLU."""

    def change(model: onnx.ModelProto) -> None:
        relu = node_of(model, "Relu")
        relu.op_type, relu.domain = op, domain
        if domain:
            model.opset_import.add(domain=domain, version=1)
        if inputs:
            relu.input[:] = [name or relu.input[0] for name in inputs]

    return change


def with_branch(model: onnx.ModelProto) -> None:
    body = helper.make_graph([], "branch", [], [])
    model.graph.node.append(helper.make_node("If", ["input_ids"], ["chosen"], then_branch=body, else_branch=body))


def with_cycle(model: onnx.ModelProto) -> None:
    node_of(model, "Transpose").input[0] = node_of(model, "Relu").output[0]


def with_nodes_reversed(model: onnx.ModelProto) -> None:
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def with_external(location: str, **entries: int) -> Change:
    def change(model: onnx.ModelProto) -> None:
        tensor = tensor_named(model, "embedding.weight")
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, **entries}.items():
            tensor.external_data.add(key=key, value=str(value))

    return change


def set_field(**fields: Any) -> Change:
    def change(model: onnx.ModelProto) -> None:
        for name, value in fields.items():
            setattr(model, name, value)

    return change


def opset(version: int) -> Change:
    return lambda model: setattr(model.opset_import[0], "version", version)


def dims(*sizes: int) -> Change:
    return lambda model: tensor_named(model, "embedding.weight").dims.__setitem__(slice(None), sizes)


def takes(kind: int) -> Change:
    return lambda model: setattr(model.graph.input[0].type.tensor_type, "elem_type", kind)


def with_attribute(op: str, name: str, value: Any) -> Change:
    def change(model: onnx.ModelProto) -> None:
        node = node_of(model, op)
        kept = [each for each in node.attribute if each.name != name]
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute(name, value)])

    return change


REFUSED: dict[str, tuple[Change, str]] = {
    "external data missing": (with_external("weights.bin"), "lies in weights.bin, which is not beside it"),
    "external data outside": (with_external("../weights.bin"), "outside the folder of the file; do not trust"),
    "external data at the root": (with_external("/etc/passwd"), "outside the folder of the file; do not trust"),
    "external data by a link": (with_external("link.bin"), "outside the folder of the file; do not trust"),
    "external data too short": (with_external("short.bin"), "declares 4464 bytes and holds 100"),
    "external data past its end": (with_external("short.bin", offset=90), "declares 4464 bytes and holds 10"),
    "external data of a wrong length": (with_external("short.bin", length=100), "declares 4464 bytes and holds 100"),
    "external data before its start": (with_external("short.bin", offset=-9), "says where its data lies by offset -9"),
    "opset from the future": (opset(999), "uses opset 999 .* upgrade onnx"),
    "opset too old": (opset(7), "uses opset 7 .* opsets 9 to"),
    "opset not named": (lambda model: model.ClearField("opset_import"), "does not say which opset"),
    "format from the future": (set_field(ir_version=99), "format version 99"),
    "cycle": (with_cycle, "stands behind it or in a cycle with it"),
    "nodes out of order": (with_nodes_reversed, "stands behind it or in a cycle with it"),
    "value from nowhere": (rewired("Relu", "nowhere"), "reads nowhere, which no node gives"),
    "value twice": (lambda model: model.graph.node.append(model.graph.node[0]), "gives the value .* twice"),
    "3 GB declared": (dims(25_000_000, 30), "declares 3000000000 bytes and holds 4464"),
    "sizes past all bounds": (dims(2**62, 2**62, 0), "declares 0 bytes and holds 4464"),
    "negative sizes": (dims(-1, 12), r"has the shape \[-1, 12\]"),
    "no weights": (lambda model: model.graph.ClearField("initializer"), "holds no weights"),
    "text as input": (takes(TensorProto.STRING), "takes text as its input input_ids"),
    "a branch": (with_branch, r"has branches or loops \(If\)"),
    "custom operator": (rewired("Wobble", domain="org.example"), r"not ONNX's own \(org\.example\.Wobble\)"),
    "optimized": (rewired("BiasGelu", domain="com.microsoft"), r"com\.microsoft\.BiasGelu.*before optimization"),
    "quantized": (
        rewired("DequantizeLinear", "", "fc.bias"),
        r"is quantized \(DequantizeLinear\); give the float model",
    ),
    "unknown operator": (rewired("Wobble"), "operator Wobble /Relu, which opset 11 does not know"),
    "too few inputs": (lambda model: node_of(model, "Conv").ClearField("input"), "has Conv .* with other inputs"),
    "attribute of another type": (with_attribute("Concat", "axis", "one"), "has Concat .* or attributes"),
    "element type": (
        lambda m: setattr(tensor_named(m, "fc.bias"), "data_type", 17),
        "element type 17, which is not read",
    ),
    "not a number": (
        lambda m: setattr(tensor_named(m, "fc.bias"), "raw_data", np.full(2, np.nan, np.float32).tobytes()),
        "classifier.bias in .* holds NaN",
    ),
    "another activation": (rewired("Sigmoid"), "a convolution with a ReLU .* is expected, and Sigmoid /Relu gives it"),
    "padded convolution": (with_attribute("Conv", "pads", [1, 1]), "a convolution without padding"),
    "tensors that do not fit": (dims(12, 93), "only convolutions directly over the embedding|do not fit together"),
    "another output": (
        lambda model: setattr(model.graph.output[0], "name", node_of(model, "Relu").output[0]),
        "a linear layer that gives the logits is expected, and Relu /Relu gives it",
    ),
    "no output": (lambda model: model.graph.ClearField("output"), "has no output"),
    "output from nowhere": (lambda m: setattr(m.graph.output[0], "name", "nowhere"), "promises the output nowhere"),
    "another input": (
        lambda m: m.graph.input.append(helper.make_tensor_value_info("extra", TensorProto.FLOAT, [1, 3])),
        "takes input_ids, extra, .*: extra is none of these",
    ),
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> onnx.ModelProto:
    """A TextCNN of opset 11."""
    return onnx.load(export(cnn(), tmp_path_factory.mktemp("small") / "model.onnx", opset=11, inputs=1))


@pytest.fixture
def place(tmp_path, vocabulary):
    """A folder with a vocabulary, a short file, and a link that leads out."""
    shutil.copy(vocabulary, tmp_path)
    (tmp_path / "short.bin").write_bytes(bytes(100))
    (tmp_path / "link.bin").symlink_to("/proc/self/exe")
    return tmp_path


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused(what, small, place):
    change, match = REFUSED[what]
    model = onnx.ModelProto.FromString(small.SerializeToString())
    change(model)
    (place / "model.onnx").write_bytes(model.SerializeToString())
    refused(place / "model.onnx", match)


@pytest.mark.parametrize(
    ("scheme", "match"), [("none", "is a program out of a bundle.* give the checkpoint"), ("int8", "is quantized")]
)
def test_what_edgekit_wrote_for_a_bundle_is_not_read_back(scheme, match, place):
    network = plain_bert(place / "made", num_hidden_layers=1)
    lowered = OnnxTarget().lower(network, (16,), QuantSpec(scheme), LogListener())
    (place / "model.onnx").write_bytes(lowered.data)
    refused(place / "model.onnx", match)


@pytest.mark.parametrize(
    "content", [b"", b"text\n", bytes(1000), b"\x08\x08" + bytes(50), b"\x08\x08\x3a\xff\xff\xff\xff\x0f"]
)
def test_what_is_no_onnx(content, place):
    (place / "model.onnx").write_bytes(content)
    refused(place / "model.onnx", "is no ONNX file, or a damaged one")


def test_what_would_take_a_hundred_times_its_size(place):
    nodes = b"\x0a\x00" * 2_000_000  # a node each
    (place / "model.onnx").write_bytes(b"\x08\x08\x3a\x80\x92\xf4\x01" + nodes)
    refused(place / "model.onnx", "has more than 100000 parts")


def test_what_is_in_the_file_decides_not_its_name(small, place):
    (place / "model.bin").write_bytes(small.SerializeToString())
    assert read(place / "model.bin").architecture == "cnn"
    torch.save(cnn().state_dict(), place / "model.onnx")
    assert read(place / "model.onnx").history[0].settings.get("format") is None


def test_damaged_files_are_refused_or_read_right(small, place):
    """Cut anywhere, or with changed bytes outside the weights: an error of edgekit's, or what onnxruntime says too."""
    whole, numbers = small.SerializeToString(), random.Random(7)
    weights = [(whole.index(tensor.raw_data), len(tensor.raw_data)) for tensor in small.graph.initializer]
    places = [at for at in range(len(whole)) if not any(begin <= at < begin + size for begin, size in weights)]
    refusals = 0
    for attempt in range(90):
        data = bytearray(whole)
        at = numbers.choice(places)
        if attempt % 3 == 0:
            data = data[:at]
        else:
            data[at] ^= 1 << numbers.randrange(8)
        (place / "model.onnx").write_bytes(data)
        try:
            read(place / "model.onnx")
        except EdgekitError as error:
            assert str(error).isprintable()
            refusals += 1
    assert refusals > 60
