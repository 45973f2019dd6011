"""The schemes: each answers as the float network does through the real runtime, and stores what its name says."""

from __future__ import annotations

import functools
import importlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from ai_edge_quantizer.utils import tfl_flatbuffer_utils

import edgekit_runtime
from conftest import PIECES
from edgekit_converters.calibration import choose_samples
from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
from edgekit_converters.loaded import loaded
from edgekit_converters.pipeline import convert
from edgekit_converters.quantspec import QuantSpec, Sample
from edgekit_converters.recipe import Recipe
from edgekit_converters.sample import sample_texts
from edgekit_converters.targets import find_target
from edgekit_converters.targets.litert import OUTPUT, LiteRtTarget
from edgekit_converters.targets.litert_quantize import quantize
from edgekit_converters.targets.tools import tools_kept_quiet
from edgekit_runtime import open_bundle
from edgekit_runtime.errors import OptionError
from edgekit_runtime.progress import LogListener
from edgekit_runtime.text import TextEncoder
from originals import answers, random_rows, text_cnn
from test_benchmarks import bench
from test_buckets import Heard

RECIPE = {"max_length": 48, "buckets": (12, 48)}

FLOAT16, FLOAT32, INT8, INT4 = 1, 0, 9, 17
"""TensorType of the flatbuffer schema."""
FULLY_CONNECTED, CONVOLUTION, LOOKUP = "FULLY_CONNECTED", "CONV_2D", "EMBEDDING_LOOKUP"


@pytest.fixture(scope="module")
def made(cnn_checkpoint, bert_checkpoint, labelled_csv, tmp_path_factory):
    """Converts a checkpoint by a scheme, once."""
    folder = tmp_path_factory.mktemp("schemes")
    checkpoints = {"cnn": cnn_checkpoint, "bert": bert_checkpoint}

    @functools.cache
    def convert_once(arch, scheme):
        return convert(
            checkpoints[arch],
            folder / f"{arch}-{scheme}.edgekit",
            recipe=Recipe(quantize=scheme, **RECIPE),
            eval_data=labelled_csv,
            calibrate=labelled_csv if scheme == "int8-static" else None,
        )

    return convert_once


@pytest.mark.parametrize(
    ("arch", "scheme", "tolerance", "share"),
    [
        ("cnn", "int8-static", 0.2, 0.5),
        ("cnn", "int4", 0.8, 0.4),
        ("cnn", "fp16", 0.01, 0.7),
        ("bert", "int4", 1.5, 0.5),
        ("bert", "fp16", 0.02, 0.8),
    ],
)
def test_a_scheme_answers_as_the_float_network_in_less_room(
    made, cnn_checkpoint, bert_checkpoint, arch, scheme, tolerance, share
):
    converted = made(arch, scheme)
    network = read_checkpoint({"cnn": cnn_checkpoint, "bert": bert_checkpoint}[arch], ReadOptions(), print).network()
    with edgekit_runtime.load(converted.bundle) as classifier:
        assert classifier.manifest.main.programs[0].scheme == scheme
        buckets, differences = set(), []
        for text in sample_texts()[::7]:
            ids = classifier.encoder.ids(text)
            padded, mask = classifier.encoder.pad(ids, classifier.encoder.spec.buckets)
            buckets.add(padded.shape[1])
            expected = network(torch.tensor(padded), torch.tensor(mask))[0].numpy()
            differences.append(np.abs(classifier.logits(ids) - expected).max())
    assert buckets == {12, 48}, "both must be met"
    assert max(differences) <= tolerance
    (report,) = converted.verify
    assert report.agreement >= 0.97
    assert report.accuracy >= report.accuracy_float - 0.01
    assert converted.programs[0].bytes < share * 4 * sum(weight.numel() for weight in network.state_dict().values())


def stored(program):
    """How often an operator has an input and a weight of which types, by its name."""
    model = tfl_flatbuffer_utils.read_model(program)
    found = Counter()
    for graph in model.subgraphs:
        for operation in graph.operators:
            code = model.operatorCodes[operation.opcodeIndex].builtinCode
            name = str(tfl_flatbuffer_utils.TFL_OP_CODE_TO_NAME.get(code, "")).rpartition(".")[2]
            if name in (FULLY_CONNECTED, CONVOLUTION, LOOKUP):
                first, weight = (graph.tensors[index].type for index in operation.inputs[:2])
                found[(name, weight) if name == LOOKUP else (name, first, weight)] += 1
    return found


def test_each_scheme_stores_what_its_name_says(made):
    """Two buckets, so twice each layer: the CNN has four convolutions, the BERT two layers of four products, the last
    one of five, and a pooler."""
    programs = {
        (arch, scheme): stored(open_bundle(made(arch, scheme).bundle).read("model.tflite"))
        for arch, scheme in (("cnn", "int8-static"), ("cnn", "int4"), ("bert", "int4"), ("bert", "fp16"))
    }
    head = (FULLY_CONNECTED, FLOAT32, INT8)
    assert programs["cnn", "int8-static"] == {(LOOKUP, INT8): 2, (CONVOLUTION, INT8, INT8): 8, head: 2}
    assert programs["cnn", "int4"] == {(LOOKUP, INT4): 2, (CONVOLUTION, FLOAT32, INT8): 8, head: 2}
    assert programs["bert", "int4"] == {(LOOKUP, INT4): 2, (FULLY_CONNECTED, FLOAT32, INT4): 20, head: 2}
    assert set(programs["bert", "fp16"]) == {(LOOKUP, FLOAT32), (FULLY_CONNECTED, FLOAT32, FLOAT32)}, (
        "made float32 first"
    )


