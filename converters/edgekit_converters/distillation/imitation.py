"""A student learns to answer as its teacher does: what distillation and the recovery after pruning have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit_converters.distillation.lessons import Lessons
from edgekit_converters.distillation.soft_targets import SoftTargets
from edgekit_converters.distillation.teacher import Teacher
from edgekit_converters.model import TextModel
from edgekit_converters.networks.bert import BertConfig
from edgekit_converters.training.examples import encode, rows
from edgekit_converters.training.learners import Learner, learner_of
from edgekit_converters.training.loop import Epoch, Trained, Watch, train
from edgekit_converters.training.precision import bf16_wanted, native_bf16
from edgekit_converters.training.settings import TrainSettings
from edgekit_runtime.errors import OptionError
from edgekit_runtime.progress import Listener

DROPOUT = 0.1
"""Where the settings say none. Whoever is told the answer in degrees needs less of it than whoever is told a label."""

UNLABELLED = -1
"""The class id of a text that has none; ``SoftTargets`` asks only for the teacher's answer then."""


@dataclass(frozen=True)
class TrainedStudent:
    """A student after its best epoch.

    Attributes:
        model: The student.
        training: Its training, epoch by epoch.
        accuracy: Share of the held-out texts whose label it finds.
        teacher_accuracy: The teacher's.
        agreement: Share of the held-out texts on which both give the same label.
    """

    model: TextModel
    training: Trained = field(repr=False)
    accuracy: float
    teacher_accuracy: float
    agreement: float

    @property
    def best_epoch(self) -> int:
        """Number of the epoch that was the best, from 1."""
        return self.training.best_epoch

    @property
    def curve(self) -> tuple[Epoch, ...]:
        """What was measured after each epoch."""
        return self.training.curve


def train_student(
    student: TextModel,
    teacher: TextModel,
    lessons: Lessons,
    settings: TrainSettings,
    objective: SoftTargets,
    *,
    hidden: float = 0.0,
    hints_from: TextModel | None = None,
    learning_rate: float | None = None,
    cache: Path | None = None,
    checkpoints: Path | None = None,
    listener: Listener,
    watch: Watch | None = None,
) -> TrainedStudent:
    """Trains a student, from whatever weights it has, on its teacher's answers.

    Args:
        student: Where the weights start; its labels are the teacher's.
        teacher: The model that labels the texts.
        lessons: The texts.
        settings: How to train.
        objective: How its answers are graded.
        hidden: Weight of hints by hidden states and attention, for BERTs (``distillation.transformer_hints``); 0 for none.
        hints_from: A teacher with the student's tokenizer that gives the hints; None takes ``teacher``.
        learning_rate: Peak of the schedule where the settings have none; None takes the optimiser's for the architecture.
        cache: Folder that keeps the teacher's answers.
        checkpoints: Folder from which an interrupted training goes on.
        listener: Told of progress.
        watch: Told of each epoch; what it raises ends the training.

    Returns:
        The student and its figures.

    Raises:
        OptionError: Student and teacher do not go together.
        FileError: A folder cannot be written.
    """
    check_pair(student, teacher, settings, hidden)
    settings = settings.within(teacher)
    bf16 = native_bf16() if settings.bf16 is None else bf16_wanted(settings)
    listener.stage(f"Asking {teacher.name} about {len(lessons.texts) + len(lessons.held_out)} texts")
    asked = Teacher(teacher, max_length=settings.length, bf16=bf16, cache=cache)
    given = asked.logits((*lessons.texts, *lessons.held_out), listener)
    answers, expected = given[: len(lessons.texts)], given[len(lessons.texts) :]
    truth = np.asarray(lessons.held_out_labels)
    teacher_accuracy = _agreement(expected.argmax(axis=1), truth)
    listener.say(f"the teacher's accuracy is {teacher_accuracy:.2%} on the {len(truth)} held-out texts")

    dropout = DROPOUT if settings.dropout is None else settings.dropout
    if hidden:
        learner = _hinted(student, hints_from or teacher, objective, dropout, hidden, bf16)
    else:
        learner = learner_of(student, objective, dropout)
    labels = (*lessons.labels, *(UNLABELLED,) * (len(lessons.texts) - len(lessons.labels)))
    held_out = encode(lessons.held_out, student, settings.length)
    listener.stage(f"Training on {len(lessons.texts)} texts")
    best = train(
        learner.module,
        rows(encode(lessons.texts, student, settings.length), labels, answers),
        rows(held_out, lessons.held_out_labels, expected),
        settings,
        learning_rate=settings.learning_rate or learning_rate or settings.peak(student.architecture),
        pad_id=student.tokenizer.special_ids["pad"],
        checkpoints=checkpoints,
        listener=listener,
        watch=watch,
    )
    model = learner.finished(best.weights)
    said = Teacher(model, max_length=settings.length, bf16=False).logits(lessons.held_out, listener).argmax(axis=1)
    return TrainedStudent(
        model=model,
        training=best,
        accuracy=_agreement(said, truth),
        teacher_accuracy=teacher_accuracy,
        agreement=_agreement(said, expected.argmax(axis=1)),
    )


def check_pair(student: TextModel, teacher: TextModel, settings: TrainSettings, hidden: float) -> None:
    """Refuses a student and a teacher that do not go together, or that the settings do not suit."""
    if student.labels != teacher.labels:
        raise OptionError(
            f"the student's labels are {', '.join(student.labels)} and its teacher's {', '.join(teacher.labels)}; give --labels"
        )
    for model in (student, teacher):
        settings.within(model)
    check_hints(hidden)
    if hidden and not (isinstance(student.config, BertConfig) and isinstance(teacher.config, BertConfig)):
        raise OptionError("--hidden is for BERT students of BERT teachers: a CNN has no such states; drop it")


def check_hints(weight: float) -> None:
    """Refuses a weight of hints that makes no sense."""
    if not 0.0 <= weight < float("inf"):
        raise OptionError(f"--hidden must be 0 or more, not {weight}")


def _hinted(
    student: TextModel, teacher: TextModel, objective: SoftTargets, dropout: float, weight: float, bf16: bool
) -> Learner:
    from edgekit_converters.distillation.transformer_hints import HintedLearner

    if student.tokenizer.json != teacher.tokenizer.json:
        raise OptionError(f"hints by hidden states need one tokenizer, and {teacher.name} has another: --hidden 0")
    return Learner(HintedLearner(student, objective, dropout, teacher=teacher, weight=weight, bf16=bf16), student)


def _agreement(mine: NDArray[np.int64], theirs: Sequence[int] | NDArray[np.int64]) -> float:
    return float((mine == np.asarray(theirs)).mean())
