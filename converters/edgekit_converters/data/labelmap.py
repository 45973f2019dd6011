"""What the user says that the labels of a file mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from edgekit_runtime.errors import OptionError

STARS = "stars"
_RANGE = re.compile(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)")
_WHOLE = re.compile(r"([+-]?\d{1,9})(?:\.0*)?")


def plain(label: str) -> str:
    """A label without case, and a whole number without its fraction: what pandas made "1.0" of is "1" again."""
    match = _WHOLE.fullmatch(label)
    return str(int(match[1])) if match else label.casefold()


@dataclass(frozen=True)
class LabelMap:
    """Which class each label stands for; the empty class leaves the row out.

    Attributes:
        classes: Name of the class by label, as :func:`plain` has it.
        ranges: The same by number: first, last, name.
    """

    classes: Mapping[str, str]
    ranges: tuple[tuple[float, float, str], ...]

    @classmethod
    def parse(cls, written: str, *, neutral: bool = False) -> LabelMap:
        """Reads ``1-2=negative,4-5=positive,3=`` or ``stars``.

        Args:
            written: What the user wrote.
            neutral: Whether there is a class in the middle, for three stars.

        Raises:
            OptionError: It is malformed, or names a label twice.
        """
        if written.strip().casefold() == STARS:
            written = f"1-2=negative,3={'neutral' if neutral else ''},4-5=positive"
        classes: dict[str, str] = {}
        ranges = []
        for part in written.split(","):
            label, equals, name = (piece.strip() for piece in part.rpartition("="))
            if not equals or not label:
                raise OptionError(
                    f"--label-map has {part.strip()!r}; write LABEL=CLASS with commas between, such as "
                    "1-2=negative,4-5=positive,3= (no class leaves out), or stars"
                )
            span = _RANGE.fullmatch(label)
            if span:
                ranges.append((float(span[1]), float(span[2]), name))
            elif plain(label) in classes:
                raise OptionError(f"--label-map names the label {label!r} twice; keep one")
            else:
                classes[plain(label)] = name
        return cls(classes, tuple(ranges))

    def class_name(self, label: str) -> str:
        """Name of a label's class, empty if its row is left out.

        Raises:
            KeyError: The map does not name the label.
        """
        label = plain(label)
        if label in self.classes:
            return self.classes[label]
        try:
            number = float(label)
        except ValueError:
            raise KeyError(label) from None
        for first, last, name in self.ranges:
            if first <= number <= last:
                return name
        raise KeyError(label)
