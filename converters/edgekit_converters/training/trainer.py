"""transformers.Trainer with edgekit's batches, optimisers, schedules and checkpoints."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor, nn
from torch.optim import Optimizer

from edgekit_converters.training import processes
from edgekit_converters.training.batches import Batches, Shuffled, Sorted
from edgekit_converters.training.checkpoints import OPTIMIZER, SCHEDULE, Checkpoints, Purpose, damage_named
from edgekit_converters.training.curve import Epoch, Point, Record
from edgekit_converters.training.optimizers import optimizer_of
from edgekit_converters.training.schedules import Plateau, schedule_of
from edgekit_converters.training.settings import TrainSettings
from edgekit_runtime.errors import TrainingError
from edgekit_runtime.progress import Listener

POINTS = 48
"""So many points an epoch are kept of the training loss."""

EPOCH_SEED = 1000003
"""Keeps the seeds of epochs apart: every epoch begins from one of its own, so that going on needs no generator's state."""


class Trainer(transformers.Trainer):  # type: ignore[misc]
    """Batches by length, the settings' optimiser and schedule, and a checkpoint an epoch where one is wanted.

    Attributes:
        record: What happened so far.
        best: State dict after the best epoch, on the CPU.
    """

    def __init__(
        self,
        *,
        settings: TrainSettings,
        learning_rate: float,
        bf16: bool,
        record: Record,
        best: Mapping[str, Tensor],
        checkpoints: Checkpoints | None,
        purpose: Purpose | None,
        listener: Listener,
        on_epoch: Callable[[int], None] | None,
        watch: Callable[[Epoch], None] | None,
        **arguments: Any,
    ) -> None:
        self.settings, self.peak, self._bf16 = settings, learning_rate, bf16
        self.record, self.best = record, best
        self._checkpoints, self._purpose = checkpoints, purpose
        self._losses: list[Tensor] = []
        self._rates: list[float] = []
        super().__init__(**arguments, compute_metrics=_means, callbacks=[_Follow(self, listener, on_epoch, watch)])
        self.remove_callback(transformers.trainer_callback.PrinterCallback)

    def _get_train_sampler(self, train_dataset: Any = None) -> Shuffled:
        together = self.args.train_batch_size * self.args.world_size
        return Shuffled(self.train_dataset.rows, together, self.settings.seed)

    def _get_eval_sampler(self, eval_dataset: Batches) -> Sorted:
        return Sorted(eval_dataset.rows)

    def create_optimizer(self, model: nn.Module | None = None) -> Optimizer:
        """The optimiser of the settings."""
        self.optimizer = optimizer_of(self.model, self.settings, self.peak)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Optimizer | None = None) -> Any:
        """The schedule of the settings."""
        self.lr_scheduler = schedule_of(optimizer or self.optimizer, self.settings, num_training_steps)
        return self.lr_scheduler

    def autocast_smart_context_manager(self, cache_enabled: bool | None = True) -> AbstractContextManager[Any]:
        """Around the loss of each step, where bfloat16 is wanted; held-out rows are measured in float32."""
        return torch.autocast(self.args.device.type, torch.bfloat16, enabled=self._bf16, cache_enabled=cache_enabled)

    def training_step(self, *arguments: Any, **named: Any) -> Tensor:
        """One batch; its loss is noted."""
        loss: Tensor = super().training_step(*arguments, **named)
        self._losses.append(loss)
        return loss

    def prediction_step(
        self, model: nn.Module, inputs: Mapping[str, Tensor], prediction_loss_only: bool, ignore_keys: Any = None
    ) -> tuple[None, Tensor, Tensor]:
        """Loss and rightness of each row instead of its logits, so that their means are exact whatever the batches."""
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad():
            made = model(**inputs)
        truth = inputs["labels"] if "labels" in inputs else inputs["targets"].argmax(dim=1)
        right = (made["logits"].argmax(dim=1) == truth).float()
        return None, torch.stack([made["loss"].float().expand_as(right), right], dim=1), truth

    def epoch_done(self, metrics: Mapping[str, float], began: float) -> Epoch:
        """Adds an epoch to the record and keeps its weights if it is the best so far.

        Raises:
            TrainingError: The loss is no number any more.
        """
        losses = torch.stack(self._losses).float()
        if processes.world_size() > 1:
            losses = self.accelerator.reduce(losses, reduction="mean")
        batches = losses.cpu().double().numpy()
        per_step = np.add.reduceat(batches, np.arange(0, len(batches), self.args.gradient_accumulation_steps))
        epoch = Epoch(
            epoch=len(self.record.curve) + 1,
            loss=float(per_step.mean()),
            held_out_loss=metrics["eval_loss"],
            accuracy=metrics["eval_accuracy"],
            learning_rate=self._rates[-1],
            seconds=time.perf_counter() - began,
        )
        if not np.isfinite([epoch.loss, epoch.held_out_loss]).all():
            raise TrainingError(
                f"the loss is no number any more in epoch {epoch.epoch}: lower --learning-rate, or set --clip"
            )
        stretches = np.array_split(np.arange(len(per_step)), min(POINTS, len(per_step)))
        points = tuple(
            Point(
                epoch=epoch.epoch - 1 + float(stretch[-1] + 1) / len(per_step),
                loss=float(per_step[stretch].mean()),
                learning_rate=self._rates[stretch[-1]],
            )
            for stretch in stretches
        )
        self._losses, self._rates = [], []
        self.record = self.record.then(epoch, points)
        if self.record.best_epoch == epoch.epoch:
            self.best = self.weights()
        return epoch

    def step_done(self) -> None:
        """Notes the learning rate of the step."""
        self._rates.append(self._get_learning_rate())

    def weights(self) -> dict[str, Tensor]:
        """A copy of the module's state dict, on the CPU."""
        return {name: tensor.detach().cpu().clone() for name, tensor in self.model.state_dict().items()}

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Replaces transformers' own: whole or not at all, nothing pickled that is not plain, by the first process."""
        assert self._checkpoints is not None and self._purpose is not None, "asked for"
        if processes.is_main():
            now_best = self.record.best_epoch == len(self.record.curve)
            self._checkpoints.save(
                self.state.global_step,
                self._purpose,
                self.record,
                self.model.state_dict(),
                None if now_best else self.best,
                {OPTIMIZER: self.optimizer.state_dict(), SCHEDULE: self.lr_scheduler.state_dict()},
                dataclasses.asdict(self.state),
            )
        processes.barrier()

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        with damage_named(resume_from_checkpoint):
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            with damage_named(checkpoint):
                super()._load_optimizer_and_scheduler(checkpoint)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """Not needed: see EPOCH_SEED."""


