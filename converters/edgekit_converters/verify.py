"""The original against the lowered program, on real texts, through the engine that will run it.

Three answers are compared: the checkpoint as it was given, run by its own code at its own length limit; the network
that was lowered, cut at ``max_length``; and the lowered program. See :class:`edgekit_runtime.manifest.Verification`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgekit_converters.compat import ask_older, check_same_labels, right_also_on
from edgekit_converters.data import LabelledText
from edgekit_converters.loaded import loaded
from edgekit_converters.metrics import measure
from edgekit_converters.model import TextModel
from edgekit_converters.original import accuracy_of_original, run_batches
from edgekit_converters.packing import Part
from edgekit_converters.recipe import Recipe
from edgekit_converters.sample import golden_texts, sample_texts
from edgekit_converters.targets import Lowered
from edgekit_runtime.classifier import Classifier
from edgekit_runtime.errors import GateError, GoldenMismatchError
from edgekit_runtime.golden import Golden, GoldenText, check_golden, golden_key
from edgekit_runtime.loading import default_threads
from edgekit_runtime.manifest import HistoryStep, Manifest, TextSpec, Verification
from edgekit_runtime.monitoring.pieces import PieceCounter
from edgekit_runtime.monitoring.reference import Reference, reference_of
from edgekit_runtime.prediction import softmax
from edgekit_runtime.progress import Listener
from edgekit_runtime.text import TextEncoder, load_tokenizer

LITERT = "litert"
"""The engine whose programs older runtimes run, too."""

MIN_AGREEMENT = 0.97
"""Without labels the program must give the float network's label on this share of the sample."""


@dataclass(frozen=True)
class Verified:
    """A model whose programs passed the gates. Only :func:`verify` makes one, and only this can be packed.

    Attributes:
        model: The network that was lowered.
        text: How text becomes ids.
        programs: The lowered programs.
        reports: One a program, and one more where it was run on an older runtime, too.
        golden: The texts for the bundle's self-test, with each program's logits.
        reference: How the first program's answers to labelled texts are spread, for monitors; None without such texts.
    """

    model: TextModel
    text: TextSpec
    programs: tuple[Lowered, ...]
    reports: tuple[Verification, ...]
    golden: Golden
    reference: Reference | None = None

    def part(self, history: Sequence[HistoryStep]) -> Part:
        """What is packed: the model as verified, and the stages that made it."""
        return Part(
            name=self.model.name,
            labels=self.model.labels,
            text=self.text,
            tokenizer=self.model.tokenizer.json,
            golden=self.golden,
            programs=tuple(lowered.program for lowered in self.programs),
            contents={lowered.program.file: lowered.data for lowered in self.programs},
            reports=self.reports,
            history=tuple(history),
            reference=self.reference,
        )


@dataclass(frozen=True)
class _Reference:
    """What the programs are compared with."""

    texts: Sequence[str]
    labels: Sequence[int] | None
    ids: list[list[int]]
    float_logits: NDArray[np.float32]
    accuracy_original: float | None
    truncated: float


