"""The chain before lowering: the model as it was given becomes the one that is lowered, and perhaps a student beside it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from edgekit_converters.combining.combine import STUDENT
from edgekit_converters.combining.threshold import KEEP, check_keep
from edgekit_converters.data import LabelledText, TrainingTexts
from edgekit_converters.model import TextModel
from edgekit_converters.recipe import AUTO, Recipe
from edgekit_converters.tokenizer.trim import RAREST, trim, trimmed_model
from edgekit_converters.training import processes
from edgekit_runtime.combination import MAIN
from edgekit_runtime.errors import OptionError, require
from edgekit_runtime.progress import Listener, LogListener

STUDENTS = ("distill", "cascade")
"""The fields of Compression that name a student."""

TOML = ".toml"


@dataclass(frozen=True)
class Compression:
    """What becomes of a model before it is lowered; the stages follow one another in this order.

    Attributes:
        distill: The student that takes the model's place: its name, or a TOML file (docs/students.md).
        trim_vocab: Whether pieces that no text uses leave the vocabulary; None does so for a CNN student.
        prune: Share of heads and neurons, or of filters, that goes (docs/pruning.md).
        cascade: The student that answers first where it is sure, the model where it is not (docs/combining.md).
        keep: Share of the model's accuracy that a cascade keeps.
        epochs: Passes over the data in each training; None takes what suits each.
        copies: New texts that are made of each text; None takes what suits each student.
        seed: Of everything random.

    Raises:
        OptionError: A value that makes no sense.
    """

    distill: str | None = None
    trim_vocab: bool | None = None
    prune: float | None = None
    cascade: str | None = None
    keep: float = KEEP
    epochs: int | None = None
    copies: int | None = None
    seed: int = 42

    def __post_init__(self) -> None:
        check_keep(self.keep)
        for option, count, least in (("--epochs", self.epochs, 1), ("--copies", self.copies, 0)):
            if count is not None and count < least:
                raise OptionError(f"{option} must be {least} or more, not {count}")
        if self.prune is not None and not 0.0 < self.prune < 1.0:
            raise OptionError(f"--prune lies between 0 and 1, not at {self.prune}: 0.5 takes half away")

    def with_students(self, place: Callable[[Path], Path]) -> Compression:
        """The same with its students' files, where it has such, put elsewhere."""
        files = {name: getattr(self, name) for name in STUDENTS}
        moved = {name: str(place(Path(file))) for name, file in files.items() if file and file.endswith(TOML)}
        return replace(self, **moved)  # type: ignore[arg-type]

    @property
    def wanted(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.distill or self.cascade or self.trim_vocab or self.prune is not None)

    @property
    def trains(self) -> bool:
        """Whether a model is trained."""
        return bool(self.distill or self.cascade or self.prune is not None)

    def architectures(self, model: TextModel) -> set[str]:
        """``bert`` and ``cnn``, those that the chain makes of a model."""
        from edgekit_converters.distillation.students import BertStudent, find_student

        names = [name for name in (self.distill, self.cascade) if name is not None]
        students = {"bert" if isinstance(find_student(name), BertStudent) else "cnn" for name in names}
        return students | (set() if self.distill else {model.architecture})

    def check(self, train_data: str | Path | None, unlabelled: str | Path | None, cache: Path | None = None) -> None:
        """Refuses before any work what lacks its data, its packages or its student, or would change nothing.

        Raises:
            OptionError: There is no data for it, or data for nothing, or no such student.
            MissingExtraError: What trains is not installed.
            FileError: A student's file cannot be read.
        """
        if self.wanted and train_data is None:
            raise OptionError(
                "--distill, --prune, --cascade and --trim-vocab learn from texts: give labelled ones with --data"
            )
        if not self.wanted:
            for option, given in (("--data", train_data), ("--unlabelled", unlabelled)):
                if given is not None:
                    raise OptionError(
                        f"{option} is for --distill, --prune, --cascade or --trim-vocab: give one of them, or drop it "
                        "(texts that measure accuracy are given with --eval)"
                    )
        for option, said, needs, there in (
            ("--keep", self.keep != KEEP, "--cascade", self.cascade),
            ("--copies", self.copies is not None, "--distill or --cascade", self.distill or self.cascade),
            ("--epochs", self.epochs is not None, "--distill, --prune or --cascade", self.trains),
            ("--cache", cache is not None, "--distill, --prune or --cascade", self.trains),
        ):
            if said and not there:
                raise OptionError(f"{option} is for {needs}: give one of them, or drop it")
        if not self.trains:
            return
        if processes.world_size() > 1:
            raise OptionError(
                "convert runs in one process: run edgekit distill or prune under torchrun, then convert what it saves"
            )
        for package in ("transformers", "accelerate", "sklearn"):
            require(package, extra="train", purpose="distilling and pruning")
        from edgekit_converters.distillation.students import find_student

        for name in (self.distill, self.cascade):
            if name is not None:
                find_student(name)


