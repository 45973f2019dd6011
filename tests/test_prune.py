"""Pruning takes the least important heads, neurons and filters away, for real, and what is left learns again."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import edgekit_runtime
from conftest import PIECES
from edgekit_converters.checkpoint import ReadOptions, read_checkpoint, save_checkpoint
from edgekit_converters.data import read_labelled
from edgekit_converters.model import TextModel, TokenizerFile
from edgekit_converters.networks.bert import BertConfig, bert_shapes
from edgekit_converters.networks.cnn import CnnConfig, cnn_shapes
from edgekit_converters.networks.families import FAMILIES
from edgekit_converters.networks.head import HeadLayer
from edgekit_converters.pipeline import convert
from edgekit_converters.pruning.importance import magnitude, taylor
from edgekit_converters.pruning.parts import Prunable, parts_of, with_only
from edgekit_converters.pruning.prune import PruneSettings, prune
from edgekit_converters.pruning.prune_files import prune_files
from edgekit_converters.pruning.ranking import best_units
from edgekit_converters.recipe import Recipe
from edgekit_runtime.errors import DataError, OptionError
from originals import network_answers, original_answers, random_rows
from test_buckets import Heard
from test_cli import edgekit

CONFIGS = {
    "bert": BertConfig(len(PIECES), 48, 2, 4, 40, 32, 3),
    "pruned before": BertConfig(len(PIECES), 48, 2, 4, 40, 32, 3, heads_by_layer=(4, 2), neurons_by_layer=(16, 40)),
    "distilbert": BertConfig(len(PIECES), 48, 2, 4, 40, 32, 3, family="distilbert"),
    "electra": BertConfig(len(PIECES), 48, 2, 4, 40, 32, 3, family="electra", embedding=20),
    "cnn": CnnConfig(len(PIECES), 12, (1, 3), (24, 20), 3),
    "cnn with a hidden layer": CnnConfig(len(PIECES), 12, (2, 3), (16, 24), 3, (HeadLayer(9, "relu"),)),
}
ROWS = random_rows(len(PIECES), [3, 9, 30, 17])


def random_model(config):
    numbers = torch.Generator().manual_seed(0)
    is_bert = isinstance(config, BertConfig)
    own_name = FAMILIES[config.family].own_name if is_bert else str
    weights = {
        own_name(name): torch.randn(shape, generator=numbers) * 0.3 + name.endswith("LayerNorm.weight")
        for name, shape in (bert_shapes(config) if is_bert else cnn_shapes(config)).items()
    }
    tokenizer = TokenizerFile(b"{}", "wordpiece", True, {"pad": 0, "unk": 1, "cls": 2, "sep": 3}, len(PIECES))
    return TextModel("model", config, weights, tokenizer, ("a", "b", "c"))


@pytest.fixture(params=CONFIGS.values(), ids=CONFIGS)
def model(request):
    return random_model(request.param)


def silenced(model, part, units, by=0.0):
    """The model in which the values of some units are multiplied where they are read."""
    columns = model.weights[part.columns].clone()
    for unit in units:
        begin = part.first_column + unit * part.width
        columns[:, begin : begin + part.width] *= by
    return replace(model, weights={**model.weights, part.columns: columns})


# Surgery


def test_without_some_units_a_model_answers_as_if_they_were_silent(model):
    kept, silent = {}, model
    for number, part in enumerate(parts_of(model.config)):
        kept[part] = tuple(unit for unit in range(part.units) if unit % 3 != number % 3) if part.units > 2 else (1,)
        silent = silenced(silent, part, set(range(part.units)) - set(kept[part]))
    smaller = with_only(model, kept)

    assert [part.units for part in parts_of(smaller.config)] == [len(units) for units in kept.values()]
    expected = network_answers(silent, ROWS)
    assert np.abs(expected - network_answers(model, ROWS)).max() > 0.05, "the units must matter"
    np.testing.assert_allclose(network_answers(smaller, ROWS), expected, atol=1e-4)
    np.testing.assert_allclose(original_answers(smaller, ROWS), expected, atol=1e-4)
    count = sum(tensor.numel() for tensor in smaller.weights.values())
    assert count < sum(tensor.numel() for tensor in model.weights.values())


# Importance


def test_taylor_is_the_slope_of_the_loss_by_a_factor_on_the_unit(model):
    labels = [0, 2, 1, 1]
    model = replace(model, weights={name: tensor.double() for name, tensor in model.weights.items()})

    def losses(changed):
        return F.cross_entropy(torch.tensor(network_answers(changed, ROWS)), torch.tensor(labels), reduction="none")

    found = taylor(model, ROWS, labels, lambda done, total: None)
    for part in parts_of(model.config):
        unit = part.units - 1
        up, down = (losses(silenced(model, part, [unit], by=by)) for by in (1 + 1e-5, 1 - 1e-5))
        expected = float(((up - down) / 2e-5).abs().mean())
        assert float(found[part][unit]) == pytest.approx(expected, rel=1e-3, abs=1e-5), part


def test_taylor_counts_a_text_once_however_the_batch_is_padded(model):
    def importance(rows):
        return taylor(model, rows, [0] * len(rows), lambda done, total: None)

    together, alone = importance(ROWS), [importance([row]) for row in ROWS]
    for part in parts_of(model.config):
        expected = torch.stack([each[part] for each in alone]).mean(dim=0)
        torch.testing.assert_close(together[part], expected, atol=1e-5, rtol=1e-4)


def test_magnitude_sums_what_makes_and_what_reads_a_unit():
    model = random_model(CONFIGS["bert"])
    weights = {name: tensor.abs().numpy() for name, tensor in model.weights.items()}
    layer = "bert.encoder.layer.1"
    wide = weights[f"{layer}.intermediate.dense.weight"].sum(axis=1) + weights[f"{layer}.intermediate.dense.bias"]
    wide += weights[f"{layer}.output.dense.weight"].sum(axis=0)
    (part,) = (part for part in parts_of(model.config) if (part.kind, part.layer) == ("neurons", 1))
    np.testing.assert_allclose(magnitude(model)[part], wide / wide.mean(), rtol=1e-5)

    cnn = random_model(CONFIGS["cnn"])
    weights = {name: tensor.abs().numpy() for name, tensor in cnn.weights.items()}
    wide = weights["convolutions.1.weight"].sum(axis=(1, 2)) + weights["convolutions.1.bias"]
    wide += weights["classifier.weight"][:, 24:].sum(axis=0)
    np.testing.assert_allclose(magnitude(cnn)[parts_of(cnn.config)[1]], wide / wide.mean(), rtol=1e-5)


# Ranking


def part(kind, layer, units, block):
    return Prunable(kind, layer, units, 1, block, (), "", 0, "")


def test_layers_compete_or_lose_the_same_share():
    strong, weak = part("heads", 0, 4, 1), part("heads", 1, 4, 1)
    scores = {strong: torch.tensor([9.0, 5.0, 7.0, 8.0]), weak: torch.tensor([1.0, 2.0, 3.0, 6.0])}
    assert best_units(scores, scores, 0.5, "model") == {strong: (0, 2, 3), weak: (3,)}
    assert best_units(scores, scores, 0.5, "layer") == {strong: (0, 3), weak: (2, 3)}
    assert best_units(scores, scores, 0.25, "model") == {strong: (0,), weak: (3,)}, "one stays in every layer"


def test_neurons_go_by_whole_blocks():
    scores = {part("neurons", index, units, 8): torch.rand(units) + index for index, units in enumerate((40, 20))}
    kept = best_units(scores, scores, 0.5, "model")
    assert [len(units) for units in kept.values()] == [8, 20], "4 of 8 blocks, of which the last of 20 has 4 units"
    first = next(iter(scores))
    assert kept[first] == tuple(sorted(scores[first].argsort(descending=True)[:8].tolist()))


def test_kinds_do_not_compete():
    heads, neurons = part("heads", 0, 4, 1), part("neurons", 0, 32, 8)
    kept = best_units({heads: torch.rand(4), neurons: 100 + torch.rand(32)}, [heads, neurons], 0.5, "model")
    assert [len(units) for units in kept.values()] == [2, 16]


def test_several_cuts_end_where_one_does():
    whole = [part("heads", layer, 3, 1) for layer in range(3)]
    for share, expected in ((0.9, 8), (0.7, 6), (0.4, 4)):
        current = [part("heads", each.layer, units, 1) for each, units in zip(whole, [3, 3, 3], strict=True)]
        kept = best_units({each: torch.rand(each.units) for each in current}, whole, share, "model")
        assert sum(map(len, kept.values())) == expected


# The whole of it


def read(path):
    return read_checkpoint(path, ReadOptions(), lambda message: None)


def settings(**changes):
    given = {"epochs": 4, "batch_size": 8, "learning_rate": 1e-3, "max_length": 64, "held_out": 0.2, "dropout": 0.0}
    return PruneSettings(**{**given, **changes})


@pytest.fixture(scope="module")
def pruned(bert_checkpoint, labelled_csv):
    """The shared BERT without three quarters of its heads and neurons, recovered."""
    model = read(bert_checkpoint)
    return prune(
        model,
        read_labelled(labelled_csv, model.labels),
        settings(ratio=0.75, learning_rate=3e-3, epochs=8),
        listener=Heard(),
    )


def test_what_is_left_of_a_bert_has_learned_again(pruned, bert_checkpoint):
    model = read(bert_checkpoint)
    assert (pruned.heads, pruned.neurons, pruned.filters) == ((1, 1), (32, 32), ())
    assert pruned.model.config == replace(model.config, heads_by_layer=pruned.heads, neurons_by_layer=pruned.neurons)
    gone = 6 * (4 * 16 * 64 + 3 * 16) + 192 * (2 * 64 + 1)
    assert (pruned.parameters_before, pruned.parameters_before - pruned.parameters) == (
        sum(tensor.numel() for tensor in model.weights.values()),
        gone,
    )
    assert pruned.accuracy > 0.9
    assert pruned.curve[-1].held_out_loss < pruned.curve[0].held_out_loss
    assert len(pruned.curve) == 8
    assert (pruned.train_examples, pruned.held_out_examples, pruned.unlabelled_examples) == (64, 16, 0)


def test_the_history_tells_what_went(pruned):
    step = pruned.model.history[-1]
    assert [each.stage for each in pruned.model.history][-3:] == ["finetune", "read", "prune"]
    told = step.settings
    assert (told["ratio"], told["importance"], told["scope"]) == (0.75, "taylor", "layer")
    assert (told["parameters"], told["heads"]) == (pruned.parameters, pruned.heads)
    assert set(step.tools) == {"torch", "transformers"}


def test_a_pruned_model_is_saved_and_read_again(pruned, tmp_path):
    again = read(save_checkpoint(pruned.model, tmp_path / "small.pt"))
    assert again.config == pruned.model.config
    np.testing.assert_array_equal(network_answers(again, ROWS), network_answers(pruned.model, ROWS))


@pytest.fixture(scope="module")
def on_both(pruned, labelled_csv, tmp_path_factory):
    """The pruned BERT in int8 for both engines."""
    folder = tmp_path_factory.mktemp("pruned")
    path = save_checkpoint(pruned.model, folder / "small.pt")
    recipe = Recipe(targets=("litert", "executorch"), max_length=64, buckets=(16, 64))
    return convert(path, folder / "small.edgekit", recipe=recipe, eval_data=labelled_csv)


@pytest.mark.parametrize("engine", ["litert", "executorch"])
def test_a_pruned_bert_runs_on_every_engine(engine, on_both, pruned):
    (report,) = (report for report in on_both.verify if report.engine == engine)
    assert report.accuracy >= report.accuracy_float - 0.01
    assert report.agreement >= 0.97
    with edgekit_runtime.load(on_both.bundle, engine=engine) as classifier:
        for row in ROWS:
            expected = network_answers(pruned.model, [row])[0]
            np.testing.assert_allclose(classifier.logits(np.array(row, np.int32)), expected, atol=0.25)


@pytest.mark.parametrize("importance", ["taylor", "magnitude"])
def test_a_cnn_loses_filters_and_learns_again(importance, cnn_checkpoint, labelled_csv):
    model = read(cnn_checkpoint)
    data = read_labelled(labelled_csv, model.labels)
    made = prune(
        model, data, settings(ratio=0.75, importance=importance, scope="model", learning_rate=None), listener=Heard()
    )
    assert (sum(made.filters), made.heads, made.neurons) == (sum(model.config.filters) // 4, (), ())
    assert all(filters % 8 == 0 and filters for filters in made.filters)
    assert made.model.config == replace(model.config, filters=made.filters)
    assert made.accuracy > 0.9


def test_several_cuts_each_with_a_recovery(cnn_checkpoint, labelled_csv):
    model, heard = read(cnn_checkpoint), Heard()
    data = read_labelled(labelled_csv, model.labels)
    made = prune(model, data, settings(steps=2, epochs=1, learning_rate=None), listener=heard)
    assert made.filters == (32, 32, 32, 32)
    assert len(made.curve) == 2
    assert [stage for stage in heard.stages if stage.startswith("Taking")] == [
        "Taking away all but 75%",
        "Taking away all but 50%",
    ]


def test_without_recovery_the_model_is_as_the_cut_left_it(bert_checkpoint, labelled_csv):
    model = read(bert_checkpoint)
    data = read_labelled(labelled_csv, model.labels)
    made = prune(model, data, settings(ratio=0.75, recover=False), listener=Heard())
    assert (made.heads, made.neurons) == ((1, 1), (32, 32))
    assert (made.curve, made.accuracy) == ((), made.accuracy_cut)
    untouched = "bert.encoder.layer.0.attention.output.LayerNorm.weight"
    assert torch.equal(made.model.weights[untouched], model.weights[untouched])
    assert np.abs(network_answers(made.model, ROWS) - network_answers(model, ROWS)).max() > 0.1


def test_unlabelled_texts_are_learned_from_too(cnn_checkpoint, labelled_csv):
    model = read(cnn_checkpoint)
    data = read_labelled(labelled_csv, model.labels)
    more = ("the phone was really great in the end", data.texts[0], "the phone was really great in the end")
    made = prune(model, data, settings(epochs=1), unlabelled=more, listener=Heard())
    assert made.unlabelled_examples == 1, "new ones only, each once, and none that is held out"


# What cannot be


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ratio": 0.0}, "--ratio lies between 0 and 1, not at 0.0"),
        ({"ratio": 1.0}, "--ratio lies between 0 and 1, not at 1.0"),
        ({"importance": "luck"}, "there is no importance 'luck'; --importance takes taylor or magnitude"),
        ({"scope": "head"}, "there is no scope 'head'; --scope takes layer or model"),
        ({"steps": 0}, "--steps must be 1 or more, not 0"),
        ({"sample": 0}, "--sample must be 1 or more, not 0"),
        ({"loss": "l3"}, "there is no loss 'l3'"),
        ({"epochs": 0}, "--epochs must be 1 or more"),
    ],
)
def test_settings_that_make_no_sense(changes, message):
    with pytest.raises(OptionError, match=message):
        PruneSettings(**changes)


@pytest.mark.parametrize(
    ("ratio", "config", "message"),
    [
        (0.9, CONFIGS["bert"], "taking 90% away would leave some layer without heads, .*; 75% is the most here"),
        (0.5, replace(CONFIGS["bert"], heads=1), "this model has no heads to spare: 1 of them must stay in each layer"),
        (0.5, replace(CONFIGS["cnn"], filters=(8, 8)), "this model has no filters to spare: 8 of them must stay"),
        (0.01, CONFIGS["bert"], "to prune 0.01 takes nothing from a model as small as this: raise it"),
    ],
)
def test_a_model_too_small_to_lose_that_share(ratio, config, message, labelled_csv):
    model, heard = random_model(config), Heard()
    data = replace(read_labelled(labelled_csv, ("negative", "positive")), names=model.labels)
    with pytest.raises(OptionError, match=message):
        prune(model, data, settings(ratio=ratio, max_length=32), listener=heard)
    assert heard.stages == []


def test_data_that_does_not_go_with_the_model(bert_checkpoint, labelled_csv):
    model, heard = read(bert_checkpoint), Heard()
    data = read_labelled(labelled_csv, model.labels)
    with pytest.raises(DataError, match="has the labels bad, good and the model negative, positive"):
        prune(model, replace(data, names=("bad", "good")), settings(), listener=heard)
    with pytest.raises(DataError, match="10 examples cannot be split"):
        prune(
            model, replace(data, texts=data.texts[:10], labels=data.labels[:10]), settings(held_out=0.1), listener=heard
        )
    with pytest.raises(OptionError, match="--max-length 200 is over"):
        prune(model, data, settings(max_length=200), listener=heard)
    assert heard.stages == []


# The command


def test_the_command_writes_a_smaller_checkpoint_and_tells_of_it(cnn_checkpoint, labelled_csv, tmp_path):
    out = tmp_path / "small.pt"
    flags = ("--ratio", "0.5", "--epochs", "1", "--batch-size", "16", "--curves", tmp_path / "curves.svg", "--json")
    done = edgekit("prune", cnn_checkpoint, labelled_csv, "--out", out, *flags)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    model = read(out)
    assert (made["checkpoint"], model.name) == (str(out), "small")
    assert tuple(made["filters"]) == model.config.filters == (32, 32, 32, 32)
    assert made["parameters"] == sum(tensor.numel() for tensor in model.weights.values()) < made["parameters_before"]
    assert len(made["curve"]) == made["processes"] == 1
    assert f"{made['parameters']:,} of {made['parameters_before']:,} parameters are left" in done.stderr
    assert (tmp_path / "curves.svg").is_file()


def test_what_the_command_refuses(cnn_checkpoint, labelled_csv, tmp_path):
    done = edgekit("prune", cnn_checkpoint, labelled_csv, "--out", tmp_path / "small.pt", "--ratio", "50")
    assert done.returncode == 1
    assert "--ratio lies between 0 and 1, not at 50.0: 0.5 takes half away" in done.stderr
    with pytest.raises(OptionError, match="--curves draws the recovery"):
        prune_files(
            cnn_checkpoint,
            labelled_csv,
            tmp_path / "small.pt",
            settings(recover=False),
            curves=tmp_path / "curves.svg",
            listener=Heard(),
        )
    assert list(tmp_path.iterdir()) == []
