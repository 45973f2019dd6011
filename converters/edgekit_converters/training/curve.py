"""What happened in training, epoch by epoch."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Epoch:
    """One pass over the training part.

    Attributes:
        epoch: Its number, from 1.
        loss: Mean of its steps, with dropout and while the weights still moved.
        held_out_loss: Mean of the held-out texts after it.
        accuracy: Share of them that were labelled right.
        learning_rate: That of its last step.
        seconds: What it took, with the measuring.
    """

    epoch: int
    loss: float
    held_out_loss: float
    accuracy: float
    learning_rate: float
    seconds: float


@dataclass(frozen=True)
class Point:
    """A short stretch of training: epochs behind us at its end, mean loss, learning rate."""

    epoch: float
    loss: float
    learning_rate: float


@dataclass(frozen=True)
class Record:
    """The epochs so far, the finer trace of the training loss, and which epoch was best."""

    curve: tuple[Epoch, ...] = ()
    trace: tuple[Point, ...] = ()
    best_epoch: int = 0

    def then(self, epoch: Epoch, trace: tuple[Point, ...]) -> Record:
        """With one epoch more. The best has the highest accuracy, and of several such the smallest held-out loss."""
        longer = replace(self, curve=(*self.curve, epoch), trace=(*self.trace, *trace))
        best = max(longer.curve, key=lambda one: (one.accuracy, -one.held_out_loss))
        return replace(longer, best_epoch=best.epoch)

    def over(self, epochs: int, patience: int | None) -> bool:
        """Whether training ends here: after ``epochs``, or ``patience`` of them without a better one."""
        done = len(self.curve)
        return done >= epochs or (patience is not None and done > 0 and done - self.best_epoch >= patience)
