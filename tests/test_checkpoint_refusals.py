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
    torch.save({**state, **{f"_orig_mod.{name}": tensor for name, tensor in state.items()}}, folder / "model.pt")
    refused(folder / "model.pt", "two models whose tensors have the same names")


def test_which_of_two_dictionaries_is_taken_is_said(folder):
    state = text_cnn(len(PIECES)).state_dict()
    torch.save({"model": state, "state_dict": state}, folder / "model.pt")
    said = []
    read(folder / "model.pt", said)
    assert "the checkpoint holds weights under state_dict, model; those under state_dict are taken" in said


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
    refused(exported(folder / "model.pt2", module), f"has {operator}, which Kim's TextCNN has not")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(module, torch.zeros(1, 16, dtype=torch.int64)).save(folder / "model.pt")
    refused(folder / "model.pt", f"has {operator}, which Kim's TextCNN has not", trust=True)
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
