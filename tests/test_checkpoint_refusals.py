"""Checkpoints that are not read, or only when they are trusted, each with an error that says what to do."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from conftest import PIECES, make_bert
from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
from edgekit_runtime.errors import CheckpointError, UntrustedCheckpointError
from originals import TextCnn, text_cnn


@pytest.fixture
def folder(tmp_path, vocabulary):
    shutil.copy(vocabulary, tmp_path)
    return tmp_path


def read(path, said=None, **options):
    return read_checkpoint(path, ReadOptions(**options), (said if said is not None else []).append)


def refused(path, match, error=CheckpointError, **options):
    with pytest.raises(error, match=match) as caught:
        read(path, **options)
    assert "\n" not in str(caught.value)


def exported(path: Path, module: nn.Module) -> Path:
    torch.export.save(torch.export.export(module.eval(), (torch.zeros(1, 16, dtype=torch.int64),)), path)
    return path


# Folders


def test_a_folder_with_one_file_stands_for_it_and_with_two_does_not(folder):
    torch.save(text_cnn(len(PIECES)).state_dict(), folder / "best model.pth")
    said = []
    assert read(folder, said).name == folder.name
    assert f"best model.pth in {folder} is read" in said
    shutil.copy(folder / "best model.pth", folder / "last.ckpt")
    refused(folder, r"holds 2 checkpoints \(best model\.pth, last\.ckpt\); give one of them")


def test_safetensors_beside_a_bin_are_taken_and_it_is_said(folder):
    make_bert(folder)
    (folder / "pytorch_model.bin").write_bytes(b"PK\x03\x04 nothing of use")
    said = []
    read(folder, said)
    assert f"model.safetensors in {folder} is read, and pytorch_model.bin beside it is not" in said


def test_the_folder_of_a_trainer_names_its_checkpoints(folder):
    for step in (500, 1000):
        (folder / f"checkpoint-{step}").mkdir()
    refused(folder, r"give one of the folders in it: checkpoint-1000, checkpoint-500")


@pytest.mark.parametrize(
    ("index", "match"),
    [
        ("{", "is no index of a sharded checkpoint"),
        ('{"weight_map": []}', "is no index of a sharded checkpoint"),
        ('{"weight_map": {"a.weight": "../../etc/passwd"}}', "no file beside it; do not trust"),
        ('{"weight_map": {"a.weight": 7}}', "no file beside it; do not trust"),
        ('{"weight_map": {"a.weight": "gone.safetensors"}}', "names gone.safetensors, which is not beside it"),
        ('{"weight_map": {"a.weight": "part.safetensors"}}', "promises a.weight, which no part holds"),
    ],
)
def test_an_index_that_lies(folder, index, match):
    save_file({"b.weight": torch.ones(2)}, folder / "part.safetensors")
    path = folder / "model.safetensors.index.json"
    path.write_text(index)
    refused(path, match)


# Dictionaries


def test_two_models_under_the_same_names(folder):
    state = text_cnn(len(PIECES)).state_dict()
    torch.save({**state, **{f"_orig_mod.{name}": tensor + 1 for name, tensor in state.items()}}, folder / "model.pt")
    refused(folder / "model.pt", "two models whose tensors have the same names")


def test_which_of_two_dictionaries_is_taken_is_said(folder):
    state = text_cnn(len(PIECES)).state_dict()
    torch.save({"model": state, "state_dict": state}, folder / "model.pt")
    said = []
    read(folder / "model.pt", said)
    assert "the checkpoint holds tensors under state_dict, model; those under state_dict are taken" in said


@pytest.mark.parametrize(
    "change", [lambda t: t.to(torch.float8_e4m3fn), lambda t: t.to_sparse()], ids=["float8", "sparse"]
)
def test_tensors_in_a_form_that_is_not_supported(folder, change):
    state = text_cnn(len(PIECES)).state_dict()
    torch.save({**state, "fc.weight": change(state["fc.weight"])}, folder / "model.pt")
    refused(folder / "model.pt", "fc.weight in .* in a form that is not supported")


def test_nan_in_bfloat16(folder):
    state = {name: tensor.bfloat16() for name, tensor in text_cnn(len(PIECES)).state_dict().items()}
    state["fc.bias"][0] = float("nan")
    torch.save({"state_dict": state}, folder / "model.pt")
    refused(folder / "model.pt", "fc.bias in .* holds NaN or infinity")


def test_a_number_that_is_too_large_for_float32(folder):
    state = {name: tensor.double() for name, tensor in text_cnn(len(PIECES)).state_dict().items()}
    state["fc.bias"][0] = 1e39
    torch.save({"state_dict": state}, folder / "model.pt")
    refused(folder / "model.pt", "fc.bias in .* holds NaN or infinity")


def test_a_pickle_with_code_is_refused_though_harmless_types_are_not(folder):
    """What is allowed beside the weights opens no way round: code inside a Namespace is still code."""
    script = (
        "import argparse, os, sys, torch\n"
        "class Code:\n    def __reduce__(self): return os.mkdir, (sys.argv[2],)\n"
        "torch.save({'args': argparse.Namespace(x=Code()), 'a.weight': torch.ones(1)}, sys.argv[1])\n"
    )
    path, trace = folder / "model.pt", folder / "ran"
    subprocess.run([sys.executable, "-c", script, path, trace], check=True)
    refused(path, r"holds pickled Python objects .*--trust-checkpoint", UntrustedCheckpointError)
    assert not trace.exists()
    with pytest.raises(CheckpointError):
        read(path, trust=True)
    assert trace.exists(), "the file does carry code: trusting runs it"


# Modules, TorchScript, torch.export


def test_a_module_is_read_only_when_trusted_and_its_class_is_at_hand(folder, monkeypatch):
    (folder / "training.py").write_text(Path(__file__).with_name("originals.py").read_text())
    script = "import torch, training, sys; torch.save(training.text_cnn(int(sys.argv[2])), sys.argv[1])"
    path = folder / "model.pt"
    subprocess.run([sys.executable, "-c", script, path, str(len(PIECES))], check=True, cwd=folder)
    refused(path, "code in the file may do on this machine whatever you may", UntrustedCheckpointError)
    refused(path, "classes that are not importable here .*PYTHONPATH", trust=True)
    monkeypatch.syspath_prepend(folder)
    said = []
    assert read(path, said, trust=True).architecture == "cnn"
    assert any("was read by running what is pickled in it" in message for message in said)


class Bent(TextCnn):
    """A TextCNN with another activation, which no tensor tells."""

    def forward(self, x):
        x = self.embedding(x).permute(0, 2, 1)
        return self.fc(torch.cat([torch.tanh(conv(x)).max(dim=2)[0] for conv in self.convs], dim=1))


class Averaging(TextCnn):
    """A TextCNN that averages over time."""

    def forward(self, x):
        x = self.embedding(x).permute(0, 2, 1)
        return self.fc(torch.cat([F.relu(conv(x)).mean(dim=2) for conv in self.convs], dim=1))


@pytest.mark.parametrize(("kind", "operator"), [(Bent, "tanh"), (Averaging, "mean")])
def test_a_graph_that_does_something_else(folder, kind, operator):
    module = kind(len(PIECES), 12, (2, 3), 8, 2).eval()
    refused(exported(folder / "model.pt2", module), rf"has .*{operator}, unlike Kim's TextCNN")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(module, torch.zeros(1, 16, dtype=torch.int64)).save(folder / "model.pt")
    refused(folder / "model.pt", rf"has .*{operator}, unlike Kim's TextCNN", trust=True)
    refused(folder / "model.pt", "carries code; .*--trust-checkpoint", UntrustedCheckpointError)


def rewritten(path: Path, name: str, change) -> Path:
    """The archive with one entry changed, or removed where ``change`` gives None."""
    with zipfile.ZipFile(path) as archive:
        entries = {entry: archive.read(entry) for entry in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for entry, data in entries.items():
            data = change(data) if entry.endswith(name) else data
            if data is not None:
                archive.writestr(entry, data)
    return path


def in_config(**changes):
    def change(data: bytes) -> bytes:
        content = json.loads(data)
        entry = content["config"]["fc.weight"]
        for key, value in changes.items():
            (entry if key in entry else entry["tensor_meta"])[key] = value
        return json.dumps(content).encode()

    return change


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("weight_3", lambda data: data[:-4]),
        ("weight_3", lambda data: None),
        ("model_weights_config.json", lambda data: data[:-9]),
        ("model_weights_config.json", lambda data: b"{}"),
        ("model_weights_config.json", in_config(sizes=[{"as_int": 1 << 40}, {"as_int": 1 << 40}])),
        ("model_weights_config.json", in_config(strides=[{"as_int": -1}, {"as_int": 1}])),
        ("model_weights_config.json", in_config(sizes=[{"as_expr": "__import__('os')"}])),
        ("model_weights_config.json", in_config(path_name="../../../etc/passwd")),
        ("model_weights_config.json", in_config(use_pickle=True)),
        ("model.json", lambda data: b'{"graph_module": 3}'),
    ],
)
def test_a_damaged_archive_of_torch_export(folder, name, change):
    path = exported(folder / "model.pt2", text_cnn(len(PIECES)))
    refused(rewritten(path, name, change), "is a damaged archive of torch.export")


def test_an_archive_of_torch_export_from_an_older_torch(folder):
    with zipfile.ZipFile(folder / "model.pt2", "w") as archive:
        archive.writestr("serialized_exported_program.json", "{}")
    refused(folder / "model.pt2", "by an older torch; save it again")


# Batch norms that stand where they cannot be folded


class Behind(nn.Module):
    """Batch norm behind the ReLU of a convolution."""

    def __init__(self, *behind: nn.Module) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(PIECES), 12)
        self.convs = nn.ModuleList(nn.Sequential(nn.Conv1d(12, 8, width), *behind) for width in (2, 3))
        self.fc = nn.Linear(16, 2)


def test_a_batch_norm_behind_an_activation(folder):
    torch.save(Behind(nn.ReLU(), nn.BatchNorm1d(8)).state_dict(), folder / "model.pt")
    refused(folder / "model.pt", r"the batch norm convs\.0\.2 .* cannot be folded away; an activation lies between")


def test_a_batch_norm_whose_place_cannot_be_told(folder):
    module = Behind()
    module.norm = nn.BatchNorm1d(8)  # one for both convolutions, or for one of them?
    torch.save(module.state_dict(), folder / "model.pt")
    refused(folder / "model.pt", r"where the batch norm norm .* stands cannot be told by its 8 features")


def test_a_layer_norm_is_not_a_batch_norm(folder):
    module = Behind()
    module.norm = nn.LayerNorm(16)
    torch.save(module.state_dict(), folder / "model.pt")
    refused(folder / "model.pt", r"is no Kim TextCNN.*norm\.weight")


def test_two_tables_in_a_file_without_order(folder):
    module = Behind()
    state = {**module.state_dict(), "other.weight": torch.ones(len(PIECES), 0)}
    state["embedding.weight"], state["other.weight"] = state["embedding.weight"].split([7, 5], dim=1)
    state = {name: tensor.contiguous() for name, tensor in state.items()}
    save_file(state, folder / "model.safetensors")
    refused(folder / "model.safetensors", "do not number the tables, so that the convolutions may read other channels")
    torch.save(state, folder / "model.pt")
    assert read(folder / "model.pt").config.hidden == 12


# What would answer otherwise without an error


def test_a_safetensors_header_that_begins_like_a_pickle(folder):
    """One header length in 32 has 0x80 as its first byte."""
    state = text_cnn(len(PIECES)).state_dict()
    lengths = set()
    for filler in range(256):
        save_file(state, folder / "model.safetensors", metadata={"filler": "x" * filler})
        with (folder / "model.safetensors").open("rb") as file:
            lengths.add(file.read(1)[0])
        if 0x80 in lengths:
            break
    assert 0x80 in lengths
    assert read(folder / "model.safetensors").architecture == "cnn"


@pytest.mark.parametrize("extra", [torch.ones(2, 24), torch.ones(2, 24, dtype=torch.bool)], ids=["LoRA", "mask"])
def test_more_in_a_layer_than_weight_and_bias(folder, extra):
    torch.save({**text_cnn(len(PIECES)).state_dict(), "fc.extra": extra}, folder / "cnn.pt")
    refused(folder / "cnn.pt", r"fc\.extra")
    torch.save({**make_bert(folder / "bert").state_dict(), "classifier.extra": extra}, folder / "bert.pt")
    refused(folder / "bert.pt", r"classifier\.extra", heads=4)


def layers_of_one_size(first: str, second: str) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    state = {name: tensor for name, tensor in text_cnn(len(PIECES)).state_dict().items() if not name.startswith("fc")}
    for name in (first, second):
        state |= {f"{name}.weight": torch.randn(24, 24), f"{name}.bias": torch.randn(24)}
    return state | {"out.weight": torch.randn(2, 24), "out.bias": torch.randn(2)}


def test_linear_layers_whose_order_the_file_does_not_keep(folder):
    save_file(layers_of_one_size("fc", "dense"), folder / "model.safetensors")
    refused(
        folder / "model.safetensors", "do not number the linear layers, so that they may follow one another otherwise"
    )
    save_file(layers_of_one_size("fc1", "fc2"), folder / "model.safetensors")
    said = []
    read(folder / "model.safetensors", said)
    assert any("taken in the order of their numbers, fc1.weight, fc2.weight" in message for message in said)


def test_batch_norms_whose_order_the_file_does_not_keep(folder):
    module = Behind()
    module.norm_small, module.norm_big = nn.BatchNorm1d(8), nn.BatchNorm1d(8)
    save_file(module.state_dict(), folder / "model.safetensors")
    refused(folder / "model.safetensors", "do not number the batch norms")


@pytest.mark.parametrize("changed", [{"padding": 2}, {"stride": 2}, {"dilation": 2}, {"padding": "same"}], ids=str)
def test_a_graph_whose_convolutions_do_more(folder, changed):
    module = text_cnn(len(PIECES))
    module.convs = nn.ModuleList(nn.Conv1d(12, 8, 3, **changed) for _ in range(3))
    refused(exported(folder / "model.pt2", module), f"has conv1d with {next(iter(changed))}, unlike Kim's TextCNN")


class Straight(TextCnn):
    """A TextCNN without an activation."""

    def forward(self, x):
        x = self.embedding(x).permute(0, 2, 1)
        return self.fc(torch.cat([conv(x).max(dim=2)[0] for conv in self.convs], dim=1))


def test_a_graph_without_the_activation(folder):
    refused(exported(folder / "model.pt2", Straight(len(PIECES), 12, (2, 3), 8, 2)), "has no relu")


def test_the_head_of_another_task(folder):
    make_bert(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["BertForTokenClassification"]}))
    refused(folder, "says BertForTokenClassification, which is no classifier of texts")
    (folder / "config.json").write_text(json.dumps({**config, "is_decoder": True}))
    refused(folder, "is_decoder")
    state = {
        name: tensor for name, tensor in make_bert(folder / "made").state_dict().items() if "classifier" not in name
    }
    torch.save({**state, "qa_outputs.weight": torch.ones(2, 64), "qa_outputs.bias": torch.ones(2)}, folder / "qa.pt")
    refused(folder / "qa.pt", "the head of another task")


@pytest.mark.parametrize(
    ("key", "value"),
    [("layer_norm_eps", None), ("layer_norm_eps", -1.0), ("num_attention_heads", True), ("num_attention_heads", "4")],
)
def test_numbers_of_a_config_that_are_none(folder, key, value):
    make_bert(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, key: value}))
    refused(folder, r"config\.json says")


def test_one_layer_under_two_names_counts_once(folder):
    state = layers_of_one_size("fc1", "fc2")
    for kind in ("weight", "bias"):
        state[f"fc2.{kind}"] = state[f"fc1.{kind}"]
    torch.save(state, folder / "model.pt")
    said = []
    assert len(read(folder / "model.pt", said).config.head) == 1
    assert "fc2.weight is fc1.weight under another name, and counts once" in said


def test_what_lies_beside_the_weights_is_named(folder):
    state = text_cnn(len(PIECES)).state_dict()
    torch.save({"state_dict": state, "ema": dict(state), "optimizer": {"a": torch.ones(1)}}, folder / "model.pt")
    said = []
    read(folder / "model.pt", said)
    assert "the checkpoint holds tensors under state_dict, ema; those under state_dict are taken" in said


# What would take gigabytes or hours


def test_dictionaries_within_dictionaries_without_end(folder):
    content = {"model": {}}
    inner = content["model"]
    for _ in range(200):
        inner["model"] = {}
        inner = inner["model"]
    torch.save(content, folder / "model.pt")
    refused(folder / "model.pt", "holds no weights")


def test_a_tensor_larger_than_its_storage(folder):
    torch.save(
        {**text_cnn(len(PIECES)).state_dict(), "big.weight": torch.zeros(1).expand(10**8, 10**7)}, folder / "model.pt"
    )
    refused(folder / "model.pt", r"big\.weight in .* in a form that is not supported")


def test_a_compressed_archive(folder):
    torch.save(text_cnn(len(PIECES)).state_dict(), folder / "model.pt")
    with zipfile.ZipFile(folder / "model.pt") as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(folder / "model.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    refused(folder / "model.pt", "is compressed, which torch never does")


def test_more_linear_layers_than_any_head_has(folder):
    state = text_cnn(len(PIECES)).state_dict()
    for index in range(14):
        state |= {f"more.{index}.weight": torch.randn(24, 24), f"more.{index}.bias": torch.randn(24)}
    torch.save(state, folder / "model.pt")
    refused(folder / "model.pt", "is no Kim TextCNN")
