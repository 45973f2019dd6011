"""The training loop: what every setting does, the best epoch, and going on from checkpoints."""

from __future__ import annotations

import dataclasses
import json
import math
import pickle
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from conftest import PIECES, missing
from edgekit_converters.model import TextModel
from edgekit_converters.networks.bert import BertConfig
from edgekit_converters.networks.cnn import CnnConfig
from edgekit_converters.original import Original
from edgekit_converters.tokenizer import describe_tokenizer
from edgekit_converters.tokenizer.bert import bert_tokenizer
from edgekit_converters.training import precision
from edgekit_converters.training.batches import Shuffled, Sorted
from edgekit_converters.training.checkpoints import NOTES, OPTIMIZER, file_checksum
from edgekit_converters.training.examples import Rows, encode, packed, rows, split
from edgekit_converters.training.freezing import freeze, gradual
from edgekit_converters.training.learners import Learner, fresh_weights, learner_of
from edgekit_converters.training.loop import Trained, train
from edgekit_converters.training.objective import CrossEntropy
from edgekit_converters.training.optimizers import optimizer_of
from edgekit_converters.training.schedules import Plateau, schedule_of
from edgekit_converters.training.settings import OPTIMIZERS, SCHEDULES, TrainSettings
from edgekit_runtime.errors import CheckpointError, DataError, FileError, OptionError, TrainingError
from edgekit_runtime.text import TextEncoder

TOKENIZER = describe_tokenizer(
    bert_tokenizer({piece: number for number, piece in enumerate(PIECES)}, lower_case=True), lambda message: None, "it"
)
CNN = CnnConfig(len(PIECES), 16, (1, 2), (8, 8), 2)
BERTS = {
    "bert": BertConfig(len(PIECES), 32, 3, 2, 48, 24, 2),
    "distilbert": BertConfig(len(PIECES), 32, 3, 2, 48, 24, 2, family="distilbert"),
    "electra": BertConfig(len(PIECES), 32, 3, 2, 48, 24, 2, family="electra", embedding=16),
}
TEXTS = tuple(
    f"the {thing} was {'really ' * again}{word}"
    for thing in ("film", "room", "phone", "meal", "story", "service")
    for again in range(3)
    for word in ("good", "great", "wonderful", "bad", "awful", "terrible")
)
CLASSES = tuple(int(text.split()[-1] in ("good", "great", "wonderful")) for text in TEXTS)


class Heard:
    """A listener that keeps what it hears, and raises KeyboardInterrupt where it is told to."""

    def __init__(self, interrupt_at: int | None = None) -> None:
        self.steps: list[tuple[int, int]] = []
        self.said: list[str] = []
        self._interrupt_at = interrupt_at

    def stage(self, title: str) -> None:
        pass

    def progress(self, done: int, total: int) -> None:
        self.steps.append((done, total))
        if done == self._interrupt_at:
            raise KeyboardInterrupt

    def say(self, message: str) -> None:
        self.said.append(message)


def model_of(config: BertConfig | CnnConfig, seed: int = 0) -> TextModel:
    return TextModel("tiny", config, fresh_weights(config, seed), TOKENIZER, ("negative", "positive"))


def examples(model: TextModel, settings: TrainSettings, classes: tuple[int, ...] = CLASSES) -> tuple[Rows, Rows]:
    parts = split(classes, settings)
    ids = encode(TEXTS, model, settings.max_length)
    learnt, held_out = (
        rows([ids[index] for index in part], [classes[index] for index in part])
        for part in (parts.train, parts.held_out)
    )
    return learnt, held_out


def settings_of(**changes: Any) -> TrainSettings:
    return TrainSettings(**{"epochs": 4, "batch_size": 8, "max_length": 16, "bf16": False, **changes})