def verify(
    given: TextModel,
    model: TextModel,
    text: TextSpec,
    programs: Sequence[Lowered],
    data: LabelledText | None,
    recipe: Recipe,
    listener: Listener,
    *,
    original_accuracy: float | None = None,
) -> Verified:
    """Runs every program on real texts and applies the gates.

    Args:
        given: The checkpoint as it was given.
        model: The network that was lowered; the same, or what distilling or pruning made of it.
        text: How text becomes ids.
        programs: The lowered programs.
        data: Labelled texts; None takes the built-in sample and compares labels with the float network.
        recipe: The gates.
        listener: Told of progress.
        original_accuracy: What the checkpoint as it was given is known to reach on the data; None runs it.

    Raises:
        GateError: A program answers too differently; the message has the figures.
        EngineError: An engine cannot run its program here.
        MissingExtraError: The recipe asks for an older runtime, whose environment is not installed.
    """
    encoder = TextEncoder(model.tokenizer.json, text)
    reference = _reference(given, model, encoder, data, listener, original_accuracy)
    vocabulary = load_tokenizer(model.tokenizer.json).get_vocab()
    chosen = golden_texts(
        lambda item: len(encoder.whole_ids_of([item])[0]), text, sorted(vocabulary, key=vocabulary.__getitem__)
    )
    golden = Golden(tuple(GoldenText(item, tuple(encoder.ids(item)), {}) for item in chosen))
    verified, classes = Verified(model, text, (), (), golden), len(model.labels)
    for lowered in programs:
        program = lowered.program
        listener.stage(f"Verifying {program.engine} on {len(reference.texts)} texts")
        with loaded(program, lowered.data, default_threads()) as engine:
            classifier = Classifier(Manifest("", model.labels, ()), engine, encoder, program)
            rows = []
            for ids in reference.ids:
                rows.append(classifier.logits(ids))
                listener.progress(len(rows), len(reference.ids))
            for item in golden.texts:
                item.logits[program.file] = tuple(float(value) for value in classifier.logits(item.ids))
            distribution = engine.distribution
        _check_again(lowered, model.labels, encoder, golden)
        logits = np.stack(rows)
        alone = replace(
            verified, programs=(lowered,), reports=(_report(program.engine, distribution, logits, reference, classes),)
        )
        _apply_gates(alone.reports[0], recipe, program.engine)
        if recipe.compat is not None and program.engine == LITERT:
            alone = _verified_on(recipe.compat, alone, logits, reference, recipe, listener)
        verified = replace(
            verified,
            programs=(*verified.programs, *alone.programs),
            reports=(*verified.reports, *alone.reports),
            reference=verified.reference or _spread(logits, reference, encoder),
        )
    return verified


def _spread(logits: NDArray[np.float32], reference: _Reference, encoder: TextEncoder) -> Reference | None:
    """How a program's answers to labelled texts are spread; the built-in sample is like nobody's texts."""
    if reference.labels is None:
        return None
    counter = PieceCounter(encoder)
    probabilities = np.array([softmax(row) for row in logits.tolist()])
    return reference_of(probabilities, [counter.count(ids) for ids in reference.ids])


def _check_again(lowered: Lowered, labels: Sequence[str], encoder: TextEncoder, golden: Golden) -> None:
    """Loads a program anew and has it answer its golden texts, as every device will.

    Raises:
        GateError: It answers otherwise than before: it computes with something that is not its own.
    """
    program = lowered.program
    with loaded(program, lowered.data, default_threads()) as engine:
        classifier = Classifier(Manifest("", tuple(labels), ()), engine, encoder, program)
        try:
            check_golden(golden, program.file, encode=encoder.ids, logits=classifier.logits, engine=engine.distribution)
        except GoldenMismatchError as error:
            raise GateError(
                f"{program.engine} answers otherwise when the program is loaded a second time, so that no device could be "
                f"trusted with it; nothing was written: try another --quantize scheme ({error})"
            ) from error


def _verified_on(
    compat: str,
    alone: Verified,
    logits: NDArray[np.float32],
    reference: _Reference,
    recipe: Recipe,
    listener: Listener,
) -> Verified:
    """A program that passed here, run on an older runtime, too, by the same gates; then it is right on both."""
    (lowered,) = alone.programs
    program = lowered.program
    listener.stage(f"Verifying {program.engine} on {compat}, in its environment, on {len(reference.texts)} texts")
    older = ask_older(compat, alone.part(()), reference.ids, listener)
    report = _report(program.engine, older.distribution, older.logits, reference, len(alone.model.labels))
    check_same_labels(older, logits, alone.golden, program.file)
    _apply_gates(report, recipe, f"{program.engine} on {older.distribution}")
    for item, row in zip(alone.golden.texts, older.golden, strict=True):
        item.logits[golden_key(program.file, compat)] = tuple(float(value) for value in row)
    listener.say(_loss(report))
    lowered = replace(lowered, program=right_also_on(compat, program))
    return replace(alone, programs=(lowered,), reports=(*alone.reports, report))


def _loss(report: Verification) -> str:
    """What an older runtime costs, in a line."""
    if report.accuracy is None or report.accuracy_float is None:
        return (
            f"{report.distribution} agrees with the float network on {report.agreement:.2%} of {report.examples} texts"
        )
    lost = report.accuracy_float - report.accuracy
    return (
        f"on {report.distribution} the accuracy is {report.accuracy:.2%}, {abs(lost) * 100:.2f} points "
        f"{'under' if lost >= 0 else 'over'} the float network's; {report.agreement:.2%} of {report.examples} labels are its"
    )


