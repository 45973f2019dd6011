"""The benchmark harness: its arithmetic on made-up numbers, and each script on small real models."""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from shutil import which

import numpy as np
import pytest
import torch

from conftest import BAD, GOOD, missing
from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
from edgekit_converters.data import LabelledText
from edgekit_converters.environments import TFLITE_RUNTIME
from edgekit_converters.environments.places import installed_python
from edgekit_converters.pipeline import Conversion
from edgekit_runtime.engines.litert import LiteRtEngine
from edgekit_runtime.text import TextEncoder

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS, DOCUMENT = ROOT / "benchmarks", ROOT / "docs" / "benchmarks.md"
sys.path.insert(0, str(BENCHMARKS))
harness = importlib.import_module("harness")
conversion = importlib.import_module("conversion")
document = importlib.import_module("document")
edgekit = importlib.import_module("contenders.edgekit")
folder = importlib.import_module("contenders.folder")
graph_forms = importlib.import_module("graph_forms")
instructions = importlib.import_module("instructions")
latency = importlib.import_module("latency")
lineup = importlib.import_module("contenders.lineup")
part = importlib.import_module("contenders.part")
profiling_overhead = importlib.import_module("profiling_overhead")
pipeline = importlib.import_module("contenders.pipeline")
pte_programs = importlib.import_module("pte_programs")
stock_pte = importlib.import_module("stock_pte")
students = importlib.import_module("students")
tfidf = importlib.import_module("tfidf")
describe_machine = importlib.import_module("machine").describe_machine


def test_a_constant_ratio_has_no_interval() -> None:
    ours = np.tile([1.0, 2.0, 4.0], (6, 1))
    assert harness.ratio_of_medians(3 * ours, ours) == harness.Ratio(3.0, 3.0, 3.0)


def test_the_interval_covers_how_much_rounds_differ() -> None:
    ours = np.ones((8, 5))
    peer = np.repeat(np.arange(1.0, 9.0)[:, None], 5, axis=1)
    ratio = harness.ratio_of_medians(peer, ours)
    assert ratio.value == 4.5
    assert 1.5 <= ratio.low < 3.5 < 5.5 < ratio.high <= 7.5
    assert ratio == harness.ratio_of_medians(peer, ours), "the same numbers give the same interval"
    assert str(ratio).startswith("4.50 × (")


def test_a_slow_moment_of_the_machine_counts_on_both_sides() -> None:
    speed = np.arange(1.0, 10.0)[:, None]
    ratio = harness.ratio_of_medians(2 * speed * np.ones((9, 3)), speed * np.ones((9, 3)))
    assert (ratio.low, ratio.high) == (2.0, 2.0)


def test_rounds_must_match() -> None:
    with pytest.raises(ValueError, match="4 rounds and the other 5"):
        harness.ratio_of_medians(np.ones((4, 2)), np.ones((5, 2)))


class Recorder:
    """Takes ``milliseconds`` for each text and writes down when it ran and on what."""

    def __init__(self, name: str, milliseconds: float, log: list[tuple[str, list[str], list[str]]]) -> None:
        self.name, self.milliseconds, self.log = name, milliseconds, log

    def run(self, texts: Sequence[str], warmup: Sequence[str]) -> object:
        self.log.append((self.name, list(texts), list(warmup)))
        return harness.Block((self.milliseconds,) * len(texts), (0,) * len(texts))


def test_every_contender_runs_in_every_round_and_the_order_rotates() -> None:
    log: list[tuple[str, list[str], list[str]]] = []
    done: list[tuple[int, int]] = []
    runners = [Recorder(name, index + 1.0, log) for index, name in enumerate("abc")]
    texts = ["one", "two", "three", "four"]
    times = harness.interleave(runners, texts, rounds=4, warmup=2, pause_s=0, progress=lambda *step: done.append(step))
    names = [name for name, _, _ in log]
    assert [names[i : i + 3] for i in range(0, 12, 3)] == [list("abc"), list("bca"), list("cab"), list("abc")]
    assert all(block == texts and warmup == ["one", "three"] for _, block, warmup in log)
    assert [found.shape for found in times] == [(4, 4)] * 3
    assert [float(np.unique(found).item()) for found in times] == [1.0, 2.0, 3.0]
    assert done[0] == (1, 12) and done[-1] == (12, 12)


