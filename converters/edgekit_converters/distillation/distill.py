"""Distils a teacher into a small student: on its data, on texts made from that, and on texts without labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from edgekit_converters.augmentation.augment import AugmentSettings
from edgekit_converters.data import LabelledText
from edgekit_converters.distillation.imitation import TrainedStudent, check_hints, check_pair, train_student
from edgekit_converters.distillation.initialise import initial_student
from edgekit_converters.distillation.lessons import check_labels, lessons_of
from edgekit_converters.distillation.soft_targets import SoftTargets
from edgekit_converters.distillation.students import BertStudent, Student, find_student
from edgekit_converters.distillation.teacher import cache_folder
from edgekit_converters.model import TextModel
from edgekit_converters.networks.bert import BertConfig
from edgekit_converters.tokenizer.trim import RAREST, trim, trimmed_model
from edgekit_converters.training.checkpoints import writable_folder
from edgekit_converters.training.loop import Watch
from edgekit_converters.training.processes import world_size
from edgekit_converters.training.settings import TrainSettings
from edgekit_runtime.manifest import HistoryStep
from edgekit_runtime.progress import Listener, LogListener

HIDDEN = 1.0
"""Weight of the hints that a BERT student gets unless the settings say otherwise."""

FRESH_BERT_RATE = 5e-4
"""Peak of the learning rate for a BERT whose layers start at random."""


@dataclass(frozen=True)
class DistillSettings(TrainSettings):
    """How a student is made and trained.

    Attributes:
        student: Name of a student, or a TOML file (``distillation.students``).
        loss: ``mse`` or ``kl``; see ``distillation.soft_targets``, also for the two that follow.
        temperature: Of ``kl``.
        alpha: Share of the true labels in the loss.
        hidden: Weight of hints by hidden states and attention; None takes 1 for a BERT and 0 for a CNN, which has none.
        trim_vocab: Whether pieces that no text uses leave the vocabulary; None does so for a CNN and not for a BERT.
        augment: How new texts are made; ``copies=0`` makes none.
    """

    student: str = "cnn"
    loss: str = "mse"
    temperature: float = 2.0
    alpha: float = 0.0
    hidden: float | None = None
    trim_vocab: bool | None = None
    augment: AugmentSettings = field(default_factory=AugmentSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.objective()
        check_hints(self.hidden or 0.0)

    def objective(self) -> SoftTargets:
        """How the student's answers are graded."""
        return SoftTargets(self.loss, self.temperature, self.alpha, self.label_smoothing)


@dataclass(frozen=True)
class Distilled(TrainedStudent):
    """What distilling made.

    Attributes:
        train_examples: Labelled texts that the student learned from.
        augmented_examples: Texts made from those.
        unlabelled_examples: Texts given without labels.
        held_out_examples: Texts that chose the best epoch.
    """

    train_examples: int
    augmented_examples: int
    unlabelled_examples: int
    held_out_examples: int


def distill(
    teacher: TextModel,
    data: LabelledText,
    settings: DistillSettings,
    *,
    unlabelled: Sequence[str] = (),
    cache: Path | None = None,
    checkpoints: Path | None = None,
    listener: Listener | None = None,
    watch: Watch | None = None,
) -> Distilled:
    """Trains a small model to answer as a big one does.

    Args:
        teacher: The big model.
        data: Labelled text with the teacher's labels; a part of it is held out.
        settings: The student, and how to train it.
        unlabelled: More texts of the kind that the student will read.
        cache: Folder that keeps the teacher's answers; the same teacher and texts take them from there.
        checkpoints: Folder from which an interrupted training goes on.
        listener: Told of progress.
        watch: Told of each epoch; what it raises ends the training.

    Returns:
        The student and its figures.

    Raises:
        DataError: The data's labels are not the teacher's, or there are too few examples.
        OptionError: Student, teacher and settings do not go together.
        FileError: A folder or a student's file cannot be read or written.
        MissingExtraError: transformers or accelerate is not installed.
    """
    listener, settings = listener or LogListener(), settings.within(teacher)
    student = find_student(settings.student)
    is_bert = isinstance(student, BertStudent)
    hidden = HIDDEN * is_bert if settings.hidden is None else settings.hidden
    small = replace(teacher, name=settings.student, config=student.config(teacher), pad_to=None)
    check_pair(small, teacher, settings, hidden)
    check_labels(data, teacher)
    if cache is not None:
        cache_folder(cache)
    if checkpoints is not None:
        writable_folder(checkpoints)
    lessons = lessons_of(
        data, teacher, settings, unlabelled=unlabelled, augmentation=settings.augment, listener=listener
    )

    reader = teacher
    if settings.trim_vocab if settings.trim_vocab is not None else not is_bert:
        kept = trim(
            teacher.tokenizer, lessons.labelled, rarest=RAREST, clean=teacher.clean, stop_words=teacher.stop_words
        )
        reader = trimmed_model(teacher, kept)
        listener.say(f"{len(kept.kept)} of {kept.before} pieces are kept (--no-trim-vocab keeps all)")
    start = initial_student(student, reader, seed=settings.seed, say=listener.say)
    if (size := start.parameters) > (whole := teacher.parameters):
        listener.say(
            f"the student has {size:,} parameters and its teacher {whole:,}: it is no smaller; choose another --student"
        )
    rate = settings.learning_rate or _rate(student, start, teacher) or settings.peak(start.architecture)
    trained = train_student(
        start,
        teacher,
        lessons,
        settings,
        settings.objective(),
        hidden=hidden,
        hints_from=reader,
        learning_rate=rate,
        cache=cache,
        checkpoints=checkpoints,
        listener=listener,
        watch=watch,
    )
    counts = {
        "train_examples": len(lessons.labels),
        "augmented_examples": lessons.made,
        "unlabelled_examples": lessons.unlabelled,
        "held_out_examples": len(lessons.held_out),
    }
    told = {
        "sizes": asdict(student),
        "hidden": hidden,
        "trim_vocab": reader is not teacher,
        "learning_rate": rate,
        **counts,
    }
    name = f"{teacher.name}-{Path(settings.student).stem}"
    return Distilled(
        model=replace(trained.model, name=name, history=(*start.history, _step(teacher, settings, told, trained))),
        training=trained.training,
        accuracy=trained.accuracy,
        teacher_accuracy=trained.teacher_accuracy,
        agreement=trained.agreement,
        **counts,
    )


def _rate(student: Student, start: TextModel, teacher: TextModel) -> float | None:
    """A learning rate for a BERT whose layers start at random; None where the architecture's own is right."""
    mine, theirs = start.config, teacher.config
    if isinstance(mine, BertConfig) and isinstance(theirs, BertConfig):
        sizes = [(config.hidden, config.heads, config.intermediate) for config in (mine, theirs)]
        return None if sizes[0] == sizes[1] and student.init != "random" else FRESH_BERT_RATE
    return None


def _step(teacher: TextModel, settings: DistillSettings, told: dict[str, Any], trained: TrainedStudent) -> HistoryStep:
    names = {"student": Path(settings.student).name, "teacher": teacher.name, "processes": world_size()}
    told = {**asdict(settings), **names, **told}
    figures = {name: getattr(trained, name) for name in ("best_epoch", "accuracy", "teacher_accuracy", "agreement")}
    tools = {tool: metadata.version(tool) for tool in ("torch", "transformers", "tokenizers")}
    return HistoryStep("distill", told | figures, tools)
