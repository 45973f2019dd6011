"""The study in its storage: results, claims of workers, and whose study it is."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit_converters.tuning.choice import Choice
from edgekit_converters.tuning.folder import LOCK, LOG, without_password
from edgekit_converters.tuning.locks import locked
from edgekit_converters.tuning.results import COMPLETE, PRUNED, TrialResult
from edgekit_converters.tuning.space import Space
from edgekit_converters.tuning.workers import beating, is_gone, this_worker
from edgekit_runtime import jsonio
from edgekit_runtime.errors import FileError, OptionError, require

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import CategoricalDistribution

IDENTITY, RESULT, RULES_OUT, WORKER, BEAT = "identity", "result", "rules_out", "worker", "beat"

Rule = Mapping[str, Any]
"""Fields of a choice with their values: whatever has them is not tried any more."""


@dataclass(frozen=True)
class Seen:
    """What the study knows at a moment.

    Attributes:
        results: Of the trials that ended, by number.
        running: Choices that living workers try now.
        rules: What is ruled out.
    """

    results: tuple[TrialResult, ...]
    running: tuple[Choice, ...]
    rules: tuple[Rule, ...]

    def open(self, space: Space) -> tuple[Choice, ...]:
        """The choices that nobody has tried or tries, and that nothing rules out, in the order of the space."""
        met = {result.choice for result in self.results} | set(self.running)
        return tuple(
            choice
            for choice in space.choices
            if choice not in met and not any(_matches(rule, choice) for rule in self.rules)
        )


class Record:
    """A study of optuna whose trials carry results.

    Args:
        out: The folder of the study.
        storage: URL of a database; None takes a journal in ``out``.
        name: Name of the study.
        space: What is searched.
        identity: What the study is about, part by part; another one under the same name is refused.
        sampler: Makes what chooses, given this record.

    Raises:
        OptionError: The study is another one's, or the storage is none.
        FileError: The journal cannot be read.
        MissingExtraError: optuna is not installed.
    """

    def __init__(
        self,
        out: Path,
        storage: str | None,
        name: str,
        space: Space,
        identity: Mapping[str, str],
        sampler: Callable[[Record], optuna.samplers.BaseSampler],
    ) -> None:
        optuna = require("optuna", extra="tune", purpose="edgekit tune")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.space, self._lock = space, out / LOCK
        self.where = without_password(storage) if storage else str(out / LOG)
        try:
            with locked(self._lock):  # the tables of a database are not made by two at a time
                self.study = optuna.create_study(
                    storage=storage or optuna.storages.JournalStorage(_journal(out / LOG)),
                    study_name=name,
                    sampler=sampler(self),
                    pruner=optuna.pruners.MedianPruner(n_startup_trials=1),
                    direction="maximize",
                    load_if_exists=True,
                )
        except (ValueError, KeyError) as error:  # how a torn journal shows
            raise FileError(f"cannot read the study {self.where}: {error}; give another --out") from error
        except Exception as error:
            of_storage = isinstance(error, ImportError) or type(error).__module__.startswith(("sqlalchemy", "optuna"))
            if storage is None or not of_storage:  # a driver that is not installed is an ImportError
                raise
            said = str(error).partition("\n")[0].replace(storage, self.where)
            raise OptionError(
                f"--storage {self.where} cannot be used: {said}; give such as sqlite:///study.db"
            ) from error
        self._claim_identity(identity)

    def _claim_identity(self, identity: Mapping[str, str]) -> None:
        with locked(self._lock):
            known = self.study.user_attrs.get(IDENTITY)
            if known is None:
                self.study.set_user_attr(IDENTITY, dict(identity))
                return
        if other := [part for part in identity if known.get(part) != identity[part]]:
            raise OptionError(
                f"the study {self.study.study_name!r} in {self.where} is of another {', another '.join(other)}: "
                "give another --out, and another --study where there is a --storage"
            )

    @property
    def distributions(self) -> dict[str, CategoricalDistribution]:
        """The space as optuna takes it."""
        from optuna.distributions import CategoricalDistribution

        return {field: CategoricalDistribution(values) for field, values in self.space.values.items()}

    def seen(self) -> Seen:
        """What the study knows now."""
        from optuna.trial import TrialState

        results, running, rules = [], [], []
        for trial in self.study.get_trials(deepcopy=False):
            if RESULT in trial.user_attrs and trial.state.is_finished():
                results.append(jsonio.decode(TrialResult, trial.user_attrs[RESULT], f"trial {trial.number}"))
                rules += trial.user_attrs.get(RULES_OUT, [])
            elif trial.state == TrialState.RUNNING and (choice := _choice(trial.params)) and not _dead(trial):
                running.append(choice)
        return Seen(tuple(results), tuple(running), tuple(rules))

    def fail_dead(self) -> tuple[int, ...]:
        """Ends the trials whose workers died, so that their choices are tried again; the numbers of those trials."""
        from optuna.trial import TrialState

        with locked(self._lock):
            dead = [trial.number for trial in self.study.get_trials(states=(TrialState.RUNNING,)) if _dead(trial)]
            for number in dead:
                self.study.tell(number, state=TrialState.FAIL, skip_if_finished=True)
        return tuple(dead)

    @contextlib.contextmanager
    def claimed(self) -> Iterator[tuple[optuna.Trial, Choice] | None]:
        """A choice for this worker alone, or None if nothing is left. Leaving the block by an error leaves it untried."""
        from optuna.trial import TrialState

        with locked(self._lock):
            if not self.seen().open(self.space):
                yield None
                return
            trial = self.study.ask(dict(self.distributions))
            trial.set_user_attr(WORKER, this_worker())
            choice = _choice(trial.params)
            assert choice is not None, "it has all fields"
        try:
            with beating(lambda now: trial.set_user_attr(BEAT, now)):
                yield trial, choice
        finally:
            self.study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)

    def twice(self, trial: optuna.Trial, choice: Choice) -> bool:
        """Whether another worker, of another machine with another lock, has claimed the same choice before."""
        from optuna.trial import TrialState

        return any(
            other.number < trial.number and _choice(other.params) == choice and not _dead(other)
            for other in self.study.get_trials(deepcopy=False)
            if other.state == TrialState.RUNNING or RESULT in other.user_attrs
        )

    def finish(self, trial: optuna.Trial, result: TrialResult, rule: Rule | None, over: Mapping[str, float]) -> None:
        """Keeps a result.

        Args:
            trial: The trial.
            result: What came of it.
            rule: What else need not be tried.
            over: Key of the budget to the share by which its limit is exceeded, under 0 where it is kept.
        """
        from optuna.trial import TrialState

        trial.set_user_attr(RESULT, jsonio.encode(result))
        if rule is not None:
            trial.set_user_attr(RULES_OUT, [dict(rule)])
        for key, share in over.items():
            trial.set_constraint(key, share)
        if result.state == COMPLETE:
            self.study.tell(trial, result.accuracy)
        else:
            self.study.tell(trial, state=TrialState.PRUNED if result.state == PRUNED else TrialState.FAIL)


def _journal(path: Path) -> Any:
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is experimental in some versions
        return JournalFileBackend(str(path), lock_obj=JournalFileOpenLock(str(path)))


def _choice(params: Mapping[str, Any]) -> Choice | None:
    return Choice(**params) if params.keys() == Choice.__dataclass_fields__.keys() else None


def _dead(trial: optuna.trial.FrozenTrial) -> bool:
    """Whether a running trial's worker has died; one that has only just begun has not said yet who it is."""
    from optuna.trial import TrialState

    if trial.state != TrialState.RUNNING:
        return False
    began = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
    return is_gone(trial.user_attrs.get(WORKER, {}), trial.user_attrs.get(BEAT, began))


def _matches(rule: Rule, choice: Choice) -> bool:
    return all(getattr(choice, field) == value for field, value in rule.items())
