"""How the models of a bundle answer as one: the manifest's key ``combine`` (docs/combining.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgekit_runtime.errors import BundleError

MAIN = "main"
"""The role of the model that answers where nothing is said of combining, or where a reader does not know how."""

CASCADE, AVERAGE = "cascade", "average"

SCHEMA_VERSIONS = {CASCADE: 1, AVERAGE: 2}
"""Kind to the oldest schema in which it may stand. Who knows no cascade answers with ``main``, which is right; who knows
no average would answer with one model of several, which is not what was measured, and so must refuse."""


@dataclass(frozen=True)
class Combination:
    """How several models give one answer.

    Attributes:
        kind: ``cascade``: the models are asked in turn until one is sure; ``average``: all are asked, and the mean of their
            probabilities answers.
        order: The role of each model of the bundle, in the order in which they are asked; a cascade ends with ``main``.
        threshold: Of a cascade, the score from which on a model before the last one answers; null in an average.
    """

    kind: str
    order: tuple[str, ...]
    threshold: float | None = None

    @property
    def schema_version(self) -> int:
        """The oldest schema whose readers answer such a bundle rightly, or refuse it."""
        return SCHEMA_VERSIONS[self.kind]

    def check(self, roles: Sequence[str]) -> None:
        """Refuses what makes no sense for models of these roles.

        Raises:
            BundleError: Of an unknown kind, over other models, or with a threshold that is missing, extra or no probability.
        """
        if self.kind not in SCHEMA_VERSIONS:
            raise BundleError(
                f"manifest.json combines its models by {self.kind!r}, and this edgekit knows {', '.join(SCHEMA_VERSIONS)}: "
                "upgrade it (pip install -U edgekit)"
            )
        if len(self.order) < 2 or sorted(self.order) != sorted(roles):
            raise BundleError(
                f"manifest.json must combine all of its models, two or more, each once: it has {', '.join(roles)}, and "
                f"the order is {', '.join(self.order) or 'empty'}"
            )
        if self.kind == AVERAGE:
            if self.threshold is not None:
                raise BundleError("manifest.json has an average with a threshold, which only a cascade has")
            return
        if self.order[-1] != MAIN:
            raise BundleError(f"manifest.json has a cascade that ends with {self.order[-1]!r}; it must end with 'main'")
        if self.threshold is None or not 0 < self.threshold <= 1:  # not <=, so that NaN fails
            raise BundleError(
                f"manifest.json has a cascade whose threshold is {self.threshold}; it must lie above 0 and not above 1"
            )
