"""One model becomes programs, one a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgekit_converters.buckets import fit_buckets
from edgekit_converters.calibration import choose_samples
from edgekit_converters.model import TextModel
from edgekit_converters.recipe import Recipe
from edgekit_converters.targets import Lowered, Target
from edgekit_runtime.manifest import HistoryStep, TextSpec
from edgekit_runtime.progress import Listener
from edgekit_runtime.text import TextEncoder


@dataclass(frozen=True)
class LoweredModel:
    """A model with its programs.

    Attributes:
        model: The network that was lowered.
        text: How text becomes ids.
        programs: One a target.
        history: The stages that made it.
    """

    model: TextModel
    text: TextSpec
    programs: tuple[Lowered, ...]
    history: tuple[HistoryStep, ...]


def lower(
    model: TextModel,
    targets: Sequence[Target],
    recipe: Recipe,
    texts: Sequence[str],
    settings: Mapping[str, Any],
    listener: Listener,
) -> LoweredModel:
    """Lowers a model to each target.

    Args:
        model: The model.
        targets: The targets, checked against the recipe.
        recipe: How.
        texts: For calibration and for buckets ``auto``, where the recipe asks for them.
        settings: Of the whole conversion, for the history.
        listener: Told of progress.

    Raises:
        OptionError: The recipe's lengths contradict the model.
        LoweringError: A target's tools refused the network.
    """
    recipe = fit_buckets(recipe, model, texts, listener)
    text, quant = recipe.text_spec(model, listener), recipe.quant
    told = {**settings, "resolved": {"max_length": text.max_length, "buckets": text.buckets}}
    if quant.calibrated:
        quant = replace(quant, calibration=choose_samples(TextEncoder(model.tokenizer.json, text), texts))
    if "calibration" in told:
        told["calibration"] = {**told["calibration"], "samples": len(quant.calibration)}
    programs = []
    for target in targets:
        listener.stage(f"Lowering {model.name} to {target.name}, {quant.scheme}")
        programs.append(target.lower(model.network(), text.buckets, quant, listener))
    steps = (HistoryStep("lower", {"target": p.program.engine, **p.notes, **told}, p.tools) for p in programs)
    return LoweredModel(model, text, tuple(programs), (*model.history, *steps))
