"""Fine-tunes a BERT, or trains a small CNN, on labelled text, and keeps the best epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path

from edgekit_converters.checkpoint import save_checkpoint
from edgekit_converters.data import DataOptions, LabelledText, read_labelled
from edgekit_converters.metrics import Metrics, measure
from edgekit_converters.model import TextModel
from edgekit_converters.original import Original
from edgekit_converters.training import processes
from edgekit_converters.training.bases import for_classes, fresh_cnn, read_base
from edgekit_converters.training.checkpoints import writable_folder
from edgekit_converters.training.curve import Epoch
from edgekit_converters.training.curves import check_picture, draw_curves
from edgekit_converters.training.examples import Rows, Split, encode, rows, split
from edgekit_converters.training.freezing import freeze, gradual
from edgekit_converters.training.learners import Learner, learner_of
from edgekit_converters.training.loop import Trained, train
from edgekit_converters.training.objective import CrossEntropy
from edgekit_converters.training.precision import bf16_wanted
from edgekit_converters.training.settings import TrainSettings
from edgekit_runtime.bundle import writable_file
from edgekit_runtime.cleaning import check_cleaning, cleaner
from edgekit_runtime.errors import OptionError, require
from edgekit_runtime.manifest import HistoryStep
from edgekit_runtime.progress import Listener, LogListener
from edgekit_runtime.text import well_formed

ARCHITECTURES = ("bert", "cnn")
UNFREEZING = ("gradual",)


@dataclass(frozen=True)
class FinetuneSettings(TrainSettings):
    """How a model is fine-tuned.

    Attributes:
        arch: ``bert`` or ``cnn``; None takes the base's.
        base: What training starts from: the Hugging Face folder of a BERT, DistilBERT or ELECTRA, or any classifier that
            ``read_checkpoint`` reads. None starts a CNN from nothing.
        freeze: Keeps a BERT's embeddings and its first N layers as they are; None keeps nothing.
        unfreeze: ``gradual`` unfreezes a BERT from the top, a layer an epoch.
        test: Share of the examples, stratified, that nothing is chosen by and that is measured once, at the end.
        clean: Names of the cleaning steps that run before the tokenizer, here and on the device (docs/bundle.md); empty
            takes the base's.
        stop_words: The words that the cleaning step ``stop-words`` drops.
    """

    arch: str | None = None
    base: Path | None = None
    freeze: int | None = None
    unfreeze: str | None = None
    test: float = 0.1
    clean: tuple[str, ...] = ()
    stop_words: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_cleaning(self.clean, self.stop_words)
        if self.arch not in (None, *ARCHITECTURES):
            raise OptionError(f"there is no architecture {self.arch!r}; --arch takes {', '.join(ARCHITECTURES)}")
        if self.arch != "cnn" and self.base is None:
            raise OptionError(
                "fine-tuning a BERT needs a pretrained one: give its Hugging Face folder by --base, or train a CNN by --arch cnn"
            )
        if self.unfreeze not in (None, *UNFREEZING):
            raise OptionError(
                f"there is no way to unfreeze {self.unfreeze!r}; --unfreeze takes {', '.join(UNFREEZING)}"
            )
        if self.base is None and (self.freeze is not None or self.unfreeze is not None):
            raise OptionError("--freeze and --unfreeze are for BERTs; a CNN is trained from nothing: drop them")
        if not 0.0 <= self.test < 1.0 - self.held_out:
            raise OptionError(
                f"the test share lies between 0 and what is not held out, {1 - self.held_out:.0%}, not at {self.test}"
            )


@dataclass(frozen=True)
class Finetuned:
    """What fine-tuning made; its JSON is what ``edgekit finetune --json`` prints.

    Attributes:
        checkpoint: Path of the checkpoint.
        labels: Names of the classes.
        train_examples: Examples that were learnt from.
        held_out_examples: Examples that chose the best epoch.
        test_examples: Examples that were measured once, at the end.
        accuracy_by_epoch: On the held-out examples.
        best_epoch: Its number, from 1.
        accuracy: On the held-out examples after the best epoch.
        curve: The epochs in full.
        test: How the finished model does on the test examples; None if there are none.
        curves: Path of the picture; None if none was wanted.
        processes: How many trained together.
    """

    checkpoint: str
    labels: tuple[str, ...]
    train_examples: int
    held_out_examples: int
    test_examples: int
    accuracy_by_epoch: tuple[float, ...]
    best_epoch: int
    accuracy: float
    curve: tuple[Epoch, ...]
    test: Metrics | None
    curves: str | None
    processes: int


def finetune(
    data: str | Path,
    out: str | Path,
    settings: FinetuneSettings,
    *,
    labels: Sequence[str] | None = None,
    data_options: DataOptions | None = None,
    checkpoints: Path | None = None,
    curves: Path | None = None,
    listener: Listener | None = None,
) -> Finetuned:
    """Trains on labelled text and saves the best epoch as a one-file checkpoint.

    Under torchrun every process calls this; the first one writes the files.

    Args:
        data: Labelled text.
        out: Where the checkpoint goes; an existing file is replaced.
        settings: How to train.
        labels: Names of the classes in the order of the logits; None takes those of the base, else those of the file.
        data_options: What the file does not say.
        checkpoints: Folder that keeps the last epoch, from which the same call goes on; None keeps nothing.
        curves: Where a picture of the learning curves goes, by its suffix an svg, png or pdf; None draws none.
        listener: Told of progress.

    Returns:
        The checkpoint's path, the accuracy on the held-out part epoch by epoch, and what the test part says of it.

    Raises:
        EdgekitError: Something is wrong with the input; nothing was written.
    """
    listener, out = listener or LogListener(), Path(out)
    writable_file(out, data, settings.base)
    require("transformers", extra="train", purpose="fine-tuning")
    require("accelerate", extra="train", purpose="fine-tuning")
    bf16_wanted(settings)
    if checkpoints is not None:
        writable_folder(checkpoints)
    if curves is not None:
        check_picture(curves)
    base = None
    if settings.base is not None:
        listener.stage(f"Reading {settings.base}")
        base = read_base(settings.base, labels, settings.seed, listener)
        settings = _with_base(base.model, settings)
    listener.stage(f"Reading {data}")
    known = base.model.labels if base is not None and base.classifies else None
    read = read_labelled(data, labels or known, data_options, say=listener.say)
    parts = split(read.labels, settings)
    if base is None:
        model = fresh_cnn(_cleaned(read.texts, parts.train, settings), read.names, settings.seed, listener)
    else:
        model = base.model if base.classifies else for_classes(base.model, read.names, settings.seed)
    if settings.clean:
        model = replace(model, clean=settings.clean, stop_words=settings.stop_words)
    settings = settings.within(model)
    learner = learner_of(model, CrossEntropy(settings.label_smoothing), settings.dropout)
    trained = _trained(learner, read, parts, settings, checkpoints, listener)
    finished = replace(
        learner.finished(trained.weights),
        name=out.stem,
        history=(*model.history, _step(settings, parts, model.architecture)),
    )
    test = None
    if parts.test:
        listener.stage(f"Measuring on {len(parts.test)} test texts")
        test = processes.agreed(
            _measured(finished, read, parts.test, settings, listener) if processes.is_main() else None
        )
    if processes.is_main():
        save_checkpoint(finished, out)
        if curves is not None:
            draw_curves(trained, curves, title=out.stem)
    return Finetuned(
        checkpoint=str(out),
        labels=read.names,
        train_examples=len(parts.train),
        held_out_examples=len(parts.held_out),
        test_examples=len(parts.test),
        accuracy_by_epoch=tuple(epoch.accuracy for epoch in trained.curve),
        best_epoch=trained.best_epoch,
        accuracy=trained.accuracy,
        curve=trained.curve,
        test=test,
        curves=None if curves is None else str(curves),
        processes=processes.world_size(),
    )


def _trained(
    learner: Learner,
    read: LabelledText,
    parts: Split,
    settings: FinetuneSettings,
    checkpoints: Path | None,
    listener: Listener,
) -> Trained:
    on_epoch = gradual(learner, settings.freeze) if settings.unfreeze else None
    if settings.freeze is not None:
        freeze(learner, settings.freeze)

    def part(indices: Sequence[int]) -> Rows:
        ids = encode([read.texts[index] for index in indices], learner.model, settings.length)
        return rows(ids, [read.labels[index] for index in indices])

    learnt, held_out = part(parts.train), part(parts.held_out)
    listener.stage(f"Training on {len(parts.train)} texts")
    return train(
        learner.module,
        learnt,
        held_out,
        settings,
        learning_rate=settings.peak(learner.model.architecture),
        pad_id=learner.model.tokenizer.special_ids["pad"],
        checkpoints=checkpoints,
        listener=listener,
        on_epoch=on_epoch,
    )


def _measured(
    model: TextModel, read: LabelledText, indices: Sequence[int], settings: FinetuneSettings, listener: Listener
) -> Metrics:
    """How the finished model does on texts that nothing was chosen by."""
    ids = encode([read.texts[index] for index in indices], model, settings.length)
    predicted = Original(model).logits(ids, listener.progress).argmax(axis=1)
    return measure([read.labels[index] for index in indices], predicted.tolist(), len(model.labels))


def _cleaned(texts: Sequence[str], indices: Sequence[int], settings: FinetuneSettings) -> list[str]:
    """Those texts as a tokenizer learns from them."""
    clean = cleaner(settings.clean, settings.stop_words)
    chosen = [well_formed(texts[index]) for index in indices]
    return chosen if clean is None else [clean(text) for text in chosen]


def _with_base(model: TextModel, settings: FinetuneSettings) -> FinetuneSettings:
    if settings.arch not in (None, model.architecture):
        raise OptionError(f"--base {settings.base} is a {model.architecture}: drop --arch {settings.arch}")
    return settings.within(model)


def _step(settings: FinetuneSettings, parts: Split, architecture: str) -> HistoryStep:
    return HistoryStep(
        "finetune",
        {
            **asdict(settings),
            "base": settings.base.name if settings.base else None,
            "learning_rate": settings.peak(architecture),
            "bf16": bf16_wanted(settings),
            "stop_words": len(settings.stop_words),  # the words themselves are in the text spec
            "examples": len(parts.train),
            "processes": processes.world_size(),
        },
        {name: metadata.version(name) for name in ("torch", "transformers", "accelerate")},
    )
