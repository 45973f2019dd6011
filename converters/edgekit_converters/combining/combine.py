"""Several verified models become one bundle: a cascade, or an average (docs/combining.md). It needs no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgekit_converters.combining.answers import Answers, Probabilities, answers_of
from edgekit_converters.combining.fitting import fitting
from edgekit_converters.combining.threshold import KEEP, Threshold, check_keep, find_threshold
from edgekit_converters.data import LabelledText
from edgekit_converters.packing import Part, write_parts
from edgekit_runtime import jsonio
from edgekit_runtime.combination import AVERAGE, CASCADE, MAIN, Combination
from edgekit_runtime.errors import DataError, GateError
from edgekit_runtime.manifest import HistoryStep
from edgekit_runtime.monitoring.reference import Reference, reference_of
from edgekit_runtime.progress import Listener, LogListener

STUDENT = "student"
"""The role of a cascade's first model."""

FEW = 0.1
"""A student that answers a smaller share of the texts than this makes hardly anything faster."""


@dataclass(frozen=True)
class PackedModel:
    """One model of the new bundle; ``bytes`` is the size of its programs and its tokenizer."""

    role: str
    name: str
    bytes: int


@dataclass(frozen=True)
class Measured:
    """What the models answered to the texts, each alone and together.

    Attributes:
        engine: The engine that ran them.
        examples: Number of texts.
        accuracy: Of all together; null without labels.
        accuracy_alone: Role to the accuracy of that model alone; null without labels.
        agreement: Share of texts that get the label that ``main`` alone gives.
        answered_by: Role to the share of texts that it answered; null in an average.
    """

    engine: str
    examples: int
    accuracy: float | None
    accuracy_alone: dict[str, float] | None
    agreement: float
    answered_by: dict[str, float] | None


@dataclass(frozen=True)
class Fusion:
    """What was made; its JSON is what ``edgekit fuse --json`` prints.

    Attributes:
        bundle: The new bundle.
        bytes: Its size.
        combine: How its models answer.
        models: The models, in the order in which they are asked.
        measured: What they answered; null where no texts were given.
    """

    bundle: str
    bytes: int
    combine: Combination
    models: tuple[PackedModel, ...]
    measured: Measured | None


@dataclass(frozen=True)
class FoundCascade:
    """A cascade whose threshold was found, ready to be packed. Only :func:`find_cascade` makes one.

    Attributes:
        parts: Role to model: the student, and ``main``.
        keep: What was asked of the threshold.
        found: The threshold, and what it does on the held-out texts.
        measured: What the models answered to the held-out texts.
        reference: How those answers are spread.
    """

    parts: Mapping[str, Part]
    keep: float
    found: Threshold
    measured: Measured
    reference: Reference | None


def find_cascade(
    student: Part,
    main: Part,
    held_out: LabelledText | Sequence[str],
    *,
    keep: float = KEEP,
    listener: Listener | None = None,
) -> FoundCascade:
    """Finds from which score on a student may answer instead of the bigger model.

    Args:
        student: The model that is asked first.
        main: The bigger one.
        held_out: Texts that neither was trained on; without labels it goes by agreement with the bigger model.
        keep: Share of the bigger model's accuracy, or agreement with it, that the cascade must keep.
        listener: Told of progress.

    Raises:
        OptionError: The models have other labels or no engine in common, or ``keep`` is no share.
        DataError: There are no texts.
        GateError: No threshold keeps that much; the message says what the texts can show.
        EngineError: A program does not run here.
    """
    listener = listener or LogListener()
    check_keep(keep)
    parts = fitting({STUDENT: student, MAIN: main}, listener)
    if parts[STUDENT].size_bytes >= parts[MAIN].size_bytes:
        listener.say(
            f"{student.name} is asked first, though it is no smaller than {main.name}: that will not be faster"
        )
    texts, labels = (held_out.texts, held_out.labels) if isinstance(held_out, LabelledText) else (held_out, None)
    if not texts:
        raise DataError("a cascade needs held-out texts for its threshold, and there are none")
    answers = answers_of(parts, texts, listener)
    first, last = (answers.by_role[role] for role in (STUDENT, MAIN))
    found = find_threshold(first.max(axis=1), first.argmax(axis=1), last.argmax(axis=1), labels, keep=keep)
    if found.share < FEW:
        listener.say(
            f"{student.name} is sure of {found.share:.1%} of the texts only: the cascade will hardly be faster"
        )
    measured = _measure_cascade(answers, found.threshold, labels)
    return FoundCascade(parts, keep, found, measured, _cascade_reference(answers, found.threshold))