def _reference(
    given: TextModel,
    model: TextModel,
    encoder: TextEncoder,
    data: LabelledText | None,
    listener: Listener,
    accuracy_original: float | None,
) -> _Reference:
    texts: Sequence[str] = sample_texts() if data is None else data.texts
    labels = None if data is None else data.labels
    text = encoder.spec
    whole = encoder.whole_ids_of(texts)
    if labels is not None and accuracy_original is None:
        own, own_ids = _by_its_own_tokenizer(given, model, encoder, texts, whole)
        accuracy_original = accuracy_of_original(given, own, own_ids, labels, listener)
    listener.stage(f"Running the float network on {len(texts)} texts")
    ids = [encoder.cut(row) for row in whole]
    float_logits = run_batches(
        ids, model.network(), listener.progress, pad_id=text.special_ids["pad"], min_length=text.min_length
    )
    truncated = sum(len(row) > text.max_length for row in whole) / len(texts)
    return _Reference(texts, labels, ids, float_logits, accuracy_original, truncated)


def _by_its_own_tokenizer(
    given: TextModel, model: TextModel, encoder: TextEncoder, texts: Sequence[str], whole: list[list[int]]
) -> tuple[TextEncoder, list[list[int]]]:
    """The given checkpoint's cleaning and tokenizer, and the texts' ids by them, none cut."""
    ways = [(each.tokenizer.json, each.clean, each.stop_words) for each in (given, model)]
    if ways[0] == ways[1]:
        return encoder, whole
    own = TextEncoder(given.tokenizer.json, given.text_spec(encoder.spec.max_length, encoder.spec.buckets))
    return own, own.whole_ids_of(texts)


def _report(
    engine: str, distribution: str, logits: NDArray[np.float32], reference: _Reference, classes: int
) -> Verification:
    answers, expected = logits.argmax(axis=1), reference.float_logits.argmax(axis=1)
    accuracy = accuracy_float = f1 = None
    if reference.labels is not None:
        metrics = measure(reference.labels, answers.tolist(), classes)
        accuracy, f1 = metrics.accuracy, metrics.f1
        accuracy_float = float((expected == np.asarray(reference.labels)).mean())
    difference = float(np.abs(logits - reference.float_logits).max())
    return Verification(
        engine=engine,
        role="main",
        examples=len(reference.texts),
        agreement=float((answers == expected).mean()),
        max_abs_logit_diff=difference if np.isfinite(difference) else float(np.finfo(np.float32).max),
        accuracy=accuracy,
        accuracy_float=accuracy_float,
        accuracy_original=reference.accuracy_original,
        f1=f1,
        truncated=reference.truncated,
        distribution=distribution,
    )


def _apply_gates(report: Verification, recipe: Recipe, ran_by: str) -> None:
    if report.accuracy is None or report.accuracy_float is None or report.accuracy_original is None:
        if report.agreement < MIN_AGREEMENT:
            raise GateError(
                f"{ran_by} agrees with the float network on {report.agreement:.1%} of {report.examples} built-in "
                f"texts, and {MIN_AGREEMENT:.0%} are needed; nothing was written: give labelled texts with --eval, or "
                "another --quantize scheme"
            )
        return
    figures = (
        f"accuracy {report.accuracy:.2%}, float {report.accuracy_float:.2%}, original {report.accuracy_original:.2%} "
        f"on {report.examples} texts, {report.truncated:.1%} of them cut"
    )
    if report.accuracy_float - report.accuracy > recipe.max_drop:
        raise GateError(
            f"lowering to {ran_by} costs more than --max-drop {recipe.max_drop:.2%} ({figures}); nothing was written: "
            "try another --quantize scheme, or allow more"
        )
    if report.accuracy_original - report.accuracy > recipe.max_total_drop:
        raise GateError(
            f"the bundle would lose more than --max-total-drop {recipe.max_total_drop:.2%} ({figures}); nothing was "
            "written: raise --max-length if many texts are cut, or allow more"
        )
