"""What a student is graded by: how near its logits are to its teacher's."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from edgekit_runtime.errors import OptionError

LOSSES = ("mse", "kl")


@dataclass(frozen=True)
class SoftTargets:
    """A training objective for :func:`edgekit_converters.training.loop.train`.

    Attributes:
        loss: ``mse``, the mean squared difference of the logits (Ba and Caruana 2014, arXiv 1312.6184), or ``kl``, the
            divergence of the probabilities at a temperature, times its square (Hinton et al. 2015, arXiv 1503.02531).
        temperature: Of ``kl``; ``mse`` has none.
        alpha: Share of the cross entropy with the true label, for texts that have one.
        label_smoothing: Share of that truth that is spread over all classes.
    """

    loss: str = "mse"
    temperature: float = 2.0
    alpha: float = 0.0
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise OptionError(f"there is no loss {self.loss!r}; --loss takes {' or '.join(LOSSES)}")
        if not 0.0 < self.temperature < float("inf"):
            raise OptionError(f"--temperature must be above 0, not {self.temperature}")
        if not 0.0 <= self.alpha <= 1.0:
            raise OptionError(f"--alpha is a share from 0 to 1, not {self.alpha}")

    def __call__(self, logits: Tensor, labels: Tensor | None, targets: Tensor | None) -> Tensor:
        """Grades a batch.

        Args:
            logits: (B, classes), the student's.
            labels: (B,) class ids, a negative one for a text without label; None if none of them has one.
            targets: (B, classes) logits of the teacher.

        Returns:
            The mean over the texts.
        """
        assert targets is not None, "each text has the teacher's logits"
        if self.loss == "mse":
            soft = (logits - targets).square().mean(dim=1)
        else:
            heat = self.temperature
            student, teacher = F.log_softmax(logits / heat, dim=1), F.log_softmax(targets / heat, dim=1)
            soft = F.kl_div(student, teacher, reduction="none", log_target=True).sum(dim=1) * heat**2
        if labels is None or self.alpha == 0.0:
            return soft.mean()
        hard = F.cross_entropy(logits, labels.clamp(min=0), reduction="none", label_smoothing=self.label_smoothing)
        share = self.alpha * (labels >= 0)
        return (soft * (1.0 - share) + hard * share).mean()
