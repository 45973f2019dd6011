"""Valid inputs of every reader, small, made anew by the tools that make such files."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Collection
from importlib import resources
from pathlib import Path
from random import Random
from typing import Any

from torture.case import Case

ROOT = Path(__file__).parents[2]

ROWS = [("the film was good", "1"), ("the room was bad", "0"), ("很好", "1"), ("not good , not bad", "0")] * 3
TEXTS = ("the film was good", "", "很好 not 👍 bad", "a" * 200, "good " * 50)
"""What tokenizers and engines are asked."""


def make(kinds: Collection[str]) -> dict[str, list[Case]]:
    """The samples of these kinds, and those that come with them: torch takes seconds."""
    groups: dict[Callable[[Path], dict[str, list[Case]]], tuple[str, ...]] = {
        lambda _: _bundles(): ("bundle", "manifest", "golden", "tokenizer", "litert", "executorch", "onnx"),
        _checkpoints: ("torch", "legacy", "torchscript", "export", "safetensors", "folder", "onnx checkpoint"),
        lambda _: _tokenizers(): ("tokenizer files", "stop words"),
        _data: ("rows", "gzip", "parquet", "dataset folder"),
        lambda _: _texts(): ("recipe", "student", "label map", "phone profile"),
        _trust: ("signed bundle", "sealed bundle", "key files"),
    }
    made: dict[str, list[Case]] = {}
    with tempfile.TemporaryDirectory() as name:
        for group, names in groups.items():
            if not {*names}.isdisjoint(kinds):
                made |= group(Path(name))
    return made


def _bundles() -> dict[str, list[Case]]:
    data = (resources.files("edgekit_runtime") / "probe.edgekit").read_bytes()
    parts = contents(data)
    one = [Case({"model.edgekit": data}, "model.edgekit")]
    return {
        "bundle": one,
        "manifest": [Case({"manifest.json": parts["manifest.json"]}, "manifest.json")],
        "golden": [Case({"golden.json": parts["golden.json"]}, "golden.json")],
        "tokenizer": [Case({"tokenizer.json": parts["tokenizer.json"]}, "tokenizer.json")],
        "litert": [Case({"model.tflite": parts["model.tflite"]}, "model.tflite")],
        "executorch": [Case({"model.pte": parts["model.pte"]}, "model.pte")],
        "onnx": [Case({"model.onnx": parts["model.onnx"]}, "model.onnx")],
    }


def contents(bundle: bytes) -> dict[str, bytes]:

    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _checkpoints(folder: Path) -> dict[str, list[Case]]:
    import torch
    from safetensors.torch import save_file
    from transformers import BertConfig, BertForSequenceClassification

    from edgekit_converters.checkpoint import save_checkpoint
    from edgekit_converters.probe import PIECES, probe_model

    model = probe_model()
    own = save_checkpoint(model, folder / "own.pt").read_bytes()
    vocabulary = ("\n".join(PIECES) + "\n").encode()
    beside: dict[str, Any] = {"vocab.txt": vocabulary}
    bare = _saved(torch, {name: tensor.half() for name, tensor in model.weights.items()})
    whole = {"epoch": 3, "state_dict": model.weights, "optimizer": {"lr": 0.1}, "args": {"a": [1, "b", None]}}
    legacy = [_saved(torch, each, _use_new_zipfile_serialization=False) for each in (model.weights, whole)]
    module, ids = _kim(torch, len(PIECES)), torch.zeros(1, 16, dtype=torch.int64)
    pickled = [_saved(torch, module, _use_new_zipfile_serialization=new) for new in (True, False)]
    torch.export.save(torch.export.export(module.eval(), (ids,)), folder / "x.pt2")
    torch.jit.save(torch.jit.trace(module, (ids,)), folder / "x.ts")
    save_file(dict(model.weights), folder / "x.safetensors", metadata={"format": "pt"})
    torch.manual_seed(0)
    sizes = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "max_position_embeddings": 16,
    }
    bert = BertForSequenceClassification(BertConfig(vocab_size=len(PIECES), **sizes)).eval()
    weights = {name: tensor.contiguous() for name, tensor in bert.state_dict().items()}
    save_file(weights, folder / "bert.safetensors")
    names = sorted(weights)
    save_file({name: weights[name] for name in names[:9]}, folder / "a.safetensors")
    save_file({name: weights[name] for name in names[9:]}, folder / "b.safetensors")
    index = {"metadata": {}, "weight_map": {name: f"{'a' if name in names[:9] else 'b'}.safetensors" for name in names}}
    config = json.dumps({**bert.config.to_dict(), "model_type": "bert"}, default=str).encode()
    settings = {"config.json": config, "vocab.txt": vocabulary, "tokenizer_config.json": b'{"do_lower_case": true}'}

    def read(name: str) -> bytes:
        return (folder / name).read_bytes()

    parts = {"a.safetensors": read("a.safetensors"), "b.safetensors": read("b.safetensors")}
    return {
        "torch": [
            Case({"m.pt": own}, "m.pt"),
            *(Case({"m.pt": each, **beside}, "m.pt") for each in (bare, _saved(torch, whole), pickled[0])),
        ],
        "legacy": [Case({"m.pt": each, **beside}, "m.pt") for each in (*legacy, pickled[1])],
        "torchscript": [Case({"m.pt": read("x.ts"), **beside}, "m.pt")],
        "export": [Case({"m.pt2": read("x.pt2"), **beside}, "m.pt2")],
        "safetensors": [Case({"m.safetensors": read("x.safetensors"), **beside}, "m.safetensors")],
        "folder": [
            Case({"model.safetensors": read("bert.safetensors"), **settings}, ""),
            Case({"model.safetensors.index.json": json.dumps(index).encode(), **parts, **settings}, ""),
            Case({"pytorch_model.bin": _saved(torch, weights), **settings}, ""),
        ],
        "onnx checkpoint": [Case({"m.onnx": each, **beside}, "m.onnx") for each in _onnx(torch, module, folder)],
    }


def _kim(torch: Any, rows: int) -> Any:
    """A CNN as people write it, after Kim (2014)."""
    nn = torch.nn

    class TextCNN(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(rows, 8)
            self.convs = nn.ModuleList(nn.Conv1d(8, 8, width) for width in (1, 2))
            self.fc = nn.Linear(16, 2)

        def forward(self, ids: Any) -> Any:
            vectors = self.embedding(ids).transpose(1, 2)
            found = [torch.relu(conv(vectors)).max(dim=2).values for conv in self.convs]
            return self.fc(torch.cat(found, 1))

    torch.manual_seed(0)
    TextCNN.__qualname__, TextCNN.__module__ = "TextCNN", __name__
    globals()["TextCNN"] = TextCNN  # so that it can be pickled whole
    return TextCNN().eval()


def _saved(torch: Any, content: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def _onnx(torch: Any, module: Any, folder: Path) -> list[bytes]:
    import warnings

    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (torch.zeros(1, 16, dtype=torch.int64),),
            folder / "m.onnx",
            dynamo=False,
            opset_version=17,
        )
    found.append((folder / "m.onnx").read_bytes())
    return found


def _tokenizers() -> dict[str, list[Case]]:
    from edgekit_converters.probe import PIECES, probe_model

    words = ["<pad>", "<unk>", "the", "was", "good", "bad", "film"]
    ids = {word: number for number, word in enumerate(words[2:], start=1)}
    config = {
        "num_words": None,
        "filters": "!.,",
        "lower": True,
        "split": " ",
        "char_level": False,
        "oov_token": "the",
        "word_index": json.dumps(ids),
    }
    keras = {"class_name": "Tokenizer", "config": config}
    files = {
        "vocab.txt": "\n".join(PIECES).encode() + b"\n",
        "words.txt": "\n".join(words).encode() + b"\n",
        "word_index.json": json.dumps({word: number for number, word in enumerate(words)}).encode(),
        "keras_tokenizer.json": json.dumps(keras).encode(),
        "tokenizer.json": probe_model().tokenizer.json,
    }
    single = [Case({name: data}, name) for name, data in files.items()]
    stated = Case({"vocab.txt": files["vocab.txt"], "tokenizer_config.json": b'{"do_lower_case": true}'}, "")
    return {
        "tokenizer files": [*single, stated],
        "stop words": [Case({"stop.txt": "the\na\n的\n".encode()}, "stop.txt")],
    }


def _data(folder: Path) -> dict[str, list[Case]]:
    import datasets
    import pyarrow
    import pyarrow.parquet

    def delimited(separator: str) -> bytes:
        file = io.StringIO()
        csv.writer(file, delimiter=separator, lineterminator="\n").writerows([("text", "label"), *ROWS])
        return file.getvalue().encode()

    objects = [{"text": text, "label": int(label)} for text, label in ROWS]
    lines = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in objects).encode()
    forms = {
        "d.csv": delimited(","),
        "d.tsv": delimited("\t"),
        "d.jsonl": lines,
        "d.json": json.dumps(objects).encode(),
        "d.txt": "\n".join(text for text, _ in ROWS).encode(),
    }
    table = pyarrow.Table.from_pylist(objects)
    pyarrow.parquet.write_table(table, folder / "d.parquet")
    pyarrow.parquet.write_table(table, folder / "e.parquet", compression="gzip", use_dictionary=False, version="1.0")
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["negative", "positive"])}
    )
    made = datasets.Dataset.from_list(objects, features=features)
    made.save_to_disk(str(folder / "single"))
    datasets.DatasetDict({"train": made}).save_to_disk(str(folder / "several"))
    pipes = {"pipes": False}  # to wait for a pipe's writer is right here
    return {
        "rows": [Case({name: data}, name, options=pipes) for name, data in forms.items()],
        "gzip": [
            Case({name + ".gz": gzip.compress(data, mtime=0)}, name + ".gz", options=pipes)
            for name, data in forms.items()
        ],
        "parquet": [
            Case({"d.parquet": (folder / name).read_bytes()}, "d.parquet", options=pipes)
            for name in ("d.parquet", "e.parquet")
        ],
        "dataset folder": [_tree(folder / name) for name in ("single", "several")],
    }


def _tree(folder: Path) -> Case:
    return Case(
        {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}, ""
    )


RECIPE = b"""
targets = ["litert", "onnx"]
quantize = "int8"
max_length = 32
buckets = [8, 32]

