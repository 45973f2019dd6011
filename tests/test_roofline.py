"""The roofline: its counts against the network itself, its arithmetic, its products on the real engines, its picture."""

from __future__ import annotations

import importlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from torch import nn

from edgekit_converters.networks.bert import Bert, BertConfig
from edgekit_converters.pipeline import Conversion

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
ceilings = importlib.import_module("roofline_ceilings")
engines = importlib.import_module("roofline_engines")
parts = importlib.import_module("roofline_parts")
picture = importlib.import_module("roofline_picture")
roofline = importlib.import_module("roofline")
tables = importlib.import_module("roofline_tables")
work = importlib.import_module("roofline_work")
describe_machine = importlib.import_module("machine").describe_machine

SMALL = BertConfig(vocab_size=40, hidden=16, layers=3, heads=4, intermediate=24, positions=32, classes=3)
PRUNED = replace(SMALL, heads_by_layer=(4, 1, 2), neurons_by_layer=(24, 7, 9))
NARROW = replace(SMALL, embedding=8, family="electra")
LENGTH = 11


@pytest.mark.parametrize("config", [SMALL, PRUNED, NARROW], ids=["plain", "pruned", "narrow"])
def test_the_counts_are_those_of_a_run(config: BertConfig) -> None:
    """Torch's own counter sees every product; the hooks see which of them are linear layers, and their weights."""
    from torch.utils.flop_counter import FlopCounterMode

    network = Bert(config).eval()
    linear = weights = 0

    def count(module: nn.Module, inputs: tuple[torch.Tensor, ...], _: object) -> None:
        nonlocal linear, weights
        assert isinstance(module, nn.Linear)
        linear += 2 * inputs[0].numel() * module.out_features
        weights += module.weight.numel()

    for module in network.modules():
        if isinstance(module, nn.Linear):
            module.register_forward_hook(count)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, LENGTH, dtype=torch.int32), torch.ones(1, LENGTH))
    found = work.work_of(config, LENGTH)
    assert found.int8_ops == linear
    assert found.int8_ops + found.attention_ops == counter.get_total_flops()
    assert sum(each.inputs * each.outputs for each in work.linears_of(config, LENGTH)) == weights
    assert weights < found.weight_bytes < 2 * weights + 100 * config.hidden


def test_the_roofline_is_the_longer_of_both_and_attention_comes_on_top() -> None:
    read = roofline.Reading(1, weights=2e9, memory=1e9)
    text = work.Work(
        16, int8_ops=8_000_000, attention_ops=1_000_000, other_ops=0, weight_bytes=3_000_000, table_bytes=0
    )
    by_bytes = roofline.point(roofline.Rate("engine", 1, 8e9, 1e9), read, text, 3.0, 2.0)
    assert (by_bytes.roofline_ms, by_bytes.by_bytes, by_bytes.ratio) == (1.5, True, 2.0)
    assert by_bytes.with_attention_ms == 2.0
    by_products = roofline.point(roofline.Rate("engine", 1, 4e9, 1e9), read, text, 3.0, 2.0)
    assert (by_products.roofline_ms, by_products.by_bytes, by_products.with_attention_ms) == (2.0, False, 3.0)


CPUINFO = "vendor_id\t: {}\ncpu family\t: {}\nmodel\t\t: {}\nflags\t\t: avx2 {}\n\nvendor_id\t: other\n"


@pytest.mark.parametrize(
    ("said", "macs"),
    [
        (CPUINFO.format("AuthenticAMD", 25, 17, "avx512_vnni"), 64),
        (CPUINFO.format("AuthenticAMD", 25, 17, ""), None),  # masked off
        (CPUINFO.format("AuthenticAMD", 25, 1, "avx2"), None),  # the generation before
        (CPUINFO.format("GenuineIntel", 6, 143, "amx_int8"), 1024),
        ("CPU implementer\t: 0x41\nCPU part\t: 0xd0c\n", 32),
        ("CPU implementer\t: 0x41\nCPU part\t: 0xd03\n", None),
        ("", None),
    ],
)
def test_the_peak_of_a_processor_that_is_known(tmp_path: Path, said: str, macs: int | None) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(said, encoding="utf-8")
    found = ceilings.peak(cpuinfo)
    assert (None if found is None else found.macs_a_cycle) == macs
    assert ceilings.peak(tmp_path / "none") is None


def test_the_clock_and_the_reading_are_plausible() -> None:
    clock = ceilings.clock_hz()
    assert clock is None or 2e8 < clock < 8e9
    assert 1e8 < ceilings.read_rate(1 << 20, 2) < 1e13


