"""The whole flow: checkpoint, network, programs, proof, bundle."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path

from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
from edgekit_converters.data import DataOptions, read_labelled
from edgekit_converters.progress import Listener, LogListener
from edgekit_converters.recipe import Recipe
from edgekit_converters.targets import find_target
from edgekit_converters.verify import verify, write_bundle
from edgekit_runtime.bundle import SUFFIX, writable_file
from edgekit_runtime.manifest import HistoryStep, Verification


@dataclass(frozen=True)
class ProgramSummary:
    """One program of a new bundle; ``bytes`` is its size."""

    engine: str
    scheme: str
    role: str
    file: str
    bytes: int


@dataclass(frozen=True)
class Seconds:
    """Where the time of a conversion went, in seconds."""

    load: float
    lower: float
    verify: float
    total: float


@dataclass(frozen=True)
class Conversion:
    """What :func:`convert` made; its JSON is what ``edgekit convert --json`` prints."""

    bundle: str
    bytes: int
    programs: tuple[ProgramSummary, ...]
    verify: tuple[Verification, ...]
    seconds: Seconds


def convert(
    path: str | Path,
    out: str | Path | None = None,
    *,
    recipe: Recipe | None = None,
    read: ReadOptions | None = None,
    eval_data: str | Path | None = None,
    data_options: DataOptions | None = None,
    listener: Listener | None = None,
) -> Conversion:
    """Turns a fine-tuned checkpoint into a verified bundle.

    Args:
        path: The checkpoint (docs/checkpoints.md).
        out: Where the bundle goes; None puts it beside the checkpoint. An existing file is replaced.
        recipe: Settings of the conversion.
        read: What the checkpoint does not say.
        eval_data: Labelled texts for the accuracy gates; None compares on a built-in sample.
        data_options: What ``eval_data`` does not say of itself.
        listener: Told of progress.

    Returns:
        What was made, with its measured accuracy.

    Raises:
        EdgekitError: Something is wrong with the input, or the result did not pass; nothing was written.
    """
    recipe, read, listener = recipe or Recipe(), read or ReadOptions(), listener or LogListener()
    out = _checked_out(Path(path), out)
    quant = recipe.quant
    targets = [find_target(name) for name in recipe.targets]
    for target in targets:
        target.check(quant)

    begin = time.perf_counter()
    listener.stage(f"Reading {path}")
    model = read_checkpoint(path, read, listener.say)
    text = recipe.text_spec(model, listener)
    data = None if eval_data is None else read_labelled(eval_data, model.labels, data_options)
    loaded = time.perf_counter()

    programs = []
    for target in targets:
        listener.stage(f"Lowering to {target.name}, {quant.scheme}")
        programs.append(target.lower(model.network(), text.buckets, quant, listener))
    lowered = time.perf_counter()

    verified = verify(model, model, text, programs, data, recipe, listener)
    history = (
        *model.history,
        *(HistoryStep("lower", {"target": p.program.engine, **asdict(recipe), **p.notes}, p.tools) for p in programs),
    )
    write_bundle(out, verified, history)
    done = time.perf_counter()

    return Conversion(
        bundle=str(out),
        bytes=out.stat().st_size,
        programs=tuple(
            ProgramSummary(p.program.engine, p.program.scheme, "main", p.program.file, len(p.data)) for p in programs
        ),
        verify=verified.reports,
        seconds=Seconds(loaded - begin, lowered - loaded, done - lowered, done - begin),
    )


def _checked_out(path: Path, out: str | Path | None) -> Path:
    """Where the bundle goes, refused now rather than after the work if it cannot be written."""
    if out is None:
        out = path.resolve().parent / ((path.resolve().name if path.is_dir() else path.stem) + SUFFIX)
    return writable_file(Path(out))
