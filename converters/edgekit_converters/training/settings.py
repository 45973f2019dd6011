"""How a model is trained: what fine-tuning, distilling and pruning have in common."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from edgekit_converters.model import TextModel
from edgekit_runtime.errors import OptionError

Settings = TypeVar("Settings", bound="TrainSettings")

LEARNING_RATES = {
    "adamw": {"bert": 5e-5, "cnn": 4e-3},
    "sgd": {"bert": 5e-3, "cnn": 0.2},
    "rmsprop": {"bert": 2e-5, "cnn": 1e-3},
    "adagrad": {"bert": 1e-3, "cnn": 2e-2},
    "adadelta": {"bert": 0.5, "cnn": 2.0},
}
"""The peak that is taken where none is said, by optimiser and architecture."""

OPTIMIZERS = tuple(LEARNING_RATES)
SCHEDULES = ("linear", "cosine", "step", "plateau", "constant")


@dataclass(frozen=True)
class TrainSettings:
    """How a model is trained; each field is a flag of the commands that train.

    Attributes:
        epochs: Passes over the training part, at most.
        batch_size: Texts a step, in each process.
        learning_rate: Peak of the schedule; None takes LEARNING_RATES'.
        schedule: What the learning rate does after the warm-up (``training.schedules``).
        warmup: Share of the steps in which the learning rate rises from 0 to its peak.
        optimizer: One of OPTIMIZERS.
        momentum: Of ``sgd`` and ``rmsprop``.
        weight_decay: Pull of the weights towards 0, biases and norms excepted; decoupled in AdamW (arXiv 1711.05101).
        l1: The same by the sum of absolute weights; decoupled too, so that losses stay comparable.
        dropout: Share of features dropped in training; None takes the architecture's custom.
        label_smoothing: Share of the truth that is spread over all classes (arXiv 1512.00567).
        clip: Longest norm of a step's gradient; 0 does not clip.
        accumulate: Batches whose gradients make one step.
        patience: Epochs without a better one after which training stops; None goes on to the end.
        bf16: Whether matrix products are computed in bfloat16; None does where that is faster (``training.precision``).
        seed: Of the split, the order, the dropout and the initial weights.
        max_length: Longest text in tokens; longer ones are cut. None takes 128, or what the model can read.
        held_out: Share of the examples, stratified, that chooses the best epoch.
        limit: Uses this many examples at most, chosen by the seed; None uses all.

    Raises:
        OptionError: A value that makes no sense.
    """

    epochs: int = 3
    batch_size: int = 32
    learning_rate: float | None = None
    schedule: str = "linear"
    warmup: float = 0.1
    optimizer: str = "adamw"
    momentum: float = 0.9
    weight_decay: float = 0.01
    l1: float = 0.0
    dropout: float | None = None
    label_smoothing: float = 0.0
    clip: float = 1.0
    accumulate: int = 1
    patience: int | None = None
    bf16: bool | None = None
    seed: int = 42
    max_length: int | None = None
    held_out: float = 0.1
    limit: int | None = None

    def __post_init__(self) -> None:
        for option, name, known in (
            ("--schedule", self.schedule, SCHEDULES),
            ("--optimizer", self.optimizer, OPTIMIZERS),
        ):
            if name not in known:
                raise OptionError(f"there is no {option[2:]} {name!r}; {option} takes {', '.join(known)}")
        for option, count in (
            ("--epochs", self.epochs),
            ("--batch-size", self.batch_size),
            ("--max-length", self.max_length),
            ("--limit", self.limit),
            ("--accumulate", self.accumulate),
            ("--patience", self.patience),
        ):
            if count is not None and count < 1:
                raise OptionError(f"{option} must be 1 or more, not {count}")
        if not 0 <= self.seed < 2**32:
            raise OptionError(f"--seed lies between 0 and {2**32 - 1}, not at {self.seed}")
        if self.learning_rate is not None and not 0.0 < self.learning_rate < float("inf"):
            raise OptionError(f"--learning-rate must be above 0, not {self.learning_rate}")
        for option, amount in (("--weight-decay", self.weight_decay), ("--l1", self.l1), ("--clip", self.clip)):
            if not 0.0 <= amount < float("inf"):
                raise OptionError(f"{option} must be 0 or more, not {amount}")
        for option, share in (
            ("--warmup", self.warmup),
            ("--momentum", self.momentum),
            ("--dropout", self.dropout),
            ("--label-smoothing", self.label_smoothing),
        ):
            if share is not None and not 0.0 <= share < 1.0:
                raise OptionError(f"{option} lies between 0 and 1, not at {share}")
        if not 0.0 < self.held_out < 1.0:
            raise OptionError(f"the held-out share lies between 0 and 1, not at {self.held_out}")

    def within(self: Settings, model: TextModel) -> Settings:
        """The same with a length for texts of ``model``, where none is said.

        Raises:
            OptionError: The length that is said does not suit the model.
        """
        if self.max_length is None:
            return replace(self, max_length=model.default_max_length)
        limit = model.position_limit
        if limit is not None and self.max_length > limit:
            raise OptionError(
                f"--max-length {self.max_length} is over the {limit} tokens that {model.name} reads: lower it"
            )
        if self.max_length < model.min_length:
            raise OptionError(f"--max-length must be at least {model.min_length}: {model.name} pads its texts to that")
        return self

    @property
    def length(self) -> int:
        """``max_length``, once :meth:`within` has said it."""
        assert self.max_length is not None, "within() comes first"
        return self.max_length

    def peak(self, architecture: str) -> float:
        """The learning rate's peak for ``bert`` or ``cnn``."""
        return self.learning_rate or LEARNING_RATES[self.optimizer][architecture]
