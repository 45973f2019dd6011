"""The target executorch: what is lowered answers as the network, by few delegates, in little room."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn

import edgekit_runtime
from conftest import PIECES, make_bert
from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
from edgekit_converters.loaded import loaded
from edgekit_converters.networks.cnn import CnnConfig, cnn_shapes, load_cnn
from edgekit_converters.networks.unpadded import unpadded
from edgekit_converters.pipeline import convert
from edgekit_converters.quantspec import QuantSpec, Sample
from edgekit_converters.recipe import Recipe
from edgekit_converters.sample import sample_texts
from edgekit_converters.targets import executorch as target_module
from edgekit_converters.targets.executorch import ExecuTorchTarget
from edgekit_converters.targets.executorch_quantize import calibrate
from edgekit_converters.targets.tools import running
from edgekit_runtime.engines.executorch import ExecuTorchEngine
from edgekit_runtime.engines.litert import LiteRtEngine
from edgekit_runtime.errors import LoweringError, OptionError
from edgekit_runtime.progress import LogListener
from originals import random_rows
from test_buckets import Heard

RECIPE = {"max_length": 48, "buckets": (12, 48)}


def plain_cnn(widths, *, hidden=16, classes=3):
    config = CnnConfig(len(PIECES), hidden, widths, (8,) * len(widths), classes)
    generator = torch.Generator().manual_seed(0)
    weights = {name: 0.3 * torch.randn(shape, generator=generator) for name, shape in cnn_shapes(config).items()}
    return load_cnn(config, weights)


def plain_bert(folder, **changes):
    make_bert(folder, **changes)
    return read_checkpoint(folder, ReadOptions(), print).network()


def lower(network, longest, scheme="none"):
    return ExecuTorchTarget().lower(network, (longest,), QuantSpec(scheme), LogListener())


def differences(network, lowered, lengths):
    """Largest difference of a logit from the network's, by length."""
    found = {}
    with loaded(lowered.program, lowered.data, 2) as engine:
        for length in lengths:
            ids = np.array(random_rows(len(PIECES), [length], seed=length), np.int32)
            expected = network(torch.from_numpy(ids), torch.ones(1, length))[0].numpy()
            got = engine.run(ids, np.ones((1, length), np.float32))
            found[length] = float(np.abs(got - expected).max())
    return found


# Whole conversions


@pytest.fixture(scope="module")
def static(cnn_checkpoint, labelled_csv, tmp_path_factory):
    """A CNN for ExecuTorch whose products have ranges from texts."""
    out = tmp_path_factory.mktemp("static") / "static.edgekit"
    recipe = Recipe(targets=("executorch",), quantize="int8-static", **RECIPE)
    return convert(cnn_checkpoint, out, recipe=recipe, eval_data=labelled_csv, calibrate=labelled_csv)


def far_from(checkpoint, classifier):
    """Largest difference of a logit from the float network's over the built-in texts."""
    network = read_checkpoint(checkpoint, ReadOptions(), print).network()
    found = []
    for text in sample_texts()[::7]:
        ids = classifier.encoder.ids(text)
        counted, mask = classifier.encoder.pad(ids, None)
        expected = network(torch.tensor(counted), torch.tensor(mask))[0].numpy()
        found.append(float(np.abs(classifier.logits(ids) - expected).max()))
    return max(found)


def test_a_bundle_with_both_programs_runs_on_either_engine(bert_on_both, bert_checkpoint):
    assert [program.engine for program in bert_on_both.programs] == ["litert", "executorch"]
    assert [report.engine for report in bert_on_both.verify] == ["litert", "executorch"]
    assert all(report.accuracy >= report.accuracy_float - 0.01 for report in bert_on_both.verify)
    with edgekit_runtime.load(bert_on_both.bundle) as classifier:
        assert isinstance(classifier.engine, LiteRtEngine), "the first in the order of preference"
    with edgekit_runtime.load(bert_on_both.bundle, engine="executorch") as classifier:
        assert isinstance(classifier.engine, ExecuTorchEngine)
        assert classifier("what a wonderful film it was in the end").label == "positive"
        assert far_from(bert_checkpoint, classifier) < 0.25


