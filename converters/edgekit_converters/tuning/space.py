"""Space: every way to a bundle that model, data and installed tools allow, the plain ones first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from edgekit_converters.distillation.students import STUDENTS, BertStudent, find_student
from edgekit_converters.model import TextModel
from edgekit_converters.networks.bert import BertConfig
from edgekit_converters.pruning.prune import check_ratio
from edgekit_converters.quantspec import QuantSpec
from edgekit_converters.recipe import AUTO
from edgekit_converters.targets import TARGETS, find_target
from edgekit_converters.tuning.choice import CHECKPOINT, DEFAULT, MODEL, Choice, Origin
from edgekit_runtime.engines import engine_class
from edgekit_runtime.errors import EngineUnavailableError, MissingExtraError, OptionError
from edgekit_runtime.loading import default_threads

SCHEMES = ("int8", "int4", "fp16", "none")
"""Those that are tried unless told."""

PRUNED = (0.5,)
"""Shares of the model's units that are taken away unless told."""


@dataclass(frozen=True)
class Space:
    """What is searched.

    Attributes:
        choices: All choices, those of one origin together and the plain ones first: the first scheme and buckets on every
            engine, then the next.
        checkpoints: Source to the trained model, of the sources that are files of such.
    """

    choices: tuple[Choice, ...]
    checkpoints: Mapping[str, TextModel]

    @property
    def origins(self) -> tuple[Origin, ...]:
        """The origins, in order."""
        return tuple(dict.fromkeys(choice.origin for choice in self.choices))

    @property
    def values(self) -> dict[str, list[str | float | int | bool | None]]:
        """Field of a choice to the values that it takes."""
        return {
            field: list(dict.fromkeys(getattr(choice, field) for choice in self.choices))
            for field in Choice.__dataclass_fields__
        }


def space_of(
    model: TextModel,
    *,
    learns: bool,
    students: Sequence[str] | None,
    checkpoints: Mapping[str, TextModel],
    prune: Sequence[float] | None,
    schemes: Sequence[str] | None,
    engines: Sequence[str] | None,
    buckets: Sequence[str] | None,
    threads: Sequence[int] | None,
) -> Space:
    """The space of a request.

    Args:
        model: The model as it was given.
        learns: Whether there are texts to learn from.
        students: As of ``tune``.
        checkpoints: Those of the students that are files of trained models, read.
        prune: As of ``tune``.
        schemes: As of ``tune``; so are those that follow.
        engines: Engines.
        buckets: Buckets.
        threads: Thread counts.

    Raises:
        OptionError: Something is unknown, or needs texts to learn from; or nothing is left to try.
        MissingExtraError: The tools of an engine that was asked for are not installed.
        EngineUnavailableError: An engine that was asked for does not run here.
    """
    named = _students(model, students, learns=learns)
    if prune is not None:
        prune = [ratio for ratio in prune if ratio]
    if prune and not learns:
        raise OptionError("--prune learns from texts: give labelled ones with --data")
    for ratio in prune or ():
        check_ratio(model.config, ratio)
    if prune is None:
        prune = PRUNED if learns and _can_lose(model, PRUNED[0]) else ()
    architectures: dict[Origin, str] = {Origin(MODEL, None, False): model.architecture}
    if learns:
        architectures[Origin(MODEL, None, True)] = model.architecture
    for name in named:
        if name in checkpoints:
            architectures[Origin(name, None, False)] = checkpoints[name].architecture
        else:
            architectures[Origin(name, None, False)] = "bert" if isinstance(find_student(name), BertStudent) else "cnn"
    architectures |= {Origin(MODEL, ratio, True): model.architecture for ratio in prune}
    wanted = _engines(engines)
    lengths = tuple(map(_buckets, buckets or (DEFAULT, AUTO)))
    counts = tuple(dict.fromkeys(threads or (1, default_threads())))
    if any(count < 1 for count in counts):
        raise OptionError(f"--threads are whole numbers of 1 or more, not {', '.join(map(str, counts))}")
    choices = [
        Choice(*origin, scheme, engine, bucket, count)
        for origin, architecture in architectures.items()
        for scheme, bucket, count, engine in product(schemes or SCHEMES, lengths, counts, wanted)
        if _possible(engine, scheme, architecture)
    ]
    if not choices:
        raise OptionError(
            f"{', '.join(wanted)} can be given none of the schemes {', '.join(schemes or SCHEMES)}: choose others"
        )
    return Space(tuple(choices), checkpoints)


def _can_lose(model: TextModel, ratio: float) -> bool:
    try:
        check_ratio(model.config, ratio)
    except OptionError:
        return False
    return True


def _students(model: TextModel, students: Sequence[str] | None, *, learns: bool) -> list[str]:
    bert = isinstance(model.config, BertConfig)
    if students is None:
        return [name for name, each in STUDENTS.items() if bert or not isinstance(each, BertStudent)] if learns else []
    for name in students:
        if Path(name).suffix == CHECKPOINT:
            continue
        find_student(name).config(model)
        if not learns:
            raise OptionError(f"the student {name} learns from texts: give labelled ones with --data")
    return list(dict.fromkeys(students))


def _engines(engines: Sequence[str] | None) -> tuple[str, ...]:
    if engines is None:
        found = tuple(name for name in TARGETS if _missing(name) is None)
        if not found:
            raise OptionError("no engine is installed: pip install 'edgekit[convert]'")
        return found
    for name in engines:
        find_target(name)
        if (why := _missing(name)) is not None:
            raise why
    return tuple(dict.fromkeys(engines))


def _missing(engine: str) -> MissingExtraError | EngineUnavailableError | None:
    """What keeps an engine from being used here: its tools, or the engine itself."""
    try:
        find_target(engine).check(QuantSpec("none"))
    except MissingExtraError as error:
        return error
    why = engine_class(engine).unavailable()
    return None if why is None else EngineUnavailableError(why)


def _possible(engine: str, scheme: str, architecture: str) -> bool:
    quant = QuantSpec(scheme)  # which refuses what is no scheme
    try:
        find_target(engine).check(quant, architecture)
    except OptionError:
        return False
    return True


def _buckets(text: str) -> str:
    if text in (DEFAULT, AUTO):
        return text
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise OptionError(f"--buckets takes {DEFAULT}, {AUTO} or lengths such as 16,32,128, not {text!r}")
    return ",".join(str(int(part)) for part in parts)
