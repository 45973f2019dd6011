"""A BERT student that also learns how its teacher comes to its answers: TinyBERT (Jiao et al. 2019, arXiv 1909.10351)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit_converters.distillation.students import picked_layers
from edgekit_converters.model import TextModel
from edgekit_converters.networks.bert import BertConfig
from edgekit_converters.original import PretrainedBert
from edgekit_converters.training.learners import BertLearner, answer
from edgekit_converters.training.objective import Objective


class HintedLearner(BertLearner):
    """A BERT whose hidden states and attention are drawn to those of a teacher, which runs beside it while it trains.

    The teacher is no part of the module: it is neither trained nor saved. Outside of training there are no hints, so
    that losses on held-out texts are those of the answers alone.

    Args:
        model: The student, where its weights start.
        objective: The loss of its answers.
        dropout: Share of features dropped in training.
        teacher: A BERT with the same tokenizer.
        weight: Of the hints, beside a weight of 1 of the answers.
        bf16: Whether the teacher computes in bfloat16.
    """

    def __init__(
        self, model: TextModel, objective: Objective, dropout: float, *, teacher: TextModel, weight: float, bf16: bool
    ) -> None:
        super().__init__(model, objective, dropout)
        assert isinstance(model.config, BertConfig)
        assert isinstance(teacher.config, BertConfig)
        there = PretrainedBert(teacher.config)
        there.load(teacher.config, teacher.weights)
        there.eval().requires_grad_(False)
        for body in (self.network.body, there.body):
            body.set_attn_implementation("eager")  # type: ignore[operator] # the others tell no attention
        self._teacher = (there.body,)  # in a tuple, where torch does not look for submodules
        self._layers = picked_layers(teacher.config.layers, model.config.layers)
        self._weight, self._bf16 = weight, bf16
        before, after = model.config.hidden, teacher.config.hidden
        same = before == after
        self.projections = nn.ModuleList(
            nn.Identity() if same else nn.Linear(before, after) for _ in ("words", "layers")
        )

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor | None = None,
        targets: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """As a BertLearner's, the loss being that of the answers and of the hints."""
        if not self.training:
            return super().forward(input_ids, attention_mask, labels, targets)
        asked = {"attention_mask": attention_mask, "output_hidden_states": True, "output_attentions": True}
        mine = self.network.body(input_ids=input_ids, **asked)
        (teacher,) = self._teacher
        with torch.no_grad(), torch.autocast(input_ids.device.type, torch.bfloat16, enabled=self._bf16):
            theirs = teacher.to(input_ids.device)(input_ids=input_ids, **asked)
        features = self.network.head(mine.last_hidden_state[:, 0])
        logits = self.network.classifier(F.dropout(features, self.dropout, self.training))
        counts = attention_mask.bool()
        words, layers = self.projections
        hints = hidden_distance(words(mine.hidden_states[0]), theirs.hidden_states[0], counts)
        for here, there in enumerate(self._layers):
            distance = hidden_distance(layers(mine.hidden_states[here + 1]), theirs.hidden_states[there + 1], counts)
            hints = hints + distance + attention_distance(mine.attentions[here], theirs.attentions[there], counts)
        made = answer(logits, labels, targets, self.objective)
        return made | {"loss": made["loss"] + self._weight * hints / (1 + len(self._layers))}


def hidden_distance(mine: Tensor, theirs: Tensor, counts: Tensor) -> Tensor:
    """Mean squared difference of the token vectors (B, L, width) where ``counts`` (B, L) says that a token is."""
    return (mine.float() - theirs.float()).square().mean(dim=2)[counts].mean()


def attention_distance(mine: Tensor, theirs: Tensor, counts: Tensor) -> Tensor:
    """How far the student's attention lies from the teacher's: their divergence, as MiniLM has it (arXiv 2002.10957).

    Args:
        mine: (B, heads, L, L) probabilities of the student.
        theirs: The same of the teacher; where it has another number of heads, the means over the heads are compared.
        counts: (B, L), where tokens are.

    Returns:
        The mean over heads and tokens.
    """
    if mine.shape[1] != theirs.shape[1]:
        mine, theirs = mine.mean(dim=1, keepdim=True), theirs.mean(dim=1, keepdim=True)
    mine, theirs = (part.float().clamp(min=1e-9) for part in (mine, theirs))
    distance = (theirs * (theirs.log() - mine.log())).sum(dim=3)  # (B, heads, L)
    return distance.mean(dim=1)[counts].mean()