def test_a_table_whose_rows_are_no_whole_blocks_is_int4_all_the_same():
    module = text_cnn(len(PIECES))
    assert module.embedding.embedding_dim % 32
    network = as_network(module)
    lowered = LiteRtTarget().lower(network, (16,), QuantSpec("int4"), LogListener())
    assert stored(lowered.data)[LOOKUP, INT4] == 1
    rows = random_rows(len(PIECES), [16] * 20)
    with loaded(lowered.program, lowered.data, 1) as engine:
        found = [engine.run(np.array([row], np.int32), np.ones((1, 16), np.float32)) for row in rows]
    assert np.abs(np.stack(found) - answers(module, rows)).max() < 0.35 * np.abs(answers(module, rows)).max()


# Calibration


@pytest.fixture(scope="module")
def cnn(cnn_checkpoint):
    return read_checkpoint(cnn_checkpoint, ReadOptions(), lambda message: None)


def samples_of(cnn, texts, buckets=(12, 48), most=256):
    return choose_samples(TextEncoder(cnn.tokenizer.json, cnn.text_spec(buckets[-1], buckets)), texts, most)


@pytest.fixture(scope="module")
def lowered(cnn):
    """The CNN in float32."""
    return LiteRtTarget().lower(cnn.network(), (12, 48), QuantSpec("none"), LogListener())


@pytest.fixture
def static(cnn, lowered):
    """Quantizes it by the ranges of samples."""

    def quantized(samples):
        with tools_kept_quiet():
            return quantize(lowered.data, cnn.network(), OUTPUT, QuantSpec("int8-static", samples))

    return quantized


def test_a_bucket_that_no_text_calibrated_answers_right(cnn, lowered, static):
    texts = sample_texts()
    samples = samples_of(cnn, texts)
    short = tuple(sample for sample in samples if sample.ids.shape[1] == 12)
    long = [sample for sample in samples if sample.ids.shape[1] == 48]
    assert len(short) > 20 and len(long) > 20
    network = cnn.network()
    with loaded(lowered.program, static(short), 1) as engine:
        for sample in long:
            expected = network(torch.tensor(sample.ids), torch.tensor(sample.mask))[0].numpy()
            np.testing.assert_allclose(engine.run(sample.ids, sample.mask), expected, atol=0.4)


def test_the_ranges_are_those_of_the_texts_in_any_order(cnn, static):
    samples = samples_of(cnn, sample_texts(), most=40)
    program = static(samples)
    assert static(samples) == static(samples[::-1]) == program
    assert static(samples[:2]) != program


@pytest.mark.parametrize("scheme", ["int4", "fp16"])
def test_the_same_network_gives_the_same_bytes(cnn, lowered, scheme):
    with tools_kept_quiet():
        programs = {quantize(lowered.data, cnn.network(), OUTPUT, QuantSpec(scheme)) for _ in range(2)}
    assert len(programs) == 1


def test_the_same_calibration_gives_the_same_bundle(made, cnn_checkpoint, labelled_csv, tmp_path):
    first = Path(made("cnn", "int8-static").bundle)
    again = tmp_path / first.name  # which the manifest keeps
    recipe = Recipe(quantize="int8-static", **RECIPE)
    convert(cnn_checkpoint, again, recipe=recipe, eval_data=labelled_csv, calibrate=labelled_csv)
    assert again.read_bytes() == first.read_bytes()


def test_samples_come_in_equal_parts_from_all_buckets_and_from_all_over_the_file(cnn):
    texts = [*(f"good film {'a ' * (index % 3)}" for index in range(200)), *(["a good film " * 8] * 50), "ok " * 999]
    samples = samples_of(cnn, texts, (12, 30, 48), most=40)
    assert len(samples) == 40
    assert Counter(sample.ids.shape[1] for sample in samples) == {12: 20, 30: 19, 48: 1}
    assert [sample.ids.tobytes() for sample in samples_of(cnn, texts, (12, 30, 48), most=40)] == [
        sample.ids.tobytes() for sample in samples
    ]
    assert len(samples_of(cnn, texts, most=10**6)) == len(texts)
    assert all(isinstance(sample, Sample) and sample.mask.shape == sample.ids.shape for sample in samples)


def test_the_history_tells_what_was_calibrated_on(made, labelled_csv):
    lower = open_bundle(made("cnn", "int8-static").bundle).manifest.history[-1].settings
    assert lower["quantize"] == "int8-static"
    assert lower["data"]["calibrate"]["file"] == labelled_csv.name
    assert lower["calibration"] == {"texts": 80, "samples": 80}
    assert "calibration" not in open_bundle(made("cnn", "int4").bundle).manifest.history[-1].settings


