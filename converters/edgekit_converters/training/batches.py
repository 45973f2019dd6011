"""Batches of texts of like length, cut from packed rows in one step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from edgekit_converters.training.examples import Rows

WINDOW = 50
"""So many batches are filled from one random draw; more would sort better and shuffle less."""


class Batches(Dataset[dict[str, Tensor]]):
    """Rows as torch's DataLoader asks for them, a whole batch at a time."""

    def __init__(self, rows: Rows, pad_id: int) -> None:
        self.rows, self.pad_id = rows, pad_id

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """The batch of these rows; torch's DataLoader looks for this name."""
        return self.rows.batch(indices, self.pad_id)


def ready(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """The batch as it is: what a DataLoader calls to collate."""
    return batch


class Shuffled(Sampler[int]):
    """A random order in which neighbours have like lengths, anew in every epoch, by seed and epoch alone.

    Args:
        rows: What is put in order.
        batch: Rows that are processed together, those of all processes.
        seed: Of the order.
    """

    def __init__(self, rows: Rows, batch: int, seed: int) -> None:
        self._lengths, self._batch, self._seed, self._epoch = rows.lengths, batch, seed, 0

    def __len__(self) -> int:
        return len(self._lengths)

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order of that epoch, from 0; the DataLoader calls it."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        lot = np.random.default_rng((self._seed, self._epoch))
        order = lot.permutation(len(self))
        window = np.arange(len(self)) // (WINDOW * self._batch)
        order = order[np.lexsort((self._lengths[order], window))]
        whole = len(self) // self._batch * self._batch  # what is left over stays last, so that all others are whole
        batches = lot.permutation(order[:whole].reshape(-1, self._batch))
        return iter(np.concatenate([batches.ravel(), order[whole:]]).tolist())


class Sorted(Sampler[int]):
    """From the shortest row to the longest."""

    def __init__(self, rows: Rows) -> None:
        self._order = np.argsort(rows.lengths, kind="stable")

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[int]:
        return iter(self._order.tolist())
