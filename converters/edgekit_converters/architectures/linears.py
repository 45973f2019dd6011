"""Linear layers of a head, put into the order in which data flows through them."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

MOST = 6
"""More linear layers than any such head has; the search would take long."""


def chain(linears: Mapping[str, Tensor], features: int) -> list[str] | None:
    """Orders linear layers so that each reads what the one before it gives.

    Args:
        linears: Weights (outputs, inputs) by name, in the order of definition where that is known.
        features: Width of what the first one reads.

    Returns:
        All the names in order, the first such order by definition; None if the layers form no such chain.
    """
    if not linears:
        return []
    if len(linears) > MOST:
        return None
    for name, weight in linears.items():
        if weight.shape[1] == features:
            rest = chain({other: linears[other] for other in linears if other != name}, weight.shape[0])
            if rest is not None:
                return [name, *rest]
    return None


def alike(linears: Mapping[str, Tensor], order: list[str]) -> list[str]:
    """Those layers of a chain that could change places with another, so that only the file's order tells which is first."""
    shapes = [linears[name].shape for name in order]
    return [name for name in order if shapes.count(linears[name].shape) > 1]