def held_out(texts: TrainingTexts, compression: Compression) -> LabelledText:
    """The labelled texts that no training of this chain learns from."""
    from edgekit_converters.training.examples import split
    from edgekit_converters.training.settings import TrainSettings

    labelled = texts.labelled
    chosen = split(labelled.labels, TrainSettings(seed=compression.seed)).held_out
    return replace(
        labelled,
        texts=tuple(labelled.texts[index] for index in chosen),
        labels=tuple(labelled.labels[index] for index in chosen),
    )


def planned(
    model: TextModel, compression: Compression, recipe: Recipe, texts: TrainingTexts, cache: Path | None
) -> Recipe:
    """Refuses before any training what cannot be done with what it makes.

    Returns:
        The recipe with the longest text in tokens, the same for training and for lowering.

    Raises:
        OptionError: Model, students, recipe and texts do not go together.
        FileError: The cache cannot be made.
    """
    from edgekit_converters.distillation.students import find_student
    from edgekit_converters.distillation.teacher import cache_folder
    from edgekit_converters.pruning.prune import check_ratio

    if cache is not None:
        cache_folder(cache)
    if recipe.max_length is None:
        recipe = replace(recipe, max_length=model.default_max_length)
    students = {}
    for name in filter(None, (compression.distill, compression.cascade)):
        students[name] = replace(model, config=find_student(name).config(model), pad_to=None)
    main = students.get(compression.distill or "", model)
    if compression.prune is not None:
        check_ratio(main.config, compression.prune)
    if recipe.buckets != AUTO:
        for each in (main, *students.values()):
            recipe.text_spec(each, LogListener())
    if compression.cascade is not None:
        count = len(held_out(texts, compression).texts)
        if count * (1 - compression.keep) < 1:
            raise OptionError(
                f"--keep {compression.keep} is shown on the tenth of --data that is held out, and {count} texts cannot show it: "
                f"give {math.ceil(10 / (1 - compression.keep))} rows or more, or a lower --keep"
            )
    return recipe


def compressed(
    model: TextModel,
    compression: Compression,
    texts: TrainingTexts,
    listener: Listener,
    *,
    max_length: int,
    cache: Path | None = None,
) -> dict[str, TextModel]:
    """Runs the chain.

    Args:
        model: The model as it was given.
        compression: What is wanted.
        texts: What it learns from.
        listener: Told of progress.
        max_length: Longest text in tokens.
        cache: Folder that keeps teachers' answers.

    Returns:
        Role to model: ``main``, and ``student`` where a cascade is wanted.

    Raises:
        EdgekitError: Model, texts and settings do not go together.
    """
    run = _Chain(compression, texts, listener, max_length, cache)
    main = model
    if compression.distill is not None:
        main = run.distilled(main, compression.distill)
    elif compression.trim_vocab:
        main = run.trimmed(main)
    if compression.prune is not None:
        main = run.pruned(main, compression.prune)
    made = {MAIN: main}
    if compression.cascade is not None:
        made[STUDENT] = run.distilled(model, compression.cascade)
    return made


@dataclass(frozen=True)
class _Chain:
    """The stages, with what they have in common."""

    compression: Compression
    texts: TrainingTexts
    listener: Listener
    max_length: int
    cache: Path | None

    def distilled(self, teacher: TextModel, student: str) -> TextModel:
        from edgekit_converters.distillation.customs import distill_settings
        from edgekit_converters.distillation.distill import distill

        wanted = self.compression
        settings = distill_settings(
            student,
            epochs=wanted.epochs,
            copies=wanted.copies,
            trim_vocab=wanted.trim_vocab,
            seed=wanted.seed,
            max_length=self.max_length,
        )
        return distill(
            teacher,
            self.texts.labelled,
            settings,
            unlabelled=self.texts.unlabelled,
            cache=self.cache,
            listener=self.listener,
        ).model

    def pruned(self, model: TextModel, ratio: float) -> TextModel:
        from edgekit_converters.pruning.prune import PruneSettings, prune

        settings = PruneSettings(ratio=ratio, seed=self.compression.seed, max_length=self.max_length)
        if self.compression.epochs is not None:
            settings = replace(settings, epochs=self.compression.epochs)
        return prune(
            model,
            self.texts.labelled,
            settings,
            unlabelled=self.texts.unlabelled,
            cache=self.cache,
            listener=self.listener,
        ).model

    def trimmed(self, model: TextModel) -> TextModel:
        self.listener.stage("Trimming the vocabulary")
        kept = trim(
            model.tokenizer,
            self.texts.labelled.texts,
            rarest=RAREST if self.compression.prune else 0.0,  # what is not trained anew keeps what it knows
            clean=model.clean,
            stop_words=model.stop_words,
        )
        self.listener.say(f"{len(kept.kept)} of {kept.before} pieces of the vocabulary are kept")
        return trimmed_model(model, kept)
