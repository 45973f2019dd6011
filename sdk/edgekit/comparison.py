"""Comparison: what several bundles get right and what they cost, on the same texts and the same device."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from edgekit.standing import Cost, front, overlapping, wilson
from edgekit_converters.data import DataOptions, LabelledText, read_labelled
from edgekit_runtime.bundle import Bundle, open_bundle
from edgekit_runtime.classifier import Classifier
from edgekit_runtime.errors import OptionError
from edgekit_runtime.loading import load, threads_used
from edgekit_runtime.profiling.conditions import Conditions, read_conditions
from edgekit_runtime.profiling.device import Device, describe_device
from edgekit_runtime.profiling.energy import Energy
from edgekit_runtime.profiling.energy.method import a_few, measure_energy
from edgekit_runtime.profiling.energy.settings import EnergySettings
from edgekit_runtime.profiling.intervals import Interval
from edgekit_runtime.profiling.latency import SECONDS, Latency, Pacing, check_pace, time_in_turns
from edgekit_runtime.profiling.process import Memory, measure_process
from edgekit_runtime.progress import Listener, LogListener


@dataclass(frozen=True)
class Row:
    """One bundle.

    Attributes:
        name: The file's name without its suffix; the whole path where several have the same.
        bundle: The file.
        bytes: Its size.
        engine: The engine; of several models with different ones, each.
        scheme: Precision of the program; of several, each.
        accuracy: Share of the texts whose label is right.
        accuracy_ci95: Its 95 % interval (Wilson).
        latency_ms: Warm, text in to label out.
        memory_mib: Of a fresh process.
        energy: Of a text.
        pareto: Whether it is on the Pareto front over accuracy, median latency and size (:func:`edgekit.standing.front`).
    """

    name: str
    bundle: str
    bytes: int
    engine: str
    scheme: str
    accuracy: float
    accuracy_ci95: Interval
    latency_ms: Latency
    memory_mib: Memory
    energy: Energy
    pareto: bool = False

    @property
    def costs(self) -> tuple[Cost, Cost, Cost]:
        """Share of wrong labels, median latency in milliseconds, bytes: what the front is drawn over."""
        low, high = self.accuracy_ci95
        p50 = self.latency_ms.p50
        return (
            Cost(1 - self.accuracy, (1 - high, 1 - low)),
            Cost(p50, self.latency_ms.ci95.get("p50", (p50, p50))),
            Cost(self.bytes, (self.bytes, self.bytes)),
        )


@dataclass(frozen=True)
class Comparison:
    """What ``edgekit compare --json`` prints.

    Attributes:
        date: When, ISO 8601 with the zone.
        device: Where.
        conditions: Governor, load, temperature before and after.
        data: Where the texts come from.
        examples: How many they are.
        threads: Most threads that a text could use.
        pacing: How the calls were timed, all bundles in turns.
        rows: One a bundle, in the order in which they were given.
    """

    date: str
    device: Device
    conditions: tuple[Conditions, Conditions]
    data: str
    examples: int
    threads: int
    pacing: Pacing
    rows: tuple[Row, ...]

    def remarks(self) -> tuple[str, ...]:
        """What has to be said of the figures, a line each: which bundles they do not tell apart, and where the energy is from."""
        told = []
        for index, what in ((0, "accuracy"), (1, "p50")):
            for group in overlapping([row.costs[index].interval for row in self.rows]):
                names = _and(self.rows[member].name for member in group)
                told.append(f"{what}: the intervals of {names} overlap: the difference may be chance")
        told += dict.fromkeys(
            f"energy: {energy.status}: {energy.source if energy.mj_per_inference is not None else energy.reason}"
            for energy in (row.energy for row in self.rows)
        )
        return tuple(told)


def compare(
    bundles: Sequence[str | os.PathLike[str]],
    data: str | Path,
    options: DataOptions | None = None,
    *,
    engine: str | None = None,
    threads: int | None = None,
    seconds: float = SECONDS,
    energy: EnergySettings | None = None,
    listener: Listener | None = None,
) -> Comparison:
    """Measures bundles against each other; one alone is a table of one.

    All are open at once, and timed in turns on the same texts; energy is measured one after the other, and memory in a fresh
    process each.

    Args:
        bundles: The files.
        data: Labelled texts, which have to fit into memory: a file, a dataset's folder, ``-`` for stdin, or ``hf:OWNER/NAME``.
        options: What the data does not say.
        engine: As for ``load``; the same for all.
        threads: As for ``load``.
        seconds: How long each bundle is timed, about.
        energy: How energy is measured; None takes the best sensor that is there.
        listener: Told of progress.

    Raises:
        OptionError: A file is given twice, the bundles have other labels, or a setting makes no sense.
        FileError, BundleError: A bundle is missing, damaged or none.
        EngineError: A bundle cannot run here, or not on the engine that was asked for.
        DataError: The data is no labelled text, or empty.
    """
    listener = listener or LogListener()
    check_pace(seconds)
    energy = energy or EnergySettings()
    energy.check()
    opened = _opened(bundles)
    names = _names([bundle.path for bundle in opened])
    with contextlib.ExitStack() as stack:
        classifiers = [stack.enter_context(load(bundle.path, engine=engine, threads=threads)) for bundle in opened]
        texts = read_labelled(data, opened[0].manifest.labels, options, say=listener.say)
        before = read_conditions()
        rights = []
        for name, classifier in zip(names, classifiers, strict=True):
            listener.stage(f"Classifying {texts.source} by {name}")
            rights.append(_right(classifier, texts, listener))
        listener.stage(f"Timing {_and(names)} in turns")
        timed = time_in_turns(classifiers, texts.texts, seconds=seconds, progress=listener.progress)
        energies = []
        for name, classifier in zip(names, classifiers, strict=True):
            listener.stage(f"Measuring the energy of {name}")
            joules = measure_energy(a_few(classifier, texts.texts), energy, progress=listener.progress)
            energies.append(joules)
        engines = [classifier.engine_names for classifier in classifiers]
        schemes = [classifier.schemes for classifier in classifiers]
    memories = []
    for name, bundle in zip(names, opened, strict=True):
        listener.stage(f"Measuring the memory of {name}")
        memories.append(measure_process(bundle.path, engine=engine, threads=threads, runs=1).memory)
    rows = tuple(
        Row(
            name=names[index],
            bundle=str(bundle.path),
            bytes=bundle.path.stat().st_size,
            engine=engines[index],
            scheme=schemes[index],
            accuracy=rights[index] / len(texts.texts),
            accuracy_ci95=wilson(rights[index], len(texts.texts)),
            latency_ms=timed[index].latency,
            memory_mib=memories[index],
            energy=energies[index],
        )
        for index, bundle in enumerate(opened)
    )
    return Comparison(
        date=datetime.now().astimezone().isoformat(timespec="seconds"),
        device=describe_device(),
        conditions=(before, read_conditions()),
        data=texts.source,
        examples=len(texts.texts),
        threads=threads_used(threads),
        pacing=timed[0].pacing,
        rows=tuple(replace(row, pareto=on) for row, on in zip(rows, front([row.costs for row in rows]), strict=True)),
    )


def _opened(paths: Sequence[str | os.PathLike[str]]) -> list[Bundle]:
    """The bundles, with different files and the same labels."""
    opened = [open_bundle(path) for path in paths]
    if not opened:
        raise OptionError("there is nothing to compare: give one bundle or more")
    for one, other in itertools.combinations(opened, 2):
        if one.path.samefile(other.path):
            raise OptionError(f"{one.path} and {other.path} are the same file: give each bundle once")
    first = opened[0]
    for other in opened[1:]:
        labels, wanted = other.manifest.labels, first.manifest.labels
        if labels != wanted:
            how = "in another order" if sorted(labels) == sorted(wanted) else "other ones"
            raise OptionError(
                f"{first.path} has the labels {', '.join(wanted)}, and {other.path} {', '.join(labels)}, {how}: compare "
                "bundles of the same labels in the same order (convert --labels names them)"
            )
    return opened


def _names(paths: Sequence[Path]) -> list[str]:
    stems = [path.stem for path in paths]
    return [str(path) if stems.count(path.stem) > 1 else path.stem for path in paths]


def _right(classifier: Classifier, texts: LabelledText, listener: Listener) -> int:
    """How many of the texts get their label."""
    right = 0
    for done, (text, label) in enumerate(zip(texts.texts, texts.labels, strict=True), 1):
        right += classifier(text).label == classifier.labels[label]
        listener.progress(done, len(texts.texts))
    return right


def _and(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