# What is refused


@pytest.mark.parametrize(
    ("recipe", "calibrate", "message"),
    [
        (Recipe(quantize="int8-static"), None, "int8-static takes the ranges .* give some with --calibrate DATA"),
        (Recipe(), "texts.csv", "--calibrate changes nothing for int8: drop it"),
        (Recipe(quantize="int4"), "texts.csv", "--calibrate changes nothing for int4: drop it"),
    ],
)
def test_calibration_that_is_missing_or_useless_is_refused_before_any_work(tmp_path, recipe, calibrate, message):
    heard = Heard()
    with pytest.raises(OptionError, match=message):
        convert(tmp_path / "missing.pt", recipe=recipe, calibrate=calibrate, listener=heard)
    assert heard.stages == []


def test_a_scheme_that_answers_wrongly_is_refused_with_what_was_measured(bert_checkpoint, labelled_csv, tmp_path):
    heard = Heard()
    out = tmp_path / "out.edgekit"
    recipe = Recipe(quantize="int8-static")
    with pytest.raises(OptionError, match=r"litert does not support int8-static for bert, because .* 71 % of SST-2"):
        convert(bert_checkpoint, out, recipe=recipe, calibrate=labelled_csv, listener=heard)
    assert [stage.split()[0] for stage in heard.stages] == ["Reading"]
    assert not out.exists()
    find_target("litert").check(QuantSpec("int8-static"), "cnn")


def test_a_calibration_file_that_cannot_be_read_is_refused_before_lowering(cnn_checkpoint, tmp_path):
    heard = Heard()
    recipe = Recipe(quantize="int8-static")
    with pytest.raises(edgekit_runtime.EdgekitError, match=r"missing\.csv"):
        convert(
            cnn_checkpoint, tmp_path / "o.edgekit", recipe=recipe, calibrate=tmp_path / "missing.csv", listener=heard
        )
    assert [stage.split()[0] for stage in heard.stages] == ["Reading"]


# The benchmark


@pytest.mark.slow
def test_the_benchmark_has_a_row_for_each_scheme_and_says_why_one_is_refused(cnn_checkpoint, labelled_csv, tmp_path):
    figures = tmp_path / "precisions.json"
    few = ("--texts", 6, "--rounds", 3, "--warmup", 2, "--pause", 0, "--threads", 1, "--json", figures)
    schemes = ("--scheme", "int8", "--scheme", "int8-static")
    ended = bench("precisions.py", "--model", cnn_checkpoint, "--data", labelled_csv, *schemes, *few)
    assert ended.returncode == 0, ended.stderr
    int8, refused = json.loads(figures.read_text(encoding="utf-8"))["rows"]
    assert (int8["variant"]["scheme"], int8["refused"]) == ("int8", "")
    assert int8["bytes"] > 0 and int8["verify"]["accuracy"] > 0.9
    (timing,) = int8["timings"]
    assert timing["median_ms"] > 0 and list(timing["by_length_ms"]) == ["16"] and timing["against_base"] is None
    assert (refused["bytes"], refused["bundle"], refused["timings"]) == (0, None, [])
    assert "give some with --calibrate DATA" in refused["refused"]
    assert "| litert, int8-static | refused | " in ended.stdout
    assert f"litert, int8-static was refused: {refused['refused']}" in ended.stdout


@pytest.mark.slow
def test_the_forms_of_static_ranges_are_compared(cnn_checkpoint, labelled_csv, tmp_path, monkeypatch):
    figures = tmp_path / "forms.json"
    files = ["--model", cnn_checkpoint, "--data", labelled_csv, "--calibrate", labelled_csv]
    few = ["--texts", 6, "--rounds", 3, "--json", figures, "--out", tmp_path / "forms.md"]
    monkeypatch.setattr("sys.argv", ["static_forms.py", *map(str, files + few)])
    importlib.import_module("static_forms").main()
    first, *others = json.loads(figures.read_text(encoding="utf-8"))["rows"]
    assert first["slower"]["value"] == 1.0
    assert len(others) == 3
    assert all(row["agreement"] > 0.9 and row["median_ms"] > 0 and row["bytes"] > 0 for row in others)
    assert others[0]["form"] in (tmp_path / "forms.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("script", ["precisions.py", "static_forms.py"])
def test_without_a_model_the_usage_says_how_to_make_one(script):
    ended = bench(script)
    assert ended.returncode == 2
    assert "edgekit demo" in ended.stderr and "--model" in ended.stderr


def as_network(module):
    """The network with a CNN's weights, as a checkpoint of it would be read."""
    from edgekit_converters.networks.cnn import CnnConfig, load_cnn

    state = {
        name.replace("embedding", "words").replace("convs", "convolutions").replace("fc", "classifier"): value
        for name, value in module.state_dict().items()
    }
    widths = tuple(layer.kernel_size[0] for layer in module.convs)
    filters = tuple(layer.out_channels for layer in module.convs)
    rows, hidden = module.embedding.weight.shape
    return load_cnn(CnnConfig(rows, hidden, widths, filters, module.fc.out_features), state)
