"""Choices become bundles, measured ones."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgekit_converters.data import LabelledText
from edgekit_converters.lowering import lower
from edgekit_converters.model import TextModel
from edgekit_converters.packing import write_part
from edgekit_converters.recipe import AUTO, Recipe
from edgekit_converters.targets import find_target
from edgekit_converters.tuning.choice import Choice
from edgekit_converters.tuning.results import Measured
from edgekit_converters.verify import verify
from edgekit_runtime.progress import Listener

Measure = Callable[[Path, str, int], Measured]
"""Measures a bundle on a device: its path, the engine and the threads."""

FEW = 16
"""Texts on which the program of an untrained model is compared with its network."""

BYTES_A_WEIGHT = {"int4": 0.5, "fp16": 2.0, "none": 4.0}
"""Of the schemes, 1 where it is not said."""


@dataclass(frozen=True)
class Made:
    """A bundle.

    Attributes:
        size: Its bytes.
        accuracy: Share of the evaluation texts whose label it finds.
    """

    size: int
    accuracy: float


@dataclass(frozen=True)
class Workshop:
    """Makes and measures bundles.

    Attributes:
        given: The model as it was given.
        data: The evaluation texts.
        original_accuracy: Of the given model on them.
        max_length: Longest text in tokens; None leaves it to the recipe.
        settings: Of a choice, for the bundle's history.
        measure: Measures a bundle.
        listener: Told of progress.
    """

    given: TextModel
    data: LabelledText
    original_accuracy: float
    max_length: int | None
    settings: Callable[[Choice, Recipe], Mapping[str, Any]]
    measure: Measure
    listener: Listener

    def least(self, choice: Choice, model: TextModel) -> int:
        """Bytes that the numbers of the model take at least, all of them by the scheme."""
        return int(model.parameters * BYTES_A_WEIGHT.get(choice.scheme, 1.0))

    def dry(self, choice: Choice, untrained: TextModel) -> tuple[int, Measured]:
        """Bytes and times of the bundle that the choice would give, from a model that has learned nothing."""
        few = replace(self.data, texts=self.data.texts[:FEW], labels=self.data.labels[:FEW])
        with tempfile.TemporaryDirectory(prefix="edgekit-dry-") as folder:
            place = Path(folder) / "dry.edgekit"
            made = self._make(choice, untrained, place, few, lambda size: None)
            return made.size, self.measure(place, choice.engine, choice.threads)

    def make(self, choice: Choice, model: TextModel, place: Path, lowered: Callable[[int], None]) -> Made:
        """Writes the bundle of a choice.

        Args:
            choice: The choice.
            model: Of its origin.
            place: Where the bundle goes.
            lowered: Told the bytes of the program and the tokenizer, before it is verified; may raise.

        Raises:
            EdgekitError: Model, scheme and engine do not go together, or a tool failed; nothing was written.
        """
        return self._make(choice, model, place, self.data, lowered)

    def _make(
        self, choice: Choice, model: TextModel, place: Path, data: LabelledText, lowered: Callable[[int], None]
    ) -> Made:
        recipe = Recipe(
            targets=(choice.engine,),
            quantize=choice.scheme,
            max_length=self.max_length,
            buckets=choice.lengths,  # type: ignore[arg-type]
            max_drop=1.0,
            max_total_drop=1.0,
        )
        target = find_target(choice.engine)
        target.check(recipe.quant, model.architecture)
        texts = self.data.texts if recipe.buckets == AUTO or recipe.quant.calibrated else ()
        made = lower(model, [target], recipe, texts, self.settings(choice, recipe), self.listener)
        lowered(len(made.programs[0].data))
        done = verify(
            self.given,
            made.model,
            made.text,
            made.programs,
            data,
            recipe,
            self.listener,
            original_accuracy=self.original_accuracy,
        )
        write_part(place, done.part(made.history))
        accuracy = done.reports[0].accuracy
        assert accuracy is not None, "the data has labels"
        return Made(place.stat().st_size, accuracy)
