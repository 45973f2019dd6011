"""A TextModel as something that can be trained, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit_converters.model import TextModel
from edgekit_converters.networks.bert import BertConfig, bert_shapes
from edgekit_converters.networks.cnn import Cnn, CnnConfig
from edgekit_converters.networks.families import FAMILIES
from edgekit_converters.original import PretrainedBert
from edgekit_converters.training.objective import Objective

CNN_DROPOUT = 0.5
BERT_DROPOUT = 0.1
BERT_SPREAD = 0.02
"""Standard deviation of a fresh BERT's weights (arXiv 1810.04805)."""

CNN_SPREAD = 0.1
"""Of a fresh CNN's token vectors. Where they begin at torch's 1, what they learn hardly stands out from what they began as."""

PREFIX = "network."
"""Before the names of the trained network in a learner's state dict."""


class BertLearner(nn.Module):
    """A BERT of any family by transformers, with dropout and a loss, as transformers.Trainer wants it.

    Attributes:
        network: The classifier; ``network.body`` is transformers' own encoder.
    """

    def __init__(self, model: TextModel, objective: Objective, dropout: float) -> None:
        super().__init__()
        assert isinstance(model.config, BertConfig)
        self.network = PretrainedBert(model.config)
        self.network.load(model.config, {name: tensor.clone() for name, tensor in model.weights.items()})
        for part in self.network.modules():
            if isinstance(part, nn.Dropout):
                part.p = dropout
        self.objective = objective
        self.dropout = dropout

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor | None = None,
        targets: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """(B, L) ids and mask with (B,) class ids or (B, classes) targets to the loss and (B, classes) logits."""
        states = self.network.body(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        features = self.network.head(states[:, 0])
        logits = self.network.classifier(F.dropout(features, self.dropout, self.training))
        return answer(logits, labels, targets, self.objective)


class CnnLearner(nn.Module):
    """The CNN with dropout and a loss, as transformers.Trainer wants it."""

    def __init__(self, model: TextModel, objective: Objective, dropout: float) -> None:
        super().__init__()
        assert isinstance(model.config, CnnConfig)
        self.network = Cnn(model.config)
        self.network.load_state_dict(dict(model.weights))
        self.min_length = model.min_length
        self.pad_id = model.tokenizer.special_ids["pad"]
        self.objective = objective
        self.dropout = dropout

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor | None = None,
        targets: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """(B, L) ids and mask with (B,) class ids or (B, classes) targets to the loss and (B, classes) logits."""
        missing = max(0, self.min_length - input_ids.shape[1])
        ids = F.pad(input_ids, (0, missing), value=self.pad_id)
        counts = attention_mask.sum(dim=1, keepdim=True).clamp(min=self.min_length)
        mask = (torch.arange(ids.shape[1], device=ids.device)[None] < counts).float()
        logits = self.network(ids, mask, dropout=self.dropout if self.training else 0.0)
        return answer(logits, labels, targets, self.objective)


def answer(logits: Tensor, labels: Tensor | None, targets: Tensor | None, objective: Objective) -> dict[str, Tensor]:
    """What a learner returns: the logits, and the loss where there is something to compare them with."""
    if labels is None and targets is None:
        return {"logits": logits}
    return {"loss": objective(logits.float(), labels, targets), "logits": logits}


@dataclass(frozen=True)
class Learner:
    """A trainable module that starts from a model's weights.

    Attributes:
        module: Takes ``input_ids``, ``attention_mask``, ``labels`` and ``targets``, and gives ``loss`` and ``logits``.
        model: The model that it started from; its weights stay as they are.
    """

    module: BertLearner | CnnLearner
    model: TextModel

    def finished(self, weights: Mapping[str, Tensor]) -> TextModel:
        """The same model with the weights of a state dict of the module."""
        config = self.model.config
        if isinstance(config, CnnConfig):
            return replace(self.model, weights={name: weights[PREFIX + name] for name in self.model.weights})
        family = FAMILIES[config.family]
        trained = {}
        for name in bert_shapes(config):
            own = family.own_name(name)
            inside = own.replace(f"{config.family}.", "body.", 1) if name.startswith("bert.") else name
            trained[own] = weights[PREFIX + inside]
        return replace(self.model, weights=trained)


def learner_of(model: TextModel, objective: Objective, dropout: float | None = None) -> Learner:
    """Makes a model trainable.

    Args:
        model: Where the weights start; they are copied.
        objective: What training makes small.
        dropout: Share of features dropped in training; None takes 0.1 for a BERT, 0.5 for a CNN.
    """
    if isinstance(model.config, BertConfig):
        return Learner(BertLearner(model, objective, BERT_DROPOUT if dropout is None else dropout), model)
    return Learner(CnnLearner(model, objective, CNN_DROPOUT if dropout is None else dropout), model)


def fresh_weights(config: BertConfig | CnnConfig, seed: int) -> dict[str, Tensor]:
    """Initial weights under a TextModel's names, by the seed: a BERT's as BERT's were, a CNN's as torch's but for the table."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if isinstance(config, CnnConfig):
            network = Cnn(config)
            nn.init.normal_(network.words.weight, std=CNN_SPREAD)
            return dict(network.state_dict())
        own_name = FAMILIES[config.family].own_name
        return {own_name(name): _fresh(name, shape) for name, shape in bert_shapes(config).items()}


def _fresh(name: str, shape: tuple[int, ...]) -> Tensor:
    if name.endswith("bias"):
        return torch.zeros(shape)
    return torch.ones(shape) if "LayerNorm" in name else torch.randn(shape) * BERT_SPREAD
