"""A student of the user's own, as TOML (docs/students.md). The keys are the fields of the student, and ``arch``."""

from __future__ import annotations

import difflib
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

from edgekit_converters.distillation.students import BertStudent, CnnStudent, Student
from edgekit_converters.toml import parse_toml
from edgekit_runtime.errors import FileError, OptionError
from edgekit_runtime.filepart import file_bytes

ARCHITECTURES: dict[str, type[CnnStudent] | type[BertStudent]] = {"cnn": CnnStudent, "bert": BertStudent}


def read_student(path: Path) -> Student:
    """Reads a student's sizes.

    Raises:
        FileError: The file is missing or cannot be read.
        OptionError: It is no TOML, or has an unknown key or a value of the wrong type; the message names the key.
    """
    try:
        content = parse_toml(file_bytes(path).decode("utf-8-sig"))
    except FileNotFoundError:
        raise FileError(f"there is no student {path}; check the path") from None
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # also of what is not UTF-8
        raise OptionError(f"{path} is not valid TOML in UTF-8: {error}; correct it") from error
    arch = content.pop("arch", None)
    if not isinstance(arch, str) or arch not in ARCHITECTURES:
        raise OptionError(f'{path} should say arch = "cnn" or arch = "bert", not {str(arch)[:40]}')
    kind = ARCHITECTURES[arch]
    hints = get_type_hints(kind)
    known = [field.name for field in fields(kind)]
    for key in content:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            guess = f" (did you mean {close[0]}?)" if close else ""
            raise OptionError(f"{path} has an unknown key {key!r}{guess}; a {arch} can have {', '.join(known)}")
    try:
        return kind(**{key: _value(hints[key], key, value) for key, value in content.items()})
    except OptionError as error:
        raise OptionError(f"{path}: {error}") from error


def _value(hint: Any, key: str, value: Any) -> Any:
    if hint is str:
        wanted, right = "a string", isinstance(value, str)
    elif hint == tuple[int, ...]:
        wanted, right = "a list of whole numbers", isinstance(value, list) and all(type(item) is int for item in value)
    else:
        wanted, right = "a whole number", type(value) is int
    if not right:
        raise OptionError(f"{key} should be {wanted}, not {str(value)[:40]!r}")
    return tuple(value) if isinstance(value, list) else value
