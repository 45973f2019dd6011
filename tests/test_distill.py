"""A student learns from its teacher's answers: by logits, by hidden states, from any weights, in several processes."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from edgekit_converters.augmentation.augment import AugmentSettings
from edgekit_converters.checkpoint import ReadOptions, read_checkpoint, save_checkpoint
from edgekit_converters.data import LabelledText, read_labelled
from edgekit_converters.distillation import distill as module
from edgekit_converters.distillation import teacher as teacher_module
from edgekit_converters.distillation.distill import DistillSettings, distill
from edgekit_converters.distillation.distill_files import distill_files
from edgekit_converters.distillation.imitation import train_student
from edgekit_converters.distillation.initialise import initial_student
from edgekit_converters.distillation.lessons import Lessons
from edgekit_converters.distillation.soft_targets import SoftTargets
from edgekit_converters.distillation.students import BertStudent, CnnStudent
from edgekit_converters.distillation.transformer_hints import HintedLearner, attention_distance, hidden_distance
from edgekit_converters.model import TextModel
from edgekit_converters.training.examples import split
from edgekit_converters.training.learners import learner_of
from edgekit_converters.training.settings import TrainSettings
from edgekit_runtime.errors import DataError, EdgekitError, OptionError
from test_cli import edgekit, fails
from test_teacher_cache import Heard

QUICK = {
    "epochs": 6,
    "batch_size": 16,
    "max_length": 32,
    "held_out": 0.2,
    "learning_rate": 5e-3,
    "augment": AugmentSettings(copies=2),
}


@pytest.fixture(scope="module")
def teacher(bert_checkpoint: Path) -> TextModel:
    return read_checkpoint(bert_checkpoint, ReadOptions(), lambda message: None)


@pytest.fixture(scope="module")
def data(labelled_csv: Path, teacher: TextModel) -> LabelledText:
    return read_labelled(labelled_csv, teacher.labels)


@pytest.fixture(scope="module")
def small_cnn(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("student") / "tiny.toml"
    path.write_text('arch = "cnn"\nhidden = 16\nwidths = [1, 2, 3]\nfilters = 16\n')
    return str(path)


def predicted(model, texts, max_length=32):
    """Labels by the network that gets lowered, each text alone."""
    from edgekit_runtime.text import TextEncoder

    encoder, network = TextEncoder(model.tokenizer.json, model.text_spec(max_length, (max_length,))), model.network()
    padded = [encoder.pad(encoder.ids(text), None) for text in texts]
    return np.array([int(network(torch.tensor(ids), torch.tensor(mask)).argmax()) for ids, mask in padded])


# The whole


def test_a_cnn_learns_what_its_teacher_knows(teacher, data, small_cnn, tmp_path):
    heard = Heard()
    made = distill(teacher, data, DistillSettings(student=small_cnn, **QUICK), unlabelled=("so so",), listener=heard)
    assert made.teacher_accuracy > 0.8
    assert made.accuracy > 0.8
    assert made.model.parameters < teacher.parameters / 3
    assert (made.train_examples, made.unlabelled_examples, made.held_out_examples) == (64, 1, 16)
    assert made.augmented_examples > 50
    assert len(made.curve) == 6
    assert made.curve[made.best_epoch - 1].accuracy == pytest.approx(made.accuracy)

    held_out = split(data.labels, DistillSettings(**QUICK)).held_out
    texts = [data.texts[index] for index in held_out]
    mine, theirs = predicted(made.model, texts), predicted(teacher, texts)
    assert made.accuracy == pytest.approx((mine == [data.labels[index] for index in held_out]).mean())
    assert made.agreement == pytest.approx((mine == theirs).mean())

    save_checkpoint(made.model, tmp_path / "m.pt")
    again = read_checkpoint(tmp_path / "m.pt", ReadOptions(), lambda message: None)
    assert np.array_equal(predicted(again, data.texts), predicted(made.model, data.texts))
    assert (again.labels, again.clean) == (teacher.labels, teacher.clean)


def test_the_history_tells_how_a_student_came_to_be(teacher, data, small_cnn):
    made = distill(teacher, data, DistillSettings(student=small_cnn, alpha=0.25, **{**QUICK, "epochs": 1}))
    *before, trim, step = made.model.history
    assert tuple(before) == teacher.history
    assert (trim.stage, step.stage) == ("trim", "distill")
    told = step.settings
    assert (told["teacher"], told["student"], told["alpha"], told["epochs"]) == (teacher.name, "tiny.toml", 0.25, 1)
    assert told["augment"]["copies"] == 2
    assert told["augmented_examples"] == made.augmented_examples
    assert (told["accuracy"], told["teacher_accuracy"]) == (made.accuracy, made.teacher_accuracy)
    assert set(step.tools) == {"torch", "transformers", "tokenizers"}
    assert made.model.name == f"{teacher.name}-tiny"


@pytest.mark.parametrize(
    ("student", "asked", "trimmed"),
    [("cnn", None, True), ("cnn", False, False), ("bert", True, True), ("bert", None, False)],
)
def test_the_vocabulary_is_trimmed_for_cnns_or_where_it_is_asked_for(teacher, data, tmp_path, student, asked, trimmed):
    path = tmp_path / "my.toml"
    path.write_text({"cnn": 'arch = "cnn"\nhidden = 8\nfilters = 4', "bert": 'arch = "bert"\nlayers = 1'}[student])
    few = LabelledText(data.texts[:40], data.labels[:40], data.source, data.names)
    made = distill(teacher, few, DistillSettings(student=str(path), trim_vocab=asked, **{**QUICK, "epochs": 1}))
    assert (made.model.config.vocab_size < teacher.config.vocab_size) == trimmed
    assert made.model.tokenizer.size == made.model.config.vocab_size
    assert (made.model.tokenizer == teacher.tokenizer) != trimmed


def test_a_seed_repeats_itself(teacher, data, small_cnn):
    settings = DistillSettings(student=small_cnn, **{**QUICK, "epochs": 1})
    one, again = (distill(teacher, data, settings).model for _ in range(2))
    other = distill(teacher, data, dataclasses.replace(settings, seed=1)).model
    assert one.tokenizer == again.tokenizer
    assert all(torch.equal(one.weights[name], again.weights[name]) for name in one.weights)
    assert not torch.equal(one.weights["classifier.weight"], other.weights["classifier.weight"])


def test_no_held_out_text_is_learned_from(teacher, data, small_cnn, monkeypatch):
    seen = {}

    def watch(student, teacher, lessons, *arguments, **named):
        seen["lessons"] = lessons
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "train_student", watch)
    settings = DistillSettings(student=small_cnn, **{**QUICK, "augment": AugmentSettings(copies=20)})
    with pytest.raises(KeyboardInterrupt):
        distill(teacher, data, settings, unlabelled=("one more", "one more", *data.texts))
    lessons = seen["lessons"]
    assert set(lessons.held_out) | set(lessons.texts) >= set(data.texts)
    assert set(lessons.held_out).isdisjoint(lessons.texts)
    assert len(lessons.texts) == len(set(lessons.texts))
    assert lessons.texts[64] == "one more"
    assert [data.labels[data.texts.index(text)] for text in lessons.texts[:64]] == list(lessons.labels)


def test_no_augmentation_and_no_cache_are_choices_too(teacher, data, small_cnn, tmp_path):
    settings = DistillSettings(student=small_cnn, **{**QUICK, "epochs": 1, "augment": AugmentSettings(copies=0)})
    made = distill(teacher, data, settings, cache=tmp_path / "cache")
    assert made.augmented_examples == 0
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_an_interrupted_training_goes_on_and_ends_the_same(teacher, data, small_cnn, tmp_path):
    settings = DistillSettings(student=small_cnn, **{**QUICK, "epochs": 3})
    folders = {"cache": tmp_path / "cache", "checkpoints": tmp_path / "checkpoints"}

    class Stop(Heard):
        def say(self, message):
            super().say(message)
            if message.startswith("epoch 2"):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        distill(teacher, data, settings, listener=Stop(), **folders)
    heard = Heard()
    resumed = distill(teacher, data, settings, listener=heard, **folders)
    assert any(message.startswith("going on from epoch") for message in heard.said)
    whole = distill(teacher, data, settings)
    assert resumed.accuracy == whole.accuracy
    assert all(torch.equal(resumed.model.weights[name], whole.model.weights[name]) for name in whole.model.weights)


# BERT students


def test_a_bert_with_half_the_layers_learns_by_hints(teacher, data, tmp_path):
    path = tmp_path / "half.toml"
    path.write_text('arch = "bert"')
    settings = DistillSettings(student=str(path), trim_vocab=True, **{**QUICK, "learning_rate": 1e-3})
    made = distill(teacher, data, settings)
    assert made.model.config.layers == 1
    assert made.model.weights.keys() < teacher.weights.keys()
    assert made.accuracy > 0.8


def lessons_of(data, count=64):
    return Lessons(data.texts[:count], data.labels[:count], data.texts[count:], data.labels[count:])


def test_the_teacher_is_no_part_of_what_learns(teacher):
    student = initial_student(BertStudent(layers=1, hidden=32), teacher, seed=1, say=lambda message: None)
    learner = HintedLearner(student, SoftTargets(), 0.0, teacher=teacher, weight=1.0, bf16=False)
    sizes = {name: tuple(tensor.shape) for name, tensor in learner.state_dict().items()}
    assert {name for name in sizes if not name.startswith("network.")} == {
        f"projections.{index}.{kind}" for index in (0, 1) for kind in ("weight", "bias")
    }
    assert sizes["projections.0.weight"] == (64, 32)
    assert not any("layer.1." in name for name in sizes)
    ids = torch.tensor([[2, 7, 8, 3], [2, 9, 3, 0]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    targets = torch.tensor([[1.0, -1.0], [0.0, 0.5]])
    learner.train()(ids, mask, None, targets)["loss"].backward()
    assert all(parameter.grad is not None for name, parameter in learner.named_parameters() if "token_type" not in name)
    (body,) = learner._teacher
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in body.parameters())
    assert not body.training


def test_hints_draw_a_student_to_its_teacher_and_are_nothing_where_they_are_one(teacher):
    ids, mask = torch.tensor([[2, 7, 8, 3]]), torch.ones(1, 4, dtype=torch.int64)
    targets = torch.tensor([[0.3, -0.4]])
    same = HintedLearner(teacher, SoftTargets(), 0.0, teacher=teacher, weight=3.0, bf16=False)
    without = learner_of(teacher, SoftTargets(), 0.0).module
    assert float(same.train()(ids, mask, None, targets)["loss"].detach()) == pytest.approx(
        float(without.train()(ids, mask, None, targets)["loss"].detach()), abs=1e-5
    )
    student = initial_student(BertStudent(layers=1), teacher, seed=1, say=lambda message: None)
    losses = [
        float(
            HintedLearner(student, SoftTargets(), 0.0, teacher=teacher, weight=weight, bf16=False)(
                ids, mask, None, targets
            )["loss"].detach()
        )
        for weight in (0.0, 1.0, 2.0)
    ]
    assert losses[0] < losses[1]
    assert losses[2] - losses[1] == pytest.approx(losses[1] - losses[0], rel=1e-3)
    assert set(same.eval()(ids, mask)) == {"logits"}


def test_attention_is_told_only_where_it_is_wanted(teacher):
    plain = learner_of(teacher, SoftTargets(), 0.0).module
    hinted = HintedLearner(teacher, SoftTargets(), 0.0, teacher=teacher, weight=1.0, bf16=False)
    assert plain.network.body.config._attn_implementation == "sdpa"
    assert hinted.network.body.config._attn_implementation == "eager"


def test_padding_counts_for_no_hint():
    mine, theirs = torch.zeros(2, 3, 4), torch.ones(2, 3, 4)
    counts = torch.tensor([[True, True, False], [True, False, False]])
    theirs[~counts] = 100.0
    assert float(hidden_distance(mine, theirs, counts)) == 1.0
    generator = torch.Generator().manual_seed(0)
    here, there = (torch.rand(2, 4, 3, 3, generator=generator).softmax(dim=3) for _ in range(2))
    wanted = F.kl_div(here.log(), there, reduction="none").sum(dim=3).mean(dim=1)[counts].mean()
    assert float(attention_distance(here, there, counts)) == pytest.approx(float(wanted), rel=1e-5)
    assert float(attention_distance(here, here, counts)) == 0.0
    fewer = here.reshape(2, 2, 2, 3, 3).mean(dim=2)
    assert float(attention_distance(fewer, here, counts)) == pytest.approx(0.0, abs=1e-6), "the same on average"


def test_any_student_can_be_trained_from_any_weights(teacher, data):
    """What recovering a pruned model needs: no named student, no augmentation, the teacher's own tokenizer."""
    torch.manual_seed(0)
    noisy = {name: tensor + 0.05 * torch.randn_like(tensor) for name, tensor in teacher.weights.items()}
    hurt = dataclasses.replace(teacher, weights=noisy)
    settings = TrainSettings(epochs=3, batch_size=16, max_length=32, learning_rate=1e-3)
    made = train_student(hurt, teacher, lessons_of(data), settings, SoftTargets(), hidden=0.5, listener=Heard())
    before = (predicted(hurt, data.texts[64:]) == predicted(teacher, data.texts[64:])).mean()
    assert made.agreement >= before
    assert made.curve[-1].held_out_loss < made.curve[0].held_out_loss or made.curve[0].held_out_loss < 0.1
    assert made.model.history == teacher.history


