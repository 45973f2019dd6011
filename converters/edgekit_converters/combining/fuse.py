"""Bundles become one bundle: what ``edgekit fuse`` does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgekit_converters.combining.combine import Fusion, find_cascade, write_average, write_cascade
from edgekit_converters.combining.threshold import KEEP, check_keep
from edgekit_converters.data import DataOptions, read_labelled
from edgekit_converters.packing import read_part
from edgekit_runtime.bundle import writable_file
from edgekit_runtime.errors import OptionError
from edgekit_runtime.progress import Listener, LogListener


def combine_bundles(
    bundles: Sequence[str | Path],
    out: str | Path,
    eval_data: str | Path | None = None,
    *,
    cascade: bool = False,
    keep: float = KEEP,
    data_options: DataOptions | None = None,
    listener: Listener | None = None,
) -> Fusion:
    """Makes one bundle of several.

    Args:
        bundles: Bundles of one model each.
        out: Where the new one goes; an existing file is replaced.
        eval_data: Labelled texts to measure on; a cascade needs them, held out from training, for its threshold.
        cascade: Whether the smaller of two bundles answers where it is sure, instead of all being averaged.
        keep: Of a cascade, the share of the bigger model's accuracy that it must keep.
        data_options: What ``eval_data`` does not say of itself.
        listener: Told of progress.

    Raises:
        FileError, BundleError: A bundle is missing, damaged, holds several models, or does not say how it was verified.
        OptionError: The bundles or the options do not go together.
        DataError: The data is no labelled text.
        GateError: No threshold keeps that much; nothing was written.
        EngineError: A program does not run here or answers wrongly; nothing was written.
    """
    listener = listener or LogListener()
    _check(bundles, Path(out), eval_data, data_options, cascade, keep)
    parts = [read_part(path) for path in bundles]
    data = None
    if eval_data is not None:
        data = read_labelled(eval_data, parts[0].labels, data_options, say=listener.say)
    if not cascade:
        return write_average(out, parts, data, listener=listener)
    assert data is not None
    student, main = sorted(parts, key=lambda part: part.size_bytes)
    return write_cascade(out, find_cascade(student, main, data, keep=keep, listener=listener))


def _check(
    bundles: Sequence[str | Path],
    out: Path,
    eval_data: str | Path | None,
    data_options: DataOptions | None,
    cascade: bool,
    keep: float,
) -> None:
    """Refuses before any work what cannot be done."""
    if len(bundles) < 2:
        raise OptionError(f"fuse makes one bundle of two or more, not of {len(bundles)}")
    if cascade and len(bundles) > 2:
        raise OptionError(f"a cascade is made of two bundles, not {len(bundles)}: fuse the smallest and the best one")
    if cascade and eval_data is None:
        raise OptionError("a cascade needs held-out texts for its threshold: give labelled ones with --eval")
    if cascade:
        check_keep(keep)
    elif keep != KEEP:
        raise OptionError("--keep is for a cascade: add --cascade, or drop it")
    if eval_data is None and data_options not in (None, DataOptions()):
        raise OptionError(
            "what is said of columns, labels or encoding needs data: give it with --eval, or drop those options"
        )
    writable_file(out, *bundles, eval_data)
