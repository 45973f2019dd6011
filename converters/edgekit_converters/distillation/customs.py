"""How students are trained where the user says nothing: what was found to suit each kind (docs/students.md)."""

from __future__ import annotations

from typing import Any

from edgekit_converters.augmentation.augment import AugmentSettings
from edgekit_converters.distillation.distill import DistillSettings
from edgekit_converters.distillation.students import BertStudent, CnnStudent, find_student

CUSTOMS: dict[type[CnnStudent] | type[BertStudent], dict[str, Any]] = {
    CnnStudent: {"epochs": 4, "batch_size": 256, "learning_rate": 2e-3, "warmup": 0.05, "dropout": 0.1, "clip": 5.0},
    BertStudent: {"epochs": 3, "batch_size": 32, "warmup": 0.1, "dropout": 0.1, "clip": 1.0},
}
"""A BERT's learning rate depends on what it has of its teacher (``distillation.distill``)."""

COPIES = {CnnStudent: 4, BertStudent: 1}
"""A CNN knows nothing of language and learns from many texts, quickly; a BERT starts from its teacher's layers."""


def distill_settings(student: str, *, copies: int | None = None, **given: Any) -> DistillSettings:
    """Settings for a student, with what suits its kind in place of what is None.

    Args:
        student: Name of a student, or a TOML file.
        copies: New texts made of each.
        given: Other fields of DistillSettings, and of ``augment`` those of AugmentSettings.

    Raises:
        OptionError: There is no such student, or a value makes no sense.
        FileError: The student's file cannot be read.
    """
    kind = type(find_student(student))
    augment = {"copies": COPIES[kind] if copies is None else copies, **given.pop("augment", {})}
    said = {name: value for name, value in given.items() if value is not None}
    return DistillSettings(student=student, augment=AugmentSettings(**augment), **CUSTOMS[kind] | said)
