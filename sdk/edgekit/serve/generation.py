"""One loaded bundle: a classifier for each worker, and what is said of them."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from pathlib import Path

from edgekit.serve.settings import ServeSettings
from edgekit_runtime import Classifier, load
from edgekit_runtime.errors import BundleError, FileError
from edgekit_runtime.monitoring.monitor import Monitor

Stamp = tuple[int, int, int, int]
"""Device, inode, bytes and nanoseconds of change: another file under a name has another stamp."""


@dataclass(eq=False)
class Generation:
    """One loaded bundle. Counted by the event loop's thread alone.

    Attributes:
        name: The bundle's name.
        sha256: Of the file, in lower-case hexadecimal.
        stamp: Of the file, when it was loaded.
        classifiers: One for each worker.
        monitor: Counts the answers of all of them.
        uses: Texts that wait for it or are under way.
        retired: Whether another has taken its place.
    """

    name: str
    sha256: str
    stamp: Stamp
    classifiers: tuple[Classifier, ...]
    monitor: Monitor
    uses: int = 0
    retired: bool = False

    @property
    def alone(self) -> bool:
        """Whether one model answers, so that nothing is to be said of who did."""
        return len(self.classifiers[0].members) == 1

    @property
    def about(self) -> dict[str, str]:
        """Which bundle this is, for answers."""
        return {"name": self.name, "sha256": self.sha256}

    def close(self) -> None:
        """Frees the engines."""
        for classifier in self.classifiers:
            classifier.close()


def load_generation(settings: ServeSettings, *, trial: bool = False) -> Generation:
    """Loads the bundle for each worker, with every check that loading has.

    Args:
        settings: Of the service.
        trial: Whether a process of its own tries the programs first, so that one that crashes does not end this one.

    Raises:
        EdgekitError: The file is missing, damaged, not signed as asked, or answers wrongly.
    """
    path = settings.bundle
    before = file_stamp(path)
    monitor: Monitor | bool = True
    classifiers: list[Classifier] = []
    with contextlib.ExitStack() as opened:
        for number in range(settings.worker_count):
            _check_same(path, before)  # what was tried is what is loaded
            classifier = load(
                path,
                engine=settings.engine,
                threads=settings.threads,
                trusted_keys=settings.trusted_keys or None,
                key=settings.key,
                monitor=monitor,
                trial=trial and number == 0,
            )
            monitor = classifier.monitor
            classifiers.append(classifier)
            opened.callback(classifier.close)
        sha256 = _sha256(path)
        _check_same(path, before)
        opened.pop_all()
    return Generation(classifiers[0].manifest.name, sha256, before, tuple(classifiers), classifier.monitor)


def file_stamp(path: Path) -> Stamp:
    """What tells a file from another under the same name.

    Raises:
        FileError: There is none.
    """
    try:
        seen = path.stat()
    except OSError as error:
        raise FileError(f"no bundle at {path}: {error.strerror}") from error
    return seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns


def _check_same(path: Path, before: Stamp) -> None:
    if file_stamp(path) != before:
        raise BundleError(f"{path} changed while it was being loaded: put a new bundle in place by renaming it")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
