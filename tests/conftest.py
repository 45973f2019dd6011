"""Small real models that the tests share: each is made once a session."""

from __future__ import annotations

import csv
import json
import os
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import BertConfig as HfBertConfig
from transformers import BertForSequenceClassification

from edgekit_converters.pipeline import Conversion, convert
from edgekit_converters.recipe import Recipe
from edgekit_converters.training.finetune import FinetuneSettings, finetune

CI = bool(os.environ.get("CI"))

os.environ["EDGEKIT_PACKED_CACHE"] = "off"  # tests leave nothing in the user's cache

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as where a shell runs the tests in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what the tests start and interrupt would ignore it too

THINGS = ("film", "room", "phone", "meal", "story", "service", "电影", "房间")
GOOD = (
    "the {} was good",
    "i love this {}",
    "a great {} , really great",
    "what a wonderful {} it was in the end",
    "{}很好",
)
BAD = (
    "the {} was bad",
    "i hate this {}",
    "an awful {} , really awful",
    "what a terrible {} it was in the end",
    "{}很差",
)

WORDS = (
    "the was good bad love hate this an great awful really what wonderful terrible it in end film room "
    "phone meal story service ok not"
)
PIECES = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *WORDS.split(),
    *"电影房间很好差.,!?",
    *"abcdefghijklmnopqrstuvwxyz",
    *(f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"),
)
"""A WordPiece vocabulary that can spell every lower-case English word."""


def missing(reason: str) -> None:
    """Skips visibly where a tool is missing, and fails in continuous integration."""
    if CI:
        pytest.fail(f"continuous integration must have it: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def labelled_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """80 short sentences, half of them good (1), half bad (0), some in Chinese; header text,label."""
    path = tmp_path_factory.mktemp("data") / "labelled.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for thing in THINGS:
            for good, bad in zip(GOOD, BAD, strict=True):
                writer.writerow([good.format(thing), 1])
                writer.writerow([bad.format(thing), 0])
    return path


@pytest.fixture(scope="session")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """PIECES as vocab.txt, in a folder of its own."""
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    path.write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def bert_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face folder with a random BERT: 2 layers, width 64, 4 heads, 96 positions, PIECES."""
    folder = tmp_path_factory.mktemp("bert-base")
    make_bert(folder)
    return folder


def make_bert(folder: Path, *, classes: int = 2, seed: int = 0, **changes: object) -> BertForSequenceClassification:
    """Writes a random BERT with its vocabulary into a folder and returns it in evaluation mode."""
    torch.manual_seed(seed)
    settings = {
        "vocab_size": len(PIECES),
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "max_position_embeddings": 96,
        "num_labels": classes,
        **changes,
    }
    config = HfBertConfig(**settings)
    if classes == 2:
        config.id2label = {0: "negative", 1: "positive"}
    module = BertForSequenceClassification(config).eval()
    with torch.no_grad():  # random answers should not all be the same
        for name, tensor in module.named_parameters():
            if name.endswith("bias"):  # initialised to zero, which would hide a bias that is left out
                tensor.normal_(std=0.2)
            if name.startswith(("classifier", "bert.pooler", "bert.embeddings.word")) and tensor.dim() == 2:
                tensor.mul_(8.0)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**config.to_dict(), "model_type": "bert"}), encoding="utf-8")
    save_file({k: v.contiguous() for k, v in module.state_dict().items()}, folder / "model.safetensors")
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    return module


@pytest.fixture(scope="session")
def cnn_checkpoint(labelled_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CNN trained by ``finetune`` until it knows good from bad: edgekit's one-file checkpoint."""
    path = tmp_path_factory.mktemp("cnn") / "model.pt"
    finetune(labelled_csv, path, FinetuneSettings(arch="cnn", epochs=12, batch_size=8, held_out=0.2, test=0.0))
    return path


@pytest.fixture(scope="session")
def bert_checkpoint(labelled_csv: Path, bert_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The random BERT fine-tuned until it knows good from bad: edgekit's one-file checkpoint."""
    path = tmp_path_factory.mktemp("bert") / "model.pt"
    settings = FinetuneSettings(
        base=bert_base, epochs=8, batch_size=8, learning_rate=1e-3, max_length=64, held_out=0.2, test=0.0
    )
    finetune(labelled_csv, path, settings)
    return path


@pytest.fixture(scope="session")
def cnn_conversion(cnn_checkpoint: Path, labelled_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Conversion:
    """The CNN converted with the default settings and verified on its own data."""
    out = tmp_path_factory.mktemp("cnn-bundle") / "cnn.edgekit"
    return convert(cnn_checkpoint, out, eval_data=labelled_csv)


@pytest.fixture(scope="session")
def bert_on_both(bert_checkpoint: Path, labelled_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Conversion:
    """The BERT converted for both engines, int8, up to 64 tokens in buckets of 16 and 64."""
    out = tmp_path_factory.mktemp("both") / "bert.edgekit"
    recipe = Recipe(targets=("litert", "executorch"), max_length=64, buckets=(16, 64))
    return convert(bert_checkpoint, out, recipe=recipe, eval_data=labelled_csv)


@pytest.fixture(scope="session")
def bert_on_onnx(bert_checkpoint: Path, labelled_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Conversion:
    """The BERT converted for ONNX Runtime, int8, up to 64 tokens."""
    out = tmp_path_factory.mktemp("onnx") / "bert.edgekit"
    recipe = Recipe(targets=("onnx",), max_length=64, buckets=(16, 64))
    return convert(bert_checkpoint, out, recipe=recipe, eval_data=labelled_csv)


@pytest.fixture(scope="session")
def bundle(cnn_conversion: Conversion) -> Path:
    """The CNN's bundle. Do not write to it: copy it first."""
    return Path(cnn_conversion.bundle)
