"""Trains a module by transformers.Trainer and keeps the weights of its best epoch."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from edgekit_converters.training import processes
from edgekit_converters.training.batches import Batches, ready
from edgekit_converters.training.checkpoints import Checkpoint, Checkpoints, Purpose, purpose_of
from edgekit_converters.training.curve import Epoch, Point, Record
from edgekit_converters.training.examples import Row, packed
from edgekit_converters.training.precision import bf16_wanted
from edgekit_converters.training.settings import TrainSettings
from edgekit_runtime.errors import FileError, require
from edgekit_runtime.progress import Listener

__all__ = ["Epoch", "Point", "Trained", "Watch", "train"]

Watch = Callable[[Epoch], None]
"""Follows a training, epoch by epoch."""

MEASURED_BATCH = 128
"""Smallest batch in which held-out rows are measured."""


@dataclass(frozen=True)
class Trained:
    """What training made.

    Attributes:
        weights: The module's state dict after the best epoch: the highest held-out accuracy, then the smallest loss.
        best_epoch: Its number, from 1.
        curve: Every epoch.
        trace: The training loss in finer steps.
    """

    weights: Mapping[str, Tensor]
    best_epoch: int
    curve: tuple[Epoch, ...]
    trace: tuple[Point, ...] = ()

    @property
    def accuracy(self) -> float:
        """Held-out accuracy of the best epoch."""
        return self.curve[self.best_epoch - 1].accuracy


def train(
    module: nn.Module,
    rows: Sequence[Row],
    held_out: Sequence[Row],
    settings: TrainSettings,
    *,
    learning_rate: float,
    pad_id: int,
    checkpoints: Path | None,
    listener: Listener,
    on_epoch: Callable[[int], None] | None = None,
    watch: Watch | None = None,
) -> Trained:
    """Trains a module, in as many processes as were started (``training.processes``).

    Args:
        module: Called with ``input_ids`` and ``attention_mask`` (B, L) int64, and ``labels`` (B,) int64, ``targets``
            (B, classes) float32 or both, as the rows have them; returns ``{"loss": scalar, "logits": (B, classes)}``.
        rows: What it learns from.
        held_out: What chooses the best epoch: by labels, or by the largest target where there are none.
        settings: How.
        learning_rate: Peak of the schedule.
        pad_id: Id that fills short rows.
        checkpoints: Folder that keeps a checkpoint of the last epoch, from which the same call goes on; None keeps
            nothing.
        listener: Told of every step, and in a line of every epoch.
        on_epoch: Called before each epoch with the number of those behind it.
        watch: Called after each epoch with what was measured; what it raises ends the training.

    Returns:
        The weights after the best epoch; the same in every process.

    Raises:
        MissingExtraError: transformers or accelerate is not installed.
        OptionError: bfloat16 is asked for and missing, or the checkpoints are of another run.
        CheckpointError: The checkpoint to go on from is damaged.
        FileError: A checkpoint cannot be written; the earlier one is still there.
        TrainingError: The loss is no number any more, or another process died.
    """
    transformers = require("transformers", extra="train", purpose="training")
    require("accelerate", extra="train", purpose="training")
    from edgekit_converters.training.trainer import Trainer

    transformers.logging.set_verbosity_error()
    bf16 = bf16_wanted(settings)
    if processes.world_size() > 1:
        processes.state()
    learnt, measured = packed(rows), packed(held_out)
    store = purpose = last = None
    if checkpoints is not None:
        store = Checkpoints(checkpoints)
        purpose = purpose_of(module, (learnt, measured), settings, learning_rate)
        last = _last(store, purpose)
    record = last.record if last is not None else Record()
    best = last.best_weights() if last is not None else {}
    if last is not None:
        listener.say(f"going on from epoch {len(record.curve)}, whose checkpoint lies in {checkpoints}")
        if record.over(settings.epochs, settings.patience):
            return Trained(best, record.best_epoch, record.curve, record.trace)
    arguments = transformers.TrainingArguments(
        output_dir=str(checkpoints or tempfile.gettempdir()),  # Trainer makes it; nothing of ours goes there
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=max(settings.batch_size, MEASURED_BATCH),
        gradient_accumulation_steps=settings.accumulate,
        max_grad_norm=settings.clip,
        metric_for_best_model="loss",  # what the plateau looks at
        greater_is_better=False,
        eval_strategy="epoch",
        save_strategy="no" if store is None else "epoch",
        logging_strategy="no",
        logging_nan_inf_filter=False,
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        use_cpu=not torch.accelerator.is_available(),
        ddp_backend=processes.backend(),
        ddp_timeout=processes.TIMEOUT_S,
        ddp_find_unused_parameters=on_epoch is not None,  # which may freeze some
        seed=settings.seed,
    )
    trainer = Trainer(
        settings=settings,
        learning_rate=learning_rate,
        bf16=bf16,
        record=record,
        best=best,
        checkpoints=store,
        purpose=purpose,
        listener=listener,
        on_epoch=on_epoch,
        watch=watch,
        model=module,
        args=arguments,
        train_dataset=Batches(learnt, pad_id),
        eval_dataset=Batches(measured, pad_id),
        data_collator=ready,
    )
    with processes.together():
        trainer.train(resume_from_checkpoint=None if last is None else str(last.folder))
    return Trained(trainer.best, trainer.record.best_epoch, trainer.record.curve, trainer.record.trace)


def _last(store: Checkpoints, purpose: Purpose) -> Checkpoint | None:
    """The checkpoint to go on from, the same one in every process."""
    found = store.last(purpose)
    mine = None if found is None else found.folder.name
    if (theirs := processes.agreed(mine)) != mine:
        raise FileError(
            f"this process finds {mine or 'nothing'} in {store.folder}, and the first one {theirs or 'nothing'}: "
            "give --checkpoints a folder that every machine sees"
        )
    return found
