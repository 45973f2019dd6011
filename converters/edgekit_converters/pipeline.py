"""The whole flow: checkpoint, network, programs, proof, bundle."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edgekit_converters.budget_check import Figure, check_budget, trial_place
from edgekit_converters.calibration import check_calibration
from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
from edgekit_converters.combining.combine import STUDENT, Fusion, find_cascade, write_cascade
from edgekit_converters.compat import check_compat
from edgekit_converters.compress import Compression, compressed, held_out, planned
from edgekit_converters.data import DataOptions, LabelledText, read_labelled, read_texts, read_training_texts
from edgekit_converters.lowering import lower
from edgekit_converters.packing import Part, write_part
from edgekit_converters.recipe import Recipe
from edgekit_converters.recipe_file import RecipeFile
from edgekit_converters.recorded import record
from edgekit_converters.sample import sample_texts
from edgekit_converters.targets import find_target
from edgekit_converters.verify import verify
from edgekit_runtime.bundle import SUFFIX, open_bundle, writable_file
from edgekit_runtime.combination import MAIN
from edgekit_runtime.errors import GateError, OptionError
from edgekit_runtime.manifest import Manifest, Verification
from edgekit_runtime.progress import Listener, LogListener


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
    """Where the time of a conversion went, in seconds.

    ``compress`` is distilling, trimming and pruning; ``verify`` has what is measured for a budget, too.
    """

    load: float
    compress: float
    lower: float
    verify: float
    total: float


@dataclass(frozen=True)
class Conversion:
    """What :func:`convert` made; its JSON is what ``edgekit convert --json`` prints.

    Attributes:
        bundle: The bundle.
        bytes: Its size.
        programs: Its programs.
        verify: What verification measured, one report a program.
        cascade: How student and model answer together; null where there is no student.
        budget: What was measured of each limit on this device; null where there is no budget.
        seconds: Where the time went.
    """

    bundle: str
    bytes: int
    programs: tuple[ProgramSummary, ...]
    verify: tuple[Verification, ...]
    cascade: Fusion | None
    budget: tuple[Figure, ...] | None
    seconds: Seconds


def convert(
    path: str | Path,
    out: str | Path | None = None,
    *,
    recipe: Recipe | None = None,
    read: ReadOptions | None = None,
    compression: Compression | None = None,
    train_data: str | Path | None = None,
    unlabelled: str | Path | None = None,
    eval_data: str | Path | None = None,
    calibrate: str | Path | None = None,
    data_options: DataOptions | None = None,
    cache: Path | None = None,
    listener: Listener | None = None,
) -> Conversion:
    """Turns a fine-tuned checkpoint into a verified bundle.

    Args:
        path: The checkpoint (docs/checkpoints.md).
        out: Where the bundle goes; None puts it beside the checkpoint. An existing file is replaced.
        recipe: Settings of the conversion.
        read: What the checkpoint does not say.
        compression: What becomes of the model before it is lowered; None lowers it as it is.
        train_data: Labelled texts that distilling and pruning learn from.
        unlabelled: More texts for them.
        eval_data: Labelled texts for the accuracy gates; None compares on a built-in sample.
        calibrate: Texts, whose labels do not count, for the scheme int8-static and for buckets ``auto``.
        data_options: What the data files do not say of themselves.
        cache: Folder that keeps the model's answers to the training texts, for a later run.
        listener: Told of progress.

    Returns:
        What was made, with its measured accuracy.

    Raises:
        EdgekitError: Something is wrong with the input, or the result did not pass; nothing was written.
    """
    recipe, read, listener = recipe or Recipe(), read or ReadOptions(), listener or LogListener()
    compression, options = compression or Compression(), data_options or DataOptions()
    students = (compression.distill, compression.cascade)
    data_files = (train_data, unlabelled, eval_data, calibrate)
    out = writable_file(_place(Path(path), out), path, *data_files, *students, read.tokenizer)
    if options != DataOptions() and not any(data_files):
        raise OptionError(
            "what is said of columns, labels or encoding needs data: give it with --eval, or drop those options"
        )
    compression.check(train_data, unlabelled, cache)
    check_calibration(recipe, calibrate, eval_data)
    budget = recipe.limits
    budget.check(labelled=eval_data is not None)
    targets = [find_target(name, recipe.route) for name in recipe.targets]
    check_compat(recipe, targets)
    for target in targets:
        target.check(recipe.quant)

    begin = time.perf_counter()
    listener.stage(f"Reading {path}")
    given = read_checkpoint(path, read, listener.say)
    for target in targets:
        for architecture in compression.architectures(given):
            target.check(recipe.quant, architecture)
    data = None if eval_data is None else read_labelled(eval_data, given.labels, options, say=listener.say)
    own = () if calibrate is None else read_texts(calibrate, options, listener.say, labels=given.labels)
    lessons = None
    if train_data is not None:
        more = () if unlabelled is None else (unlabelled,)
        lessons = read_training_texts(given.labels, train_data, more, options, listener)
    train_file, more_file, eval_file, calibrate_file = (None if each is None else Path(each) for each in data_files)
    settings = record(RecipeFile(recipe, read, compression, train_file, more_file, eval_file, calibrate_file, options))
    loaded = time.perf_counter()

    models = {MAIN: given}
    if lessons is not None:
        recipe = planned(given, compression, recipe, lessons, cache)
        assert recipe.max_length is not None, "it is planned"
        models = compressed(given, compression, lessons, listener, max_length=recipe.max_length, cache=cache)
        if data is None and models[MAIN] is not given:
            listener.say("nothing compares the new model with the given one: give labelled texts with --eval")
    trained = time.perf_counter()

    texts = own or (data.texts if data else ())
    settings |= {"calibration": {"texts": len(own)}} if own else {}
    made = {role: lower(model, targets, recipe, texts, settings, listener) for role, model in models.items()}
    budget.check_programs(sum(len(each.data) for model in made.values() for each in model.programs))
    lowered = time.perf_counter()

    parts = {}
    for role, each in made.items():
        gates = recipe if role == MAIN else replace(recipe, max_total_drop=1.0)  # the cascade as a whole has that gate
        parts[role] = verify(given, each.model, each.text, each.programs, data, gates, listener).part(each.history)
    together = None
    with trial_place(out, budget) as place:
        if lessons is not None and STUDENT in parts:
            together = _write_cascade(place, parts, held_out(lessons, compression), data, compression, recipe, listener)
            together = replace(together, bundle=str(out))
        else:
            write_part(place, parts[MAIN], strip=recipe.strip)
        figures = check_budget(
            budget, place, data.texts if data else sample_texts(), _drops(parts[MAIN], together), listener
        )
    done = time.perf_counter()

    return Conversion(
        bundle=str(out),
        bytes=out.stat().st_size,
        programs=_programs(open_bundle(out).manifest),
        verify=tuple(replace(report, role=role) for role, part in parts.items() for report in part.reports),
        cascade=together,
        budget=figures or None,
        seconds=Seconds(loaded - begin, trained - loaded, lowered - trained, done - lowered, done - begin),
    )


def _write_cascade(
    out: Path,
    parts: Mapping[str, Part],
    held_out: LabelledText,
    data: LabelledText | None,
    compression: Compression,
    recipe: Recipe,
    listener: Listener,
) -> Fusion:
    """Packs student and model, with the threshold that keeps the model's accuracy."""
    try:
        found = find_cascade(parts[STUDENT], parts[MAIN], held_out, keep=compression.keep, listener=listener)
    except GateError as error:
        raise GateError(
            f"{error}; the held-out texts are a tenth of --data: more rows, more --epochs, --unlabelled texts or a lower "
            "--keep may do it"
        ) from error
    return write_cascade(out, found, data, max_total_drop=recipe.max_total_drop, strip=recipe.strip, listener=listener)


def _drops(main: Part, together: Fusion | None) -> dict[str, float]:
    """Engine to the accuracy that the bundle lost against the model as it was given; without labels there is none.

    Of an engine on two runtimes it is what is lost on this device's.
    """
    original = main.reports[0].accuracy_original
    accuracies: dict[str, float | None] = {}
    for report in main.reports:
        accuracies.setdefault(report.engine, report.accuracy)
    if together is not None and together.measured is not None:
        accuracies = {together.measured.engine: together.measured.accuracy}
    if original is None:
        return {}
    return {engine: original - accuracy for engine, accuracy in accuracies.items() if accuracy is not None}


def _programs(manifest: Manifest) -> tuple[ProgramSummary, ...]:
    return tuple(
        ProgramSummary(program.engine, program.scheme, model.role, program.file, manifest.files[program.file].bytes)
        for model in manifest.models
        for program in model.programs
    )


def _place(path: Path, out: str | Path | None) -> Path:
    """Where the bundle goes: beside the checkpoint unless told otherwise."""
    if out is None:
        return path.resolve().parent / ((path.resolve().name if path.is_dir() else path.stem) + SUFFIX)
    return Path(out)
