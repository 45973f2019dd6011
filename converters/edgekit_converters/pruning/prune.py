"""Prunes a model: heads, neurons or filters go, the model truly gets smaller, and it learns again from what it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from importlib import metadata
from pathlib import Path

import numpy as np
import torch

from edgekit_converters.augmentation.augment import AugmentSettings
from edgekit_converters.data import LabelledText
from edgekit_converters.distillation.imitation import check_pair, train_student
from edgekit_converters.distillation.lessons import Lessons, check_labels, lessons_of
from edgekit_converters.distillation.soft_targets import SoftTargets
from edgekit_converters.distillation.teacher import Teacher, cache_folder
from edgekit_converters.model import TextModel
from edgekit_converters.networks.bert import BertConfig
from edgekit_converters.networks.cnn import CnnConfig
from edgekit_converters.pruning.importance import IMPORTANCES, magnitude, taylor
from edgekit_converters.pruning.parts import parts_of, with_only
from edgekit_converters.pruning.ranking import SCOPES, best_units
from edgekit_converters.training.checkpoints import writable_folder
from edgekit_converters.training.examples import encode
from edgekit_converters.training.loop import Epoch, Trained, Watch
from edgekit_converters.training.processes import agreed
from edgekit_converters.training.settings import TrainSettings
from edgekit_runtime.errors import OptionError
from edgekit_runtime.manifest import HistoryStep
from edgekit_runtime.progress import Listener, LogListener


@dataclass(frozen=True)
class PruneSettings(TrainSettings):
    """What goes, and how the rest recovers.

    Attributes:
        epochs: Passes over the data after each cut.
        ratio: Share of the heads and of the neurons, or of the filters, that goes.
        importance: What decides which; one of IMPORTANCES (``pruning.importance``).
        scope: One of SCOPES: whether the layers compete for what stays, or each loses the same share.
        sample: Texts of the training part on which ``taylor`` measures, at most.
        steps: Cuts in which all that goes is taken, each followed by ``epochs`` of recovery.
        recover: Whether the model learns again from the unpruned one after each cut.
        loss: Of the recovery: ``mse`` or ``kl``; see ``distillation.soft_targets``.
        temperature: Of ``kl``.
        hidden: Weight of hints by hidden states and attention in the recovery of a BERT; 0 gives none.
        copies: Texts made from each text for the recovery.
    """

    epochs: int = 1
    ratio: float = 0.5
    importance: str = "taylor"
    scope: str = "layer"
    sample: int = 2048
    steps: int = 1
    recover: bool = True
    loss: str = "mse"
    temperature: float = 2.0
    hidden: float = 0.0
    copies: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 < self.ratio < 1.0:
            raise OptionError(f"--ratio lies between 0 and 1, not at {self.ratio}: 0.5 takes half away")
        for option, name, known in (
            ("--importance", self.importance, IMPORTANCES),
            ("--scope", self.scope, SCOPES),
        ):
            if name not in known:
                raise OptionError(f"there is no {option[2:]} {name!r}; {option} takes {' or '.join(known)}")
        for option, count in (("--sample", self.sample), ("--steps", self.steps)):
            if count < 1:
                raise OptionError(f"{option} must be 1 or more, not {count}")
        self.objective()

    def objective(self) -> SoftTargets:
        """How the answers of the pruned model are graded while it recovers."""
        return SoftTargets(self.loss, self.temperature)


@dataclass(frozen=True)
class Pruned:
    """What pruning made.

    Attributes:
        model: The smaller model.
        parameters_before: How many numbers the model had learned.
        parameters: How many are left.
        heads: Left in each layer of a BERT.
        neurons: Left in each feed-forward layer of a BERT.
        filters: Left of each kernel width of a CNN.
        accuracy_before: Share of right labels on the held-out texts before.
        accuracy_cut: The same after the last cut, not yet recovered.
        accuracy: The same in the end.
        trainings: The recovery after each cut; none without recovery.
        train_examples: Labelled texts that were learned from.
        augmented_examples: Texts made from those.
        unlabelled_examples: Texts given without labels.
        held_out_examples: Texts that chose the best epoch.
    """

    model: TextModel
    parameters_before: int
    parameters: int
    heads: tuple[int, ...]
    neurons: tuple[int, ...]
    filters: tuple[int, ...]
    accuracy_before: float
    accuracy_cut: float
    accuracy: float
    trainings: tuple[Trained, ...]
    train_examples: int
    augmented_examples: int
    unlabelled_examples: int
    held_out_examples: int

    @property
    def curve(self) -> tuple[Epoch, ...]:
        """What was measured after each epoch of recovery, cut by cut."""
        return tuple(epoch for training in self.trainings for epoch in training.curve)


def prune(
    model: TextModel,
    data: LabelledText,
    settings: PruneSettings,
    *,
    unlabelled: Sequence[str] = (),
    cache: Path | None = None,
    checkpoints: Path | None = None,
    listener: Listener | None = None,
    watch: Watch | None = None,
) -> Pruned:
    """Takes the least important units out of a model and lets what is left learn from what it was.

    Args:
        model: A BERT or a relative, or a CNN.
        data: Labelled text with the model's labels; a part of it is held out.
        settings: What goes, and how the rest recovers.
        unlabelled: More texts of the kind that the model will read, for the recovery.
        cache: Folder that keeps the unpruned model's answers.
        checkpoints: Folder from which an interrupted recovery goes on.
        listener: Told of progress.
        watch: Told of each epoch of recovery; what it raises ends it.

    Returns:
        The smaller model and its figures.

    Raises:
        DataError: The data's labels are not the model's, or there are too few examples.
        OptionError: The model is too small to lose that share, or the settings do not suit it.
        FileError: A folder cannot be written.
        MissingExtraError: transformers, accelerate or scikit-learn is not installed.
    """
    listener, settings = listener or LogListener(), settings.within(model)
    _check(model, data, settings)
    if cache is not None:
        cache_folder(cache)
    if checkpoints is not None:
        writable_folder(checkpoints)
    lessons = lessons_of(
        data,
        model,
        settings,
        unlabelled=unlabelled,
        augmentation=AugmentSettings(copies=settings.copies),
        listener=listener,
    )
    smaller, recovered = model, None
    trainings: list[Trained] = []
    for step in range(1, settings.steps + 1):
        smaller = _cut(smaller, model, 1.0 - settings.ratio * step / settings.steps, lessons, settings, listener)
        accuracy = accuracy_cut = _accuracy(smaller, lessons, settings, listener)
        listener.say(f"the accuracy after the cut is {accuracy:.2%} on the {len(lessons.held_out)} held-out texts")
        if settings.recover:
            recovered = train_student(
                smaller,
                model,
                lessons,
                settings,
                settings.objective(),
                hidden=settings.hidden,
                cache=cache,
                checkpoints=checkpoints and checkpoints / f"cut-{step}-of-{settings.steps}",
                listener=listener,
                watch=watch,
            )
            smaller, accuracy = recovered.model, recovered.accuracy
            trainings.append(recovered.training)
    before = _accuracy(model, lessons, settings, listener) if recovered is None else recovered.teacher_accuracy
    left: dict[str, list[int]] = {"heads": [], "neurons": [], "filters": []}
    for part in parts_of(smaller.config):
        left[part.kind].append(part.units)
    made = Pruned(
        model=smaller,
        parameters_before=model.parameters,
        parameters=smaller.parameters,
        heads=tuple(left["heads"]),
        neurons=tuple(left["neurons"]),
        filters=tuple(left["filters"]),
        accuracy_before=before,
        accuracy_cut=accuracy_cut,
        accuracy=accuracy,
        trainings=tuple(trainings),
        train_examples=len(lessons.labels),
        augmented_examples=lessons.made,
        unlabelled_examples=lessons.unlabelled,
        held_out_examples=len(lessons.held_out),
    )
    history = (*model.history, _step(made, settings))
    return replace(made, model=replace(smaller, name=f"{model.name}-pruned", history=history))


def _check(model: TextModel, data: LabelledText, settings: PruneSettings) -> None:
    """Refuses, before any work, what cannot be done."""
    check_labels(data, model)
    check_pair(model, model, settings, settings.hidden)
    check_ratio(model.config, settings.ratio, settings.scope)


def check_ratio(config: BertConfig | CnnConfig, ratio: float, scope: str = PruneSettings.scope) -> None:
    """Refuses a share that would leave a layer empty, or that takes nothing.

    Raises:
        OptionError: The message says which.
    """
    parts = parts_of(config)
    kept = best_units({part: torch.zeros(part.units) for part in parts}, parts, 1.0 - ratio, scope)
    if all(len(units) == part.units for part, units in kept.items()):
        raise OptionError(f"to prune {ratio} takes nothing from a model as small as this: raise it")


def _cut(
    model: TextModel, whole: TextModel, share: float, lessons: Lessons, settings: PruneSettings, listener: Listener
) -> TextModel:
    """The model with ``share`` of the units of ``whole``."""
    listener.stage(f"Taking away all but {share:.0%}")
    if settings.importance == "magnitude":
        scores = magnitude(model)
    else:
        labels = lessons.labels[: settings.sample]
        ids = encode(lessons.texts[: len(labels)], model, settings.length)
        scores = taylor(model, ids, labels, listener.progress)
    # what is least important may differ in the last digit from processor to processor
    return with_only(model, agreed(best_units(scores, parts_of(whole.config), share, settings.scope)))


def _accuracy(model: TextModel, lessons: Lessons, settings: PruneSettings, listener: Listener) -> float:
    listener.stage(f"Measuring on {len(lessons.held_out)} texts")
    logits = Teacher(model, max_length=settings.length, bf16=False).logits(lessons.held_out, listener)
    return float((logits.argmax(axis=1) == np.asarray(lessons.held_out_labels)).mean())


def _step(made: Pruned, settings: PruneSettings) -> HistoryStep:
    figures = {
        field.name: getattr(made, field.name) for field in fields(made) if field.name not in ("model", "trainings")
    }
    tools = {tool: metadata.version(tool) for tool in ("torch", "transformers")}
    return HistoryStep("prune", asdict(settings) | figures, tools)
