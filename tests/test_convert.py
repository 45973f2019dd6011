"""The whole flow: what a conversion makes, what it leaves behind when it fails, and when it refuses."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

import edgekit_runtime
from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
from edgekit_converters.data import read_labelled
from edgekit_converters.pipeline import convert
from edgekit_converters.recipe import Recipe
from edgekit_converters.sample import sample_texts
from edgekit_runtime import jsonio, open_bundle
from edgekit_runtime.errors import (
    CheckpointError,
    DataError,
    EdgekitError,
    FileError,
    LoweringError,
    OptionError,
)

SMALL = Recipe(max_length=32, buckets=(8, 32))


class Heard:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.said: list[str] = []
        self.steps: list[tuple[int, int]] = []

    def stage(self, title: str) -> None:
        self.stages.append(title)

    def progress(self, done: int, total: int) -> None:
        self.steps.append((done, total))

    def say(self, message: str) -> None:
        self.said.append(message)

    @property
    def lowered(self) -> bool:
        return any(stage.startswith("Lowering") for stage in self.stages)


@pytest.fixture
def own_copy(cnn_checkpoint, tmp_path):
    """The CNN's checkpoint, alone in a folder."""
    return shutil.copy(cnn_checkpoint, tmp_path / "sentiment.v2.pt")


def files(folder):
    return sorted(path.name for path in folder.iterdir())


# What is made


def test_the_json_has_the_keys_of_the_design(cnn_conversion):
    made = jsonio.encode(cnn_conversion)
    assert list(made) == ["bundle", "bytes", "programs", "verify", "cascade", "budget", "seconds"]
    (program,) = made["programs"]
    (report,) = made["verify"]
    assert list(program) == ["engine", "scheme", "role", "file", "bytes"]
    assert set(report) == {
        *("engine", "role", "examples", "agreement", "max_abs_logit_diff"),
        *("accuracy", "accuracy_float", "accuracy_original", "f1", "truncated", "distribution"),
    }
    assert list(made["seconds"]) == ["load", "compress", "lower", "verify", "total"]


def test_the_figures_of_a_conversion_are_those_of_the_bundle(cnn_conversion):
    path = Path(cnn_conversion.bundle)
    manifest = open_bundle(path).manifest
    (program,) = cnn_conversion.programs
    assert cnn_conversion.bytes == path.stat().st_size
    assert (program.engine, program.scheme, program.role, program.file) == ("litert", "int8", "main", "model.tflite")
    assert program.bytes == manifest.files["model.tflite"].bytes
    assert manifest.verify == cnn_conversion.verify
    seconds = cnn_conversion.seconds
    assert min(seconds.load, seconds.lower, seconds.verify) > 0
    assert seconds.load + seconds.lower + seconds.verify == pytest.approx(seconds.total)


def test_the_bundle_answers_as_well_as_its_report_says(cnn_conversion, labelled_csv):
    (report,) = cnn_conversion.verify
    with edgekit_runtime.load(cnn_conversion.bundle) as classifier:
        data = read_labelled(labelled_csv, classifier.labels)
        found = [classifier.labels.index(answer.label) for answer in classifier.predict(data.texts)]
    assert report.examples == len(data.texts) == 80
    assert report.accuracy == pytest.approx(np.mean(np.equal(found, data.labels)))
    assert min(report.accuracy, report.accuracy_float, report.accuracy_original, report.f1) > 0.9
    assert report.agreement >= 0.97
    assert report.truncated == 0.0


def test_every_bucket_of_the_manifest_is_a_signature_of_the_program(bundle):
    opened = open_bundle(bundle)
    signatures = Interpreter(model_content=opened.read("model.tflite")).get_signature_list()
    assert opened.manifest.main.text.buckets == (16, 32, 64, 128)
    assert set(signatures) == {f"length_{length}" for length in opened.manifest.main.text.buckets}