# The loss


LOGITS = torch.tensor([[1.0, -1.0], [0.2, 0.4], [3.0, 0.0]])
TARGETS = torch.tensor([[2.0, -2.0], [0.0, 1.0], [-1.0, 0.5]])
LABELS = torch.tensor([0, 1, -1])


def test_mean_squared_difference_of_logits():
    assert float(SoftTargets("mse")(LOGITS, None, TARGETS)) == pytest.approx(float(F.mse_loss(LOGITS, TARGETS)))


@pytest.mark.parametrize("heat", [1.0, 4.0])
def test_divergence_at_a_temperature(heat):
    mine, theirs = (LOGITS / heat).softmax(dim=1), (TARGETS / heat).softmax(dim=1)
    wanted = heat**2 * (theirs * (theirs / mine).log()).sum(dim=1).mean()
    assert float(SoftTargets("kl", heat)(LOGITS, None, TARGETS)) == pytest.approx(float(wanted), rel=1e-5)


def test_true_labels_have_their_share_where_there_are_some():
    loss = SoftTargets("mse", alpha=0.25)
    soft, hard = (LOGITS - TARGETS).square().mean(dim=1), F.cross_entropy(LOGITS[:2], LABELS[:2], reduction="none")
    wanted = (0.75 * soft[:2] + 0.25 * hard).sum() + soft[2]
    assert float(loss(LOGITS, LABELS, TARGETS)) == pytest.approx(float(wanted) / 3)
    assert float(loss(LOGITS, None, TARGETS)) == pytest.approx(float(soft.mean()))
    only = SoftTargets("mse", alpha=1.0, label_smoothing=0.1)
    assert float(only(LOGITS[:2], LABELS[:2], TARGETS[:2])) == pytest.approx(
        float(F.cross_entropy(LOGITS[:2], LABELS[:2], label_smoothing=0.1))
    )