def test_a_contender_that_fails_in_its_process_says_why(tmp_path: Path) -> None:
    contender = edgekit.EdgekitBundle(tmp_path / "missing.edgekit", "edgekit on nothing")
    with harness.Lane(contender, 1) as lane, pytest.raises(RuntimeError, match=r"(?s)edgekit on nothing.*no file"):
        lane.run(["a"], [])


def test_markdown_table() -> None:
    assert harness.markdown_table(["", "ms"], [["a|b", "1.0"], ["c", "–"]]).splitlines() == [
        "|  | ms |",
        "| --- | ---: |",
        "| a\\|b | 1.0 |",
        "| c | – |",
    ]


def test_the_vocabulary_of_the_random_model_has_the_size_and_the_places_of_the_real_one() -> None:
    pieces = conversion.chinese_pieces()
    assert len(set(pieces)) == len(pieces) == 21_128
    assert [pieces.index(token) for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")] == [0, 100, 101, 102, 103]
    assert "好" in pieces and all(not piece.isspace() and len(piece.splitlines()) == 1 for piece in pieces)


class Silent:
    """A terminal that keeps still."""

    def stage(self, title: str) -> None: ...


def bench(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8")


SCRIPTS = (
    "latency",
    "overhead",
    "footprint",
    "conversion",
    "pte_programs",
    "onnx_forms",
    "per_tensor_forms",
    "graph_forms",
    "roofline",
)


@pytest.mark.parametrize("script", [f"{name}.py" for name in SCRIPTS])
def test_without_a_model_the_usage_says_how_to_make_one(script: str) -> None:
    ended = bench(script)
    assert ended.returncode == 2
    assert "edgekit demo" in ended.stderr and "--model" in ended.stderr


def test_graph_forms_say_which_of_them_compute_the_same(bert_checkpoint: Path) -> None:
    network = read_checkpoint(bert_checkpoint, ReadOptions(), print).network()
    off = {form: graph_forms.difference(network, graph_forms.changed(network, form)) for form in graph_forms.FORMS}
    del off["GELU by tanh"]  # off by less than that where the neurons of a test's network are as small as they are
    assert {form for form, difference in off.items() if difference < 1e-5} == {
        graph_forms.BASE,
        "the same once more",
        "layer norm: torch's operator",
        "layer norm: mean of the squares less square of the mean",
        "attention: sliced before the heads are split",
        "attention: the same in 4-D",
        "attention: query, key and value by three products",
    }
    cell = graph_forms.Cell(2, 32, 1.5, harness.Ratio(0.98, 0.97, 0.99))
    rows = (graph_forms.Row(graph_forms.BASE, 0.0, (cell,)), graph_forms.Row("other", 0.25, (cell,)))
    table = graph_forms.markdown(graph_forms.Forms(describe_machine(()), 40, 8, rows))
    assert "|  | logits off | 32 tokens, 2 threads |" in table
    assert "| edgekit's | 0e+00 | 1.500 ms |" in table
    assert "| other | 2e-01 | 0.98 × (0.97 – 0.99) |" in table


def test_students_are_a_table_and_a_picture(tmp_path: Path) -> None:
    alone, ratio = harness.Ratio(1.0, 1.0, 1.0), harness.Ratio(14.4, 13.5, 15.3)
    peer = students.Row("the peer", None, 0.5, 1.0, 2, 14.0, 15.0, alone, alone, None, None)
    answered = {"main": 0.25, "student": 0.75}
    cascade = students.Row("the cascade", 2_500_000, 0.75, 1.5, 1, 0.16, 1.07, ratio, ratio, 90.0, answered)
    result = students.Students(describe_machine(()), 4, 2, 10, (peer, cascade))
    table = students.markdown(result)
    assert "| the peer | – | 50.00% | 100.0% | 14.000 |" in table
    assert "| the cascade | 2.50 | 75.00% | 150.0% | 0.160 | 1.070 | 14.40 × (13.50 – 15.30) |" in table
    assert "the cascade: main answered 25.0%, student answered 75.0%" in table
    students.draw(result, tmp_path / "picture.svg")
    picture = (tmp_path / "picture.svg").read_text(encoding="utf-8")
    assert picture.count(">the cascade<") == 1 and students.COLORS[0] in picture and students.COLORS[1] in picture
    assert len(students.COLORS) == 1 + len(students.VARIANTS)


def test_tfidf_learns_from_one_part_and_is_measured_on_another(tmp_path: Path) -> None:
    def part(things: str) -> LabelledText:
        pairs = [(f"{word} {thing}", label) for thing in things.split() for label, word in enumerate(("差的", "好的"))]
        texts, labels = zip(*pairs, strict=True)
        return LabelledText(texts, labels, "made up", ("negative", "positive"))

    row = tfidf.linear("characters", part("书 酒店 手机 电影"), part("房间 音乐"), tmp_path, Silent())
    assert row.accuracy == 1.0
    assert row.bytes == (tmp_path / "tfidf-characters.pickle").stat().st_size
    assert 0 < row.ms < 1000


def test_buckets_reach_as_far_as_the_texts_that_were_learned_from() -> None:
    assert tfidf.lengths(["--epochs", "5"]) == []
    assert tfidf.lengths(["--max-length", "200"]) == ["--max-length", "200", "--buckets", "16,32,64,128,200"]
    assert tfidf.lengths(["--max-length", "64"]) == ["--max-length", "64", "--buckets", "16,32,64"]


@pytest.mark.slow
def test_latency_beside_peers_that_need_no_torch(
    bert_checkpoint: Path, bert_on_both: Conversion, labelled_csv: Path, tmp_path: Path
) -> None:
    if find_spec("onnxruntime") is None:
        missing("onnxruntime, which the extra bench brings")
    if installed_python(TFLITE_RUNTIME) is None:
        missing(f"the environment tflite-runtime: {TFLITE_RUNTIME.install}")
    figures, page = tmp_path / "latency.json", tmp_path / "page.md"
    before, after = document.around(DOCUMENT, latency.PART)
    page.write_bytes(DOCUMENT.read_bytes())
    few = ("--texts", 6, "--rounds", 3, "--warmup", 2, "--pause", 0, "--threads", 1, "--json", figures)
    peers = ("--peer", "onnxruntime", "--peer", "litert", "--peer", "tflite-runtime")
    given = ("--bundle", bert_on_both.bundle, "--fill", page, *peers)
    ended = bench("latency.py", "--model", bert_checkpoint, "--data", labelled_csv, *given, *few)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(figures.read_text(encoding="utf-8"))
    assert found["left_out"] == [] and (found["examples"], found["texts"], found["rounds"]) == (80, 6, 3)
    (rows,) = found["by_threads"]
    assert [row["name"] for row in rows] == [
        "ONNX Runtime, float32",
        "ONNX Runtime, int8 dynamic",
        "litert-torch + ai-edge-quantizer, int8, padded to 64",
        "edgekit on tflite-runtime 2.14.0, int8-per-tensor, buckets 16/64",
        "edgekit on LiteRT, int8, buckets 16/64",
        "edgekit on ExecuTorch, int8",
    ]
    floating, default = rows[0], rows[-2]
    assert floating["accuracy"] >= 0.9, "the folder written for the peers is the model that was trained"
    assert all(abs(row["accuracy"] - floating["accuracy"]) <= 0.05 for row in rows)
    for row in rows:
        ratio = row["slower"]
        if row is default:
            assert ratio is None
            continue
        assert ratio["value"] == pytest.approx(row["median_ms"] / default["median_ms"])
        assert ratio["low"] <= ratio["value"] <= ratio["high"]
    assert rows[1]["size_bytes"] < floating["size_bytes"]
    lines = ended.stdout.splitlines()
    assert sum(line.startswith("| ") for line in lines) == 8, "header, rule and one row a contender, nothing else"
    assert f"{default['median_ms']:.3f}" in ended.stdout and found["machine"]["cpu"] in lines[-1]
    assert document.around(page, latency.PART) == (before, after)
    assert page.read_text(encoding="utf-8").count(ended.stdout.strip()) == 1


@pytest.mark.slow
def test_the_compiled_pipeline_answers_as_the_network(bert_checkpoint: Path, tmp_path: Path) -> None:
    """Without its C++ code, which takes twenty seconds: traced, and never again. The plain pipeline is a part of it."""
    made = folder.Folder(folder.hugging_face_folder(bert_checkpoint, tmp_path / "folder"), 64)
    compiled = pipeline.CompiledPipeline(made, cache=tmp_path, backend="eager")
    texts = [thing.format("film " * count) for count in (1, 2, 5, 13, 70) for thing in (*GOOD[:4], *BAD[:4])]
    network, tokenizer = read_checkpoint(bert_checkpoint, ReadOptions(), print).network(), made.tokenizer()
    expected = []
    for text in texts:
        ids = torch.tensor([tokenizer.encode(text).ids])
        expected.append(int(network(ids, torch.ones(ids.shape)).argmax()))
    assert 0 < sum(expected) < len(texts)
    with harness.Lane(compiled, 1) as lane:
        assert lane.run(texts, ()).classes == tuple(expected)


def test_who_cannot_take_part_is_in_the_table_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = lineup.Source(tmp_path / "no.pt", folder.Folder(tmp_path, 64), (16, 64), tmp_path)
    monkeypatch.setenv("EDGEKIT_ENVIRONMENTS", str(tmp_path / "none"))
    said: list[str] = []
    peers, left_out = lineup.make_peers(nothing, ("transformers", "executorch", "tflite-runtime"), said.append)
    assert [each.name for each in peers] == ["transformers.pipeline, float32"], "which is not opened before its turn"
    assert [each.name for each in left_out] == ["executorch", "tflite-runtime"]
    assert "no.pt" in left_out[0].reason and "edgekit doctor --install-tflite-runtime" in left_out[1].reason
    assert said[-1] == f"tflite-runtime is left out: {left_out[1].reason}"
    row = latency.Row("edgekit", 1, 2.0, (2.0,), 0.9, 1_000_000, None)
    table = latency.markdown(latency.Latencies(describe_machine(()), 4, 2, 1, ((row,),), (row,), tuple(left_out)))
    assert "| executorch | – | left out | – | – | – |" in table
    assert f"Left out: tflite-runtime: {left_out[1].reason}" in table


def test_a_peer_that_fails_while_it_runs_is_left_out_and_edgekit_never(bundle: Path, tmp_path: Path) -> None:
    broken = edgekit.EdgekitBundle(tmp_path / "missing.edgekit", "a peer")
    default = edgekit.EdgekitBundle(bundle, "the default")
    data = LabelledText(("i love this film", "i hate this film"), (1, 0), "made up", ("negative", "positive"))
    few = argparse.Namespace(texts=2, threads=[1], rounds=2, warmup=1, pause=0)
    found = latency.measure([broken], [default], [], data, few, describe_machine(()))
    ((row,),) = found.by_threads
    assert (row.name, row.accuracy, row.slower) == ("the default", 1.0, None)
    (left_out,) = found.left_out
    assert left_out.name == "a peer" and "missing.edgekit" in left_out.reason
    with pytest.raises(RuntimeError, match=r"(?s)the default.*missing\.edgekit"):
        latency.measure([], [replace(broken, name="the default")], [], data, few, describe_machine(()))


def test_a_part_of_a_document_is_filled_and_the_rest_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_bytes("# Über\r\n<!-- peers: begin -->\nold\n<!-- peers: end -->\n\ntail".encode())
    document.fill(page, "peers", "| new |")
    document.fill(page, "peers", "| newer |")
    filled = "# Über\r\n<!-- peers: begin -->\n\n| newer |\n\n<!-- peers: end -->\n\ntail"
    assert page.read_bytes().decode() == filled and [path.name for path in tmp_path.iterdir()] == ["page.md"]


@pytest.mark.parametrize(
    "text",
    [
        "no marks",
        "<!-- peers: begin -->",
        "<!-- peers: end -->\n<!-- peers: begin -->",
        "<!-- peers: begin --><!-- peers: end -->\n<!-- peers: begin -->",
    ],
)
def test_a_document_without_one_place_for_the_part_is_refused(text: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(RuntimeError, match=r"page.md must have the lines <!-- peers: begin -->"):
        document.fill(page, "peers", "new")
    assert page.read_text(encoding="utf-8") == text


def test_what_cannot_work_is_refused_before_any_work(bert_checkpoint: Path, labelled_csv: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    ended = bench("latency.py", "--model", bert_checkpoint, "--data", labelled_csv, "--fill", page)
    assert ended.returncode == 1 and ended.stderr.startswith("latency.py: error: cannot read")
    assert len(ended.stderr.splitlines()) == 1


class Work:
    """Adds numbers, ten for each character: work that callgrind can count without any library."""

    name = "work"

    def open(self, threads: int) -> Work:
        return self

    def classify(self, text: str) -> str:
        return str(sum(range(10 * len(text))))


def test_instructions_do_not_count_the_start_and_repeat(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if which("valgrind") is None:
        missing("valgrind")
    (tmp_path / "work.py").write_text(f"from __future__ import annotations\n\n\n{inspect.getsource(Work)}")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    work = importlib.import_module("work").Work()
    counted = instructions.count(work, ["a" * 100] * 5, argparse.Namespace(passes=40, runs=2), tmp_path)
    assert 5_000 < min(counted.instructions) < 200_000, "of adding 1,000 numbers; Python's start takes 100 million"
    assert counted.spread < 0.01


@pytest.mark.parametrize(("name", "calls"), [("tokenizer", (2, 0)), ("runner", (0, 2)), ("all", (2, 2))])
def test_a_part_of_edgekit_is_that_part_alone(
    name: str, calls: tuple[int, int], bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    texts = ("i love this film", "i hate this film")
    for owner, method in ((TextEncoder, "ids"), (LiteRtEngine, "run")):
        monkeypatch.setattr(owner, method, _noted(getattr(owner, method), seen, method))
    made = part.EdgekitPart(bundle, "litert", name).open(1)
    for text in texts:
        made.classify(text)
    seen.clear()  # the first calls of a text, and the golden texts before
    for text in texts:
        made.classify(text)
    assert (seen.count("ids"), seen.count("run")) == calls


def _noted(call: Callable[..., object], seen: list[str], name: str) -> Callable[..., object]:
    def noted(*arguments: object) -> object:
        seen.append(name)
        return call(*arguments)

    return noted


def test_what_profiling_costs(bundle: Path, labelled_csv: Path, tmp_path: Path) -> None:
    figures = tmp_path / "profiling.json"
    few = ("--texts", 20, "--rounds", 6, "--pairs", 1, "--seconds", 0.1, "--json", figures)
    ended = bench("profiling_overhead.py", "--bundle", bundle, "--data", labelled_csv, *few)
    assert ended.returncode == 0, ended.stderr
    (row,) = json.loads(figures.read_text(encoding="utf-8"))["rows"]
    assert 0 < row["bare_ms"] < 100
    assert 0.3 < row["reported"]["value"] < row["passed"]["value"] * 1.5, "a round takes what its calls take, and a bit"
    ((one, two),) = row["pairs_p50_ms"]
    assert 0.1 < one / two < 10 and f"{max(one, two) / min(one, two) - 1:.1%}" in ended.stdout


def test_what_monitoring_costs(bundle: Path, labelled_csv: Path, tmp_path: Path) -> None:
    figures, page = tmp_path / "monitoring.json", tmp_path / "page.md"
    page.write_text("\n".join(document.marks("monitoring")), encoding="utf-8")
    few = ("--texts", 20, "--rounds", 6, "--json", figures, "--fill", page)
    ended = bench("monitoring_cost.py", "--bundle", bundle, "--data", labelled_csv, *few)
    assert ended.returncode == 0, ended.stderr
    (row,) = json.loads(figures.read_text(encoding="utf-8"))["rows"]
    assert 0 < row["counting_us"] < 50, "it takes one or two on an idle machine"
    assert 0.3 < row["watched"]["value"] < 3 and 10 < row["snapshot_us"] < 100_000
    assert ended.stdout.strip() in page.read_text(encoding="utf-8")


def test_profiles_that_differ_too_much_are_said_to() -> None:
    cheap, dear = harness.Ratio(1.001, 0.99, 1.01), harness.Ratio(1.03, 1.02, 1.04)
    rows = tuple(
        profiling_overhead.Row(name, 0.08, ratio, ratio, pairs)
        for name, ratio, pairs in (("a", cheap, ((1.0, 1.05), (1.0, 1.0))), ("b", dear, ((1.0, 1.2), (1.0, 1.0))))
    )
    table = profiling_overhead.markdown(profiling_overhead.Profiling(describe_machine(()), 1, 20, 6, rows))
    assert "| a | 0.0800 | +0.10% (-1.00% – +1.00%) | +0.10% (-1.00% – +1.00%) | yes | 2.5% | 5.0% | yes |" in table
    assert "| **no** | 10.0% | 20.0% | **no** |" in table


def test_the_textbook_network_answers_as_edgekits_own(bert_base: Path) -> None:
    network = read_checkpoint(bert_base, ReadOptions(), print).network()
    ids = torch.tensor([[2, 7, 9, 30, 3, 0], [2, 8, 3, 0, 0, 0]])
    mask = (ids > 0).float()
    with torch.no_grad():
        expected, found = network(ids, mask), stock_pte.textbook(network)(ids, mask)
    assert (expected - found).abs().max() < 1e-4 < (expected[0] - expected[1]).abs().max()


def timing(name: str, threads: int, length: int, ours: float | None) -> object:
    ratio = None if ours is None else harness.Ratio(ours, ours, ours)
    return pte_programs.Timing(name, "an engine", threads, length, 1.0, ratio)


def test_a_time_counts_as_reached_only_if_its_worst_case_is() -> None:
    own, stock = pte_programs.OURS, pte_programs.OPEN
    timings = [
        *(timing(own, 1, 8, None), timing(own, 1, 8, 1.01), timing(own, 2, 8, 1.04)),
        *(timing(stock, 1, 32, 0.7), timing(stock, 2, 32, 0.85), timing(stock, 1, 64, 0.7), timing(stock, 2, 64, 0.86)),
    ]
    engines, *stocks = pte_programs.time_targets(timings)
    assert engines.met and engines.measured.startswith("1.04 ×") and "length 8, 2 threads" in engines.measured
    assert [each.met for each in stocks] == [True, False]
    assert stocks[1].what.startswith("length 64") and stocks[1].measured.startswith("0.86 ×")


@pytest.mark.slow
def test_programs_of_executorch_beside_its_stock_recipe(
    bert_checkpoint: Path, labelled_csv: Path, tmp_path: Path
) -> None:
    for package in ("executorch", "edgekit_executorch", "ai_edge_litert"):
        if find_spec(package) is None:
            missing(package)
    figures, kept = tmp_path / "pte.json", tmp_path / "kept"
    few = ("--texts", 4, "--rounds", 2, "--calls", 2, "--warmup", 2, "--pause", 0, "--runs", 1, "--threads", 1)
    asked = ("--starts", 1, "--length", 8, "--length", 16, "--stock-length", 16, "--json", figures, "--keep", kept)
    ended = bench("pte_programs.py", "--model", bert_checkpoint, "--data", labelled_csv, *few, *asked)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(figures.read_text(encoding="utf-8"))
    names = (pte_programs.OURS, pte_programs.FIXED, pte_programs.OPEN, pte_programs.TEXTBOOK)
    assert tuple(name for name in found["sizes"] if name in names) == names
    assert [(row["name"], row["length"]) for row in found["timings"]] == [
        *[(pte_programs.OURS, 8)] * 2,
        *[(name, 16) for name in names for _ in pte_programs.BINDINGS],
    ]
    assert all(0 < row["median_ms"] < 1000 for row in found["timings"] + found["texts"])
    assert found["accuracies"].keys() - found["sizes"].keys() == set()
    assert all(share >= 0.9 for share in found["accuracies"].values()), "what is timed answers rightly"
    assert found["sizes"][pte_programs.OURS] == (kept / "edgekit.pte").stat().st_size
    assert [(row["what"], row["torch"]) for row in found["memory"]] == [("engine", False), ("classifier", False)]
    assert all(5 < row["anonymous"] < row["peak"] for row in found["memory"])
    reached = {target["what"]: target["met"] for target in found["targets"]}
    assert len(reached) == 12 and reached["torch imported"] and reached["size of the .pte"]
    assert f"{found['timings'][0]['median_ms']:.3f}" in ended.stdout and found["machine"]["cpu"] in ended.stdout

    ended = bench(
        "pte_trace.py", kept / "edgekit.pte", kept / "open.pte", "--length", 16, "--runs", 20, "--json", figures
    )
    assert ended.returncode == 0, ended.stderr
    own, stock = json.loads(figures.read_text(encoding="utf-8"))["traces"]
    assert all("embedding.out" in each["operators"] for each in (own, stock))
    for traced in (own, stock):
        assert sum(traced["operators"].values()) == pytest.approx(traced["total_ms"])


def test_overhead_of_a_bundle(bundle: Path, labelled_csv: Path, tmp_path: Path) -> None:
    figures = tmp_path / "overhead.json"
    few = ("--texts", 10, "--rounds", 3, "--threads", 1, "--json", figures)
    ended = bench("overhead.py", "--bundle", bundle, "--data", labelled_csv, *few)
    assert ended.returncode == 0, ended.stderr
    (row,) = json.loads(figures.read_text(encoding="utf-8"))["by_threads"]
    assert 0 < row["invoke_ms"] < row["total_ms"] and 0 < row["added_ms"] < row["total_ms"]
    assert all(row[f"{step}_ms"] > 0 for step in ("tokenizing", "padding", "runner", "rest"))


def test_footprint_of_a_bundle(bundle: Path, labelled_csv: Path, tmp_path: Path) -> None:
    figures = tmp_path / "footprint.json"
    ended = bench("footprint.py", "--bundle", bundle, "--data", labelled_csv, "--runs", 1, "--json", figures)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(figures.read_text(encoding="utf-8"))
    assert found["heavy_modules"] == []
    assert 0 < found["import_s"] < found["first_answer_s"]
    assert len(found["load_s"]) == 2 and min(found["load_s"].values()) > 0
    peaks = list(found["peak_mib"].values())
    assert peaks == sorted(peaks) and peaks[0] > 5
    assert {"edgekit", "numpy", "tokenizers", "ai-edge-litert"} <= found["installed_bytes"].keys()
    assert "torch" not in found["installed_bytes"]


def test_a_cnn_cannot_be_written_for_transformers(cnn_checkpoint: Path, tmp_path: Path) -> None:
    ended = bench("export_folder.py", cnn_checkpoint, "--out", tmp_path / "folder")
    assert ended.returncode == 1
    assert "CNN" in ended.stderr and "Traceback" not in ended.stderr


@pytest.mark.slow
def test_every_target_and_engine_in_one_table(cnn_checkpoint: Path, labelled_csv: Path, tmp_path: Path) -> None:
    if installed_python(TFLITE_RUNTIME) is None:
        missing(f"the environment tflite-runtime: {TFLITE_RUNTIME.install}")
    few = ("--texts", 6, "--rounds", 3, "--warmup", 2, "--pause", 0, "--threads", 1, "--json", tmp_path / "p.json")
    asked = ("--target", "onnx", "--scheme", "int8", "--scheme", "int8-per-tensor", "--compat")
    (tmp_path / "page.md").write_text("\n".join(document.marks("targets")), encoding="utf-8")
    given = ("--model", cnn_checkpoint, "--data", labelled_csv, "--fill", tmp_path / "page.md")
    ended = bench("precisions.py", *given, *asked, *few)
    assert ended.returncode == 0, ended.stderr
    rows = json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))["rows"]
    assert [(row["variant"]["target"], row["variant"]["scheme"]) for row in rows] == [
        ("onnx", "int8"),
        ("litert", "int8-per-tensor"),
        ("litert", "int8-per-tensor"),
    ]
    ran_on = [row["verify"]["distribution"].partition(" ")[0] for row in rows]
    assert ran_on == ["onnxruntime", "ai-edge-litert", "tflite-runtime"]
    assert all(row["verify"]["accuracy"] > 0.9 and row["timings"][0]["median_ms"] > 0 for row in rows)
    assert [row["timings"][0]["against_base"] is None for row in rows] == [True, False, False]
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert page.count(ended.stdout.strip()) == 1
    assert (
        sum(line.startswith("| litert, int8-per-tensor `--compat tflite-runtime` |") for line in page.splitlines()) == 2
    )
