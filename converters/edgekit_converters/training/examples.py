"""Examples for training: split, as token ids, and packed so that a million of them stay lean."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgekit_converters.model import TextModel
from edgekit_converters.training.settings import TrainSettings
from edgekit_runtime.errors import DataError, require
from edgekit_runtime.text import TextEncoder

Row = Mapping[str, Any]
"""``input_ids``: list of int, and ``labels``: int or ``targets``: sequence of float, or both."""


@dataclass(frozen=True)
class Split:
    """Indices of the examples of each part, every class in the same proportion.

    Attributes:
        train: What is trained on.
        held_out: What chooses the best epoch.
        test: What nothing is chosen by; empty where the settings ask for none.
    """

    train: list[int]
    held_out: list[int]
    test: list[int]


def split(classes: Sequence[int], settings: TrainSettings) -> Split:
    """Divides examples by the seed: ``settings.held_out``, ``settings.test`` where there is one, and the rest.

    With ``settings.limit`` only so many examples are divided, chosen by the seed.

    Raises:
        DataError: There is one class, or there are too few examples for every class to be in every part.
    """
    selection = require("sklearn.model_selection", extra="train", purpose="training")
    share: float = getattr(settings, "test", 0.0)
    rest: list[int] = list(range(len(classes)))
    if settings.limit is not None and settings.limit < len(rest):
        rest = sorted(np.random.default_rng(settings.seed).permutation(len(rest))[: settings.limit].tolist())
    count = len(rest)
    if len({classes[index] for index in rest}) == 1:
        raise DataError(f"all {count} examples have one class; a classifier needs examples of two classes or more")
    parts: list[list[int]] = []
    for part in (settings.held_out, share):
        if not part:
            parts.append([])
            continue
        try:
            rest, drawn = selection.train_test_split(
                rest,
                test_size=math.ceil(round(part * count, 6)),
                stratify=[classes[index] for index in rest],
                random_state=settings.seed,
            )
        except ValueError as error:
            shares = f"{settings.held_out:.0%} held out" + (f" and {share:.0%} to test" if share else "")
            raise DataError(
                f"{count} examples cannot be split into a training part, {shares} with every class in each: the rarest class "
                f"has {min(Counter(classes[index] for index in rest).values())}; give more examples"
            ) from error
        parts.append(drawn)
    return Split(rest, *parts)


def encode(texts: Sequence[str], model: TextModel, max_length: int) -> list[list[int]]:
    """Token ids of texts as the device will make them: cleaned, tokenized, cut at ``max_length``."""
    return TextEncoder(model.tokenizer.json, model.text_spec(max_length, (max_length,))).ids_of(texts)


class Rows(Sequence[Row]):
    """Examples in a few arrays, of which a batch is cut in one step.

    Args:
        ids: Token ids of each text.
        labels: Class id of each; None if there are none.
        targets: (rows, classes) float32, what a teacher says of each; None if there are none.
    """

    def __init__(
        self,
        ids: Sequence[Sequence[int]],
        labels: Sequence[int] | None = None,
        targets: Sequence[Sequence[float]] | NDArray[np.float32] | None = None,
    ) -> None:
        self.lengths: NDArray[np.int64] = np.fromiter(map(len, ids), np.int64, len(ids))
        self._ends = np.cumsum(self.lengths)
        total = int(self._ends[-1]) if len(ids) else 0
        self._ids = np.fromiter((number for row in ids for number in row), np.int32, total)
        self._labels = None if labels is None else np.asarray(labels, np.int64)
        self._targets = None if targets is None else np.asarray(targets, np.float32)

    def __len__(self) -> int:
        return len(self.lengths)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        end = int(self._ends[index])
        row: dict[str, Any] = {"input_ids": self._ids[end - int(self.lengths[index]) : end].tolist()}
        if self._labels is not None:
            row["labels"] = int(self._labels[index])
        if self._targets is not None:
            row["targets"] = self._targets[index].tolist()
        return row

    def __iter__(self) -> Iterator[Row]:
        return (self[index] for index in range(len(self)))

    def batch(self, indices: Sequence[int], pad_id: int) -> dict[str, Tensor]:
        """Those rows as a module takes them: ``input_ids`` and ``attention_mask`` (B, L) int64, and what else there is."""
        chosen = np.asarray(indices, np.int64)
        lengths = self.lengths[chosen]
        steps = np.arange(max(1, int(lengths.max(initial=0))))
        inside = steps < lengths[:, None]
        ids = np.full(inside.shape, pad_id, np.int64)
        ids[inside] = self._ids[((self._ends[chosen] - lengths)[:, None] + steps)[inside]]
        made = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(inside.astype(np.int64))}
        if self._labels is not None:
            made["labels"] = torch.from_numpy(self._labels[chosen])
        if self._targets is not None:
            made["targets"] = torch.from_numpy(self._targets[chosen])
        return made

    def arrays(self) -> Iterator[NDArray[Any]]:
        """Everything in it, for a checksum."""
        yield from (part for part in (self.lengths, self._ids, self._labels, self._targets) if part is not None)


def rows(
    ids: Sequence[Sequence[int]],
    labels: Sequence[int] | None = None,
    targets: Sequence[Sequence[float]] | NDArray[np.float32] | None = None,
) -> Rows:
    """Examples of token ids with class ids, with what a teacher says, or with both."""
    return Rows(ids, labels, targets)


def packed(examples: Sequence[Row]) -> Rows:
    """The same examples as Rows."""
    if isinstance(examples, Rows):
        return examples
    return Rows(
        [row["input_ids"] for row in examples],
        [row["labels"] for row in examples] if examples and "labels" in examples[0] else None,
        [row["targets"] for row in examples] if examples and "targets" in examples[0] else None,
    )