[data]
text_column = "text"
label_map = "1-2=negative,4-5=positive,3="
skip_bad = true

[compress]
"""
CNN = b'arch = "cnn"\nhidden = 32\nwidths = [1, 2, 3]\nfilters = 8\n'
BERT = b'arch = "bert"\nlayers = 2\nhidden = 64\nheads = 4\n'
MAPS = (b"1-2=negative,4-5=positive,3=", b"stars", b"bad=negative,good=positive", b"0=negative,1=positive")


def _texts() -> dict[str, list[Case]]:
    return {
        "recipe": [Case({"recipe.toml": RECIPE}, "recipe.toml")],
        "student": [Case({"student.toml": each}, "student.toml") for each in (CNN, BERT)],
        "label map": [Case({"map.txt": each}, "map.txt") for each in MAPS],
        "phone profile": [Case({"profile.json": each}, "profile.json") for each in _profiles()],
    }


SEALING_KEY = bytes(range(32))
PASSPHRASE = "correct horse"


def _trust(folder: Path) -> dict[str, list[Case]]:
    """A signed and a sealed bundle, and keys; those of the samples are the same in every run."""
    import base64
    from unittest import mock

    from cryptography.hazmat.primitives import serialization as forms
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from edgekit_runtime.trust.writing import seal_bundle, sign_bundle

    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    public = key.public_key().public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo)
    private = key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption())
    (folder / "key").write_bytes(private)
    (folder / "key").chmod(0o600)
    data = (resources.files("edgekit_runtime") / "probe.edgekit").read_bytes()
    (folder / "plain.edgekit").write_bytes(data)
    signed = sign_bundle(folder / "plain.edgekit", folder / "key", folder / "signed.edgekit").read_bytes()
    with mock.patch("secrets.token_bytes", Random(1).randbytes):
        sealed = seal_bundle(folder / "plain.edgekit", SEALING_KEY, folder / "sealed.edgekit").read_bytes()
    keys = {"key.pub": public, "key": private, "sealing.key": base64.b64encode(SEALING_KEY) + b"\n"}
    return {
        "signed bundle": [Case({"model.edgekit": signed, "key.pub": public}, "model.edgekit")],
        "sealed bundle": [Case({"model.edgekit": sealed}, "model.edgekit")],
        "key files": [Case({name: content}, name) for name, content in keys.items()],
    }


def _profiles() -> list[bytes]:
    """What the app wrote on a phone, as the tests have it."""
    return [(ROOT / "android-demo/app/src/test/resources/phone-profile.json").read_bytes()]
