"""Token vectors for a small student, out of a teacher that has seen far more text than it will.

The teacher's are too wide, so their principal components are taken (Raunak et al. 2019, arXiv 1708.03629). What a teacher
makes of a word piece that stands alone is a better vector than the row of its table (model2vec, Minish Lab 2024).
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgekit_converters.model import TextModel
from edgekit_converters.networks.bert import BertConfig
from edgekit_converters.original import PretrainedBert
from edgekit_converters.tokenizer.trim import word_table
from edgekit_converters.training.precision import native_bf16

DEVIATION = 0.3
"""Standard deviation of a student's token vectors at the start."""

BATCH = 1024


def principal(vectors: Tensor, width: int) -> Tensor:
    """The directions in which vectors differ most.

    Args:
        vectors: (N, before), float32.
        width: How many directions are wanted.

    Returns:
        (before, n) orthonormal columns, the most important first; n is ``width``, or ``before`` if that is less.
    """
    centred = (vectors - vectors.mean(dim=0)).double()
    directions: Tensor = torch.linalg.eigh(centred.T @ centred).eigenvectors  # the least important first
    return directions.flip(1)[:, :width].float().contiguous()


def student_vectors(teacher: TextModel, width: int, *, contextual: bool, seed: int) -> Tensor:
    """Token vectors for a student whose vocabulary is the teacher's.

    Args:
        teacher: The model that the student learns from.
        width: Width of the student's vectors; columns that the teacher's width does not fill are random.
        contextual: Whether they also tell what the teacher, a BERT, makes of each piece.
        seed: Of the random columns.

    Returns:
        (vocabulary, width) float32, in all of standard deviation DEVIATION and mean 0.
    """
    parts = [teacher.weights[word_table(teacher)].float()]
    if contextual:
        parts.append(answers_to_pieces(teacher))
    vectors = torch.cat([_normed(part) for part in parts], dim=1)
    found = _normed(vectors @ principal(vectors, width)) * DEVIATION
    missing = torch.randn(len(found), width - found.shape[1], generator=torch.Generator().manual_seed(seed))
    return torch.cat([found, missing * DEVIATION], dim=1)


@torch.no_grad()
def answers_to_pieces(teacher: TextModel) -> Tensor:
    """What the head of a BERT reads when a text is one word piece: (vocabulary, hidden) float32."""
    assert isinstance(teacher.config, BertConfig)
    bert = PretrainedBert(teacher.config)
    bert.load(teacher.config, teacher.weights)
    bert.eval()
    special = teacher.tokenizer.special_ids
    ids = torch.arange(teacher.config.vocab_size)
    first, last = (torch.full_like(ids, special[name]) for name in ("cls", "sep"))
    texts = torch.stack([first, ids, last], dim=1)
    with torch.autocast("cpu", torch.bfloat16, enabled=native_bf16()):
        states = [
            bert.body(input_ids=batch, attention_mask=torch.ones_like(batch)).last_hidden_state[:, 0].float()
            for batch in torch.split(texts, BATCH)
        ]
    return torch.cat(states)


def _normed(vectors: Tensor) -> Tensor:
    """The vectors about their mean, with a standard deviation of 1 over all entries."""
    centred = vectors - vectors.mean(dim=0)
    return centred / centred.std().clamp(min=1e-12)