def _means(answers: Any) -> dict[str, float]:
    """Mean loss and accuracy of the rows of :meth:`Trainer.prediction_step`."""
    loss, accuracy = np.asarray(answers.predictions, np.float64).mean(axis=0)
    return {"loss": float(loss), "accuracy": float(accuracy)}


class _Follow(transformers.TrainerCallback):  # type: ignore[misc]
    """Follows the training: seeds, L1, the record, early stopping, and the listener."""

    def __init__(
        self,
        trainer: Trainer,
        listener: Listener,
        on_epoch: Callable[[int], None] | None,
        watch: Callable[[Epoch], None] | None,
    ) -> None:
        self._trainer, self._listener, self._on_epoch, self._watch = trainer, listener, on_epoch, watch
        self._began = 0.0

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        done = len(self._trainer.record.curve)
        transformers.set_seed((self._trainer.settings.seed + EPOCH_SEED * done) % 2**32)
        if self._on_epoch is not None:
            self._on_epoch(done)
        self._began = time.perf_counter()

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if isinstance(self._trainer.lr_scheduler, Plateau):
            self._trainer.lr_scheduler.before(state.global_step)

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if l1 := self._trainer.settings.l1:
            weights = [part for part in self._trainer.model.parameters() if part.grad is not None and part.dim() > 1]
            torch._foreach_add_([part.grad for part in weights], torch._foreach_sign(weights), alpha=l1)

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._trainer.step_done()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._listener.progress(state.global_step, state.max_steps)

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **kwargs: Any) -> None:
        trainer = self._trainer
        epoch = trainer.epoch_done(metrics, self._began)
        self._listener.say(
            f"epoch {epoch.epoch} of {trainer.settings.epochs}: loss {epoch.loss:.4f}, held out {epoch.held_out_loss:.4f}, "
            f"accuracy {epoch.accuracy:.2%}"
        )
        if self._watch is not None:
            self._watch(epoch)
        if trainer.record.over(trainer.settings.epochs, trainer.settings.patience):
            if len(trainer.record.curve) < trainer.settings.epochs:
                self._listener.say(f"stopped: no epoch was better than epoch {trainer.record.best_epoch} since")
            control.should_training_stop = True
