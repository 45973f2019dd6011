"""The whole flow: checkpoint, network, programs, proof, bundle."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from edgekit_converters.buckets import fit_buckets
from edgekit_converters.calibration import check_calibration, choose_samples
from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
from edgekit_converters.data import DataOptions, read_labelled, read_rows
from edgekit_converters.progress import Listener, LogListener
from edgekit_converters.recipe import Recipe
from edgekit_converters.recipe_file import RecipeFile
from edgekit_converters.recorded import record
from edgekit_converters.targets import find_target
from edgekit_converters.verify import verify, write_bundle
from edgekit_runtime.bundle import SUFFIX, writable_file
from edgekit_runtime.errors import OptionError
from edgekit_runtime.manifest import HistoryStep, Verification
from edgekit_runtime.text import TextEncoder


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
    calibrate: str | Path | None = None,
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
        calibrate: Texts, whose labels do not count, for the scheme int8-static and for buckets ``auto``.
        data_options: What ``eval_data`` and ``calibrate`` do not say of themselves.
        listener: Told of progress.

    Returns:
        What was made, with its measured accuracy.

    Raises:
        EdgekitError: Something is wrong with the input, or the result did not pass; nothing was written.
    """
    recipe, read, listener = recipe or Recipe(), read or ReadOptions(), listener or LogListener()
    out = _checked_out(Path(path), out)
    _keep_inputs(out, path, eval_data, calibrate, read.tokenizer)
    if data_options is not None and data_options != DataOptions() and eval_data is None and calibrate is None:
        raise OptionError(
            "what is said of columns, labels or encoding needs data: give it with --eval, or drop those options"
        )
    quant = recipe.quant
    check_calibration(recipe, calibrate, eval_data)
    targets = [find_target(name) for name in recipe.targets]
    for target in targets:
        target.check(quant)

    begin = time.perf_counter()
    listener.stage(f"Reading {path}")
    model = read_checkpoint(path, read, listener.say)
    for target in targets:
        target.check(quant, model.architecture)
    data = None if eval_data is None else read_labelled(eval_data, model.labels, data_options, say=listener.say)
    own = () if calibrate is None else read_rows(calibrate, data_options, labels=model.labels, say=listener.say)
    texts = tuple(row.text for row in own) or (data.texts if data else ())
    eval_path, calibrate_path = (None if path is None else Path(path) for path in (eval_data, calibrate))
    settings = record(RecipeFile(recipe, read, eval_path, calibrate_path, data_options or DataOptions()))
    recipe = fit_buckets(recipe, model, texts, listener)
    text = recipe.text_spec(model, listener)
    if quant.calibrated:
        quant = replace(quant, calibration=choose_samples(TextEncoder(model.tokenizer.json, text), texts))
    settings |= {"resolved": {"max_length": text.max_length, "buckets": text.buckets}}
    if calibrate is not None:
        settings |= {"calibration": {"texts": len(texts), "samples": len(quant.calibration)}}
    loaded = time.perf_counter()

    programs = []
    for target in targets:
        listener.stage(f"Lowering to {target.name}, {quant.scheme}")
        programs.append(target.lower(model.network(), text.buckets, quant, listener))
    lowered = time.perf_counter()

    verified = verify(model, model, text, programs, data, recipe, listener)
    history = (
        *model.history,
        *(HistoryStep("lower", {"target": p.program.engine, **p.notes, **settings}, p.tools) for p in programs),
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


def _keep_inputs(out: Path, *inputs: str | Path | None) -> None:
    """Refuses to write over what is read."""
    for given in inputs:
        if given is not None and out.exists() and Path(given).exists() and out.samefile(given):
            raise OptionError(
                f"{out} is read by this conversion and would be replaced by the bundle: give another --out"
            )


def _checked_out(path: Path, out: str | Path | None) -> Path:
    """Where the bundle goes, refused now rather than after the work if it cannot be written."""
    if out is None:
        out = path.resolve().parent / ((path.resolve().name if path.is_dir() else path.stem) + SUFFIX)
    return writable_file(Path(out))
