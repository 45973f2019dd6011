"""The order of trials: cheap ones first, then where the others did well; nothing twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial

from edgekit_converters.tuning.choice import Choice, Origin
from edgekit_converters.tuning.front import front_of
from edgekit_converters.tuning.record import Record
from edgekit_converters.tuning.results import COMPLETE, TrialResult

PATIENCE = 6
"""After so many complete trials without a change of the Pareto front the next origin is trained, although others have choices
left."""

STARTUP = 8
"""Trials before the sampler has its say."""


class Walk(BaseSampler):
    """Proposes choices that nobody has tried.

    What needs no training comes first, then the trainings from the cheapest. Of each origin the plain choice comes first,
    on every engine; among what is left then, TPE (Bergstra et al. 2011, NeurIPS; multivariate, with the budget as its
    constraints) proposes, and the choice nearest to that which is open is taken.

    Args:
        record: The study.
        cost: Of an origin's training, 0 for none.
        seed: Of what is random.
    """

    def __init__(self, record: Record, cost: Callable[[Origin], float], seed: int) -> None:
        self._record, self._cost = record, cost
        self._tpe = TPESampler(multivariate=True, n_startup_trials=STARTUP, constant_liar=True, seed=seed)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return dict(self._record.distributions)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        seen = self._record.seen()
        near = reachable(seen.open(self._record.space), seen.results, self._cost)
        plain = first_of_each(near, seen.results, (*seen.running,))
        if plain is not None:
            return vars(plain)
        several = {name: each for name, each in search_space.items() if not each.single()}
        wanted = self._tpe.sample_relative(study, trial, several)
        return vars(min(near, key=lambda choice: _distance(choice, wanted)))  # the first of equals is the plainest

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        raise AssertionError("all parameters are sampled together")


def reachable(
    choices: Sequence[Choice], results: Sequence[TrialResult], cost: Callable[[Origin], float]
) -> tuple[Choice, ...]:
    """The open choices that need no training, and those of the next origin when it is due.

    It is due when the others are used up, or when PATIENCE trials in a row did not change the front.
    """
    costs = {origin: cost(origin) for origin in dict.fromkeys(choice.origin for choice in choices)}
    ready = tuple(choice for choice in choices if not costs[choice.origin])
    dear = sorted((origin for origin in costs if costs[origin]), key=costs.__getitem__)
    if ready and (not dear or stale_for(results) < PATIENCE):
        return ready
    return tuple(choice for choice in choices if choice.origin == dear[0])


def stale_for(results: Sequence[TrialResult]) -> int:
    """How many complete trials there were since one came upon the front, or was the first of its origin."""
    complete = [result for result in results if result.state == COMPLETE]
    front, origins, count = front_of(complete), set[Origin](), 0
    for result in complete:
        count = 0 if result.number in front or result.choice.origin not in origins else count + 1
        origins.add(result.choice.origin)
    return count


def first_of_each(
    choices: Sequence[Choice], results: Sequence[TrialResult], running: Sequence[Choice]
) -> Choice | None:
    """The first choice of an origin on an engine on which it was not tried yet; None if all were."""
    met = {(result.choice.origin, result.choice.engine) for result in results}
    met |= {(choice.origin, choice.engine) for choice in running}
    return next((choice for choice in choices if (choice.origin, choice.engine) not in met), None)


def _distance(choice: Choice, wanted: Mapping[str, Any]) -> int:
    """In how many fields they differ; another origin counts for more, as everything hangs on it."""
    weights = {"source": 3, "prune": 3}
    return sum(weights.get(field, 1) for field, value in wanted.items() if getattr(choice, field) != value)
