"""Loading: a bundle becomes a classifier."""

from __future__ import annotations

import contextlib
import copy
import os
import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

from edgekit_runtime.bundle import Bundle, open_bundle
from edgekit_runtime.classifier import Classifier
from edgekit_runtime.combined import KINDS, same_ids
from edgekit_runtime.engines import ENGINES, engine_class
from edgekit_runtime.errors import EngineError, EngineUnavailableError, OptionError
from edgekit_runtime.golden import Golden, check_golden
from edgekit_runtime.manifest import ModelEntry, Program, TextSpec
from edgekit_runtime.monitoring.monitor import Monitor
from edgekit_runtime.text import TextEncoder
from edgekit_runtime.trial import try_program
from edgekit_runtime.trust.keys import SealingKey

T = TypeVar("T")


def load(
    path: str | os.PathLike[str],
    *,
    engine: str | None = None,
    threads: int | None = None,
    verify: bool = True,
    fallback: bool = False,
    trusted_keys: Sequence[str | os.PathLike[str] | bytes] | None = None,
    key: SealingKey = None,
    monitor: bool | Monitor = False,
    trial: bool = False,
) -> Classifier:
    """Opens a bundle for classifying.

    Args:
        path: The ``.edgekit`` file. What is read of it is always compared with its checksums.
        engine: Name of the engine; None takes the first that is installed and that the bundle has a program for.
        threads: Upper bound on the threads of one call; None takes the processors at hand, at most 4.
        verify: Whether the engine must answer the bundle's golden texts rightly first.
        fallback: Whether an engine that fails is passed over, with a warning, for the next.
        trusted_keys: Public keys, as paths of PEM files or as their contents, one of which must have signed the bundle; None
            asks for no signature (docs/security.md).
        key: What opens a sealed bundle: the path of a key file, the 32 bytes, a function that gives them for a key id, or
            None for what EDGEKIT_KEY or EDGEKIT_KEY_FILE says.
        monitor: Whether the answers are counted, by ``Classifier.monitor`` (docs/monitoring.md); or what counts them, which
            several classifiers of the same labels may share.
        trial: Whether a process of its own loads the program first, so that one that crashes, hangs or eats memory is an
            error here: for bundles of others. It costs a start of Python, and the load a second time.

    Of several models that answer as one, all this goes for each.

    Raises:
        FileError, BundleError: The file is missing, damaged, no bundle, or of a newer schema.
        BundleSignatureError: No trusted key signed it, or its signature is wrong.
        SealError: It is sealed, and there is no key, or a wrong one, or its programs were changed.
        EngineUnavailableError: No engine can run it here, or not the one asked for.
        GoldenMismatchError: The engine answers wrongly.
        OptionError: ``threads`` is below 1, or the monitor has other labels.
    """
    if threads is not None and (not isinstance(threads, int) or threads < 1):
        raise OptionError(f"threads must be a whole number of 1 or more, not {threads!r}")
    bundle = open_bundle(path, trusted_keys=trusted_keys, key=key)
    members: list[Classifier] = []
    with contextlib.ExitStack() as opened:
        for entry in bundle.manifest.answering:
            chosen = _tried(bundle, entry, engine, threads, fallback=fallback) if trial else engine
            encoder = _encoder(bundle, entry.text, members)
            members.append(_load_model(bundle, entry, encoder, chosen, threads, verify=verify, fallback=fallback))
            opened.callback(members[-1].close)
        combine = bundle.manifest.combine
        classifier = members[0] if combine is None else KINDS[combine.kind](bundle.manifest, members)
        if monitor is not False:
            watching = Monitor(classifier.labels, bundle.manifest.reference) if monitor is True else monitor
            classifier.watch(watching)
        opened.pop_all()
    return classifier


def load_alone(bundle: Bundle, role: str, *, engine: str | None = None, threads: int | None = None) -> Classifier:
    """One model of an open bundle by itself, its golden texts answered.

    Raises:
        As :func:`load`.
    """
    entry = next(entry for entry in bundle.manifest.models if entry.role == role)
    return _load_model(bundle, entry, _encoder(bundle, entry.text, ()), engine, threads, verify=True, fallback=False)


