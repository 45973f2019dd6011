"""What verification measures, and that nothing is packed that did not pass."""

from __future__ import annotations

import ast
import typing
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import edgekit_converters
import edgekit_converters.targets
import edgekit_converters.verify as verify_module
from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
from edgekit_converters.data import read_labelled
from edgekit_converters.packing import Part, write_part, write_parts
from edgekit_converters.pipeline import convert
from edgekit_converters.quantspec import QuantSpec
from edgekit_converters.recipe import Recipe
from edgekit_converters.targets.litert import LiteRtTarget
from edgekit_converters.verify import verify
from edgekit_runtime import load, open_bundle
from edgekit_runtime.errors import EngineError, GateError
from edgekit_runtime.golden import Golden
from edgekit_runtime.progress import LogListener

BUCKETS = (8, 32)
RECIPE = Recipe(max_length=32, buckets=BUCKETS)


@pytest.fixture(scope="module")
def model(cnn_checkpoint):
    return read_checkpoint(cnn_checkpoint, ReadOptions(), lambda message: None)


@pytest.fixture(scope="module")
def inverted(model):
    """The same network with its two answers swapped."""
    swapped = {name: model.weights[name].flip(0) for name in ("classifier.weight", "classifier.bias")}
    return replace(model, weights={**model.weights, **swapped})


@pytest.fixture(scope="module")
def right(model):
    return LiteRtTarget().lower(model.network(), BUCKETS, QuantSpec("none"), LogListener())


@pytest.fixture(scope="module")
def wrong(inverted):
    """A real program that answers the opposite."""
    return LiteRtTarget().lower(inverted.network(), BUCKETS, QuantSpec("none"), LogListener())


def test_a_program_that_answers_otherwise_when_it_is_loaded_again_is_refused(model, right, wrong, monkeypatch):
    """As one does that computes with memory that is not its own."""
    contents, load_program = iter((right.data, wrong.data)), verify_module.loaded
    monkeypatch.setattr(
        verify_module, "loaded", lambda program, data, threads: load_program(program, next(contents), threads)
    )
    text = RECIPE.text_spec(model, LogListener())
    with pytest.raises(
        GateError, match=r"litert answers otherwise when the program is loaded a second time.* nothing was"
    ):
        verify(model, model, text, (right,), None, RECIPE, LogListener())


@pytest.fixture
def wrong_target(wrong, monkeypatch):
    """A target whose tools do their work, but on another network."""

    class WrongTarget(LiteRtTarget):
        def lower(self, network, buckets, quant, listener):
            assert buckets == BUCKETS
            return wrong

    monkeypatch.setitem(globals(), "WrongTarget", WrongTarget)
    monkeypatch.setitem(edgekit_converters.targets.TARGETS, "litert", f"{__name__}:WrongTarget")


def passed(model, programs, data, recipe=RECIPE, given=None):
    spec = recipe.text_spec(model, LogListener())
    return verify(given or model, model, spec, programs, data, recipe, LogListener())


def test_what_is_measured_is_what_the_bundle_will_answer(model, right, labelled_csv, tmp_path):
    data = read_labelled(labelled_csv, model.labels)
    verified = passed(model, [right], data)
    (report,) = verified.reports
    with load(write_part(tmp_path / "m.edgekit", verified.part(()))) as classifier:
        found = [classifier.labels.index(answer.label) for answer in classifier.predict(data.texts)]
        assert report.accuracy == np.mean(np.equal(found, data.labels))
        golden = Golden.from_bytes(open_bundle(tmp_path / "m.edgekit").read("golden.json"), "golden.json")
        for item in golden.texts:
            assert tuple(classifier.encoder.ids(item.text)) == item.ids
            np.testing.assert_allclose(item.logits["model.tflite"], classifier.logits(item.ids), atol=1e-6)
    assert (report.agreement, report.examples, report.truncated) == (1.0, 80, 0.0)
    assert 0 < report.max_abs_logit_diff < 1e-4
    lengths = {next(bucket for bucket in BUCKETS if bucket >= len(item.ids)) for item in golden.texts}
    assert lengths == set(BUCKETS)


def test_the_original_is_the_given_checkpoint_and_the_float_network_the_lowered_one(
    model, inverted, wrong, labelled_csv
):
    data = read_labelled(labelled_csv, model.labels)
    lenient = replace(RECIPE, max_total_drop=1.0)
    (report,) = passed(inverted, [wrong], data, lenient, given=model).reports
    assert report.accuracy_original > 0.9
    assert report.accuracy_float == report.accuracy == pytest.approx(1 - report.accuracy_original)
    assert report.agreement == 1.0
    with pytest.raises(GateError, match="would lose more than --max-total-drop"):
        passed(inverted, [wrong], data, given=model)


def test_a_program_that_costs_more_than_max_drop_is_not_packed(cnn_checkpoint, labelled_csv, tmp_path, wrong_target):
    out = tmp_path / "out.edgekit"
    with pytest.raises(
        GateError,
        match=r"costs more than --max-drop 1\.00% \(accuracy \d+\.\d\d%, float (\d+)\.\d\d%, original \1\.\d\d% on 80 texts, "
        r"0\.0% of them cut\); nothing was written",
    ):
        convert(cnn_checkpoint, out, recipe=RECIPE, eval_data=labelled_csv)
    assert not list(tmp_path.iterdir())


