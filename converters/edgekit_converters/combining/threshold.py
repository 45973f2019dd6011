"""The threshold of a cascade: from which score on the student answers (docs/combining.md).

Held-out texts are walked through from the one that the student is surest of. Each text more that the student answers makes
the cascade cheaper and may cost accuracy. The walk goes on as long as the loss and one standard error of it stay within what
was allowed, and ends for good at the first score at which they do not: a lucky stretch behind counts for nothing. The
standard error is that of paired answers (McNemar, 1947), as if one text more were in dispute, so that few texts prove
little; keeping it in hand is the rule of one standard error (Breiman et al., Classification and Regression Trees, 1984). To
test in a fixed order and stop at the first failure is what keeps a search from finding luck (Angelopoulos et al., 2021,
arXiv 2110.01052).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgekit_runtime.errors import DataError, GateError, OptionError

KEEP = 0.995
"""The share of the bigger model's accuracy that a cascade keeps unless told otherwise."""


@dataclass(frozen=True)
class Threshold:
    """A threshold, and what the cascade does with it on the held-out texts that it was found on.

    Attributes:
        threshold: The student answers where its score is this or higher.
        share: Share of the texts that the student answers.
        accuracy: Of the cascade; without labels the share of texts that get the bigger model's label.
        accuracy_student: Of the student alone, likewise.
        accuracy_main: Of the bigger model alone; 1 without labels.
        examples: Number of texts.
    """

    threshold: float
    share: float
    accuracy: float
    accuracy_student: float
    accuracy_main: float
    examples: int


def check_keep(keep: float) -> None:
    """Refuses a share that no cascade can be shown to keep, or that asks for nothing.

    Raises:
        OptionError: It does not lie between 0 and 1.
    """
    if not 0 < keep < 1:
        raise OptionError(
            f"--keep is the share of the bigger model's accuracy, between 0 and 1 such as 0.995, not {keep}"
        )


def find_threshold(
    scores: npt.NDArray[np.float64],
    student: npt.NDArray[np.int64],
    main: npt.NDArray[np.int64],
    truth: Sequence[int] | npt.NDArray[np.int64] | None = None,
    *,
    keep: float = KEEP,
) -> Threshold:
    """Finds the threshold with which the student answers the most texts and the cascade still keeps its accuracy.

    The texts should be ones that neither model was trained on: a model knows those too well.

    Args:
        scores: (texts,) the student's highest probability.
        student: (texts,) its class ids.
        main: (texts,) the bigger model's.
        truth: (texts,) the right ones; None takes the bigger model's, so that ``keep`` is the wanted agreement with it.
        keep: Wanted share of the bigger model's accuracy.

    Raises:
        OptionError: ``keep`` does not lie between 0 and 1.
        DataError: There are no texts, not as many of each, or scores that are no probabilities.
        GateError: No threshold keeps that much, or the texts are too few to show it; the message says what can be shown.
    """
    check_keep(keep)
    right = main if truth is None else np.asarray(truth)
    if not len(scores) or not len(scores) == len(student) == len(main) == len(right):
        raise DataError(
            f"a threshold needs a score and labels for each of one or more held-out texts, not {len(scores)} scores "
            f"and {len(student)}, {len(main)} and {len(right)} labels"
        )
    if not ((scores > 0) & (scores <= 1)).all():  # NaN fails, too
        raise DataError("the student gives scores that are no probabilities; convert it anew")
    order = np.argsort(-scores, kind="stable")
    lost = ((main == right).astype(np.int64) - (student == right))[order]  # 1 where only the bigger model is right
    net, disputed = lost.cumsum(), np.abs(lost).cumsum()
    main_right = int((main == right).sum())
    bound = net + np.sqrt(disputed + 1)
    ends = np.flatnonzero(np.diff(-scores[order], append=np.inf))  # equal scores are answered by the same model
    kept = bound[ends] <= (1 - keep) * main_right
    if not kept[0]:
        raise GateError(_refusal(keep, float(bound[ends[0]]), int(disputed[ends[0]]), main_right, len(scores)))
    last = ends[-1 if kept.all() else int(kept.argmin()) - 1]
    return Threshold(
        threshold=float(scores[order[last]]),
        share=float((last + 1) / len(scores)),
        accuracy=float((main_right - net[last]) / len(scores)),
        accuracy_student=float((student == right).mean()),
        accuracy_main=main_right / len(scores),
        examples=len(scores),
    )


def _refusal(keep: float, bound: float, disputed: int, main_right: int, examples: int) -> str:
    best = max(0.0, 1 - bound / main_right) if main_right else 0.0
    shown = (
        f"{examples} held-out texts show at best that {best:.2%} of the bigger model's accuracy is kept, not {keep:.2%}"
    )
    if disputed or not main_right:
        return f"{shown}, since the student errs where it is surest: train it further, or ask for less with --keep"
    needed = int(np.ceil(examples / ((1 - keep) * main_right)))
    return f"{shown}: give {needed} or more, or ask for less with --keep"
