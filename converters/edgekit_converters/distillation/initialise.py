"""The student before it has learned anything, with all that it can take over from its teacher."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekit_converters.distillation.students import Student, picked_layers
from edgekit_converters.distillation.word_vectors import principal, student_vectors
from edgekit_converters.model import TextModel
from edgekit_converters.networks.bert import BertConfig, bert_shapes
from edgekit_converters.networks.cnn import CnnConfig
from edgekit_converters.networks.families import FAMILIES
from edgekit_converters.training.learners import fresh_weights

WORDS, POSITIONS, TYPES = (f"bert.embeddings.{kind}_embeddings.weight" for kind in ("word", "position", "token_type"))
NORM, PROJECT = "bert.embeddings.LayerNorm", "bert.embeddings_project"
FITTED_VECTORS = 8192
FITTED_POSITIONS = 64


def initial_student(student: Student, teacher: TextModel, *, seed: int, say: Callable[[str], None]) -> TextModel:
    """Builds a student that reads text as the teacher does.

    A BERT takes evenly spaced layers of the teacher, the last one always (as Sun et al. 2019, arXiv 1908.09355, take
    them), and its tables, head and classifier, where the sizes are equal; narrower tables are the principal components
    of the teacher's. A CNN's token vectors come from the teacher (``distillation.word_vectors``), all else is random.

    Args:
        student: Its sizes.
        teacher: The model that it learns from, with the vocabulary that the student shall have.
        seed: Of all that is random.
        say: Told which parts of a BERT cannot be taken over.

    Returns:
        The student with the teacher's tokenizer, labels, cleaning and history, under the teacher's name.

    Raises:
        OptionError: Such a student cannot learn from such a teacher.
    """
    config = student.config(teacher)
    weights = dict(fresh_weights(config, seed))
    if student.init != "random":
        if isinstance(config, BertConfig):
            weights |= _taken_over(config, teacher, say)
        else:
            weights["words.weight"] = _vectors(student.init, config, teacher, seed)
    return replace(teacher, config=config, weights=weights, pad_to=None)


def _vectors(init: str, config: CnnConfig, teacher: TextModel, seed: int) -> Tensor:
    contextual = init == "contextual" and isinstance(teacher.config, BertConfig)
    return student_vectors(teacher, config.hidden, contextual=contextual, seed=seed)


def _taken_over(config: BertConfig, teacher: TextModel, say: Callable[[str], None]) -> dict[str, Tensor]:
    """Those of the student's weights that come from the teacher, under the names of the student's family."""
    given = teacher.config
    assert isinstance(given, BertConfig)
    theirs = {name: teacher.weights[FAMILIES[given.family].own_name(name)].float() for name in bert_shapes(given)}
    taken = _tables(config, given, theirs)
    if config.hidden != given.hidden:
        say(
            f"the student is {config.hidden} wide and its teacher {given.hidden}, so that only the tables are taken over and "
            "the layers start at random: they need more text and epochs than layers of the teacher would"
        )
    else:
        taken |= {name: tensor for name, tensor in theirs.items() if name.startswith(("head.", "classifier."))}
        if (config.heads, config.intermediate) == (given.heads, given.intermediate):
            taken |= _layers(config, given, theirs)
        else:
            say(
                f"the student has {config.heads} heads and {config.intermediate} neurons a layer and its teacher {given.heads} "
                f"and {given.intermediate}, so that its layers start at random; without heads and intermediate they do not"
            )
    own_name = FAMILIES[config.family].own_name
    return {own_name(name): tensor.clone() for name, tensor in taken.items()}


def _layers(config: BertConfig, given: BertConfig, theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    taken = {}
    for index, layer in enumerate(picked_layers(given.layers, config.layers)):
        there = f"bert.encoder.layer.{layer}."
        for name, tensor in theirs.items():
            if name.startswith(there):
                taken[name.replace(there, f"bert.encoder.layer.{index}.")] = tensor
    return taken


def _tables(config: BertConfig, given: BertConfig, theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tables in the student's width, and what projects their vectors; what the student has wider stays random."""
    before, width = given.embedding or given.hidden, config.embedding or config.hidden
    if width > before:
        return {}
    tables = {name: theirs[name] for name in (WORDS, POSITIONS)}
    if FAMILIES[config.family].token_types:
        tables[TYPES] = theirs.get(TYPES, torch.zeros(2, before))
    if width < before:
        directions = principal(tables[WORDS], width)
        tables = {name: table @ directions for name, table in tables.items()}
    else:
        tables |= {f"{NORM}.{kind}": theirs[f"{NORM}.{kind}"] for kind in ("weight", "bias")}
    if config.embedding is None or config.hidden != given.hidden:
        return tables
    if config.embedding == given.embedding:
        return tables | {f"{PROJECT}.{kind}": theirs[f"{PROJECT}.{kind}"] for kind in ("weight", "bias")}
    return tables | _fitted_projection(tables, config, theirs, given)


def _fitted_projection(
    tables: Mapping[str, Tensor], config: BertConfig, theirs: Mapping[str, Tensor], given: BertConfig
) -> dict[str, Tensor]:
    """The projection by which narrow tables come nearest, by least squares, to what the teacher's first layer reads."""
    generator = torch.Generator().manual_seed(0)
    words = torch.randint(config.vocab_size, (FITTED_VECTORS,), generator=generator)
    positions = torch.randint(min(FITTED_POSITIONS, config.positions), (FITTED_VECTORS,), generator=generator)
    narrow = _embedded(tables, config, words, positions)
    wide = _embedded(theirs, given, words, positions)
    if given.embedding is not None:
        wide = F.linear(wide, theirs[f"{PROJECT}.weight"], theirs[f"{PROJECT}.bias"])
    found = torch.linalg.lstsq(torch.cat([narrow, torch.ones(len(narrow), 1)], dim=1), wide).solution
    return {f"{PROJECT}.weight": found[:-1].T.contiguous(), f"{PROJECT}.bias": found[-1]}


def _embedded(tables: Mapping[str, Tensor], config: BertConfig, words: Tensor, positions: Tensor) -> Tensor:
    """The sums of the tables' rows for these words at these positions, normed: (N, width)."""
    sums = tables[WORDS][words] + tables[POSITIONS][positions]
    if TYPES in tables:
        sums = sums + tables[TYPES][0]
    return F.layer_norm(
        sums, sums.shape[1:], tables.get(f"{NORM}.weight"), tables.get(f"{NORM}.bias"), config.layer_norm_eps
    )
