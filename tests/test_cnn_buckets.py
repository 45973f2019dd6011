"""A CNN gives the same answer in every bucket: the one that the original gives to the unpadded text."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from conftest import PIECES
from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
from edgekit_converters.loaded import loaded
from edgekit_converters.quantspec import QuantSpec
from edgekit_converters.recipe import Recipe
from edgekit_converters.targets.litert import LiteRtTarget
from edgekit_runtime.progress import LogListener
from edgekit_runtime.text import TextEncoder
from originals import answers, original_answers, random_rows, text_cnn

WIDEST = 4
BUCKETS = (4, 7, 16)
PAD_TO = 9
PAD = PIECES.index("[PAD]")
ROWS = random_rows(len(PIECES), [*range(17), *range(17)])
"""Two texts of every length from 0 to the largest bucket."""


@pytest.fixture(scope="module")
def original():
    return text_cnn(len(PIECES), (2, 3, WIDEST))


@pytest.fixture(scope="module")
def model(original, vocabulary, tmp_path_factory):
    return read_saved(original, vocabulary, tmp_path_factory.mktemp("cnn"), None)


@pytest.fixture(scope="module")
def padding_model(original, vocabulary, tmp_path_factory):
    return read_saved(original, vocabulary, tmp_path_factory.mktemp("cnn"), PAD_TO)


@pytest.fixture(scope="module")
def program(model):
    """The network really lowered; the padding is a matter of the encoder, so one program serves both models."""
    return LiteRtTarget().lower(model.network(), BUCKETS, QuantSpec("none"), LogListener())


@pytest.fixture(scope="module")
def engine(program):
    with loaded(program.program, program.data, 1) as engine:
        yield engine


def test_the_padding_row_counts_so_that_these_tests_can_fail(original):
    short = [row for row in ROWS if len(row) == 6]
    assert original.embedding.weight[PAD].abs().max() > 0.1
    assert np.abs(answers(original, short) - answers(original, filled(short, 16))).max() > 1e-3


@pytest.mark.parametrize("bucket", BUCKETS)
def test_the_network_answers_as_the_original_on_the_unpadded_text(original, model, bucket):
    found, rows = in_bucket(model, bucket, network_run(model))
    np.testing.assert_allclose(found, answers(original, filled(rows, WIDEST)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("bucket", BUCKETS)
def test_the_lowered_program_answers_as_the_original_on_the_unpadded_text(original, model, engine, bucket):
    found, rows = in_bucket(model, bucket, engine.run)
    np.testing.assert_allclose(found, answers(original, filled(rows, WIDEST)), atol=1e-4)


@pytest.mark.parametrize("lowered", [False, True])
def test_padding_that_the_training_saw_counts_in_every_bucket(original, padding_model, engine, lowered):
    run = engine.run if lowered else network_run(padding_model)
    found, rows = in_bucket(padding_model, 16, run)
    np.testing.assert_allclose(found, answers(original, filled(rows, PAD_TO)), atol=1e-4 if lowered else 1e-5)


def test_buckets_under_pad_to_are_left_out(padding_model):
    assert Recipe(max_length=40).text_spec(padding_model, LogListener()).buckets == (16, 32, 40)


def test_verification_pads_the_original_alike(original, model, padding_model):
    for candidate, length in ((model, WIDEST), (padding_model, PAD_TO)):
        found = original_answers(candidate, ROWS)
        np.testing.assert_allclose(found, answers(original, filled(ROWS, length)), atol=1e-5, rtol=1e-5)


def test_texts_through_the_tokenizer_answer_as_the_original_on_their_ids(original, model, engine):
    encoder = TextEncoder(model.tokenizer.json, model.text_spec(16, BUCKETS))
    used = set()
    for text in (
        "",
        "ok",
        "good film",
        "电影很好",
        "the film was good",
        "what a wonderful film it was in the end",
        "a " * 99,
    ):
        ids = encoder.ids(text)
        assert (ids[0], ids[-1]) == (PIECES.index("[CLS]"), PIECES.index("[SEP]"))
        padded, mask = encoder.pad(ids, engine.lengths)
        used.add(padded.shape[1])
        np.testing.assert_allclose(engine.run(padded, mask)[None], answers(original, filled([ids], WIDEST)), atol=1e-4)
    assert used == set(BUCKETS)


def read_saved(module, vocabulary, folder, pad_to):
    path = folder / "cnn.pt"
    torch.save(module.state_dict(), path)
    return read_checkpoint(path, ReadOptions(tokenizer=vocabulary, pad_to=pad_to), lambda message: None)


def filled(rows, length):
    """Rows padded to a length, as a DataLoader of the training would have done."""
    return [row + [PAD] * (length - len(row)) for row in rows]


def network_run(model):
    network = model.network()
    return lambda ids, mask: network(torch.tensor(ids), torch.tensor(mask))[0].numpy()


def in_bucket(model, bucket, run):
    """Answers to all texts that fit the bucket, each padded to that very bucket; and those texts."""
    encoder = TextEncoder(model.tokenizer.json, model.text_spec(bucket, (bucket,)))
    rows = [row for row in ROWS if len(row) <= bucket]
    return np.stack([run(*encoder.pad(row, [bucket])) for row in rows]), rows
