"""The networks that get lowered answer as the modules that they were trained as."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from conftest import PIECES, make_bert
from edgekit_converters.networks.bert import BertConfig, bert_shapes, load_bert
from edgekit_converters.networks.cnn import CnnConfig, load_cnn
from edgekit_converters.networks.families import FAMILIES
from edgekit_converters.networks.unpadded import unpadded
from edgekit_converters.original import PlainCnn, PretrainedBert, run_batches
from edgekit_runtime.errors import CheckpointError
from originals import random_rows, sharpened

SIZES = {
    "as small as it goes": {"num_hidden_layers": 1, "num_attention_heads": 1, "hidden_size": 8, "intermediate_size": 8},
    "one layer": {"num_hidden_layers": 1},
    "three layers": {"num_hidden_layers": 3, "hidden_size": 96, "num_attention_heads": 3, "intermediate_size": 100},
    "five classes": {"classes": 5},
    "gelu by tanh": {"hidden_act": "gelu_new"},
    "relu": {"hidden_act": "relu"},
    "another epsilon": {"layer_norm_eps": 0.1},
}


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("changes", SIZES.values(), ids=SIZES)
def test_a_bert_answers_as_transformers_does(tmp_path, changes, attention):
    module = sharpened(make_bert(tmp_path, **changes))
    module.set_attn_implementation(attention)
    network = load_bert(config_of(module), module.state_dict())

    for lengths in ([1], [7], [96], [3, 12, 1, 7]):
        ids, mask = padded(random_rows(len(PIECES), lengths))
        with torch.inference_mode():
            expected = module(ids, attention_mask=mask).logits
            found = network(ids, mask.float())
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_a_bert_takes_int32_and_ignores_what_the_mask_hides(tmp_path):
    module = sharpened(make_bert(tmp_path))
    network = load_bert(config_of(module), module.state_dict())
    row = torch.tensor([[2, 9, 30, 3]])
    with torch.inference_mode():
        alone = network(row, torch.ones(1, 4))
        for filler in (0, 17):
            ids = torch.cat([row, torch.full((1, 12), filler)], dim=1).int()
            mask = torch.tensor([[1.0] * 4 + [0.0] * 12])
            torch.testing.assert_close(network(ids, mask), alone, atol=1e-5, rtol=1e-5)


PRUNED = {
    "fewer heads": BertConfig(50, 48, 3, 4, 40, 32, 2, heads_by_layer=(3, 3, 3)),
    "fewer neurons": BertConfig(50, 48, 3, 4, 40, 32, 2, neurons_by_layer=(16, 16, 16)),
    "other numbers in each layer": BertConfig(
        50, 48, 3, 4, 40, 32, 5, heads_by_layer=(2, 4, 1), neurons_by_layer=(8, 16, 40)
    ),
    "a distilbert": BertConfig(
        50, 48, 2, 3, 40, 32, 2, family="distilbert", heads_by_layer=(1, 2), neurons_by_layer=(24, 8)
    ),
    "an electra with narrow tables": BertConfig(
        50, 48, 2, 3, 40, 32, 3, family="electra", embedding=20, heads_by_layer=(2, 1), neurons_by_layer=(8, 24)
    ),
}


@pytest.mark.parametrize("config", PRUNED.values(), ids=PRUNED)
def test_a_pruned_bert_answers_as_transformers_does(config):
    weights = random_weights(config)
    reference = PretrainedBert(config)
    reference.load(config, weights)
    reference.eval()
    network = load_bert(config, weights)
    form = unpadded(network, 32)

    rows = random_rows(config.vocab_size, [3, 12, 1, 32])
    ids, mask = padded(rows)
    with torch.inference_mode():
        expected = reference(ids, mask)
        assert expected.std(dim=0).min() > 0.05, "the texts must not all get one answer"
        torch.testing.assert_close(network(ids, mask.float()), expected, atol=1e-5, rtol=1e-5)
        for row, logits in zip(rows, expected, strict=True):
            alone = torch.tensor([row])
            torch.testing.assert_close(network(alone, torch.ones(1, len(row)))[0], logits, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(form(alone)[0], logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"heads_by_layer": (1, 2)}, "the heads left in the layers, 1, 2, are not 3 numbers from 1 to 4"),
        ({"heads_by_layer": (1, 5, 2)}, "the heads left in the layers, 1, 5, 2, are not"),
        ({"neurons_by_layer": (0, 8, 8)}, "the neurons left in the layers, 0, 8, 8, are not 3 numbers from 1 to 40"),
    ],
)
def test_sizes_of_layers_that_cannot_be(sizes, message):
    with pytest.raises(CheckpointError, match=message):
        BertConfig(50, 48, 3, 4, 40, 32, 2, **sizes)


@pytest.mark.parametrize(
    "config",
    [
        CnnConfig(vocab_size=40, hidden=8, widths=(1,), filters=(3,), classes=2),
        CnnConfig(vocab_size=40, hidden=16, widths=(2, 3, 4, 5), filters=(8, 8, 8, 8), classes=2),
        CnnConfig(vocab_size=40, hidden=5, widths=(5, 2, 3), filters=(4, 9, 7), classes=6),
    ],
)
def test_a_cnn_answers_as_the_plain_module_on_each_text_alone(config):
    torch.manual_seed(0)
    module = PlainCnn(config).eval().requires_grad_(False)
    network = load_cnn(config, module.state_dict())
    widest = max(config.widths)
    rows = random_rows(config.vocab_size, [widest, widest + 1, 30, widest, 17])

    expected = torch.cat([module(torch.tensor([row])) for row in rows]).numpy()
    together = run_batches(rows, network, lambda done, total: None, pad_id=7, min_length=widest)
    alone = np.concatenate([network(torch.tensor([row]), torch.ones(1, len(row))).numpy() for row in rows])

    assert np.ptp(expected, axis=0).min() > 0.01, "the texts must not all get one answer"
    np.testing.assert_allclose(together, expected, atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(alone, expected, atol=1e-5, rtol=1e-5)


def config_of(module):
    sizes = module.config
    return BertConfig(
        vocab_size=sizes.vocab_size,
        hidden=sizes.hidden_size,
        layers=sizes.num_hidden_layers,
        heads=sizes.num_attention_heads,
        intermediate=sizes.intermediate_size,
        positions=sizes.max_position_embeddings,
        classes=sizes.num_labels,
        layer_norm_eps=sizes.layer_norm_eps,
        activation=sizes.hidden_act,
    )


def random_weights(config):
    """Weights under the family's names whose attention and activations matter."""
    numbers = torch.Generator().manual_seed(0)
    weights = {}
    for name, shape in bert_shapes(config).items():
        tensor = torch.randn(shape, generator=numbers) * (0.3 if len(shape) == 2 else 0.2)
        weights[FAMILIES[config.family].own_name(name)] = tensor + name.endswith("LayerNorm.weight")
    return weights


def padded(rows):
    longest = max(map(len, rows))
    ids = torch.zeros(len(rows), longest, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row)
        mask[index, : len(row)] = 1
    return ids, mask
