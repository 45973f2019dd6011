"""Speed beside peers on one model: ratios of medians in one run, with room for a noisy machine, and no milliseconds.

The model has the shape of MiniLM's layers and random weights, on which time does not depend. One thread, so that a machine
whose other processor is busy measures the same.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import sys
from pathlib import Path

import pytest

from conftest import WORDS, make_bert
from edgekit_converters.pipeline import convert
from edgekit_converters.recipe import Recipe

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
harness = importlib.import_module("harness")
edgekit = importlib.import_module("contenders.edgekit")
executorch = importlib.import_module("contenders.executorch")
folder = importlib.import_module("contenders.folder")
onnx = importlib.import_module("contenders.onnx")

LITERT, EXECUTORCH, ONNX_RUNTIME, STOCK = "edgekit on LiteRT", "edgekit on ExecuTorch", "ONNX Runtime, int8", "stock"
BUCKETS = (16, 20, 24, 32)
ROUNDS = 7

Medians = dict[tuple[str, str], float]
"""(contender, the one that it is compared with) to how many times its median is the other's."""


@pytest.fixture(scope="module")
def texts() -> tuple[str, ...]:
    """Of 11 to 30 tokens each, as sentences of reviews have."""
    words = itertools.cycle(WORDS.split())
    return tuple(" ".join(itertools.islice(words, count)) for count in (9, 13, 17, 20, 22, 24, 26, 28) * 5)


@pytest.fixture(scope="module")
def ratios(tmp_path_factory: pytest.TempPathFactory, texts: tuple[str, ...]) -> Medians:
    """Every contender timed in turn with every other, text in and label out."""
    work = tmp_path_factory.mktemp("speed")
    model = work / "model"
    make_bert(model, hidden_size=384, num_hidden_layers=3, num_attention_heads=12, intermediate_size=1536)
    bundle = work / "model.edgekit"
    convert(
        model,
        bundle,
        recipe=Recipe(targets=("litert", "executorch"), max_length=32, buckets=BUCKETS, max_drop=1.0),
    )
    given = folder.Folder(folder.hugging_face_folder(model, work / "folder"), BUCKETS[-1])
    contenders = [
        edgekit.EdgekitBundle(bundle, LITERT, "litert"),
        edgekit.EdgekitBundle(bundle, EXECUTORCH, "executorch"),
        onnx.OnnxRuntime(onnx.export_onnx(given, work)[1], given, ONNX_RUNTIME),
        executorch.StockExecuTorch(executorch.export_stock(model, BUCKETS[-1], work / "stock.pte"), given, STOCK),
    ]
    with contextlib.ExitStack() as stack:
        lanes = [stack.enter_context(harness.Lane(each, 1)) for each in contenders]
        for lane in lanes:
            lane.run(texts[:1], ())
        times = harness.interleave(lanes, texts, rounds=ROUNDS, warmup=10, pause_s=0.05, progress=lambda done, of: None)
    return {
        (one.name, other.name): harness.ratio_of_medians(ours, theirs).value
        for (one, ours), (other, theirs) in itertools.permutations(zip(contenders, times, strict=True), 2)
    }


def test_litert_is_ahead_of_onnx_runtime(ratios: Medians) -> None:
    assert ratios[ONNX_RUNTIME, LITERT] >= 1.2


def test_executorch_is_ahead_of_its_stock_recipe(ratios: Medians) -> None:
    assert ratios[STOCK, EXECUTORCH] >= 1.2


def test_executorch_keeps_up_with_litert(ratios: Medians) -> None:
    assert ratios[EXECUTORCH, LITERT] <= 1.25