def run(
    settings: TrainSettings,
    config: BertConfig | CnnConfig = CNN,
    *,
    checkpoints: Path | None = None,
    listener: Heard | None = None,
    classes: tuple[int, ...] = CLASSES,
    unfreeze: bool = False,
    seed: int = 0,
) -> Trained:
    learner = learner_of(model_of(config, seed), CrossEntropy(settings.label_smoothing), settings.dropout)
    learnt, held_out = examples(learner.model, settings, classes)
    return train(
        learner.module,
        learnt,
        held_out,
        settings,
        learning_rate=settings.peak(learner.model.architecture),
        pad_id=0,
        checkpoints=checkpoints,
        listener=listener or Heard(),
        on_epoch=gradual(learner, None) if unfreeze else None,
    )


def same(first: Trained, second: Trained) -> bool:
    """Whether two runs went the same way, but for the time that they took."""
    curves = ([dataclasses.replace(epoch, seconds=0.0) for epoch in one.curve] for one in (first, second))
    weights = first.weights.keys() == second.weights.keys() and all(
        torch.equal(first.weights[name], second.weights[name]) for name in first.weights
    )
    return weights and next(curves) == next(curves) and first.trace == second.trace


# Settings


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimiser_learns_with_its_own_learning_rate(optimizer):
    made = run(settings_of(optimizer=optimizer, epochs=8))
    assert made.accuracy == 1.0, made.curve
    assert made.curve[-1].loss < 0.8 * made.curve[0].loss


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_an_optimiser_pulls_on_matrices_alone(optimizer):
    module = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))
    made = optimizer_of(module, settings_of(optimizer=optimizer, weight_decay=0.3), 0.1)
    pulls = {id(part): group["weight_decay"] for group in made.param_groups for part in group["params"]}
    assert [pulls[id(part)] for part in module.parameters()] == [0.3, 0.0, 0.0, 0.0]
    assert all(group["lr"] == 0.1 for group in made.param_groups)
    assert type(made).__name__.lower() == optimizer


def rates(schedule: str, steps: int, warmup: float) -> list[float]:
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=8.0)
    made = schedule_of(optimizer, settings_of(schedule=schedule, warmup=warmup), steps)
    seen = []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        made.step()
    return seen


def test_the_learning_rate_warms_up_and_falls():
    assert rates("linear", 8, 0.25) == pytest.approx([8 / 3, 16 / 3, 8, 8 * 5 / 6, 8 * 4 / 6, 4, 8 * 2 / 6, 8 / 6])
    assert rates("constant", 4, 0.25) == pytest.approx([4, 8, 8, 8])
    assert rates("step", 8, 0.0) == pytest.approx([8, 8, 8, 8, 0.8, 0.8, 0.08, 0.08])
    cosine = rates("cosine", 100, 0.1)
    assert cosine[10] == max(cosine) == 8.0
    assert cosine[55] == pytest.approx(4.0)
    assert cosine[-1] < 0.01
    assert rates("linear", 4, 0.0)[0] == 8.0


