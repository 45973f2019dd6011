"""The networks that get lowered answer as the modules that they were trained as."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from conftest import PIECES, make_bert
from edgekit_converters.networks.bert import BertConfig, load_bert
from edgekit_converters.networks.cnn import CnnConfig, load_cnn
from edgekit_converters.original import PlainCnn, run_batches
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


def padded(rows):
    longest = max(map(len, rows))
    ids = torch.zeros(len(rows), longest, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row)
        mask[index, : len(row)] = 1
    return ids, mask
