"""History: what a bundle tells of the choice that made it, as it tells of a conversion."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekit_converters.checkpoint import ReadOptions
from edgekit_converters.compress import Compression
from edgekit_converters.data import DataOptions
from edgekit_converters.recipe import Recipe
from edgekit_converters.recipe_file import RecipeFile
from edgekit_converters.recorded import record
from edgekit_converters.tuning.choice import CHECKPOINT, MODEL, Choice


def settings_of(
    choice: Choice,
    recipe: Recipe,
    read: ReadOptions,
    options: DataOptions,
    files: tuple[str | Path | None, ...],
    training: tuple[int, int | None, int | None],
) -> Mapping[str, Any]:
    """The settings.

    Args:
        choice: The choice.
        recipe: By which it is lowered.
        read: As of ``tune``; so are those that follow.
        options: Of the data files.
        files: Those of ``data``, ``unlabelled`` and ``eval_data``.
        training: ``seed``, ``epochs`` and ``copies``.
    """
    seed, epochs, copies = training
    learns = choice.source != MODEL and Path(choice.source).suffix != CHECKPOINT
    compression = Compression(
        distill=choice.source if learns else None,
        trim_vocab=True if choice.trim_vocab else None,
        prune=choice.prune,
        epochs=epochs if learns or choice.prune is not None else None,
        copies=copies if learns else None,
        seed=seed,
    )
    data, unlabelled, dev = (None if file is None else Path(file) for file in files)
    if not compression.wanted:
        data = unlabelled = None
    return record(RecipeFile(recipe, read, compression, data, unlabelled, dev, None, options))
