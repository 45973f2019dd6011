"""The targets whose programs take every text in its own length: they answer as the network at every one."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

import edgekit_runtime
from conftest import PIECES
from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
from edgekit_converters.loaded import loaded
from edgekit_converters.networks.unpadded import unpadded
from edgekit_converters.quantspec import QuantSpec
from edgekit_converters.targets import find_target
from edgekit_runtime.progress import LogListener
from originals import random_rows
from test_checkpoint_conversions import KINDS
from test_checkpoint_forms import FORMS, answers
from test_executorch import differences, plain_bert, plain_cnn

TARGETS = ("executorch", "onnx")


def lower(target, network, longest, scheme="none"):
    return find_target(target).lower(network, (longest,), QuantSpec(scheme), LogListener())


@pytest.mark.parametrize("kind", KINDS)
def test_the_form_without_padding_answers_as_the_network(kind, tmp_path, vocabulary):
    title, at = KINDS[kind]
    shutil.copy(vocabulary, tmp_path)
    given = FORMS[title][at](tmp_path)
    classes = answers(given.module, random_rows(len(PIECES), [16])).shape[1]
    options = ReadOptions(heads=given.heads, trust=given.trust, labels=tuple("abc") if classes == 3 else None)
    model = read_checkpoint(given.path, options, print)
    network, least = model.network(), model.min_length
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    form = unpadded(network, 64)
    for row in random_rows(len(PIECES), [max(least, 2), 6, 17, 64]):
        ids = torch.tensor([row])
        torch.testing.assert_close(form(ids), network(ids, torch.ones(1, len(row))), atol=1e-5, rtol=1e-5)
    for parameter in form.parameters():
        parameter.data.zero_()
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items()), "it shares nothing"


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("widths", "longest"),
    [((1,), 16), ((2, 3), 16), ((3, 5), 5), ((3, 5), 6)],
    ids=["one kernel of one token", "two kernels", "one length only", "two lengths only"],
)
def test_a_cnn_is_right_from_its_widest_kernel_to_its_longest_text(widths, longest, target):
    network = plain_cnn(widths)
    found = differences(network, lower(target, network, longest), range(max(widths), longest + 1))
    assert max(found.values()) < 1e-5, found


@pytest.mark.parametrize("target", TARGETS)
def test_a_bert_is_right_at_every_length_up_to_its_last_position(target, tmp_path):
    network = plain_bert(tmp_path, num_hidden_layers=1, max_position_embeddings=24)
    lowered = lower(target, network, 24)
    found = differences(network, lowered, range(1, 25))
    assert max(found.values()) < 1e-5, found
    with loaded(lowered.program, lowered.data, 1) as engine, pytest.raises(edgekit_runtime.EngineError, match=r"2[45]"):
        engine.run(np.ones((1, 25), np.int32), np.ones((1, 25), np.float32))


def test_the_same_network_gives_the_same_bytes():
    network = plain_cnn((2, 3))
    assert lower("executorch", network, 16, "int8").data == lower("executorch", network, 16, "int8").data