def test_the_history_tells_the_stages_settings_and_tools(bundle):
    history = open_bundle(bundle).manifest.history
    assert [step.stage for step in history] == ["finetune", "read", "lower"]
    lower = history[-1]
    assert (lower.settings["target"], lower.settings["quantize"], lower.settings["max_drop"]) == (
        "litert",
        "int8",
        0.01,
    )
    assert {"litert-torch", "ai-edge-quantizer", "ai-edge-litert", "torch"} <= set(lower.tools)
    assert all(re.match(r"\d+\.", version) for step in history for version in step.tools.values())


@pytest.fixture(scope="module")
def by_scheme(bert_checkpoint, labelled_csv, tmp_path_factory):
    folder = tmp_path_factory.mktemp("schemes")
    return {
        scheme: convert(
            bert_checkpoint,
            folder / f"{scheme}.edgekit",
            recipe=Recipe(quantize=scheme, max_length=48, buckets=(12, 48)),
            eval_data=labelled_csv,
        )
        for scheme in ("none", "int8", "int8-per-tensor")
    }


@pytest.mark.parametrize(("scheme", "tolerance"), [("none", 1e-4), ("int8", 0.3), ("int8-per-tensor", 0.5)])
def test_a_bert_answers_as_its_float_network_in_every_scheme(bert_checkpoint, by_scheme, scheme, tolerance):
    import torch

    made = by_scheme[scheme]
    network = read_checkpoint(bert_checkpoint, ReadOptions(), print).network()
    with edgekit_runtime.load(made.bundle) as classifier:
        assert classifier.manifest.main.programs[0].scheme == scheme
        used = set()
        for text in ["", "ok", *sample_texts()[::9]]:
            ids = classifier.encoder.ids(text)
            used.add(len(ids) <= 12)
            with torch.inference_mode():
                expected = network(torch.tensor([ids]), torch.ones(1, len(ids)))[0].numpy()
            np.testing.assert_allclose(classifier.logits(ids), expected, atol=tolerance)
    assert used == {True, False}, "both buckets must be met"
    (report,) = made.verify
    assert report.agreement >= 0.97
    assert report.accuracy >= report.accuracy_float - 0.01


def test_schemes_store_weights_otherwise(by_scheme):
    sizes = {scheme: made.programs[0].bytes for scheme, made in by_scheme.items()}
    differences = {scheme: made.verify[0].max_abs_logit_diff for scheme, made in by_scheme.items()}
    assert sizes["int8"] < 0.6 * sizes["none"]
    assert sizes["int8-per-tensor"] < 0.6 * sizes["none"]
    assert differences["none"] < 1e-4 < min(differences["int8"], differences["int8-per-tensor"])
    assert differences["int8"] != differences["int8-per-tensor"]


def test_without_labels_agreement_on_the_built_in_sample_counts(own_copy, tmp_path):
    """By default the bundle lies beside the model under its name, and replaces what lay there."""
    (tmp_path / "sentiment.v2.edgekit").write_bytes(b"an older bundle")
    heard = Heard()
    made = convert(own_copy, recipe=SMALL, listener=heard)
    (report,) = made.verify

    assert made.bundle == str(tmp_path / "sentiment.v2.edgekit")
    assert files(tmp_path) == ["sentiment.v2.edgekit", "sentiment.v2.pt"]
    assert (report.examples, len(sample_texts())) == (len(sample_texts()), report.examples)
    assert report.examples > 200
    assert report.agreement >= 0.97
    assert (report.accuracy, report.accuracy_float, report.accuracy_original, report.f1) == (None,) * 4
    assert 0.0 < report.truncated < 1.0
    assert [stage.split()[0] for stage in heard.stages] == ["Reading", "Lowering", "Running", "Verifying"]
    assert heard.steps[-1] == (report.examples, report.examples)
    manifest = open_bundle(made.bundle).manifest
    assert (manifest.name, manifest.labels) == ("sentiment.v2", ("negative", "positive"))
    with edgekit_runtime.load(made.bundle) as classifier:
        assert classifier("what a wonderful film it was in the end").label == "positive"