# What is refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "l1"}, "no loss 'l1'; --loss takes mse or kl"),
        ({"temperature": 0.0}, "--temperature must be above 0"),
        ({"temperature": float("nan")}, "--temperature must be above 0"),
        ({"alpha": 1.5}, "--alpha is a share from 0 to 1, not 1.5"),
        ({"hidden": -1.0}, "--hidden must be 0 or more, not -1.0"),
        ({"hidden": float("nan")}, "--hidden must be 0 or more, not nan"),
        ({"epochs": 0}, "--epochs must be 1 or more"),
    ],
)
def test_settings_that_make_no_sense(changes, message):
    with pytest.raises(OptionError, match=message):
        DistillSettings(**changes)


def test_students_and_teachers_that_do_not_go_together(teacher, data, cnn_checkpoint, small_cnn):
    cnn = read_checkpoint(cnn_checkpoint, ReadOptions(), lambda message: None)

    def run(teacher, **changes):
        distill(teacher, data, DistillSettings(**{**QUICK, "student": small_cnn, **changes}))

    with pytest.raises(OptionError, match="a BERT student learns from a BERT, and model is a CNN"):
        run(cnn, student="bert-2x128")
    with pytest.raises(OptionError, match="--hidden is for BERT students of BERT teachers"):
        run(teacher, hidden=1.0)
    with pytest.raises(OptionError, match="--max-length 128 is over the 96 tokens that"):
        run(teacher, max_length=128)
    with pytest.raises(OptionError, match=r"--max-length must be at least 3: .*tiny.toml pads its texts to that"):
        run(teacher, max_length=2)
    with pytest.raises(OptionError, match="there is no student 'lstm'"):
        run(teacher, student="lstm")
    student = initial_student(CnnStudent(), cnn, seed=1, say=lambda message: None)
    other = dataclasses.replace(student, labels=("bad", "good"))
    with pytest.raises(OptionError, match="the student's labels are bad, good and its teacher's negative, positive"):
        train_student(other, teacher, lessons_of(data), TrainSettings(max_length=32), SoftTargets(), listener=Heard())


