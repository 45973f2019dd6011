"""A teacher's answers are computed once, kept on disk, and never taken from a file that is not whole."""

from __future__ import annotations

import dataclasses
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
from edgekit_converters.data import read_labelled
from edgekit_converters.distillation import teacher as module
from edgekit_converters.distillation.teacher import Teacher
from edgekit_converters.model import TextModel
from edgekit_converters.original import Original
from edgekit_converters.training.examples import encode
from edgekit_runtime.errors import FileError


class Heard:
    """A listener; it may interrupt the work after some steps."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.steps: list[tuple[int, int]] = []
        self.said: list[str] = []
        self.stop_at = stop_at

    def stage(self, title: str) -> None: ...

    def progress(self, done: int, total: int) -> None:
        self.steps.append((done, total))
        if self.stop_at is not None and done >= self.stop_at:
            raise KeyboardInterrupt

    def say(self, message: str) -> None:
        self.said.append(message)


@pytest.fixture(scope="module")
def model(bert_checkpoint: Path) -> TextModel:
    return read_checkpoint(bert_checkpoint, ReadOptions(), lambda message: None)


@pytest.fixture(scope="module")
def texts(labelled_csv: Path) -> tuple[str, ...]:
    return read_labelled(labelled_csv, None).texts


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(module, "SHARD_TEXTS", 30)


@pytest.fixture
def computed(monkeypatch) -> list[int]:
    """How many texts each computation was about."""
    counts: list[int] = []
    compute = Teacher._compute

    def counting(self, texts, progress):
        counts.append(len(texts))
        return compute(self, texts, progress)

    monkeypatch.setattr(Teacher, "_compute", counting)
    return counts


def answers(model, texts, cache=None, heard=None, *, max_length=64, bf16=False):
    return Teacher(model, max_length=max_length, bf16=bf16, cache=cache).logits(texts, heard or Heard())


def test_its_answers_are_those_of_the_original(model, texts):
    heard = Heard()
    found = answers(model, texts, heard=heard)
    wanted = Original(model).logits(encode(texts, model, 64), lambda done, total: None)
    assert (found.shape, found.dtype) == ((80, 2), np.float32)
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert heard.steps[-1] == (80, 80)
    assert heard.steps == sorted(heard.steps)


def test_a_cnn_teaches_too(cnn_checkpoint, texts):
    model = read_checkpoint(cnn_checkpoint, ReadOptions(), lambda message: None)
    wanted = Original(model).logits(encode(texts, model, 64), lambda done, total: None)
    np.testing.assert_allclose(answers(model, texts), wanted, atol=1e-4)


def test_bfloat16_changes_no_label(model, texts):
    whole, half = answers(model, texts), answers(model, texts, bf16=True)
    assert not np.array_equal(whole, half)
    assert np.array_equal(whole.argmax(axis=1), half.argmax(axis=1))
    np.testing.assert_allclose(half, whole, atol=0.15)


def test_no_texts_have_no_answers(model, tmp_path):
    assert answers(model, (), tmp_path).shape == (0, 2)
    assert list(tmp_path.iterdir()) == []


def test_a_second_run_computes_nothing(model, texts, tmp_path, computed):
    first = answers(model, texts, tmp_path / "new" / "cache")
    assert computed == [30, 30, 20]
    np.testing.assert_array_equal(answers(model, texts, tmp_path / "new" / "cache"), first)
    assert computed == [30, 30, 20]
    np.testing.assert_array_equal(answers(model, texts), first)


def test_texts_behind_others_leave_their_shards_alone(model, texts, tmp_path, computed):
    answers(model, texts[:60], tmp_path)
    answers(model, texts, tmp_path)
    assert computed == [30, 30, 20]


def test_an_interrupted_run_goes_on_with_what_is_done(model, texts, tmp_path, computed):
    with pytest.raises(KeyboardInterrupt):
        answers(model, texts, tmp_path, Heard(stop_at=31))
    assert computed == [30, 30]
    assert len(list(tmp_path.iterdir())) == 1, "the first shard, and no half of the second"
    np.testing.assert_array_equal(answers(model, texts, tmp_path), answers(model, texts))
    assert computed[2:5] == [30, 20, 30]


def other_weights(model):
    return dataclasses.replace(
        model, weights={**model.weights, "classifier.bias": model.weights["classifier.bias"] + 1e-6}
    )


@pytest.mark.parametrize(
    "changed",
    [
        lambda model, texts: (other_weights(model), texts, {}),
        lambda model, texts: (dataclasses.replace(model, clean=("html",)), texts, {}),
        lambda model, texts: (
            dataclasses.replace(
                model, tokenizer=dataclasses.replace(model.tokenizer, json=model.tokenizer.json + b" ")
            ),
            texts,
            {},
        ),
        lambda model, texts: (
            dataclasses.replace(model, config=dataclasses.replace(model.config, layer_norm_eps=1e-3)),
            texts,
            {},
        ),
        lambda model, texts: (model, (*texts[:29], "another"), {}),
        lambda model, texts: (model, (texts[1], texts[0], *texts[2:30]), {}),
        lambda model, texts: (model, texts, {"max_length": 63}),
        lambda model, texts: (model, texts, {"bf16": True}),
    ],
)
def test_whatever_decides_the_answers_has_shards_of_its_own(model, texts, tmp_path, computed, changed):
    answers(model, texts[:30], tmp_path)
    other, others, settings = changed(model, texts[:30])
    answers(other, others, tmp_path, **settings)
    assert computed == [30, 30]
    answers(model, texts[:30], tmp_path)
    assert computed == [30, 30]


def test_where_texts_begin_and_end_matters(model, tmp_path, computed):
    answers(model, ("ab", "c"), tmp_path)
    answers(model, ("a", "bc"), tmp_path)
    assert computed == [2, 2]


def flip(data):
    middle = len(data) - 9
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle in the cache was opened",))


@pytest.mark.parametrize(
    "damage",
    [flip, lambda data: data[:-1], lambda data: b"", lambda data: pickle.dumps(Bomb()), lambda data: data[:40]],
)
def test_a_damaged_shard_is_computed_again(model, texts, tmp_path, computed, damage):
    first = answers(model, texts, tmp_path)
    path = sorted(tmp_path.iterdir())[0]
    path.write_bytes(damage(path.read_bytes()))
    heard = Heard()
    np.testing.assert_array_equal(answers(model, texts, tmp_path, heard), first)
    assert len(computed) == 4
    assert heard.said == [f"{path} is damaged; what it held is computed again"]
    np.testing.assert_array_equal(answers(model, texts, tmp_path), first)
    assert len(computed) == 4


def test_an_array_of_pickles_is_not_opened_even_where_its_checksum_is_right(model, texts, tmp_path):
    first = answers(model, texts[:30], tmp_path)
    (path,) = tmp_path.iterdir()
    np.save(tmp_path / "bomb.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    data = (tmp_path / "bomb.npy").read_bytes()
    path.rename(path.with_name(path.name.replace(path.stem.partition("-")[2], module._checksum(data)))).write_bytes(
        data
    )
    np.testing.assert_array_equal(answers(model, texts[:30], tmp_path), first)


def test_a_cache_that_cannot_be(model, texts, tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "cache"):
        with pytest.raises(FileError, match=r"cannot make the folder .*; choose another --cache"):
            answers(model, texts, place)


def test_a_full_disk_leaves_no_half_shard(model, texts, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="No space left on device; nothing was left behind"):
        answers(model, texts, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_of_the_teacher_is_trained(model):
    teacher = Teacher(model, max_length=64, bf16=False)
    assert not any(tensor.requires_grad for tensor in teacher._network.parameters())
    assert isinstance(teacher._network, torch.nn.Module)
