"""Classifies each .txt file that comes into a folder: NAME.txt gets its answer beside it, as NAME.json.

How to start it::

    python watch_folder.py model.edgekit inbox --interval 1

It polls, which works on every file system, also over a network. The answer takes its text's time of change, so that a
text changed later is answered anew, and a restart goes on where it stopped.
"""

import argparse
import contextlib
import json
import os
import sys
import time
from pathlib import Path

import edgekit_runtime as ek


def texts(folder: Path) -> dict[Path, tuple[int, int]]:
    """Size and time of change of every text in the folder that has no answer yet."""
    found = {}
    with os.scandir(folder) as entries:
        for path in (Path(entry.path) for entry in entries if entry.name.endswith(".txt") and entry.is_file()):
            with contextlib.suppress(FileNotFoundError):  # gone meanwhile
                status = path.stat()
                if answered(path) != status.st_mtime_ns:
                    found[path] = (status.st_size, status.st_mtime_ns)
    return found


def answered(path: Path) -> int | None:
    """The time of change of the text that the answer beside it is for."""
    try:
        return path.with_suffix(".json").stat().st_mtime_ns
    except FileNotFoundError:
        return None


def answer(classify: ek.Classifier, path: Path, changed_ns: int) -> None:
    """Writes the answer beside its place and renames it, so that nobody reads half of it."""
    prediction = classify(path.read_text(encoding="utf-8", errors="replace"))
    part = path.with_name(f".{path.stem}.json.part")
    part.write_text(json.dumps({"label": prediction.label, "score": prediction.score}) + "\n", encoding="utf-8")
    os.utime(part, ns=(changed_ns, changed_ns))
    part.replace(path.with_suffix(".json"))


def main() -> None:
    """Watches until it is stopped."""
    parser = argparse.ArgumentParser(description="Answers each .txt file in a folder with a .json file.")
    parser.add_argument("bundle")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--interval", type=float, default=1.0, help="seconds between two looks")
    options = parser.parse_args()
    before: dict[Path, tuple[int, int]] = {}
    complaints: dict[Path, str] = {}
    with ek.load(options.bundle) as classify:
        while True:
            now = texts(options.folder)
            for path, seen in now.items():
                if before.get(path) != seen:  # it still changes: whoever writes it may not be done
                    continue
                try:
                    answer(classify, path, seen[1])
                    sys.stderr.write(f"{path}: answered\n")
                except OSError as error:  # not to be read, or the disk is full: it is tried again at every look
                    if complaints.get(path) != str(error):
                        sys.stderr.write(f"{error}\n")
                    complaints[path] = str(error)
            before = now
            time.sleep(options.interval)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except (ek.EdgekitError, OSError) as error:
        sys.exit(f"watch_folder.py: {error}")