def test_hints_need_one_tokenizer(teacher, data):
    spaced = dataclasses.replace(teacher.tokenizer, json=teacher.tokenizer.json + b" ")
    student = dataclasses.replace(teacher, tokenizer=spaced)
    with pytest.raises(OptionError, match=r"hints by hidden states need one tokenizer, and .* has another: --hidden 0"):
        train_student(
            student,
            teacher,
            lessons_of(data),
            TrainSettings(max_length=32),
            SoftTargets(),
            hidden=1.0,
            listener=Heard(),
        )


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1] * 80, "all 80 examples have one class"),
        ([0] * 79 + [1], "80 examples cannot be split"),
    ],
)
def test_data_that_cannot_teach(teacher, data, labels, message):
    texts = LabelledText(data.texts, tuple(labels), "rows.csv", data.names)
    with pytest.raises(DataError, match=message):
        distill(teacher, texts, DistillSettings(**QUICK))


def test_ten_rows_are_few_and_enough(teacher, data, small_cnn):
    ten = LabelledText(data.texts[:10], data.labels[:10], "rows.csv", data.names)
    made = distill(teacher, ten, DistillSettings(student=small_cnn, **{**QUICK, "epochs": 1}))
    assert (made.train_examples, made.held_out_examples) == (8, 2)


