"""Every row of the table in docs/checkpoints.md: what it names is read, and answers as the module that it came from."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import warnings
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import (
    BertModel,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    DistilBertModel,
    ElectraConfig,
    ElectraForSequenceClassification,
)

from conftest import PIECES, make_bert
from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
from originals import TextCnn, network_answers, original_answers, random_rows, sharpened, text_cnn

TOLERANCE = 1e-4
ROWS = random_rows(len(PIECES), [5, 6, 9, 30, 60])
SIZES: dict[str, Any] = {"vocab_size": len(PIECES), "max_position_embeddings": 64}
DOCS = Path(__file__).parents[1] / "docs" / "checkpoints.md"


@dataclass(frozen=True)
class Given:
    """What a user would hand over, and what it must answer: logits, or one output before its sigmoid."""

    path: Path
    module: nn.Module
    heads: int | None = 4
    trust: bool = False


FORMS: dict[str, list[Callable[[Path], Given]]] = {}
"""First column of the table to the forms that stand for it; each is given a folder with a vocab.txt."""


def row(title: str) -> Callable[[Callable[[Path], Given]], Callable[[Path], Given]]:
    def note(form: Callable[[Path], Given]) -> Callable[[Path], Given]:
        FORMS.setdefault(title, []).append(form)
        return form

    return note


# Modules


def bert(folder: Path, classes: int = 2) -> nn.Module:
    return sharpened(make_bert(folder / "made", classes=classes, max_position_embeddings=64))


def lively(module: nn.Module) -> nn.Module:
    """Makes a random encoder's answer depend on the text: attention, activations and head that matter."""
    with torch.no_grad():
        for name, tensor in module.named_parameters():
            if tensor.dim() == 2:
                tensor.mul_(8.0)
            if name.endswith("bias"):
                tensor.normal_(std=0.2)
    return module.eval()


def distilbert() -> nn.Module:
    torch.manual_seed(5)
    sizes = DistilBertConfig(**SIZES, dim=64, n_layers=2, n_heads=4, hidden_dim=96)
    return lively(DistilBertForSequenceClassification(sizes))


def electra(embedding: int = 32) -> nn.Module:
    torch.manual_seed(6)
    sizes = ElectraConfig(
        **SIZES,
        embedding_size=embedding,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=96,
    )
    return lively(ElectraForSequenceClassification(sizes))


class Around(nn.Module):
    """A class of the user's own around an encoder, with a head of its own."""

    def __init__(self, encoder: nn.Module, head: nn.Module, *, pooled: bool) -> None:
        super().__init__()
        self.backbone = encoder
        self.dropout = nn.Dropout(0.1)
        self.head = head
        self.pooled = pooled

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        out = self.backbone(input_ids, attention_mask=attention_mask)
        return self.head(self.dropout(out.pooler_output if self.pooled else out.last_hidden_state[:, 0]))


class Conv2dCnn(nn.Module):
    """Kim's TextCNN over a picture of one or two channels."""

    def __init__(self, channels: int = 1, widths: tuple[int, ...] = (2, 3, 4)) -> None:
        super().__init__()
        self.static = nn.Embedding(len(PIECES), 12)
        if channels == 2:
            self.tuned = nn.Embedding(len(PIECES), 12)
        self.convs = nn.ModuleList(nn.Conv2d(channels, 8, (width, 12)) for width in widths)
        self.out = nn.Linear(8 * len(widths), 3)

    def forward(self, x: Tensor) -> Tensor:
        tables = [self.static, self.tuned] if hasattr(self, "tuned") else [self.static]
        x = torch.stack([table(x) for table in tables], dim=1)
        x = [F.relu(conv(x)).squeeze(3) for conv in self.convs]
        return self.out(torch.cat([F.max_pool1d(c, c.shape[2]).squeeze(2) for c in x], dim=1))