def test_the_history_counts_delegates_and_what_stays_outside(bert_on_both):
    manifest = edgekit_runtime.open_bundle(bert_on_both.bundle).manifest
    (step,) = (step for step in manifest.history if step.settings.get("target") == "executorch")
    assert step.settings["outside"] == {"embedding": 2, "native_layer_norm": 5, "slice_copy": 2}
    assert step.settings["delegates"] == 6, "what lies between five layer norms and the first token's slice"
    assert set(step.tools) == {"executorch", "torchao", "torch"}
    program = next(program for program in manifest.main.programs if program.engine == "executorch")
    assert [(each.role, each.dtype, each.shape) for each in program.inputs] == [("ids", "int64", (1, "L"))]
    assert program.right_on == ("edgekit-executorch", "executorch")


def test_weights_and_table_are_int8(bert_on_both, bert_checkpoint):
    network = read_checkpoint(bert_checkpoint, ReadOptions(), print).network()
    linears = [module for module in network.modules() if isinstance(module, nn.Linear)]
    weights = sum(module.weight.numel() for module in linears) + network.words.weight.numel()
    floats = 64 * 64 + sum(module.weight.shape[0] for module in linears)  # positions and biases
    size = next(program.bytes for program in bert_on_both.programs if program.engine == "executorch")
    assert weights + 4 * floats < size < 1.5 * (weights + 4 * floats), "1 byte a weight, and room for the graph"


def test_ranges_from_texts_serve_a_cnn(static, cnn_checkpoint):
    (report,) = static.verify
    assert report.accuracy >= report.accuracy_float - 0.01
    with edgekit_runtime.load(static.bundle) as classifier:
        assert classifier.manifest.main.programs[0].scheme == "int8-static"
        assert far_from(cnn_checkpoint, classifier) < 0.6


def test_ranges_come_from_the_samples():
    form = unpadded(plain_cnn((1,)), 16)
    exported = torch.export.export(form, (torch.zeros(1, 4, dtype=torch.int64),))
    widest = form.words.weight.abs().amax(dim=1).argsort()

    def largest_scale(*words):
        samples = [Sample(np.array([[word] * 4], np.int32), np.ones((1, 4), np.float32)) for word in words]
        with running("executorch"):
            nodes = calibrate(exported, samples).graph.nodes
        return max(node.args[1] for node in nodes if "quantize_per_tensor" in str(node.target))

    assert largest_scale(*widest[-5:].tolist()) > 1.5 * largest_scale(*widest[:5].tolist())


# Refusals and warnings


@pytest.mark.parametrize("scheme", ["int4", "fp16", "int8-per-tensor"])
def test_a_scheme_that_it_lacks_is_refused_before_the_checkpoint_is_read(scheme, tmp_path):
    recipe = Recipe(targets=("executorch",), quantize=scheme)
    with pytest.raises(OptionError, match=f"executorch cannot do {scheme}; it can do int8, int8-static, none"):
        convert(tmp_path / "missing.pt", recipe=recipe)


def test_ranges_from_texts_are_refused_for_a_bert(bert_checkpoint, labelled_csv, tmp_path):
    recipe = Recipe(targets=("executorch",), quantize="int8-static", **RECIPE)
    with pytest.raises(OptionError, match=r"does not support int8-static for bert, .* use --quantize int8, or leave"):
        convert(bert_checkpoint, tmp_path / "b.edgekit", recipe=recipe, calibrate=labelled_csv)
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_is_none_of_edgekits_is_refused():
    with pytest.raises(LoweringError, match="not Linear"):
        ExecuTorchTarget().lower(nn.Linear(2, 2), (16,), QuantSpec("none"), LogListener())


def test_an_operator_outside_the_delegate_is_told(monkeypatch):
    class Sorting(nn.Module):
        def __init__(self, form):
            super().__init__()
            self.form = form

        def forward(self, ids):
            return self.form(ids.sort(dim=1).values)

    monkeypatch.setattr(target_module, "unpadded", lambda *given: Sorting(unpadded(*given)))
    heard = Heard()
    lowered = ExecuTorchTarget().lower(plain_cnn((1,)), (16,), QuantSpec("none"), heard)
    assert Counter(lowered.notes["outside"])["sort"] == 1
    assert any(line.startswith("sort stays outside the XNNPACK delegate (1 calls)") for line in heard.said)