def test_other_labels_are_refused(teacher, data):
    named = dataclasses.replace(data, names=("good", "bad"))
    with pytest.raises(DataError, match="has the labels good, bad and the model negative, positive"):
        distill(teacher, named, DistillSettings(**QUICK))


def test_a_student_larger_than_its_teacher_is_warned_of(teacher, data, tmp_path):
    path = tmp_path / "big.toml"
    path.write_text('arch = "cnn"\nhidden = 200\nwidths = [1, 2, 3, 4]\nfilters = 300\n')
    heard = Heard()
    distill(teacher, data, DistillSettings(student=str(path), **{**QUICK, "epochs": 1}), listener=heard)
    assert any("it is no smaller; choose another --student" in message for message in heard.said)


# The command


@pytest.fixture(scope="module")
def call(bert_checkpoint, labelled_csv, small_cnn):
    """The arguments of a distillation of a second or two."""
    quick = ("--epochs", 2, "--batch-size", 16, "--max-length", 32, "--copies", 1, "--learning-rate", 5e-3)
    return (bert_checkpoint, labelled_csv, "--student", small_cnn, *quick)


def test_the_command_writes_a_checkpoint_and_tells_of_it(call, small_cnn, tmp_path):
    more = tmp_path / "more.txt"
    more.write_text("a fine film\na dull film\n")
    out = tmp_path / "small.pt"
    done = edgekit("distill", *call, "--unlabelled", more, "--cache", tmp_path / "cache", "--json", "--out", out)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert set(made) == {
        *("checkpoint", "student", "labels", "parameters", "teacher_parameters", "accuracy", "teacher_accuracy"),
        *("agreement", "best_epoch", "curve", "train_examples", "augmented_examples", "unlabelled_examples"),
        *("held_out_examples", "curves", "processes"),
    }
    assert (made["checkpoint"], made["student"], made["unlabelled_examples"]) == (str(out), small_cnn, 2)
    assert (made["train_examples"], made["held_out_examples"], made["processes"]) == (72, 8, 1)
    assert len(made["curve"]) == 2
    assert "the teacher's accuracy is" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "more.txt", "small.pt"]
    model = read_checkpoint(out, ReadOptions(), lambda message: None)
    assert (model.name, model.architecture, model.parameters) == ("small", "cnn", made["parameters"])