def test_a_program_that_costs_less_than_was_allowed_is_packed(cnn_checkpoint, labelled_csv, tmp_path, wrong_target):
    """The same program passes both gates wide open, and each gate alone holds it back."""
    out, data = tmp_path / "out.edgekit", labelled_csv
    wide_open = replace(RECIPE, max_drop=1.0, max_total_drop=1.0)
    for shut in ({"max_drop": 0.5}, {"max_total_drop": 0.5}):
        with pytest.raises(GateError, match="--" + next(iter(shut)).replace("_", "-") + r" 50\.00%"):
            convert(
                cnn_checkpoint,
                out,
                recipe=replace(wide_open, **shut),
                eval_data=data,
            )
        assert not out.exists()
    made = convert(cnn_checkpoint, out, recipe=wide_open, eval_data=data)
    assert made.verify[0].accuracy < 0.1 < 0.9 < made.verify[0].accuracy_float
    assert out.is_file()


def test_a_gate_that_fails_leaves_an_older_bundle_alone(cnn_checkpoint, labelled_csv, tmp_path, wrong_target):
    out = tmp_path / "out.edgekit"
    out.write_bytes(b"an older bundle")
    with pytest.raises(GateError):
        convert(cnn_checkpoint, out, recipe=RECIPE, eval_data=labelled_csv)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"an older bundle"]


def test_without_labels_a_program_that_disagrees_is_not_packed(cnn_checkpoint, tmp_path, wrong_target):
    with pytest.raises(
        GateError,
        match=r"litert agrees with the float network on \d\.\d% of 2\d\d built-in texts, and 97% are needed; nothing was written",
    ):
        convert(cnn_checkpoint, tmp_path / "out.edgekit", recipe=RECIPE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("share", "passes"), [(0.96, False), (0.98, True)])
def test_97_per_cent_must_agree(model, right, wrong, share, passes, monkeypatch):
    """The float network is made to answer the opposite on some texts, so that the program agrees on a known share."""
    data_size = len(edgekit_converters.sample.sample_texts())
    agreeing = int(data_size * share)
    real = edgekit_converters.verify.run_batches

    def partly_swapped(*args, **kwargs):
        logits = real(*args, **kwargs)
        logits[agreeing:] = logits[agreeing:, ::-1]
        return logits

    monkeypatch.setattr(edgekit_converters.verify, "run_batches", partly_swapped)
    if passes:
        assert passed(model, [right], None).reports[0].agreement == pytest.approx(agreeing / data_size)
    else:
        with pytest.raises(GateError, match=r"on 9\d\.\d%"):
            passed(model, [right], None)


def test_cutting_texts_too_short_fails_the_total_gate_and_tells_the_share(cnn_checkpoint, labelled_csv, tmp_path):
    """At 5 tokens "the film was good" has lost its last word, in the float network as in the program."""
    with pytest.raises(
        GateError,
        match=r"would lose more than --max-total-drop 5\.00% \(accuracy .*, original .* on 80 texts, [5-9]\d\.\d% of them cut\)"
        r"; nothing was written: raise --max-length",
    ):
        convert(
            cnn_checkpoint,
            tmp_path / "out.edgekit",
            recipe=Recipe(max_length=5, buckets=(5,), quantize="none"),
            eval_data=labelled_csv,
        )
    assert not list(tmp_path.iterdir())


def test_a_program_that_answers_nan_is_not_packed(model, labelled_csv):
    weights = {name: torch.full_like(tensor, float("nan")) for name, tensor in model.weights.items()}
    broken = LiteRtTarget().lower(replace(model, weights=weights).network(), BUCKETS, QuantSpec("none"), LogListener())
    with pytest.raises(EngineError, match="no finite numbers"):
        passed(model, [broken], None)
    with pytest.raises(EngineError, match="no finite numbers"):
        passed(model, [broken], read_labelled(labelled_csv, model.labels))


def test_only_what_was_verified_can_be_packed():
    """Bundles are written of Parts; a Verified makes one, and only ``verify`` makes that, or a bundle that was verified."""
    assert typing.get_type_hints(write_part)["part"] is Part
    assert typing.get_type_hints(write_parts)["parts"] == Mapping[str, Part]
    makers = {"Verified": [], "Part": [], "write_bundle_file": []}
    for path in (path for root in edgekit_converters.__path__ for path in Path(root).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                calls = [call.func for call in ast.walk(node) if isinstance(call, ast.Call)]
                called = {function.id for function in calls if isinstance(function, ast.Name)}
                for name in called & makers.keys():
                    makers[name].append(node.name)
    assert makers["Verified"] == ["verify"]
    assert sorted(makers["Part"]) == ["part", "read_part"]
    assert sorted(makers["write_bundle_file"]) == ["strip_bundle", "write_part", "write_parts"]