# What is refused before any work


def test_an_out_that_cannot_be_written_is_refused_before_the_model_is_read(own_copy, tmp_path):
    heard = Heard()
    with pytest.raises(FileError, match="is a folder; give the name of a file"):
        convert(own_copy, tmp_path, listener=heard)
    with pytest.raises(FileError, match=r"there is no folder .*missing; make it, or choose another --out"):
        convert(own_copy, tmp_path / "missing" / "out.edgekit", listener=heard)
    assert heard.stages == []


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (None, FileError, "there is no file"),
        ("", DataError, "is empty"),
        ("text,label\n", DataError, "has a header and no examples"),
        ("text\ngood\n", DataError, "no column that is known to hold the label"),
        ("text,label\ngood,splendid\n", DataError, "line 2: the label 'splendid' is none of negative, positive"),
    ],
)
def test_data_that_cannot_be_used_is_refused_before_lowering(own_copy, tmp_path, content, error, message):
    if content is not None:
        (tmp_path / "dev.csv").write_text(content)
    before, heard = files(tmp_path), Heard()
    with pytest.raises(error, match=message):
        convert(own_copy, eval_data=tmp_path / "dev.csv", listener=heard)
    assert not heard.lowered
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (Recipe(max_length=97), "--max-length 97 is over the 96 rows of the position table"),
        (Recipe(max_length=32, buckets=(16, 64)), "the bucket 64 is over the max length 32"),
        (Recipe(buckets=(16, 32)), "texts of up to 96 tokens would fit no bucket"),
    ],
)
def test_lengths_that_do_not_fit_are_refused_before_lowering(bert_checkpoint, tmp_path, recipe, message):
    heard = Heard()
    with pytest.raises(OptionError, match=message):
        convert(bert_checkpoint, tmp_path / "out.edgekit", recipe=recipe, listener=heard)
    assert not heard.lowered
    assert files(tmp_path) == []


def test_a_model_that_cannot_be_read_leaves_an_older_bundle_alone(tmp_path):
    (tmp_path / "model.pt").write_text("no model")
    (tmp_path / "model.edgekit").write_bytes(b"an older bundle")
    with pytest.raises(CheckpointError, match="is no checkpoint"):
        convert(tmp_path / "model.pt")
    assert (tmp_path / "model.edgekit").read_bytes() == b"an older bundle"


def test_a_network_that_the_tools_refuse_is_one_clear_error(own_copy, tmp_path, monkeypatch):
    """The real tools get a bucket that is narrower than the widest kernel, which no recipe would let through."""
    model = read_checkpoint(own_copy, ReadOptions(), print)
    spec = model.text_spec(32, (2, 32))
    monkeypatch.setattr(Recipe, "text_spec", lambda self, model, listener: spec)
    with pytest.raises(LoweringError, match=r"litert-torch could not lower the network .*--debug") as caught:
        convert(own_copy, recipe=SMALL)
    assert isinstance(caught.value, EdgekitError)
    assert "\n" not in str(caught.value)
    assert files(tmp_path) == ["sentiment.v2.pt"]


# Ctrl-C


@pytest.mark.parametrize("seconds", [0.0, 1.5])
def test_ctrl_c_while_lowering_leaves_nothing_behind(own_copy, tmp_path, seconds):
    command = [Path(sys.executable).with_name("edgekit"), "convert", own_copy]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        heard = ""
        while "Lowering" not in heard:
            line = process.stderr.readline()
            assert line, f"it ended without lowering: {heard}"
            heard += line
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        out, rest = process.communicate(timeout=60)
    assert process.returncode == 130, rest
    assert "Traceback" not in rest
    assert "interrupted" in rest
    assert out == ""
    assert files(tmp_path) == ["sentiment.v2.pt"]
