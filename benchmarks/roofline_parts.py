"""Where an inference's time goes, by the engines' own profilers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgekit_runtime.profiling.operators.measure import measure_operators
from roofline_work import Work

TRACED = (16, 128)
"""Lengths that are traced."""

RUNS = 60
UNTOLD = "calls, copies, tracing"
GROUPS = {
    "int8 products": ("Fully Connected", "DynamicQuantizeMatMul", "MatMulInteger", "DynamicQuantizeLinear"),
    "attention's products": ("Batch Matrix Multiply", "MatMul", "FusedMatMul"),
    "softmax": ("Softmax",),
    "GELU": ("GELU", "BiasGelu", "Gelu", "Erf"),
    "layer norms, sums, factors": (
        *("native_layer_norm", "LayerNorm", "SkipLayerNorm", "Mean", "Subtract", "Multiply", "Add", "Mul", "Div"),
        *("Sub", "Reduce", "Abs", "Clip"),
    ),
    "embedding": ("EMBEDDING_LOOKUP", "embedding", "Gather", "DequantizeLinear", "Cast"),
}
"""Group to the beginnings of its operators' names, the first that fits; others are moved values."""

MOVED = "transposes, slices and others"


@dataclass(frozen=True)
class Parts:
    """An engine's traced inference with one thread.

    Attributes:
        engine: Its name in the tables.
        length: In tokens.
        total_ms: The whole, with tracing on.
        groups_ms: Group to its time; with what is not told.
        int8_rate: Operations a second of the int8 products in there.
    """

    engine: str
    length: int
    total_ms: float
    groups_ms: dict[str, float]
    int8_rate: float


def parts_of(bundle: Path, engine: str, name: str, work: Work) -> Parts:
    """Traces a bundle's program at a length."""
    (found,) = measure_operators(bundle, engine=engine, threads=1, tokens=work.length, runs=RUNS)
    groups = dict.fromkeys((*GROUPS, MOVED), 0.0)
    for each in found.operators:
        groups[group_of(each.name)] += each.ms
    groups[UNTOLD] = max(0.0, found.total_ms - sum(groups.values()))
    return Parts(name, work.length, found.total_ms, groups, 1000 * work.int8_ops / groups["int8 products"])


def group_of(operator: str) -> str:
    """The group of an operator, by an engine's own name of it."""
    return next((group for group, names in GROUPS.items() if operator.startswith(names)), MOVED)