def test_a_plateau_halves_what_does_not_help():
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=8.0)
    made = schedule_of(optimizer, settings_of(schedule="plateau", warmup=0.2), 10)
    assert isinstance(made, Plateau)
    seen = []
    for step in range(4):
        made.before(step)
        seen.append(optimizer.param_groups[0]["lr"])
    assert seen == pytest.approx([8 / 3, 16 / 3, 8, 8])
    for loss, rate in ((1.0, 8.0), (0.5, 8.0), (0.5, 4.0), (0.4, 4.0), (0.6, 2.0)):
        made.step(loss)
        made.before(5)
        assert optimizer.param_groups[0]["lr"] == rate


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_curve_has_the_learning_rates_of_the_schedule(schedule):
    lots = tuple(np.random.default_rng(0).permutation(CLASSES).tolist())
    settings = settings_of(schedule=schedule, learning_rate=0.1, epochs=6)
    made = run(settings, classes=lots)
    found = [epoch.learning_rate for epoch in made.curve]
    steps = len(made.trace)
    if schedule == "plateau":
        least, rate, halved = math.inf, 0.1, 0
        for before, after in pairwise(made.curve):
            better = before.held_out_loss < least * (1 - 1e-4)
            least = min(least, before.held_out_loss)
            rate *= 1.0 if better else 0.5
            halved += not better
            assert after.learning_rate == pytest.approx(rate)
        assert halved, "nothing to see"
    else:
        wanted = [rate / 80 for rate in rates(schedule, steps, 0.1)]
        assert found == pytest.approx(wanted[steps // 6 - 1 :: steps // 6])
        assert [point.learning_rate for point in made.trace] == pytest.approx(wanted)


def size(trained: Trained) -> float:
    return sum(float(tensor.abs().sum()) for tensor in trained.weights.values())


def test_l1_and_weight_decay_make_weights_smaller():
    plain = settings_of(weight_decay=0.0, epochs=3)
    free = size(run(plain))
    assert size(run(dataclasses.replace(plain, l1=0.03))) < 0.95 * free
    assert size(run(dataclasses.replace(plain, weight_decay=5.0))) < 0.95 * free


def test_clipping_makes_steps_short():
    start = learner_of(model_of(CNN), CrossEntropy()).module.state_dict()

    def moved(clip: float) -> float:
        made = run(settings_of(optimizer="sgd", clip=clip, epochs=1, weight_decay=0.0, momentum=0.0))
        return max(float((made.weights[name] - start[name]).abs().max()) for name in start)

    assert moved(1e-4) < 1e-3 < moved(0.0)


def test_accumulated_batches_make_one_step():
    one, four = Heard(), Heard()
    run(settings_of(batch_size=32, epochs=1), listener=one)
    made = run(settings_of(batch_size=8, accumulate=4, epochs=1), listener=four)
    assert one.steps[-1] == four.steps[-1] == (4, 4)
    assert len(made.trace) == 4
    assert 0.5 < made.curve[0].loss < 1.0, "a mean, whatever the number of batches"


def test_dropout_and_label_smoothing_reach_the_module():
    bert = learner_of(model_of(BERTS["bert"]), CrossEntropy(), 0.3).module
    assert {part.p for part in bert.modules() if isinstance(part, nn.Dropout)} == {0.3}
    assert bert.dropout == 0.3
    assert learner_of(model_of(CNN), CrossEntropy()).module.dropout == 0.5
    cnn = learner_of(model_of(CNN), CrossEntropy(), 0.9).module.train()
    batch = packed([{"input_ids": [7, 8, 9], "labels": 1}] * 4).batch(range(4), 0)
    assert not torch.equal(cnn(**batch)["logits"], cnn.eval()(**batch)["logits"])
    logits, labels = torch.tensor([[2.0, -1.0]]), torch.tensor([0])
    plain, smooth = CrossEntropy()(logits, labels, None), CrossEntropy(0.2)(logits, labels, None)
    assert float(smooth) == pytest.approx(0.9 * float(plain) + 0.1 * (float(plain) + 3.0))


def test_bf16_is_for_machines_that_have_it(tmp_path, monkeypatch):
    (tmp_path / "old").write_text("processor\t: 0\nflags\t\t: fpu sse4_2 avx2 avx512f\n")
    (tmp_path / "new").write_text("processor\t: 0\nflags\t\t: fpu sse4_2 avx512_bf16\n")
    if torch.cuda.is_available():
        missing("a machine whose processor trains")
    monkeypatch.setattr(precision, "CPU_INFO", tmp_path / "old")
    assert not precision.bf16_wanted(settings_of(bf16=None))
    with pytest.raises(OptionError, match=r"has no bfloat16 instructions, .*drop --bf16"):
        run(settings_of(bf16=True))
    monkeypatch.setattr(precision, "CPU_INFO", tmp_path / "new")
    assert precision.bf16_wanted(settings_of(bf16=None))
    assert not precision.bf16_wanted(settings_of(bf16=False))
    exact, rough = run(settings_of(epochs=1, bf16=False)), run(settings_of(epochs=1, bf16=True))
    assert not same(exact, rough)
    assert rough.curve[0].loss == pytest.approx(exact.curve[0].loss, rel=0.05)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": "lion"}, "no optimizer 'lion'; --optimizer takes adamw, sgd, rmsprop, adagrad, adadelta"),
        ({"schedule": "steep"}, "no schedule 'steep'; --schedule takes linear, cosine, step, plateau, constant"),
        ({"accumulate": 0}, "--accumulate must be 1 or more"),
        ({"patience": 0}, "--patience must be 1 or more"),
        ({"dropout": 1.0}, "--dropout lies between 0 and 1"),
        ({"warmup": -0.1}, "--warmup lies between 0 and 1"),
        ({"label_smoothing": float("nan")}, "--label-smoothing lies between 0 and 1"),
        ({"learning_rate": 0.0}, "--learning-rate must be above 0"),
        ({"weight_decay": -1.0}, "--weight-decay must be 0 or more"),
        ({"clip": float("inf")}, "--clip must be 0 or more"),
        ({"seed": -1}, "--seed lies between"),
    ],
)
def test_settings_that_make_no_sense(changes, message):
    with pytest.raises(OptionError, match=message):
        TrainSettings(**changes)


