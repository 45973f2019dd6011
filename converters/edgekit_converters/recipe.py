"""Recipe: every setting of a conversion, frozen and checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgekit_converters.budget import Budget
from edgekit_converters.model import DEFAULT_BUCKETS, DEFAULT_MAX_LENGTH, LONGEST, TextModel
from edgekit_converters.quantspec import COMPATIBLE, QuantSpec
from edgekit_converters.targets.routes import DIRECT, ROUTES
from edgekit_runtime.errors import OptionError
from edgekit_runtime.manifest import TextSpec
from edgekit_runtime.progress import Listener

DEFAULT_SCHEME = "int8"

AUTO: Literal["auto"] = "auto"
"""Buckets that are chosen by the lengths of the user's texts."""


@dataclass(frozen=True)
class Recipe:
    """How a model is converted.

    Attributes:
        targets: Names of the targets.
        quantize: The scheme; None takes ``int8``, or what the runtime of ``compat`` is right on.
        max_length: Longest input in tokens; None takes 128, or less where the model takes less.
        buckets: Padded lengths, the last one ``max_length``; None takes 16, 32, 64, 128 as far as they fit,
            ``auto`` those that suit the texts.
        max_drop: Accuracy that lowering may cost, as a share.
        max_total_drop: Accuracy that everything together may cost, as a share.
        budget: What the bundle must keep to where it is converted, such as ``p95<=3ms,bytes<=2MB``.
        route: By which tools the LiteRT program is made, one of ``targets.routes.ROUTES``.
        compat: An older runtime that must answer rightly by the LiteRT program, too, one of ``quantspec.COMPATIBLE``.
        strip: Whether the bundle is written without the words of its golden texts and without its history.
    """

    targets: tuple[str, ...] = ("litert",)
    quantize: str | None = None
    max_length: int | None = None
    buckets: tuple[int, ...] | Literal["auto"] | None = None
    max_drop: float = 0.01
    max_total_drop: float = 0.05
    budget: str | None = None
    route: str = DIRECT
    compat: str | None = None
    strip: bool = False

    def __post_init__(self) -> None:
        if not self.targets or len(set(self.targets)) != len(self.targets):
            raise OptionError(
                f"each target may be given once, and one is needed, not {', '.join(self.targets) or 'none'}"
            )
        if self.max_length is not None and not 1 <= self.max_length <= LONGEST:
            raise OptionError(f"--max-length must lie between 1 and {LONGEST}, not at {self.max_length}")
        if self.buckets not in (None, AUTO) and (list(self.buckets) != sorted(set(self.buckets)) or not self.buckets):
            raise OptionError(f"--buckets must ascend, not {', '.join(map(str, self.buckets))}")
        for option, value in (("--max-drop", self.max_drop), ("--max-total-drop", self.max_total_drop)):
            if not 0.0 <= value <= 1.0:
                raise OptionError(f"{option} is a share between 0 and 1, not {value}")
        if self.route not in ROUTES:
            raise OptionError(f"there is no route {self.route!r}; --route takes {', '.join(ROUTES)}")
        if self.compat is not None and self.compat not in COMPATIBLE:
            raise OptionError(f"there is no runtime {self.compat!r}; --compat takes {', '.join(COMPATIBLE)}")
        for option, said in (("--route", self.route != DIRECT), ("--compat", self.compat is not None)):
            if said and "litert" not in self.targets:
                raise OptionError(
                    f"{option} is about LiteRT programs, and there is to be none: add --target litert, or drop it"
                )
        if self.compat is not None and self.scheme not in COMPATIBLE[self.compat]:
            raise OptionError(
                f"{self.compat} answers wrongly by {self.scheme}, and without an error; it is right on "
                f"{', '.join(COMPATIBLE[self.compat])}: give one of them to --quantize, or leave that out"
            )
        _ = self.limits

    @property
    def scheme(self) -> str:
        """Name of the scheme, also where none was chosen."""
        if self.quantize is not None:
            return self.quantize
        return DEFAULT_SCHEME if self.compat is None else COMPATIBLE[self.compat][0]

    @property
    def quant(self) -> QuantSpec:
        """The scheme, checked."""
        return QuantSpec(self.scheme)

    @property
    def limits(self) -> Budget:
        """The budget, checked."""
        return Budget() if self.budget is None else Budget.parse(self.budget)

    def text_spec(self, model: TextModel, listener: Listener) -> TextSpec:
        """Lengths for a model, of a recipe whose buckets are not ``auto`` any more.

        Raises:
            OptionError: They contradict each other, or the model.
        """
        assert self.buckets != AUTO, "fit_buckets() comes first"
        max_length = self._max_length(model, listener)
        if self.buckets is None:
            buckets = (*(b for b in DEFAULT_BUCKETS if model.min_length <= b < max_length), max_length)
        else:
            buckets = self.buckets
        if buckets[-1] > max_length:
            raise OptionError(
                f"the bucket {buckets[-1]} is over the max length {max_length}: raise --max-length or drop the bucket"
            )
        if buckets[-1] < max_length:
            raise OptionError(
                f"texts of up to {max_length} tokens would fit no bucket, the largest is {buckets[-1]}: "
                f"add {max_length} to --buckets, or give --max-length {buckets[-1]}"
            )
        if buckets[0] < model.min_length:
            raise OptionError(
                f"the bucket {buckets[0]} is under the {model.min_length} tokens that the CNN pads to "
                f"(its widest kernel, or --pad-to): drop it"
            )
        return model.text_spec(max_length, buckets)

    def _max_length(self, model: TextModel, listener: Listener) -> int:
        limit = model.position_limit
        if self.max_length is None:
            if limit is not None and limit < DEFAULT_MAX_LENGTH:
                listener.say(f"the position table has {limit} rows; the max length is {limit}")
            return model.default_max_length
        if limit is not None and self.max_length > limit:
            raise OptionError(
                f"--max-length {self.max_length} is over the {limit} rows of the position table: lower it"
            )
        if self.max_length < model.min_length:
            raise OptionError(
                f"--max-length {self.max_length} is under the {model.min_length} tokens that the CNN pads to: raise it"
            )
        return self.max_length
