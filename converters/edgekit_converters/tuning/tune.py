"""The search: tries ways to a bundle, cheap ones first, measures each, and keeps the best."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from edgekit_converters.budget import Budget
from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
from edgekit_converters.data import DataOptions, LabelledText, read_labelled, read_training_texts
from edgekit_converters.model import TextModel
from edgekit_converters.original import accuracy_of_original
from edgekit_converters.recipe import Recipe
from edgekit_converters.training import processes
from edgekit_converters.tuning.choice import CHECKPOINT, MODEL, Choice
from edgekit_converters.tuning.folder import check_folder, claim_folder, made_folder
from edgekit_converters.tuning.front import best_of, front_of, nearest_of
from edgekit_converters.tuning.history import settings_of
from edgekit_converters.tuning.identity import identity_of
from edgekit_converters.tuning.measuring import measure_here
from edgekit_converters.tuning.origins import Origins
from edgekit_converters.tuning.record import Record
from edgekit_converters.tuning.results import COMPLETE, Measured, TrialResult, Tuned
from edgekit_converters.tuning.space import space_of
from edgekit_converters.tuning.stopping import TimeUpError
from edgekit_converters.tuning.trial import Bench, sweep
from edgekit_converters.tuning.workshop import Measure, Workshop
from edgekit_runtime.errors import OptionError, require
from edgekit_runtime.profiling.device import describe_device
from edgekit_runtime.profiling.latency import check_pace, spread
from edgekit_runtime.progress import Listener, LogListener
from edgekit_runtime.text import TextEncoder

__all__ = ["Measure", "Measured", "tune"]

TIMED_TEXTS = 200
"""So many of the evaluation texts are timed, evenly from all over the list."""


def tune(
    path: str | Path,
    out: str | Path,
    *,
    data: str | Path | None,
    eval_data: str | Path,
    budget: str,
    unlabelled: str | Path | None = None,
    students: Sequence[str] | None = None,
    prune: Sequence[float] | None = None,
    schemes: Sequence[str] | None = None,
    engines: Sequence[str] | None = None,
    buckets: Sequence[str] | None = None,
    threads: Sequence[int] | None = None,
    max_length: int | None = None,
    trials: int | None = None,
    minutes: float | None = None,
    storage: str | None = None,
    study: str = "edgekit",
    cache: Path | None = None,
    read: ReadOptions | None = None,
    data_options: DataOptions | None = None,
    seed: int = 42,
    epochs: int | None = None,
    copies: int | None = None,
    seconds: float = 3.0,
    measure: Measure | None = None,
    measured_on: str = "",
    listener: Listener | None = None,
) -> Tuned:
    """Searches for the bundle that suits a budget.

    Args:
        path: The checkpoint (docs/checkpoints.md).
        out: Folder of the study, and of no other: ``study.log``, ``trials/NNNN.edgekit`` and more; an existing study goes on.
        data: Labelled texts that students and pruned models learn from; None tries neither.
        eval_data: Labelled texts for the accuracy and the latency.
        budget: Such as ``p95<=2ms,bytes<=4MB``.
        unlabelled: More texts to learn from.
        students: Names of students, TOML files and trained checkpoints (.pt); None takes all students that suit the model.
        prune: Shares that are tried on the model itself, which then learns again; None takes 0.5 where there is ``data``, and 0
            means none.
        schemes: Those that are tried; None takes ``int8``, ``int4``, ``fp16`` and ``none`` where an engine has them.
        engines: None takes those that are installed.
        buckets: Each ``default``, ``auto`` or lengths; None takes ``default`` and ``auto``.
        threads: None takes 1 and as many as there are processors, at most 4.
        max_length: Longest text in tokens; None takes 128, or less where the model takes less.
        trials: The most trials of this call; None is as many as there are choices.
        minutes: After which no new trial is begun, and a training stops where it is, for the next call to go on with; None is no
            limit.
        storage: URL of the database, as optuna takes it, that workers share: ``sqlite:///…`` or ``mysql://…``; None takes a
            journal in ``out``, which several processes of one machine may share.
        study: Name of the study in the storage.
        cache: Folder that keeps the teacher's answers and trained students; None takes ``out/cache``.
        read: What the checkpoint does not say.
        data_options: What the data files do not say of themselves.
        seed: Of everything random.
        epochs: Passes over the data in each training; None takes what suits each student.
        copies: New texts that are made of each text; None takes what suits each student.
        seconds: How long each bundle is timed.
        measure: Measures a bundle elsewhere, on a phone for example; None measures on this device.
        measured_on: Names that device; a study goes on only with the same.
        listener: Told of progress.

    Returns:
        All trials of the study, the front and the best.

    Raises:
        OptionError: Something in the request makes no sense, or the study is another one's.
        EdgekitError: Checkpoint or data cannot be read.
        KeyboardInterrupt: Ctrl-C; the study is kept and can be resumed.
    """
    began, listener = time.monotonic(), listener or LogListener()
    limits, read, options = Budget.parse(budget), read or ReadOptions(), data_options or DataOptions()
    limits.check(labelled=True)
    check_pace(seconds)
    _check_request(trials, minutes, unlabelled, data)
    require("optuna", extra="tune", purpose="edgekit tune")
    from edgekit_converters.tuning.walk import Walk

    out = Path(out)
    check_folder(out, study, storage)
    listener.stage(f"Reading {path}")
    given = read_checkpoint(path, read, listener.say)
    dev = read_labelled(eval_data, given.labels, options, say=listener.say)
    texts = None
    if data is not None:
        more = () if unlabelled is None else (unlabelled,)
        texts = read_training_texts(given.labels, data, more, options, listener)
    length = given.default_max_length if max_length is None else max_length
    Recipe(max_length=length).text_spec(given, listener)
    space = space_of(
        given,
        learns=texts is not None,
        students=students,
        checkpoints=_checkpoints(students, given, listener),
        prune=prune,
        schemes=schemes,
        engines=engines,
        buckets=buckets,
        threads=threads,
    )
    if any(origin.prune is not None or origin.source != MODEL for origin in space.origins):
        for package in ("transformers", "accelerate", "sklearn"):
            require(package, extra="train", purpose="distilling and pruning")
    origins = Origins(
        given,
        texts,
        space.checkpoints,
        cache=cache or out / "cache",
        max_length=length,
        seed=seed,
        epochs=epochs,
        copies=copies,
    )
    identity = identity_of(given, dev, texts, space, limits, repr([length, seed, epochs, copies, seconds]), measured_on)
    with made_folder(out):
        record = Record(out, storage, study, space, identity, lambda made: Walk(made, origins.cost, seed))
        claim_folder(out, study, storage)
    origins.prepare()
    sweep(out, record.fail_dead())
    before = record.seen().results
    deadline = math.inf if minutes is None else began + 60 * minutes

    def settings(choice: Choice, recipe: Recipe) -> Mapping[str, Any]:
        return settings_of(choice, recipe, read, options, (data, unlabelled, eval_data), (seed, epochs, copies))

    original = _original_accuracy(record, given, dev, length, listener)
    workshop = Workshop(
        given,
        dev,
        original,
        length,
        settings,
        measure
        or partial(
            measure_here,
            texts=spread(dev.texts, TIMED_TEXTS),
            seconds=seconds,
            memory="rss" in limits,
            lock=out / "measure.lock",
        ),
        listener,
    )
    bench = Bench(out, record, origins, workshop, limits, lambda: time.monotonic() > deadline, listener)
    exhausted = _search(record, bench, trials, deadline, listener)
    found = record.seen().results
    best = best_of(found)
    return Tuned(
        budget=budget,
        original_accuracy=original,
        examples=len(dev.texts),
        trials=found,
        front=front_of(found),
        best=best,
        nearest=nearest_of(found, limits, original) if best is None else None,
        space=len(space.choices),
        exhausted=exhausted,
        resumed=len(before),
        seconds=round(time.monotonic() - began, 3),
        study=study,
        storage=record.where,
        device=describe_device(),
    )


def _search(record: Record, bench: Bench, trials: int | None, deadline: float, listener: Listener) -> bool:
    """Tries choices until none is left, or the trials or the time are used up; whether none is left."""
    done = 0
    while (trials is None or done < trials) and time.monotonic() < deadline:
        with record.claimed() as claim:
            if claim is None:
                break
            trial, choice = claim
            if record.twice(trial, choice):
                continue
            listener.stage(f"Trial {trial.number}: {choice}")
            try:
                listener.say(_told(bench.run(trial, choice)))
            except TimeUpError:
                listener.say(f"trial {trial.number}: the time is up; the next call goes on with its training")
                break
        done += 1
    seen = record.seen()
    return not seen.running and not seen.open(record.space)


def _told(result: TrialResult) -> str:
    """A trial in a line."""
    if result.state != COMPLETE:
        return f"trial {result.number}: {result.choice}: {result.state}: {result.reason}"
    assert result.accuracy is not None and result.bytes is not None and result.p95_ms is not None, "it is complete"
    verdict = "within the budget" if result.within else f"outside the budget: {result.reason}"
    return (
        f"trial {result.number}: {result.choice}: accuracy {result.accuracy:.2%}, p95 {result.p95_ms:.3g} ms, "
        f"{result.bytes / 1e6:.3g} MB, {verdict}"
    )


def _check_request(
    trials: int | None, minutes: float | None, unlabelled: str | Path | None, data: str | Path | None
) -> None:
    if trials is not None and trials < 1:
        raise OptionError(f"--trials must be 1 or more, not {trials}")
    if minutes is not None and not 0 < minutes < math.inf:
        raise OptionError(f"--minutes must be over 0, not {minutes:g}")
    if unlabelled is not None and data is None:
        raise OptionError("--unlabelled is learned from beside labelled texts: give those with --data")
    if processes.world_size() > 1:
        raise OptionError("tune runs in one process: start it several times with one --storage instead of torchrun")


def _checkpoints(students: Sequence[str] | None, given: TextModel, listener: Listener) -> dict[str, TextModel]:
    """The trained models among the students."""
    found = {}
    for name in students or ():
        if Path(name).suffix == CHECKPOINT:
            found[name] = read_checkpoint(name, ReadOptions(), listener.say)
            if found[name].labels != given.labels:
                raise OptionError(
                    f"{name} has the labels {', '.join(found[name].labels)} and the model {', '.join(given.labels)}: "
                    "give a student of this model"
                )
    return found


def _original_accuracy(record: Record, given: TextModel, dev: LabelledText, length: int, listener: Listener) -> float:
    """Of the checkpoint as it was given, at its own length limit; the study keeps it."""
    known: float | None = record.study.user_attrs.get("original_accuracy")
    if known is None:
        encoder = TextEncoder(given.tokenizer.json, given.text_spec(length, (length,)))
        known = accuracy_of_original(given, encoder, encoder.whole_ids_of(dev.texts), dev.labels, listener)
        record.study.set_user_attr("original_accuracy", known)
    return known