def write_cascade(
    out: str | Path,
    cascade: FoundCascade,
    data: LabelledText | None = None,
    *,
    max_total_drop: float | None = None,
    strip: bool = False,
    listener: Listener | None = None,
) -> Fusion:
    """Packs a student and the bigger model that answers where the student is not sure.

    Args:
        out: Where the bundle goes; an existing file is replaced.
        cascade: What :func:`find_cascade` found.
        data: Labelled texts to measure on; None tells what was measured on the held-out texts.
        max_total_drop: Accuracy on ``data`` that the cascade may lose against ``main`` as it was before it was lowered, by its
            verification; None does not ask.
        strip: Whether golden texts and history are left out.
        listener: Told of progress.

    Raises:
        GateError: It loses more; nothing was written.
        EngineError: A program does not run here or answers wrongly; nothing was written.
        FileError: The place cannot be written; nothing is left behind.
    """
    measured, reference = cascade.measured, cascade.reference
    if data is not None:
        answers = answers_of(cascade.parts, data.texts, listener or LogListener())
        measured = _measure_cascade(answers, cascade.found.threshold, data.labels)
        reference = _cascade_reference(answers, cascade.found.threshold)
        if max_total_drop is not None:
            _apply_gate(measured, cascade.parts[MAIN].reports[0].accuracy_original, max_total_drop)
    combine = Combination(CASCADE, (STUDENT, MAIN), cascade.found.threshold)
    settings = {"keep": cascade.keep, "held_out": jsonio.encode(cascade.found)}
    return _write(out, cascade.parts, combine, measured, settings, reference, strip=strip)


def write_average(
    out: str | Path, members: Sequence[Part], data: LabelledText | None = None, *, listener: Listener | None = None
) -> Fusion:
    """Packs models whose probabilities are averaged; the first one is ``main``.

    Args:
        out: Where the bundle goes; an existing file is replaced.
        members: Two models or more.
        data: Labelled texts, on which each model and all together are measured; None measures nothing.
        listener: Told of progress.

    Raises:
        OptionError: The models have other labels or no engine in common, or two of them are the same.
        EngineError: A program does not run here; nothing was written.
        FileError: The place cannot be written; nothing is left behind.
    """
    listener = listener or LogListener()
    roles = (MAIN, *(f"member-{number}" for number in range(2, len(members) + 1)))
    parts = fitting(dict(zip(roles, members, strict=True)), listener)
    measured = reference = None
    if data is not None:
        answers = answers_of(parts, data.texts, listener)
        together = np.mean(list(answers.by_role.values()), axis=0)
        measured = _measure(answers, together, data.labels, None)
        reference = reference_of(together, answers.pieces[roles[0]])
        _tell_whether_it_pays(parts, measured, listener)
    return _write(out, parts, Combination(AVERAGE, roles), measured, {}, reference)


def _apply_gate(measured: Measured, original: float | None, max_total_drop: float) -> None:
    if original is None or measured.accuracy is None or original - measured.accuracy <= max_total_drop:
        return
    raise GateError(
        f"the cascade would lose more than --max-total-drop {max_total_drop:.2%} (accuracy {measured.accuracy:.2%}, original "
        f"{original:.2%} on {measured.examples} texts); nothing was written: ask it to keep more, or allow more"
    )


def _measure_cascade(answers: Answers, threshold: float, labels: Sequence[int] | None) -> Measured:
    sure, together = _cascade(answers, threshold)
    shares = {STUDENT: float(sure.mean()), MAIN: float((~sure).mean())}
    return _measure(answers, together, labels, shares)


def _cascade_reference(answers: Answers, threshold: float) -> Reference | None:
    return reference_of(_cascade(answers, threshold)[1], answers.pieces[STUDENT])


def _cascade(answers: Answers, threshold: float) -> tuple[npt.NDArray[np.bool_], Probabilities]:
    """Of which texts the student is sure, and what the two answer together."""
    first, last = (answers.by_role[role] for role in (STUDENT, MAIN))
    sure = first.max(axis=1) >= threshold
    return sure, np.where(sure[:, None], first, last)


def _measure(
    answers: Answers, together: Probabilities, labels: Sequence[int] | None, answered_by: dict[str, float] | None
) -> Measured:
    found = together.argmax(axis=1)
    accuracy = alone = None
    if labels is not None:
        accuracy = _share(found, np.asarray(labels))
        alone = {role: _share(rows.argmax(axis=1), np.asarray(labels)) for role, rows in answers.by_role.items()}
    agreement = _share(found, answers.by_role[MAIN].argmax(axis=1))
    return Measured(answers.engine, len(found), accuracy, alone, agreement, answered_by)


def _share(found: npt.NDArray[np.int64], wanted: npt.NDArray[np.int64]) -> float:
    return float((found == wanted).mean())


def _tell_whether_it_pays(parts: Mapping[str, Part], measured: Measured, listener: Listener) -> None:
    assert measured.accuracy is not None and measured.accuracy_alone is not None
    best = max(measured.accuracy_alone, key=measured.accuracy_alone.__getitem__)
    if measured.accuracy <= measured.accuracy_alone[best]:
        listener.say(
            f"on these texts fusing does not pay: {parts[best].name} alone has {measured.accuracy_alone[best]:.2%}, "
            f"all together {measured.accuracy:.2%}"
        )


def _write(
    out: str | Path,
    parts: Mapping[str, Part],
    combine: Combination,
    measured: Measured | None,
    settings: Mapping[str, object],
    reference: Reference | None,
    *,
    strip: bool = False,
) -> Fusion:
    """Packs the models; the history keeps how they were combined and what was measured."""
    models = tuple(PackedModel(role, parts[role].name, parts[role].size_bytes) for role in combine.order)
    told = {**jsonio.encode(combine), **settings, "models": jsonio.encode(models), "measured": jsonio.encode(measured)}
    path = write_parts(out, parts, combine, [HistoryStep("combine", told)], reference=reference, strip=strip)
    return Fusion(str(path), path.stat().st_size, combine, models, measured)
