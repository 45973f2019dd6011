"""One trial: from a choice to its result, with what may stop it on the way."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit_converters.budget import Budget
from edgekit_converters.model import TextModel
from edgekit_converters.training.curve import Epoch
from edgekit_converters.tuning.choice import Choice
from edgekit_converters.tuning.folder import TRIALS
from edgekit_converters.tuning.front import exceeded, figures_of, shares_over
from edgekit_converters.tuning.origins import Origins
from edgekit_converters.tuning.record import Record, Rule
from edgekit_converters.tuning.results import COMPLETE, FAILED, PRUNED, REFUSED, Measured, TrialResult
from edgekit_converters.tuning.stopping import StoppedError, Until, of_bundle, of_origin, of_program, of_scheme
from edgekit_converters.tuning.workshop import Workshop
from edgekit_runtime.errors import EdgekitError, OptionError
from edgekit_runtime.progress import Listener

if TYPE_CHECKING:
    import optuna

ROOM = {"p50": 0.25, "p95": 0.25, "p99": 0.25, "rss": 0.25, "bytes": 0.01}
"""By how much an untrained model may be over a limit before it is stopped: times drift, and golden texts differ."""


class Bench:
    """Runs trials.

    Args:
        out: Folder of the study.
        record: The study.
        origins: The models.
        workshop: Makes and measures bundles.
        budget: The limits.
        over: Whether the time is up.
        listener: Told of progress.
    """

    def __init__(
        self,
        out: Path,
        record: Record,
        origins: Origins,
        workshop: Workshop,
        budget: Budget,
        over: Callable[[], bool],
        listener: Listener,
    ) -> None:
        self._out, self._record, self._origins, self._workshop = out, record, origins, workshop
        self._budget, self._over, self._listener = budget, over, listener

    def run(self, trial: optuna.Trial, choice: Choice) -> TrialResult:
        """Tries a choice and keeps what came of it in the study.

        Raises:
            TimeUpError: The time is up in the middle of a training.
        """
        began = time.monotonic()
        plain = TrialResult(trial.number, COMPLETE, choice, host=socket.gethostname())
        rule: Rule | None = None
        try:
            result = self._complete(plain, trial)
        except StoppedError as stop:
            rule = stop.rule
            result = _with(replace(plain, state=PRUNED, bytes=stop.size, reason=str(stop)), stop.measured)
        except EdgekitError as error:
            state, rule = (
                (REFUSED, of_program(choice)) if isinstance(error, OptionError) else (FAILED, of_bundle(choice))
            )
            result = replace(plain, state=state, reason=str(error))
        except BaseException:
            sweep(self._out, (plain.number,))
            raise
        result = replace(result, seconds=round(time.monotonic() - began, 3))
        self._record.finish(trial, result, rule, shares_over(result, self._budget, self._workshop.original_accuracy))
        return result

    def _complete(self, plain: TrialResult, trial: optuna.Trial) -> TrialResult:
        choice = plain.choice
        made = self._sibling(plain) or self._made(plain, trial)
        assert made.bundle is not None and made.accuracy is not None, "it is complete"
        self._listener.stage(f"Timing {choice}")
        measured = self._workshop.measure(self._out / made.bundle, choice.engine, choice.threads)
        original = self._workshop.original_accuracy
        over = exceeded(self._budget, figures_of(size=made.bytes, drop=original - made.accuracy, measured=measured))
        share = made.accuracy / original if original else None
        made = replace(made, accuracy_share=share, within=not over, reason="; ".join(over.values()) or None)
        return _with(made, measured)

    def _sibling(self, plain: TrialResult) -> TrialResult | None:
        """The bundle of a trial that differs in the threads alone."""
        for other in self._record.seen().results:
            there = other.state == COMPLETE and other.host == plain.host and other.choice.bundle == plain.choice.bundle
            if there and other.bundle and (self._out / other.bundle).is_file():
                return replace(plain, accuracy=other.accuracy, bytes=other.bytes, bundle=other.bundle)
        return None

    def _made(self, plain: TrialResult, trial: optuna.Trial) -> TrialResult:
        choice = plain.choice
        if self._origins.trains(choice.origin):
            self._try_dry(choice)
        model = self._model(choice, trial)
        self._check_least(choice, model)
        name = f"{TRIALS}/{plain.number:04d}.edgekit"

        def lowered(size: int) -> None:
            self._check_size(choice, size)

        made = self._workshop.make(choice, model, self._out / name, lowered)
        return replace(plain, bundle=name, bytes=made.size, accuracy=made.accuracy)

    def _try_dry(self, choice: Choice) -> None:
        """Stops what is too big or too slow before it is trained."""
        model = self._origins.untrained(choice.origin)
        self._check_least(choice, model)
        self._listener.stage(f"Measuring {choice}, untrained")
        size, measured = self._workshop.dry(choice, model)
        over = exceeded(self._budget, figures_of(size=size, measured=measured), ROOM)
        if over:
            rule = of_bundle(choice) if "bytes" in over else vars(choice)
            raise StoppedError(f"before training: {'; '.join(over.values())}", rule, size=size, measured=measured)

    def _check_least(self, choice: Choice, model: TextModel) -> None:
        """Stops what cannot fit, whatever the engine."""
        size = self._workshop.least(choice, model)
        if over := exceeded(self._budget, figures_of(size=size)):
            raise StoppedError(f"the weights alone: {over['bytes']}", of_scheme(choice), size=size)

    def _check_size(self, choice: Choice, size: int) -> None:
        if over := exceeded(self._budget, figures_of(size=size)):
            raise StoppedError(f"the program alone: {over['bytes']}", of_bundle(choice), size=size)

    def _model(self, choice: Choice, trial: optuna.Trial) -> TextModel:
        origin, accuracies = choice.origin, list[float]()

        def watch(epoch: Epoch) -> None:
            accuracies.append(epoch.accuracy)
            trial.report(epoch.accuracy, epoch.epoch)
            if trial.should_prune():
                self._origins.forget(origin)
                raise StoppedError(
                    f"fell behind in training: after epoch {epoch.epoch} its best accuracy on held-out texts is "
                    f"{max(accuracies):.2%}, under the median of the trainings before it",
                    of_origin(origin),
                )

        def known(curve: list[float]) -> None:
            for epoch, accuracy in enumerate(curve, start=1):
                trial.report(accuracy, epoch)

        return self._origins.ready(origin, Until(self._listener, self._over), watch, known)


def _with(result: TrialResult, measured: Measured | None) -> TrialResult:
    if measured is None:
        return result
    return replace(
        result,
        p50_ms=measured.p50_ms,
        p95_ms=measured.p95_ms,
        p99_ms=measured.p99_ms,
        rss_mib=measured.rss_mib,
        load_average=measured.load_average,
    )


def sweep(out: Path, numbers: tuple[int, ...]) -> None:
    """Removes what workers that died in these trials have left behind."""
    for number in numbers:
        for pattern in (f"{number:04d}.edgekit", f".{number:04d}.edgekit.*"):
            for path in (out / TRIALS).glob(pattern):
                path.unlink(missing_ok=True)