SMALL_SHARDS = """
from edgekit.cli import main
from edgekit_converters.distillation import teacher

teacher.SHARD_TEXTS = 30
main()
"""


def test_two_processes_share_the_teacher_and_the_training(call, teacher, data, small_cnn, tmp_path, monkeypatch):
    (tmp_path / "run.py").write_text(SMALL_SHARDS)
    cache, out = tmp_path / "cache", tmp_path / "small.pt"
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", tmp_path / "run.py", "distill")
    done = subprocess.run(
        [sys.executable, *map(str, (*launch, *call, "--cache", cache, "--json", "--out", out))],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert made["processes"] == 2
    shards = sorted(path.name for path in cache.iterdir())
    assert len(shards) >= 4

    student = read_checkpoint(out, ReadOptions(), lambda message: None)
    settings = DistillSettings(student=small_cnn, **{**QUICK, "held_out": 0.1, "augment": AugmentSettings(copies=1)})
    parts = split(data.labels, settings)
    right = predicted(student, [data.texts[index] for index in parts.held_out])
    assert made["accuracy"] == pytest.approx((right == [data.labels[index] for index in parts.held_out]).mean())
    monkeypatch.setattr(teacher_module, "SHARD_TEXTS", 30)
    alone = distill(teacher, data, dataclasses.replace(settings, epochs=1), cache=cache)
    assert alone.teacher_accuracy == made["teacher_accuracy"]
    assert sorted(path.name for path in cache.iterdir()) == shards, "one process takes the answers that two have kept"


def test_what_the_command_refuses(call, tmp_path):
    fails("distill", *call, "--out", tmp_path / "missing" / "small.pt", because="there is no folder")
    fails("distill", *call, "--student", "lstm", "--out", tmp_path / "small.pt", because="there is no student 'lstm'")


@pytest.mark.parametrize(
    ("name", "content", "because"),
    [
        ("data", "text,label\ngood,plus\nbad,minus\n", "the label 'plus' is none of negative, positive"),
        ("data", "text,label\n" + "good,1\n" * 10, "all 10 examples have one class"),
        ("data", None, "there is no file"),
        ("teacher", None, "there is no checkpoint"),
        ("unlabelled", None, "there is no file"),
        ("unlabelled", "", "has no examples; it needs one text a row"),
        ("cache", "", "cannot make the folder"),
        ("curves", "", r"--curves takes a file that ends in \.svg"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_before_the_work(
    bert_checkpoint, labelled_csv, small_cnn, tmp_path, name, content, because
):
    place = tmp_path / f"{name}.txt"
    if content is not None:
        place.write_text(content)
    given = {"teacher": bert_checkpoint, "data": labelled_csv} | {name: [place] if name == "unlabelled" else place}
    heard = Heard()
    with pytest.raises(EdgekitError, match=because):
        distill_files(
            out=tmp_path / "m.pt", settings=DistillSettings(student=small_cnn, **QUICK), listener=heard, **given
        )
    assert not (tmp_path / "m.pt").exists()
    assert heard.steps == []
