"""Origins become models: untrained ones at once, trained ones from the cache or by training."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from edgekit_converters.checkpoint import ReadOptions, read_checkpoint, save_checkpoint
from edgekit_converters.data import TrainingTexts
from edgekit_converters.distillation.customs import distill_settings
from edgekit_converters.distillation.distill import Distilled, DistillSettings, distill
from edgekit_converters.distillation.initialise import initial_student
from edgekit_converters.distillation.students import CnnStudent, find_student
from edgekit_converters.distillation.teacher import cache_folder
from edgekit_converters.model import TextModel
from edgekit_converters.networks.bert import BertConfig
from edgekit_converters.networks.cnn import CnnConfig
from edgekit_converters.pruning.importance import magnitude
from edgekit_converters.pruning.parts import parts_of, with_only
from edgekit_converters.pruning.prune import Pruned, PruneSettings, prune
from edgekit_converters.pruning.ranking import best_units
from edgekit_converters.tokenizer.trim import RAREST, Trimmed, trim, trimmed_model
from edgekit_converters.training.curve import Epoch
from edgekit_converters.tuning.choice import MODEL, Origin
from edgekit_converters.tuning.locks import locked
from edgekit_runtime import __version__, jsonio
from edgekit_runtime.bundle import replacing
from edgekit_runtime.progress import Listener

FORMAT = "edgekit trained 1"
FOLDER = "students"


class Origins:
    """The models that choices begin with.

    Args:
        given: The model as it was given.
        texts: What is learned from; None where nothing is.
        checkpoints: Trained models by the names of their files.
        cache: Folder of the teacher's answers, and of what was trained.
        max_length: Longest text in tokens.
        seed: Of everything random.
        epochs: Passes over the data in each training; None takes what suits each.
        copies: New texts that are made of each; None takes what suits each.

    Attributes:
        trained: How many trainings ran here.
    """

    def __init__(
        self,
        given: TextModel,
        texts: TrainingTexts | None,
        checkpoints: Mapping[str, TextModel],
        *,
        cache: Path,
        max_length: int,
        seed: int,
        epochs: int | None,
        copies: int | None,
    ) -> None:
        self.given, self._texts, self._checkpoints = given, texts, checkpoints
        self._cache, self._max_length = cache, max_length
        self._seed, self._epochs, self._copies = seed, epochs, copies
        self._ready: dict[Origin, TextModel] = {}
        self._trims: dict[float, Trimmed] = {}
        self._costs: dict[Origin, float] = {}
        self.trained = 0

    def prepare(self) -> None:
        """Makes the cache, where anything is learned; before the first :meth:`ready`."""
        if self._texts is not None:
            cache_folder(cache_folder(self._cache) / FOLDER)

    def trains(self, origin: Origin) -> bool:
        """Whether the origin takes a training that the cache does not have."""
        return self._learns(origin) and origin not in self._ready and not self._place(origin).exists()

    def cost(self, origin: Origin) -> float:
        """About how long the training takes, of no unit: 0 for none, else multiplications a token times texts read."""
        if not self.trains(origin):
            return 0.0
        if origin not in self._costs:
            settings = self._settings(origin)
            copies = settings.augment.copies if isinstance(settings, DistillSettings) else settings.copies
            self._costs[origin] = _work(self.untrained(origin).config) * settings.epochs * (1 + copies)
        return self._costs[origin]

    def untrained(self, origin: Origin) -> TextModel:
        """The model in its size, with weights that have learned nothing; size and speed depend on no weight."""
        if not self._learns(origin):
            return self._plain(origin)
        if origin.source == MODEL:
            assert origin.prune is not None
            whole = self._plain(origin._replace(prune=None))
            parts = parts_of(whole.config)
            return with_only(whole, best_units(magnitude(whole), parts, 1.0 - origin.prune, PruneSettings.scope))
        student = find_student(origin.source)
        reader = self.given
        if isinstance(student, CnnStudent):
            reader = self._trimmed(self.given, RAREST)
        start = initial_student(replace(student, init="random"), reader, seed=self._seed, say=lambda message: None)
        return replace(start, name=f"{self.given.name}-{Path(origin.source).stem}")

    def ready(
        self, origin: Origin, listener: Listener, watch: Callable[[Epoch], None], known: Callable[[list[float]], None]
    ) -> TextModel:
        """The trained model. Of workers that want the same one trains and the others wait.

        Args:
            origin: The origin.
            listener: Told of progress.
            watch: Told of each epoch of a training; what it raises ends the training.
            known: Told, instead, the accuracies after each epoch of a training that the cache has.
        """
        if origin in self._ready:
            return self._ready[origin]
        if not self._learns(origin):
            made = self._plain(origin)
        else:
            place = self._place(origin)
            with locked(place.with_suffix(".lock")):
                made = self._read(origin, known) if place.exists() else self._train(origin, listener, watch)
        self._ready[origin] = made
        return made

    def _learns(self, origin: Origin) -> bool:
        return origin.prune is not None or (origin.source != MODEL and origin.source not in self._checkpoints)

    def _plain(self, origin: Origin) -> TextModel:
        """What needs no training."""
        if origin.source in self._checkpoints:
            return self._checkpoints[origin.source]
        return self._trimmed(self.given, 0.0) if origin.trim_vocab else self.given

    def _trimmed(self, model: TextModel, rarest: float) -> TextModel:
        assert self._texts is not None, "the space has it only with texts"
        if rarest not in self._trims:
            texts = self._texts.labelled.texts
            self._trims[rarest] = trim(
                model.tokenizer, texts, rarest=rarest, clean=model.clean, stop_words=model.stop_words
            )
        return trimmed_model(model, self._trims[rarest])

    def _settings(self, origin: Origin) -> DistillSettings | PruneSettings:
        if origin.prune is None:
            return distill_settings(
                origin.source,
                epochs=self._epochs,
                copies=self._copies,
                seed=self._seed,
                max_length=self._max_length,
            )
        settings = PruneSettings(ratio=origin.prune, seed=self._seed, max_length=self._max_length)
        return settings if self._epochs is None else replace(settings, epochs=self._epochs)

    def _train(self, origin: Origin, listener: Listener, watch: Callable[[Epoch], None]) -> TextModel:
        assert self._texts is not None, "the space has it only with texts"
        settings, place = self._settings(origin), self._place(origin)
        unfinished = place.with_suffix(".unfinished")
        self.trained += 1
        arguments: dict[str, Any] = {
            "unlabelled": self._texts.unlabelled,
            "cache": self._cache,
            "checkpoints": unfinished,
            "listener": listener,
            "watch": watch,
        }
        done: Pruned | Distilled
        if isinstance(settings, PruneSettings):
            whole = self._plain(origin._replace(prune=None))
            done = prune(whole, self._texts.labelled, settings, **arguments)
        else:
            done = distill(self.given, self._texts.labelled, settings, **arguments)
        with replacing(place.with_suffix(".json")) as file:
            told = {"name": done.model.name, "accuracy": [epoch.accuracy for epoch in done.curve]}
            file.write(jsonio.to_bytes(told))
        save_checkpoint(done.model, place)
        shutil.rmtree(unfinished, ignore_errors=True)
        return done.model

    def forget(self, origin: Origin) -> None:
        """Removes what a training that will not go on has left behind."""
        shutil.rmtree(self._place(origin).with_suffix(".unfinished"), ignore_errors=True)

    def _read(self, origin: Origin, known: Callable[[list[float]], None]) -> TextModel:
        place = self._place(origin)
        told = json.loads(place.with_suffix(".json").read_bytes())
        known([float(accuracy) for accuracy in told["accuracy"]])
        made = read_checkpoint(place, ReadOptions(), lambda message: None)
        return replace(made, name=told["name"], history=made.history[:-1])  # without the step of this reading

    def _place(self, origin: Origin) -> Path:
        settings = self._settings(origin)
        parts = [
            FORMAT.encode(),
            __version__.encode(),
            self._digest.encode(),
            repr([origin.prune, origin.trim_vocab]).encode(),
            repr(asdict(settings) | {"student": ""}).encode(),
        ]
        if origin.prune is None:
            parts.append(repr(find_student(origin.source)).encode())
        return self._cache / FOLDER / f"{digest_of(*parts)}.pt"

    @cached_property
    def _digest(self) -> str:
        """Of the teacher and the texts."""
        assert self._texts is not None
        labelled = self._texts.labelled
        texts = digest_of(
            *map(text_bytes, (*labelled.texts, "", *self._texts.unlabelled)), repr(labelled.labels).encode()
        )
        return model_digest(self.given) + texts


def digest_of(*parts: bytes) -> str:
    """The same only for the same parts in the same order."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()[:32]


def text_bytes(text: str) -> bytes:
    """A text for a digest, whatever is in it."""
    return text.encode("utf-8", "surrogatepass")


def model_digest(model: TextModel) -> str:
    """Of everything that decides a model's answers."""
    parts = [jsonio.to_bytes(model.config), model.tokenizer.json]
    parts.append(repr([model.labels, model.pad_to, model.clean, model.stop_words]).encode())
    for name in sorted(model.weights):
        parts += [name.encode(), model.weights[name].float().contiguous().numpy().tobytes()]
    return digest_of(*parts)


def _work(config: BertConfig | CnnConfig) -> float:
    """Multiplications a token."""
    if isinstance(config, BertConfig):
        return float(config.layers * (4 * config.hidden**2 + 2 * config.hidden * config.intermediate))
    return float(config.hidden * sum(width * count for width, count in zip(config.widths, config.filters, strict=True)))
