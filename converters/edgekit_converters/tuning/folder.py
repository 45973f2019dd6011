"""The folder of a study: one study's alone, since trials are numbered in each."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

from edgekit_converters.tuning.locks import locked
from edgekit_runtime.bundle import replacing
from edgekit_runtime.errors import FileError, OptionError

TRIALS, LOG, LOCK, OWNER = "trials", "study.log", "claim.lock", "study.json"

_PASSWORDS = ((re.compile(r"(://[^/@:]*:).*@"), r"\1***@"), (re.compile(r"([?&]password=)[^&\s]*"), r"\1***"))


def without_password(url: str) -> str:
    """The URL of a database as it may be shown and kept."""
    for pattern, shown in _PASSWORDS:
        url = pattern.sub(shown, url)
    return url


def check_folder(out: Path, study: str, storage: str | None) -> None:
    """Refuses a folder that cannot hold the study; writes nothing.

    Raises:
        FileError: It is a file.
        OptionError: It is another study's.
    """
    if out.exists() and not out.is_dir():
        raise FileError(f"{out} is a file, and a search needs a folder: choose another --out")
    try:
        known = json.loads((out / OWNER).read_bytes())
        name, where = known["study"], known["storage"]
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileError(f"cannot read {out / OWNER}: give another --out") from error
    if (name, where) != (study, _where(storage)):
        raise OptionError(
            f"{out} holds the study {name!r} in {where}, and this is {study!r} in {_where(storage)}: give another --out"
        )


@contextlib.contextmanager
def made_folder(out: Path) -> Iterator[None]:
    """Makes the folder; where the block fails, what was made goes again, unless somebody else uses it by then."""
    made = [path for path in (out, *out.parents) if not path.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot make the folder {out}: {error.strerror}; choose another --out") from error
    try:
        yield
    except BaseException:
        if made and {path.name for path in out.iterdir()} <= {LOCK}:
            with contextlib.suppress(OSError):
                (out / LOCK).unlink(missing_ok=True)
                for path in made:
                    path.rmdir()
        raise


def claim_folder(out: Path, study: str, storage: str | None) -> None:
    """Makes the folder this study's, as :func:`check_folder` tells it."""
    with locked(out / LOCK):
        check_folder(out, study, storage)
        if not (out / OWNER).exists():
            with replacing(out / OWNER) as file:
                file.write(json.dumps({"study": study, "storage": _where(storage)}).encode() + b"\n")
    (out / TRIALS).mkdir(exist_ok=True)


def _where(storage: str | None) -> str:
    return LOG if storage is None else without_password(storage)
