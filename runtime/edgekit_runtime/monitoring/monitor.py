"""Monitor: counts a classifier's answers while it works, in memory that does not grow and at about a microsecond a text.

A text costs one tuple in a queue. Each time that 256 wait there, they are counted together, which numpy does in little time.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgekit_runtime.bundle import replacing
from edgekit_runtime.errors import OptionError
from edgekit_runtime.monitoring.drift import MIN_TEXTS, NO_REFERENCE, Drift, drift_of
from edgekit_runtime.monitoring.histogram import CONFIDENCE, LATENCY_MS, TOKENS, Histogram, count_in
from edgekit_runtime.monitoring.reference import Reference, Spread, make_reference
from edgekit_runtime.monitoring.snapshot import Counted, LabelCount, Latency, Pieces, Snapshot, Tokens, counted

WINDOW = 2000
"""Texts that are compared with the reference, the last ones."""

_WAITING = 256
_LABEL, _SCORE, _MILLISECONDS, _TOKENS, _PIECES, _UNKNOWN, _CUT = range(7)
_MEASURED = slice(_SCORE, _MILLISECONDS + 1)
_KEPT = (_LABEL, _SCORE, _TOKENS)


class Monitor:
    """Counts answers. Safe to share between threads, and between classifiers of the same labels.

    ``load(path, monitor=True)`` makes one for a classifier.

    Args:
        labels: The labels that answers may have.
        reference: What the window is compared with, such as a manifest's ``reference``; None compares nothing.
        window: How many texts are compared, the last ones; 200 or more.

    Raises:
        OptionError: The window is too short, or the reference counts other labels.
    """

    def __init__(self, labels: Sequence[str], reference: Reference | None = None, window: int = WINDOW) -> None:
        if not isinstance(window, int) or window < MIN_TEXTS:
            raise OptionError(f"a window needs {MIN_TEXTS} texts or more to tell drift from chance, not {window!r}")
        if reference is not None and len(reference.labels) != len(labels):
            raise OptionError(
                f"the reference counts {len(reference.labels)} labels, and there are {len(labels)}: take one of this bundle"
            )
        self.labels = tuple(labels)
        self.reference = reference
        self._index = {label: index for index, label in enumerate(self.labels)}
        self._since, self._began = datetime.now(timezone.utc), time.monotonic()
        self._waiting: deque[tuple[float | None, ...]] = deque()
        self._lock = threading.Lock()
        self._failures = 0
        self._by_label = np.zeros(len(self.labels), dtype=np.int64)
        self._latency, self._confidence, self._tokens = map(Histogram, (LATENCY_MS, CONFIDENCE, TOKENS))
        self._pieces = self._known_pieces = self._unknown = self._cut = 0
        self._ring = np.zeros((window, 4))
        self._seen = 0

    def observe(
        self,
        label: str,
        score: float,
        milliseconds: float,
        *,
        tokens: int,
        pieces: int,
        unknown: int | None,
        cut: bool,
    ) -> None:
        """Counts one answer; a classifier that is watched does this itself.

        Args:
            label: The answer.
            score: Its probability; one that is no finite number counts as 0.
            milliseconds: What the text took, likewise.
            tokens: Its length in tokens.
            pieces: How many of them are no special tokens.
            unknown: How many of those the tokenizer does not know; None if that cannot be said.
            cut: Whether the text was as long as ``max_length`` lets it.

        Raises:
            OptionError: There is no such label.
        """
        try:
            index = self._index[label]
        except KeyError:
            raise OptionError(f"there is no label {label!r}, only {', '.join(self.labels)}") from None
        self._waiting.append(
            (index, score, milliseconds, tokens, pieces, unknown, cut)
        )  # which threads need no lock for
        if len(self._waiting) >= _WAITING:
            with self._lock:
                self._count()

    def failed(self, texts: int = 1) -> None:
        """Counts texts that raised an error instead of being answered."""
        with self._lock:
            self._failures += texts

    def snapshot(self) -> Snapshot:
        """All that was counted up to now."""
        with self._lock:
            self._count()
            texts = int(self._by_label.sum())
            return Snapshot(
                since=self._since.isoformat(timespec="seconds"),
                seconds=time.monotonic() - self._began,
                texts=texts,
                failures=self._failures,
                latency_ms=Latency(*counted(self._latency), *map(self._latency.quantile, (0.5, 0.95, 0.99))),
                labels={
                    label: LabelCount(count, count / texts if texts else None)
                    for label, count in zip(self.labels, self._by_label.tolist(), strict=True)
                },
                confidence=Counted(*counted(self._confidence)),
                pieces=Pieces(
                    self._pieces,
                    self._unknown if self._known_pieces else None,
                    self._unknown / self._known_pieces if self._known_pieces else None,
                ),
                tokens=Tokens(*counted(self._tokens), self._cut / texts if texts else None),
                drift=self._drift(),
            )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the snapshot as JSON beside ``path`` and renames it, so that nobody reads half a file.

        Raises:
            FileError: The folder is missing or not writable, or the disk is full.
        """
        data = self.snapshot().to_json().encode()
        with replacing(Path(path)) as file:
            file.write(data)

    def reference_of_window(self) -> Reference:
        """The window's answers as a reference, for later windows to be compared with.

        Raises:
            OptionError: There are too few texts in the window.
        """
        with self._lock:
            self._count()
            label, score, tokens, unknown = self._window().T
        if len(label) < MIN_TEXTS:
            raise OptionError(f"a reference needs {MIN_TEXTS} texts or more, and the window has {len(label)}")
        return make_reference(len(self.labels), label.astype(np.int64), score, tokens, unknown)

    def _count(self) -> None:
        """Counts what waits; the lock is held."""
        rows = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not rows:
            return
        table = np.array(rows, dtype=np.float64)  # None becomes NaN
        measured = table[:, _MEASURED]
        measured[~np.isfinite(measured)] = 0.0  # else every later sum would be NaN, too, which JSON does not know
        self._by_label += np.bincount(table[:, _LABEL].astype(np.int64), minlength=len(self.labels))
        self._latency.add(table[:, _MILLISECONDS])
        self._confidence.add(table[:, _SCORE])
        self._tokens.add(table[:, _TOKENS])
        pieces, unknown = table[:, _PIECES], table[:, _UNKNOWN]
        known = ~np.isnan(unknown)
        self._pieces += int(pieces.sum())
        self._known_pieces += int(pieces[known].sum())
        self._unknown += int(unknown[known].sum())
        self._cut += int(table[:, _CUT].sum())
        kept = np.column_stack((table[:, _KEPT], unknown / np.maximum(pieces, 1)))[-len(self._ring) :]
        self._ring[(self._seen + np.arange(len(kept))) % len(self._ring)] = kept
        self._seen += len(kept)

    def _window(self) -> npt.NDArray[np.float64]:
        """A row each for the last texts: index of the label, score, tokens, share of unknown pieces; in no order."""
        return self._ring[: min(self._seen, len(self._ring))].copy()

    def _drift(self) -> Drift:
        window = self._window()
        if self.reference is None:
            return Drift(NO_REFERENCE, len(window), {}, {})
        label, score, tokens, unknown = window.T
        spread = self.reference.unknown
        labels: Sequence[int] = np.bincount(label.astype(np.int64), minlength=len(self.labels)).tolist()
        known = spread is not None and not np.isnan(unknown).any()
        return drift_of(
            {
                "labels": (self.reference.labels, labels),
                "confidence": _compared(self.reference.confidence, score),
                "tokens": _compared(self.reference.tokens, tokens),
                "unknown": _compared(spread, unknown) if spread is not None and known else None,
            },
            len(window),
        )


def _compared(spread: Spread, values: npt.NDArray[np.float64]) -> tuple[Sequence[int], Sequence[int]]:
    return spread.counts, count_in(spread.edges, values)
