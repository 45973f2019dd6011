"""Which layers of a BERT learn."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from edgekit_converters.networks.bert import BertConfig
from edgekit_converters.training.learners import Learner
from edgekit_runtime.errors import OptionError


def freeze(learner: Learner, count: int) -> None:
    """Keeps the embeddings and the first ``count`` layers as they are.

    Raises:
        OptionError: The model is no BERT, or has fewer layers.
    """
    levels = levels_of(learner, "--freeze")
    layers = len(levels) - 2
    if not 0 <= count <= layers:
        raise OptionError(f"--freeze takes 0 to {layers}, the layers of the model, not {count}")
    for level in levels[: 1 + count]:
        learn(level, wanted=False)


def gradual(learner: Learner, frozen: int | None) -> Callable[[int], None]:
    """Unfreezes from the top, a layer an epoch (ULMFiT, arXiv 1801.06146, section 3.3).

    Args:
        learner: Of a BERT.
        frozen: Layers that stay as they are, the embeddings with them; None has none of them stay.

    Returns:
        To be called before each epoch with the number of those behind it: the head and the top layer learn in the first,
        a layer more in each one after it, at last the embeddings.

    Raises:
        OptionError: The model is no BERT.
    """
    levels = levels_of(learner, "--unfreeze")
    lowest = 0 if frozen is None else 1 + frozen

    def before_epoch(done: int) -> None:
        for depth, level in enumerate(reversed(levels)):
            learn(level, wanted=depth <= done + 1 and depth < len(levels) - lowest)

    return before_epoch


def levels_of(learner: Learner, option: str) -> list[list[nn.Parameter]]:
    """Parameters from the bottom to the top: embeddings, each layer, and the head."""
    config = learner.model.config
    if not isinstance(config, BertConfig):
        raise OptionError(f"{option} is for BERTs, and this is a CNN: drop it")
    levels: list[list[nn.Parameter]] = [[] for _ in range(config.layers + 2)]
    for name, parameter in learner.module.named_parameters():
        _, part, *rest = name.split(".")
        if part != "body":
            levels[-1].append(parameter)
        elif rest[0].startswith("embeddings"):
            levels[0].append(parameter)
        else:  # encoder.layer.N of a BERT, transformer.layer.N of a DistilBERT
            levels[1 + int(rest[2])].append(parameter)
    return levels


def learn(level: list[nn.Parameter], *, wanted: bool) -> None:
    """Whether these parameters learn."""
    for parameter in level:
        parameter.requires_grad_(wanted)