def default_threads() -> int:
    """Threads that ``load`` uses unless told: the processors that this process may use, at most 4."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(4, available)


def threads_used(threads: int | None) -> int:
    """Threads that ``load`` uses where it is asked for so many: no more than the machine has processors."""
    return min(default_threads() if threads is None else threads, os.cpu_count() or 1)


def check_answers(bundle: Bundle, classifier: Classifier) -> None:
    """Has a classifier of one model answer the model's golden texts, as ``load`` does.

    Raises:
        GoldenMismatchError: It answers otherwise than at conversion.
    """
    entry = next(entry for entry in bundle.manifest.models if entry.role == classifier.role)
    check_golden(
        read_golden(bundle, entry),
        classifier.program.file,
        encode=classifier.encoder.ids,
        logits=classifier.logits,
        engine=classifier.engine.distribution,
    )


def read_golden(bundle: Bundle, entry: ModelEntry) -> Golden:
    """The golden texts of a model."""
    return Golden.from_bytes(bundle.read(entry.golden), entry.golden)


def chosen_program(bundle: Bundle, entry: ModelEntry, engine: str | None = None) -> Program:
    """The program of a model that ``load`` takes first.

    Raises:
        EngineUnavailableError: No engine can run it here, or not the one asked for.
    """
    return _candidates(bundle, entry, engine)[0]


def _candidates(bundle: Bundle, entry: ModelEntry, wanted: str | None) -> list[Program]:
    """Programs whose engine works here, the preferred one first."""
    offered = [program.engine for program in entry.programs]
    if wanted is not None:
        chosen = [program for program in entry.programs if program.engine == wanted]
        reason = engine_class(wanted).unavailable()
        if reason:
            raise EngineUnavailableError(reason)
        if not chosen:
            raise EngineUnavailableError(
                f"{_named(bundle, entry)} has no program for {wanted}, only for {', '.join(offered)}: "
                f"convert it with --target {wanted}, or choose one of those"
            )
        return chosen
    order = list(ENGINES)
    ranked = sorted(entry.programs, key=lambda p: order.index(p.engine) if p.engine in order else len(order))
    reasons, usable = [], []
    for program in ranked:
        try:
            reason = engine_class(program.engine).unavailable()
        except EngineUnavailableError as error:
            reason = str(error)
        if reason:
            reasons.append(reason)
        else:
            usable.append(program)
    if not usable:
        raise EngineUnavailableError(f"nothing here runs {_named(bundle, entry)}: " + "; ".join(reasons))
    return usable


def _named(bundle: Bundle, entry: ModelEntry) -> str:
    """The bundle, for messages; of several models also the one that is meant."""
    return str(bundle.path) if len(bundle.manifest.models) == 1 else f"the model {entry.role!r} of {bundle.path}"


def _encoder(bundle: Bundle, spec: TextSpec, members: Sequence[Classifier]) -> TextEncoder:
    """What turns text into ids; where a model before has the same ids, with its tokenizer, which is in memory already."""
    for member in members:
        if same_ids(member.encoder.spec, spec):
            encoder = copy.copy(member.encoder)
            encoder.spec = spec
            return encoder
    return TextEncoder(bundle.read(spec.tokenizer), spec)


def _load_model(
    bundle: Bundle,
    entry: ModelEntry,
    encoder: TextEncoder,
    engine: str | None,
    threads: int | None,
    *,
    verify: bool,
    fallback: bool,
) -> Classifier:
    """Loads the first program of a model that answers."""
    threads = threads_used(threads)
    candidates = _candidates(bundle, entry, engine)
    return _first(candidates, lambda each: _load_program(bundle, entry, each, encoder, threads, verify), fallback)


def _tried(bundle: Bundle, entry: ModelEntry, engine: str | None, threads: int | None, *, fallback: bool) -> str:
    """The engine of the first program of a model that a process of its own could load and run."""

    def attempt(program: Program) -> str:
        try_program(bundle, entry.role, program.engine, threads)
        return program.engine

    return _first(_candidates(bundle, entry, engine), attempt, fallback)


def _first(candidates: Sequence[Program], attempt: Callable[[Program], T], fallback: bool) -> T:
    """What an attempt gives with the first program that works; an engine's failure is passed over only where asked for."""
    for position, program in enumerate(candidates):
        try:
            return attempt(program)
        except EngineError as error:
            if not fallback or position + 1 == len(candidates):
                raise
            warnings.warn(f"engine {program.engine} is passed over: {error}", RuntimeWarning, stacklevel=4)
    raise AssertionError("unreachable: there is at least one candidate")


def _load_program(
    bundle: Bundle, entry: ModelEntry, program: Program, encoder: TextEncoder, threads: int, verify: bool
) -> Classifier:
    engine = engine_class(program.engine).load(program, bundle.part(program.file), threads)
    classifier = Classifier(bundle.manifest, engine, encoder, program, entry.role)
    if verify:
        try:
            check_answers(bundle, classifier)
        except BaseException:
            classifier.close()
            raise
    return classifier