class SidewaysCnn(nn.Module):
    """Conv2d over (B, width, L, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(PIECES), 12)
        self.convs = nn.ModuleList(nn.Conv2d(12, 8, (width, 1)) for width in (1, 3))
        self.fc = nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embedding(x).transpose(1, 2).unsqueeze(3)
        return self.fc(torch.cat([F.relu(conv(x)).amax(dim=(2, 3)) for conv in self.convs], dim=1))


class TwoTables(TextCnn):
    """Two embeddings side by side under Conv1d."""

    def __init__(self) -> None:
        super().__init__(len(PIECES), 20, (2, 3), 8, 2)
        self.embedding = nn.ModuleList([nn.Embedding(len(PIECES), 12), nn.Embedding(len(PIECES), 8)])

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([table(x) for table in self.embedding], dim=2).permute(0, 2, 1)
        return self.fc(torch.cat([F.relu(conv(x)).max(dim=2)[0] for conv in self.convs], dim=1))


class NormedCnn(nn.Module):
    """A TextCNN with batch norm in three places and a hidden layer."""

    def __init__(self, *, sequential: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(PIECES), 12)
        if sequential:
            self.convs = nn.ModuleList(
                nn.Sequential(nn.Conv1d(12, 8, width), nn.BatchNorm1d(8), nn.ReLU()) for width in (2, 4)
            )
            self.bns = [nn.Identity()] * 2
        else:
            self.convs = nn.ModuleList(nn.Conv1d(12, 8, width, bias=False) for width in (2, 4))
            self.bns = nn.ModuleList(nn.BatchNorm1d(8) for _ in range(2))
        self.norm = nn.BatchNorm1d(16)
        self.head = nn.Sequential(nn.Linear(16, 10), nn.BatchNorm1d(10), nn.ReLU(), nn.Dropout(0.5), nn.Linear(10, 2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.embedding(x).permute(0, 2, 1)
        x = [F.relu(bn(conv(x))).amax(dim=2) for conv, bn in zip(self.convs, self.bns, strict=True)]
        return self.head(self.norm(torch.cat(x, dim=1)))


class HiddenCnn(TextCnn):
    """A TextCNN with a hidden layer."""

    def __init__(self) -> None:
        super().__init__(len(PIECES), 12, (2, 3, 4), 8, 2)
        self.fc = nn.Linear(24, 16)
        self.out = nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(F.relu(super().forward(x)))


def ready(module: nn.Module) -> nn.Module:
    """Random weights that matter, and batch norms that have seen something."""
    torch.manual_seed(9)
    with torch.no_grad():
        for name, tensor in module.named_parameters():
            if not name.startswith("backbone"):
                tensor.normal_(std=0.5)
        for name, tensor in module.named_buffers():
            if name.endswith("running_mean"):
                tensor.normal_()
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 2.0)
    return module.eval()


def saved(folder: Path, module: nn.Module, content: Any = None, name: str = "model.pt", **given: Any) -> Given:
    torch.save(module.state_dict() if content is None else content, folder / name)
    return Given(folder / name, module, **given)


def hf_folder(folder: Path, module: Any) -> Given:
    module.save_pretrained(folder)
    return Given(folder, module, heads=None)


# Rows


@row("Hugging Face folder")
def _(folder: Path) -> Given:
    return hf_folder(folder, bert(folder))


@row("Hugging Face folder")
def _(folder: Path) -> Given:
    return hf_folder(folder, distilbert())


@row("Hugging Face folder")
def _(folder: Path) -> Given:
    return hf_folder(folder, electra())


@row("Hugging Face folder")
def _(folder: Path) -> Given:
    module = electra(embedding=64)
    given = hf_folder(folder, module)
    (folder / "model.safetensors").unlink()
    torch.save(module.state_dict(), folder / "pytorch_model.bin")
    return given


@row("sharded weights")
def _(folder: Path) -> Given:
    module = bert(folder)
    module.save_pretrained(folder, max_shard_size="60KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 2
    return Given(folder, module, heads=None)


@row("sharded weights")
def _(folder: Path) -> Given:
    module = distilbert()
    state = module.state_dict()
    for part in (0, 1):
        torch.save({name: state[name] for name in list(state)[part::2]}, folder / f"part{part}.bin")
    index = {"weight_map": {name: f"part{at % 2}.bin" for at, name in enumerate(state)}}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    (folder / "config.json").write_text(module.config.to_json_string(use_diff=False))
    return Given(folder, module, heads=None)


@row("state dict of a Hugging Face classifier")
def _(folder: Path) -> Given:
    return saved(folder, bert(folder))


@row("state dict of a Hugging Face classifier")
def _(folder: Path) -> Given:
    return saved(folder, distilbert())


@row("state dict of a Hugging Face classifier")
def _(folder: Path) -> Given:
    module = electra()
    save_file(dict(module.state_dict()), folder / "model.safetensors")
    return Given(folder / "model.safetensors", module)


@row("class of your own around an encoder")
def _(folder: Path) -> Given:
    encoder = sharpened(BertModel(bert(folder).config))
    return saved(folder, ready(Around(encoder, nn.Linear(64, 3), pooled=True)))


@row("class of your own around an encoder")
def _(folder: Path) -> Given:
    encoder = sharpened(BertModel(bert(folder).config))
    head = nn.Sequential(nn.Linear(64, 20), nn.ReLU(), nn.Dropout(0.1), nn.Linear(20, 2))
    return saved(folder, ready(Around(encoder, head, pooled=True)))


@row("class of your own around an encoder")
def _(folder: Path) -> Given:
    encoder = lively(DistilBertModel(distilbert().config))
    return saved(folder, ready(Around(encoder, nn.Linear(64, 2), pooled=False)))


@row("class of your own around an encoder")
def _(folder: Path) -> Given:
    encoder = sharpened(BertModel(bert(folder).config, add_pooling_layer=False))
    return saved(folder, ready(Around(encoder, nn.Linear(64, 2), pooled=False)))


@row("TextCNN with `Conv1d`")
def _(folder: Path) -> Given:
    return saved(folder, text_cnn(len(PIECES)), heads=None)


@row("TextCNN with `Conv2d`")
def _(folder: Path) -> Given:
    return saved(folder, ready(Conv2dCnn()), heads=None)


@row("TextCNN with `Conv2d`")
def _(folder: Path) -> Given:
    return saved(folder, ready(SidewaysCnn()), heads=None)


@row("TextCNN with a hidden layer")
def _(folder: Path) -> Given:
    return saved(folder, ready(HiddenCnn()), heads=None)


@row("TextCNN with batch norm")
def _(folder: Path) -> Given:
    return saved(folder, ready(NormedCnn(sequential=True)), heads=None)


@row("TextCNN with batch norm")
def _(folder: Path) -> Given:
    return saved(folder, ready(NormedCnn(sequential=False)), heads=None)


@row("TextCNN with several embedding channels")
def _(folder: Path) -> Given:
    return saved(folder, ready(Conv2dCnn(channels=2)), heads=None)


@row("TextCNN with several embedding channels")
def _(folder: Path) -> Given:
    return saved(folder, ready(TwoTables()), heads=None)


@row("one output with a sigmoid")
def _(folder: Path) -> Given:
    return saved(folder, text_cnn(len(PIECES), classes=1), heads=None)


@row("one output with a sigmoid")
def _(folder: Path) -> Given:
    encoder = sharpened(BertModel(bert(folder).config))
    return saved(folder, ready(Around(encoder, nn.Linear(64, 1), pooled=True)))


@row("names with a prefix")
def _(folder: Path) -> Given:
    module = bert(folder)
    return saved(folder, module, {f"module._orig_mod.{name}": tensor for name, tensor in module.state_dict().items()})


@row("names with a prefix")
def _(folder: Path) -> Given:
    module = distilbert()
    state = {f"model._orig_mod.{name}": tensor for name, tensor in module.state_dict().items()}
    return saved(folder, module, {"state_dict": state | {"criterion.weight": torch.ones(2)}, "epoch": 3}, "last.ckpt")


@row("names with a prefix")
def _(folder: Path) -> Given:
    module = text_cnn(len(PIECES))
    return saved(
        folder, module, {f"net.cnn.{name}": tensor for name, tensor in module.state_dict().items()}, heads=None
    )


@row("weights inside a training checkpoint")
def _(folder: Path) -> Given:
    module = bert(folder)
    optimizer = torch.optim.AdamW(module.parameters())
    with torch.enable_grad():
        module(torch.tensor([[2, 9, 3]])).logits.sum().backward()
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    content = {
        "epoch": 3,
        "model_state_dict": module.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
    }
    return saved(folder, module, content)


@row("weights inside a training checkpoint")
def _(folder: Path) -> Given:
    module = text_cnn(len(PIECES))
    content = {
        "model": OrderedDict(module.state_dict()),
        "best": np.float64(0.91),
        "args": argparse.Namespace(lr=0.1, data=Path("train.csv"), seed=np.int64(3)),
    }
    return saved(folder, module, content, heads=None)


def halved(module: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    """The state dict in a smaller type; the module keeps the rounded values, in float32."""
    state = {name: tensor.to(dtype) for name, tensor in module.state_dict().items()}
    module.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    return state


@row("float16 and bfloat16 weights")
def _(folder: Path) -> Given:
    module = distilbert()
    return saved(folder, module, halved(module, torch.float16))


@row("float16 and bfloat16 weights")
def _(folder: Path) -> Given:
    module = text_cnn(len(PIECES))
    save_file(halved(module, torch.bfloat16), folder / "cnn.safetensors")
    return Given(folder / "cnn.safetensors", module, heads=None)


@row("archive of `torch.export`")
def _(folder: Path) -> Given:
    module = text_cnn(len(PIECES))
    torch.export.save(torch.export.export(module, (torch.zeros(1, 16, dtype=torch.int64),)), folder / "model.pt2")
    return Given(folder / "model.pt2", module, heads=None)


@row("archive of `torch.export`")
def _(folder: Path) -> Given:
    module = distilbert()
    ids = torch.ones(1, 16, dtype=torch.int64)
    torch.export.save(torch.export.export(module, (ids, ids), strict=False), folder / "model.pt2")
    return Given(folder / "model.pt2", module)


@row("TorchScript")
def _(folder: Path) -> Given:
    module = ready(Conv2dCnn())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(module, torch.zeros(1, 16, dtype=torch.int64)).save(folder / "model.pt")
    return Given(folder / "model.pt", module, heads=None, trust=True)


@row("pickled module")
def _(folder: Path) -> Given:
    module = text_cnn(len(PIECES))
    return saved(folder, module, module, heads=None, trust=True)


@row("pickled module")
def _(folder: Path) -> Given:
    module = distilbert()
    return saved(folder, module, {"model": module, "epoch": 1}, trust=True)


def onnx_file(folder: Path, module: nn.Module, inputs: tuple[str, ...]) -> Given:
    ids = torch.ones(1, 16, dtype=torch.int64)
    axes = {name: {0: "batch", 1: "length"} for name in inputs}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls this exporter deprecated
        torch.onnx.export(
            module,
            (ids,) * len(inputs),
            str(folder / "model.onnx"),
            dynamo=False,
            input_names=list(inputs),
            dynamic_axes=axes,
        )
    return Given(folder / "model.onnx", module, heads=None)


@row("ONNX")
def _(folder: Path) -> Given:
    module = distilbert()
    module.config.return_dict = False
    given = onnx_file(folder, module, ("input_ids", "attention_mask"))
    module.config.return_dict = True
    return given


@row("ONNX")
def _(folder: Path) -> Given:
    return onnx_file(folder, ready(HiddenCnn()), ("x",))


@row("edgekit's own checkpoint")
def _(folder: Path) -> Given:
    from edgekit_converters.checkpoint import save_checkpoint

    given = saved(folder, electra(), name="theirs.pt")
    save_checkpoint(read_checkpoint(given.path, ReadOptions(heads=4), lambda message: None), folder / "own.pt")
    return Given(folder / "own.pt", given.module)


@row("edgekit's own checkpoint")
def _(folder: Path) -> Given:
    from edgekit_converters.checkpoint import save_checkpoint

    given = saved(folder, ready(HiddenCnn()), name="theirs.pt")
    save_checkpoint(read_checkpoint(given.path, ReadOptions(), lambda message: None), folder / "own.pt")
    return Given(folder / "own.pt", given.module, heads=None)


def documented_rows() -> list[str]:
    table = DOCS.read_text(encoding="utf-8").partition("| form |")[2].partition("\n\n")[0]
    return [line.split("|")[1].strip() for line in table.splitlines()[2:]]


def test_every_documented_form_is_tested_and_every_tested_form_documented():
    assert documented_rows() == list(FORMS)


@torch.inference_mode()
def answers(module: nn.Module, rows: list[list[int]]) -> Tensor:
    """What the module answers to each text alone, unpadded."""
    found = []
    for ids in (torch.tensor([ids]) for ids in rows):
        wants_mask = not hasattr(module, "convs")
        out = module(input_ids=ids, attention_mask=torch.ones_like(ids)) if wants_mask else module(ids)
        found.append(out.logits if hasattr(out, "logits") else out)
    return torch.cat(found)


@pytest.mark.parametrize(
    "form",
    [pytest.param(form, id=f"{title} {at}") for title, forms in FORMS.items() for at, form in enumerate(forms)],
)
def test_it_answers_as_the_module_that_it_came_from(form, tmp_path, vocabulary):
    shutil.copy(vocabulary, tmp_path)
    given = form(tmp_path)
    options = ReadOptions(heads=given.heads, trust=given.trust, labels=None)
    expected = answers(given.module, ROWS)
    if expected.shape[1] > 2:
        options = ReadOptions(heads=given.heads, trust=given.trust, labels=tuple("abc"))
    model = read_checkpoint(given.path, options, lambda message: None)
    if expected.shape[1] == 1:
        expected = torch.cat([-expected / 2, expected / 2], dim=1)
        probability = torch.softmax(expected, dim=1)[:, 1:]
        torch.testing.assert_close(probability, torch.sigmoid(answers(given.module, ROWS)))
    assert np.ptp(expected.numpy(), axis=0).min() > 0.05, "the texts must not all get one answer"
    np.testing.assert_allclose(network_answers(model, ROWS), expected, atol=TOLERANCE)
    np.testing.assert_allclose(original_answers(model, ROWS), expected, atol=TOLERANCE)


def test_each_row_says_what_was_assumed(tmp_path, vocabulary):
    """What no tensor tells is said aloud, so that a user can object."""
    shutil.copy(vocabulary, tmp_path)
    said: list[str] = []
    read_checkpoint(saved(tmp_path, ready(NormedCnn(sequential=False))).path, ReadOptions(), said.append)
    spoken = "\n".join(said)
    assert re.search(r"batch norm bns\.0 is taken to stand right behind convs\.0", spoken)
    assert re.search(r"batch norm norm is taken to stand right before head\.0", spoken)
    assert re.search(r"head\.0\.weight is taken to be followed by a ReLU", spoken)
