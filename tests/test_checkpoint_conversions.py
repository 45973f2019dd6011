"""Each kind of network, converted in float32 and run by the device's engine, answers as the module that it came from."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import PIECES
from edgekit_converters.checkpoint import ReadOptions
from edgekit_converters.pipeline import convert
from edgekit_converters.recipe import Recipe
from edgekit_runtime import load
from originals import random_rows
from test_checkpoint_forms import FORMS, TOLERANCE, answers

KINDS = {
    "distilbert": ("state dict of a Hugging Face classifier", 1),
    "electra": ("state dict of a Hugging Face classifier", 2),
    "own class with a hidden layer": ("class of your own around an encoder", 1),
    "own class without a pooler": ("class of your own around an encoder", 3),
    "Conv2d": ("TextCNN with `Conv2d`", 0),
    "hidden layer": ("TextCNN with a hidden layer", 0),
    "batch norm": ("TextCNN with batch norm", 0),
    "two channels": ("TextCNN with several embedding channels", 0),
    "sigmoid": ("one output with a sigmoid", 1),
    "torch.export": ("archive of `torch.export`", 0),
}
"""Name of the kind to the row of docs/checkpoints.md and the form in it; a BERT and a TextCNN are test_convert's."""

ROWS = random_rows(len(PIECES), [5, 16, 20, 60])


@pytest.mark.parametrize("kind", KINDS)
def test_the_converted_model_answers_as_the_module(kind, tmp_path, vocabulary):
    title, at = KINDS[kind]
    shutil.copy(vocabulary, tmp_path)
    given = FORMS[title][at](tmp_path)
    expected = answers(given.module, ROWS)
    labels = tuple("abc") if expected.shape[1] == 3 else None
    if expected.shape[1] == 1:
        expected = torch.cat([-expected / 2, expected / 2], dim=1)
    made = convert(
        given.path,
        tmp_path / "out.edgekit",
        recipe=Recipe(quantize="none", max_length=64, buckets=(16, 64)),
        read=ReadOptions(heads=given.heads, trust=given.trust, labels=labels),
    )
    with load(Path(made.bundle)) as classify:
        found = np.stack([classify.logits(ids) for ids in ROWS])
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)