@pytest.mark.parametrize("engine", engines.SUFFIX)
def test_a_square_product_is_right_and_int8_where_it_should_be(engine: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    weight = engines.Square().linear.weight.detach().numpy()
    answers = {}
    for kind in (engines.INT8, engines.FLOAT):
        file = tmp_path / f"product{engines.SUFFIX[engine]}"
        file.write_bytes(engines.square_program(engine, kind))
        assert (file.stat().st_size < 1.2 * weight.size) == (kind == engines.INT8)
        answers[kind] = engines.product_run(engine, file, 1)()
    int8, float32 = answers[engines.INT8], answers[engines.FLOAT]
    assert int8.shape == float32.shape == (1, 1, engines.SIDE)
    off = np.abs(int8 - float32).max() / np.abs(float32).max()
    assert 1e-4 < off < 0.05, "quantized, and still the same product"


def test_operators_of_every_engine_have_a_group() -> None:
    named = {
        "Fully Connected (NC, QDU8, F32, QC8W) GEMM": "int8 products",
        "DynamicQuantizeMatMul": "int8 products",
        "MatMulIntegerToFloat": "int8 products",
        "Batch Matrix Multiply (NC, F32) GEMM": "attention's products",
        "FusedMatMul": "attention's products",
        "native_layer_norm.out": "layer norms, sums, factors",
        "Mean Squared (ND) Reduce2": "layer norms, sums, factors",
        "BiasGelu": "GELU",
        "Softmax (NC, F32)": "softmax",
        "EMBEDDING_LOOKUP": "embedding",
        "Transpose (ND, X32) Transpose": parts.MOVED,
    }
    assert {name: parts.group_of(name) for name in named} == named


@pytest.fixture(scope="module")
def made_up() -> roofline.Roofline:  # type: ignore[name-defined]
    """Figures of a machine that is easy to reckon with."""
    works = tuple(work.work_of(SMALL, length) for length in roofline.LENGTHS)
    reading = tuple(roofline.Reading(threads, 1e10 * threads, 1e9) for threads in (1, 2))
    rates = tuple(roofline.Rate("LiteRT", threads, 1e11 * threads, 1e10) for threads in (1, 2))
    points = tuple(
        roofline.point(rate, read, each, *(2 * ms for ms in (roofline.point(rate, read, each, 1, 1).roofline_ms,) * 2))
        for rate, read in zip(rates, reading, strict=True)
        for each in works
    )
    groups = dict.fromkeys((*parts.GROUPS, parts.MOVED, parts.UNTOLD), 1.0)
    traced = (parts.Parts("LiteRT", 16, 8.0, groups, 9e10),)
    return roofline.Roofline(describe_machine(()), 3, 4, works, 3e9, ceilings.ZEN4, reading, rates, points, traced)


def test_the_tables_say_what_is_within_the_goals(made_up: roofline.Roofline) -> None:  # type: ignore[name-defined]
    said = tables.markdown(made_up)
    assert "beyond: LiteRT 2.00 × (1 thread), LiteRT 2.00 × (2 threads). At 128 tokens, within 2.5 ×" in said
    assert "within 2.5 × of the roofline: LiteRT 2.00 × (1 thread), LiteRT 2.00 × (2 threads); beyond: none" in said
    assert "384 Gop/s a core" in said and "10 GB/s with 1 thread, 20 GB/s with 2 threads" in said
    assert "| int8 products, Gop/s | 90 |" in said and "| GELU | 12% |" in said
    assert "too low" not in said
    quicker = replace(
        made_up, points=tuple(replace(each, quickest_ms=0.5 * each.roofline_ms) for each in made_up.points)
    )
    assert "too low" in tables.markdown(quicker), "nothing is quicker than its limit"
    unknown = tables.markdown(replace(made_up, peak=None))
    assert "peak: unknown for this processor" in unknown


def test_the_picture_has_every_point_and_follows_the_reader(made_up: roofline.Roofline, tmp_path: Path) -> None:  # type: ignore[name-defined]
    path = tmp_path / "roofline.svg"
    picture.draw(made_up, path)
    svg = path.read_text(encoding="utf-8")
    root = ElementTree.fromstring(svg)
    assert "prefers-color-scheme:dark" in svg and "var(--accent)" in svg
    assert root.get("aria-label", "").count("2.00 times the roofline") == 10
    texts = ["".join(each.itertext()) for each in root.iter() if each.tag.endswith("text")]
    assert texts.count("LiteRT") == 1 and "one thread" in texts and "2 threads" in texts
    picture.draw(replace(made_up, peak=None), path)
    assert "hardware's peak" not in path.read_text(encoding="utf-8") and "hardware's peak" in svg


def test_an_engine_is_timed_on_a_bundle_at_its_lengths(bert_on_both: Conversion, tmp_path: Path) -> None:
    file = tmp_path / "product.tflite"
    file.write_bytes(engines.square_program("litert", engines.FLOAT))
    opened = engines.OnEngine(bert_on_both.bundle, "litert", {engines.FLOAT: file}).open(1)
    assert [opened.classify(what) for what in ("16", "64", engines.FLOAT)] == [""] * 3
    with pytest.raises(KeyError):
        opened.classify("32")  # no bucket of the bundle


def test_a_bundle_without_the_lengths_is_refused_before_any_work(
    bert_on_both: Conversion, bert_checkpoint: Path
) -> None:
    command = [sys.executable, BENCHMARKS / "roofline.py", "--model", bert_checkpoint, "--bundle", bert_on_both.bundle]
    ended = subprocess.run([*command, "--engine", "litert"], capture_output=True, text=True, encoding="utf-8")
    assert ended.returncode == 1 and "must have the buckets 8,16,32,64,128" in ended.stderr
    ended = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert ended.returncode == 1 and "has no program for onnx" in ended.stderr
    assert "Traceback" not in ended.stderr and "Square" not in ended.stderr
