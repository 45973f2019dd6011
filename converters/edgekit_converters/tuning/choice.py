"""Choice: one way to a bundle, and how it is run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from edgekit_converters.recipe import AUTO

MODEL = "model"
"""The source that is the checkpoint as it was given."""

DEFAULT = "default"
"""Buckets that the recipe chooses; ``auto`` is those that suit the data."""


CHECKPOINT, STUDENT_FILE = ".pt", ".toml"
"""Endings of sources that are files."""


class Origin(NamedTuple):
    """Where the weights come from: what of a choice takes training."""

    source: str
    prune: float | None
    trim_vocab: bool

    def __str__(self) -> str:
        name = Path(self.source).stem if Path(self.source).suffix in (CHECKPOINT, STUDENT_FILE) else self.source
        trimmed = ", trimmed" if self.trim_vocab else ""
        return name + trimmed + ("" if self.prune is None else f", {self.prune:g} pruned")


@dataclass(frozen=True)
class Choice:
    """One point of the space.

    Attributes:
        source: ``model``, a student's name or TOML file, or a trained checkpoint (.pt) of the same labels.
        prune: Share of heads and neurons, or of filters, that goes; null where none does.
        trim_vocab: Whether the model, where that is the source, loses the pieces that no training text uses.
        scheme: One of ``quantspec.SCHEMES``.
        engine: Which target it is lowered to, and which engine runs it.
        buckets: ``default``, ``auto``, or lengths with commas between: ``16,32,128``.
        threads: Upper bound on the threads of one call.
    """

    source: str
    prune: float | None
    trim_vocab: bool
    scheme: str
    engine: str
    buckets: str
    threads: int

    @property
    def bundle(self) -> Choice:
        """What the bundle depends on: the same but for the threads."""
        return replace(self, threads=1)

    @property
    def origin(self) -> Origin:
        """Source, pruning and trimming."""
        return Origin(self.source, self.prune, self.trim_vocab)

    @property
    def named(self) -> str:
        """The origin for the eye: a file's name without its folder, and what is taken away."""
        return str(self.origin)

    @property
    def lengths(self) -> tuple[int, ...] | str | None:
        """The buckets as a recipe takes them."""
        if self.buckets in (DEFAULT, AUTO):
            return None if self.buckets == DEFAULT else AUTO
        return tuple(int(length) for length in self.buckets.split(","))

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' * (self.threads != 1)}"
        buckets = "" if self.buckets == DEFAULT else f", buckets {self.buckets}"
        return f"{self.named}, {self.scheme}, {self.engine}{buckets}, {threads}"
