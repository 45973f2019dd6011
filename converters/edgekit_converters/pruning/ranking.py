"""Which units stay when a share of them goes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn

from torch import Tensor

from edgekit_converters.pruning.parts import Prunable
from edgekit_runtime.errors import OptionError

SCOPES = ("layer", "model")
"""Whether each layer keeps the same share, or the layers compete for what stays."""


def best_units(
    scores: Mapping[Prunable, Tensor], whole: Iterable[Prunable], share: float, scope: str
) -> dict[Prunable, tuple[int, ...]]:
    """The most important units of each kind, by whole blocks; at least one block stays in every layer.

    Args:
        scores: (units,) for each part, of one scale in all parts of a kind.
        whole: The parts of the model before any cut, in the same order.
        share: Of each kind in ``whole`` that stays, rounded to blocks.
        scope: One of SCOPES.

    Returns:
        The units that stay, in the order in which they are now.

    Raises:
        OptionError: That share would leave a layer without any.
    """
    groups: dict[tuple[str, int], list[tuple[Prunable, Prunable]]] = {}
    for part, before in zip(scores, whole, strict=True):
        groups.setdefault((part.kind, part.layer if scope == "layer" else 0), []).append((part, before))
    kept: dict[Prunable, tuple[int, ...]] = {}
    for group in groups.values():
        parts, total = [part for part, _ in group], sum(before.blocks for _, before in group)
        count = round(share * total)
        if count < len(parts):
            _refuse(parts, total, share)
        kept |= _best_blocks({part: scores[part] for part in parts}, count)
    return {part: kept[part] for part in scores}


def _best_blocks(scores: Mapping[Prunable, Tensor], count: int) -> dict[Prunable, tuple[int, ...]]:
    """The best ``count`` blocks of parts that compete; each part forms its blocks from its best units downwards."""
    blocks: list[tuple[bool, float, Prunable, list[int]]] = []
    for part, score in scores.items():
        order = score.argsort(descending=True, stable=True).tolist()
        for begin in range(0, part.units, part.block):
            units = order[begin : begin + part.block]
            blocks.append((begin == 0, float(score[units].mean()), part, units))
    blocks.sort(key=lambda block: block[:2], reverse=True)
    kept: dict[Prunable, list[int]] = {part: [] for part in scores}
    for _, _, part, units in blocks[:count]:
        kept[part] += units
    return {part: tuple(sorted(units)) for part, units in kept.items()}


def _refuse(parts: Sequence[Prunable], total: int, share: float) -> NoReturn:
    kind, most = parts[0].kind, 1.0 - len(parts) / total
    if most == 0.0:
        raise OptionError(f"this model has no {kind} to spare: {parts[0].block} of them must stay in each layer")
    raise OptionError(
        f"taking {1.0 - share:.0%} away would leave some layer without {kind}, of which {parts[0].block} stay in each; "
        f"{math.floor(100 * most)}% is the most here: lower the ratio"
    )