# The best epoch


def test_training_stops_early_and_keeps_the_best_epoch():
    lots = tuple(np.random.default_rng(1).permutation(CLASSES).tolist())
    heard = Heard()
    settings = settings_of(epochs=30, patience=2, learning_rate=0.02)
    made = run(settings, classes=lots, listener=heard)
    assert len(made.curve) == made.best_epoch + 2 < 30
    best = max(made.curve, key=lambda epoch: (epoch.accuracy, -epoch.held_out_loss))
    assert made.best_epoch == best.epoch
    assert heard.said[-1] == f"stopped: no epoch was better than epoch {best.epoch} since"
    learner = learner_of(model_of(CNN), CrossEntropy())
    learner.module.load_state_dict(made.weights)
    _, held_out = examples(learner.model, settings, lots)
    batch = held_out.batch(range(len(held_out)), 0)
    with torch.no_grad():
        answer = learner.module.eval()(**batch)
    assert float(answer["loss"]) == pytest.approx(best.held_out_loss)
    assert float((answer["logits"].argmax(1) == batch["labels"]).float().mean()) == pytest.approx(best.accuracy)


def test_targets_take_the_place_of_labels():
    def distance(logits, labels, targets):
        assert labels is None
        return torch.nn.functional.mse_loss(logits, targets)

    learner = learner_of(model_of(CNN), distance)
    ids = encode(TEXTS, learner.model, 16)
    taught = rows(ids, targets=[[1.0 - label, float(label)] for label in CLASSES])
    settings = settings_of(epochs=10)
    made = train(
        learner.module, taught, taught, settings, learning_rate=0.01, pad_id=0, checkpoints=None, listener=Heard()
    )
    assert made.accuracy == 1.0
    assert made.curve[-1].held_out_loss < 0.05


def test_a_loss_that_is_no_number_is_an_error():
    with pytest.raises(TrainingError, match="no number any more in epoch 1: lower --learning-rate"):
        run(settings_of(learning_rate=1e30, optimizer="sgd"))


def test_the_seed_decides_everything():
    first = run(settings_of(epochs=1))
    assert same(first, run(settings_of(epochs=1)))
    assert not same(first, run(settings_of(epochs=1, seed=7)))


# Learners


@pytest.mark.parametrize("config", [CNN, *BERTS.values()], ids=["cnn", *BERTS])
def test_a_learner_answers_as_its_model_and_gives_its_weights_back(config):
    model = model_of(config)
    before = {name: tensor.clone() for name, tensor in model.weights.items()}
    learner = learner_of(model, CrossEntropy())
    ids = encode(("a good film", "the meal was awful awful", "ok"), model, 16)
    with torch.no_grad():
        found = learner.module.eval()(
            **{name: part for name, part in rows(ids).batch(range(3), 0).items() if name != "labels"}
        )
        assert found["logits"].numpy() == pytest.approx(Original(model).logits(ids, lambda *_: None), abs=1e-5)
        for part in learner.module.parameters():
            part.add_(1.0)
    assert all(torch.equal(model.weights[name], before[name]) for name in before), "the model's own weights stay"
    trained = learner.finished(learner.module.state_dict())
    assert trained.weights.keys() == model.weights.keys()
    assert all(torch.equal(trained.weights[name], before[name] + 1.0) for name in before)


def parts_that_differ(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    """Of a BERT's state dicts: embeddings, 0, 1, 2 and head."""
    names = [name for name in after if not torch.equal(after[name], before[name])]
    layers = {part for name in names for part in name.split(".") if "layer." in name and part.isdigit()}
    return layers | {"embeddings" if "embeddings" in name else "head" for name in names if "layer." not in name}


def states_by_epoch(
    learner: Learner, before_epoch: Callable[[int], None], epochs: int
) -> list[dict[str, torch.Tensor]]:
    """State dicts before the training and after each epoch."""
    states = []

    def keep(done: int) -> None:
        states.append({name: tensor.clone() for name, tensor in learner.module.state_dict().items()})
        before_epoch(done)

    settings = settings_of(epochs=epochs, schedule="constant", limit=40, held_out=0.2)
    learnt, held_out = examples(learner.model, settings)
    train(
        learner.module,
        learnt,
        held_out,
        settings,
        learning_rate=1e-3,
        pad_id=0,
        checkpoints=None,
        listener=Heard(),
        on_epoch=keep,
    )
    return [*states, learner.module.state_dict()]


@pytest.mark.parametrize(
    ("family", "count", "wanted"),
    [
        ("bert", 0, {"0", "1", "2", "head"}),
        ("bert", 3, {"head"}),
        ("distilbert", 2, {"2", "head"}),
        ("electra", 2, {"2", "head"}),
    ],
)
def test_frozen_layers_stay_as_they_are(family, count, wanted):
    learner = learner_of(model_of(BERTS[family]), CrossEntropy())
    freeze(learner, count)
    before, after = states_by_epoch(learner, lambda done: None, 1)
    assert parts_that_differ(before, after) == wanted


@pytest.mark.parametrize("frozen", [None, 1])
def test_layers_unfreeze_from_the_top(frozen):
    learner = learner_of(model_of(BERTS["bert"]), CrossEntropy())
    if frozen is not None:
        freeze(learner, frozen)
    states = states_by_epoch(learner, gradual(learner, frozen), 4)
    found = [parts_that_differ(before, after) for before, after in pairwise(states)]
    upper = [{"2", "head"}, {"1", "2", "head"}]
    lower = [{"0", "1", "2", "head"}, {"embeddings", "0", "1", "2", "head"}]
    assert found == upper + (lower if frozen is None else [upper[1]] * 2)


def test_freezing_is_for_berts():
    with pytest.raises(OptionError, match="--freeze is for BERTs"):
        freeze(learner_of(model_of(CNN), CrossEntropy()), 1)
    with pytest.raises(OptionError, match="--freeze takes 0 to 3, the layers of the model, not 4"):
        freeze(learner_of(model_of(BERTS["bert"]), CrossEntropy()), 4)


# Examples and batches


def test_a_split_is_8_1_1_and_stratified():
    classes = [0] * 600 + [1] * 300 + [2] * 100
    settings = dataclasses.make_dataclass("S", [("test", float, 0.1)], bases=(TrainSettings,), frozen=True)()
    parts = split(classes, settings)
    assert [len(part) for part in (parts.train, parts.held_out, parts.test)] == [800, 100, 100]
    assert sorted([*parts.train, *parts.held_out, *parts.test]) == list(range(1000))
    for part in (parts.held_out, parts.test):
        assert Counter(classes[index] for index in part) == {0: 60, 1: 30, 2: 10}
    assert split(classes, TrainSettings()).test == []
    assert split(classes, TrainSettings()).held_out == parts.held_out
    limited = split(classes, TrainSettings(limit=200))
    assert len(limited.train) + len(limited.held_out) == 200


@pytest.mark.parametrize("classes", [[0, 1] * 5, [0] * 9 + [1], [0, 1]])
def test_too_few_examples(classes):
    with pytest.raises(DataError, match=r"examples cannot be split into a training part.*give more examples"):
        split(classes, TrainSettings())


def test_one_class():
    with pytest.raises(DataError, match="all 500 examples have one class"):
        split([1] * 500, TrainSettings())


def test_ids_are_those_of_the_device():
    model = dataclasses.replace(model_of(CNN), clean=("html",))
    texts = ("<b>the film</b> was good", "really " * 30, "", "bad \ud800 !")
    encoder = TextEncoder(TOKENIZER.json, model.text_spec(8, (8,)))
    assert encode(texts, model, 8) == [encoder.ids(text) for text in texts]


def test_rows_are_what_went_in():
    ids = [[1, 2, 3], [], [4], [5, 6]]
    made = rows(ids, [0, 1, 1, 0], [[0.5, 1], [2, 3], [4, 5], [6, 7]])
    assert [row["input_ids"] for row in made] == ids
    assert made[3] == {"input_ids": [5, 6], "labels": 0, "targets": [6.0, 7.0]}
    assert made[-1] == made[3]
    assert packed(list(made))[2] == made[2]
    batch = made.batch([3, 0, 1], pad_id=9)
    assert batch["input_ids"].tolist() == [[5, 6, 9], [1, 2, 3], [9, 9, 9]]
    assert batch["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1], [0, 0, 0]]
    assert batch["labels"].tolist() == [0, 0, 1]
    assert batch["targets"].tolist() == [[6, 7], [0.5, 1], [2, 3]]
    assert set(rows(ids).batch([0], 0)) == {"input_ids", "attention_mask"}


def test_neighbours_have_like_lengths_in_an_order_that_changes():
    lengths = np.random.default_rng(0).integers(1, 100, 1003)
    made = rows([[1] * length for length in lengths])
    order = Shuffled(made, 10, seed=3)
    first = list(order)
    assert sorted(first) == list(range(1003))
    assert list(order) == first
    order.set_epoch(1)
    second = list(order)
    assert sorted(second) == list(range(1003))
    assert second != first
    spreads = [np.ptp(lengths[first[begin : begin + 10]]) for begin in range(0, 1000, 10)]
    assert np.mean(spreads) < 5.0
    means = [lengths[first[begin : begin + 10]].mean() for begin in range(0, 1000, 10)]
    assert abs(np.corrcoef(means, range(100))[0, 1]) < 0.3, "long batches may come at any time"
    assert [lengths[index] for index in Sorted(made)] == sorted(lengths)


# Going on from checkpoints


RUNS = {
    "cnn": (settings_of(accumulate=2), CNN, False),
    "plateau": (settings_of(optimizer="sgd", schedule="plateau", patience=3, learning_rate=0.05), CNN, False),
    "gradual": (settings_of(schedule="cosine", learning_rate=1e-3), BERTS["bert"], True),
}


@pytest.mark.parametrize("name", RUNS)
def test_an_interrupted_run_goes_on_to_the_same_weights(name, tmp_path):
    settings, config, unfreeze = RUNS[name]
    whole = Heard()
    straight = run(settings, config, unfreeze=unfreeze, listener=whole)
    an_epoch = whole.steps[-1][1] // settings.epochs
    with pytest.raises(KeyboardInterrupt):
        run(settings, config, unfreeze=unfreeze, checkpoints=tmp_path / "a" / "c", listener=Heard(2 * an_epoch + 2))
    assert [path.name for path in (tmp_path / "a" / "c").iterdir()] == [f"checkpoint-{2 * an_epoch}"]
    heard = Heard()
    made = run(settings, config, unfreeze=unfreeze, checkpoints=tmp_path / "a" / "c", listener=heard)
    assert heard.said[0] == f"going on from epoch 2, whose checkpoint lies in {tmp_path / 'a' / 'c'}"
    assert heard.steps[0][0] == 2 * an_epoch + 1
    assert same(made, straight)
    again = Heard()
    assert same(run(settings, config, unfreeze=unfreeze, checkpoints=tmp_path / "a" / "c", listener=again), straight)
    assert again.steps == [], "there was nothing left to do"


def test_the_best_weights_of_an_earlier_epoch_survive_an_interruption(tmp_path):
    lots = tuple(np.random.default_rng(3).permutation(CLASSES).tolist())
    for seed in range(8):
        settings = settings_of(epochs=5, learning_rate=0.02, seed=seed)
        straight = run(settings, classes=lots)
        an_epoch = len(straight.trace) // 5
        with pytest.raises(KeyboardInterrupt):
            run(settings, classes=lots, checkpoints=tmp_path / str(seed), listener=Heard(4 * an_epoch + 1))
        made = run(settings, classes=lots, checkpoints=tmp_path / str(seed))
        assert same(made, straight)
        if straight.best_epoch < 4:
            return
    pytest.fail("the best epoch was always a late one, so that this test tells nothing")


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory) -> Path:
    """The folder of a run that got through one epoch of four. Copy it before writing to it."""
    folder = tmp_path_factory.mktemp("interrupted") / "c"
    heard = Heard()
    run(settings_of(), listener=heard)
    with pytest.raises(KeyboardInterrupt):
        run(settings_of(), checkpoints=folder, listener=Heard(heard.steps[-1][1] // 4 + 1))
    return folder


@pytest.fixture
def folder(interrupted, tmp_path) -> Path:
    return Path(shutil.copytree(interrupted, tmp_path / "c"))


def only(folder: Path) -> Path:
    [found] = folder.iterdir()
    return found


def test_checkpoints_of_another_run_are_refused(folder):
    before = sorted(folder.rglob("*"))
    for changes, why in (
        ({"epochs": 6}, r"epochs 4, not 6"),
        ({"learning_rate": 0.5}, r"learning-rate 0\.004, not 0\.5"),
        ({"schedule": "cosine"}, r"schedule linear, not cosine"),
    ):
        with pytest.raises(OptionError, match=rf"checkpoints of another run \({why}\): give the same command again"):
            run(settings_of(**changes), checkpoints=folder)
    with pytest.raises(OptionError, match=r"another run \(other examples\)"):
        run(settings_of(), checkpoints=folder, classes=CLASSES[::-1])
    with pytest.raises(OptionError, match=r"another run \(other initial weights\)"):
        run(settings_of(), checkpoints=folder, seed=1)
    assert sorted(folder.rglob("*")) == before


def test_checkpoints_of_another_program_are_refused(tmp_path):
    (tmp_path / "checkpoint-500").mkdir()
    (tmp_path / "checkpoint-500" / "model.safetensors").write_bytes(b"dear to somebody")
    with pytest.raises(OptionError, match="checkpoint-500 is of another program"):
        run(settings_of(), checkpoints=tmp_path)
    assert (tmp_path / "checkpoint-500" / "model.safetensors").read_bytes() == b"dear to somebody"


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.pt", "scheduler.pt", "trainer_state.json", NOTES])
@pytest.mark.parametrize("harm", ["cut", "gone"])
def test_a_damaged_checkpoint_is_refused(folder, name, harm):
    path = only(folder) / name
    if harm == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    else:
        path.unlink()
    with pytest.raises(
        (CheckpointError, OptionError), match=r"checkpoint-\d+ is (damaged .*begin anew|of another program)"
    ):
        run(settings_of(), checkpoints=folder)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("/tmp") / "edgekit-bomb",))


def test_nothing_in_a_checkpoint_is_run(folder, tmp_path, monkeypatch):
    """Even where somebody puts the right checksum beside it."""
    target = tmp_path / "ran"
    monkeypatch.setattr(Bomb, "__reduce__", lambda self: (Path.touch, (target,)))
    others = ("training_args.bin", "rng_state.pth", "pytorch_model.bin")
    for names in ((OPTIMIZER,), ("scheduler.pt",), others):
        part = Path(shutil.copytree(folder, tmp_path / names[0].replace(".", "-")))
        checkpoint = only(part)
        notes = json.loads((checkpoint / NOTES).read_text())
        for name in names:
            torch.save({"state": Bomb(), "param_groups": Bomb()}, checkpoint / name)
            notes["files"][name] = file_checksum(checkpoint / name)
        (checkpoint / NOTES).write_text(json.dumps(notes))
        if names == others:
            run(settings_of(), checkpoints=part)
        else:
            with pytest.raises(CheckpointError, match=r"cannot be read .*begin anew"):
                run(settings_of(), checkpoints=part)
        assert not target.exists()
    pickle.loads(pickle.dumps(Bomb()))
    assert target.exists(), "the bomb is a real one"


def test_a_place_for_checkpoints_that_is_none(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="is a file; --checkpoints takes a folder"):
        run(settings_of(), checkpoints=tmp_path / "file")
    with pytest.raises(FileError, match="cannot make the folder"):
        run(settings_of(), checkpoints=tmp_path / "file" / "inside")


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """An empty disk of 160 KiB: room for one checkpoint of the CNN and not for two."""
    path = tmp_path / "disk"
    path.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", path], capture_output=True, check=False)
    if done.returncode:
        missing("mounting a small disk needs root and the right to mount")
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


def test_a_full_disk_leaves_the_earlier_checkpoint(disk, tmp_path):
    config = dataclasses.replace(CNN, hidden=32, filters=(32, 32))
    straight = run(settings_of(), config)
    with pytest.raises(
        FileError, match=r"cannot write a checkpoint to .*: free some space there; that of step 13 is whole"
    ):
        run(settings_of(), config, checkpoints=disk / "c")
    assert [path.name for path in (disk / "c").iterdir()] == ["checkpoint-13"]
    shutil.copytree(disk / "c", tmp_path / "roomy")
    heard = Heard()
    assert same(run(settings_of(), config, checkpoints=tmp_path / "roomy", listener=heard), straight)
    assert heard.steps[0][0] == 14


def test_a_disk_that_was_full_before(disk):
    (disk / "filler").write_bytes(bytes(150 * 1024))
    with pytest.raises(FileError, match=r"No space left on device.*: free some space there$"):
        run(settings_of(), checkpoints=disk / "c")
    assert list((disk / "c").iterdir()) == []


def test_a_checkpoint_holds_plain_things(interrupted):
    checkpoint = only(interrupted)
    names = {path.name for path in checkpoint.iterdir()}
    assert names == {"model.safetensors", "optimizer.pt", "scheduler.pt", "trainer_state.json", NOTES}
    learner = learner_of(model_of(CNN), CrossEntropy())
    assert load_file(checkpoint / "model.safetensors").keys() == learner.module.state_dict().keys()


def test_without_the_flag_nothing_is_left_behind(tmp_path, monkeypatch):
    for name in ("here", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    run(settings_of(epochs=1))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["here", "temporary"]
