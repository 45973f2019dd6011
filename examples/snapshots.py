"""Answers the lines of stdin and writes every minute what it has counted, for a device that no Prometheus asks.

How to start it::

    tail -f reviews.log | python snapshots.py model.edgekit snapshot.json --every 60
"""

import argparse
import json
import sys
import threading
from pathlib import Path

import edgekit_runtime as ek


def write(classify: ek.Classifier, path: Path) -> None:
    """Writes the counts, and a line on stderr if the texts have moved from those that the bundle was measured on."""
    classify.monitor.save(path)
    drift = classify.monitor.snapshot().drift
    if drift.level in ("warning", "alarm"):
        moved = ", ".join(f"{name} {value:.2f}" for name, value in drift.psi.items() if value is not None)
        sys.stderr.write(f"snapshots.py: drift {drift.level} over {drift.window} texts: {moved}\n")


def main() -> None:
    """Writes by a thread of its own, so that no text waits for the disk, and once more at the end."""
    parser = argparse.ArgumentParser(description="Answers lines and writes counts.")
    parser.add_argument("bundle")
    parser.add_argument("snapshot", type=Path)
    parser.add_argument("--every", type=float, default=60, metavar="S", help="seconds between snapshots")
    options = parser.parse_args()
    ended = threading.Event()
    with ek.load(options.bundle, monitor=True) as classify:

        def keep_writing() -> None:
            while not ended.wait(options.every):
                try:
                    write(classify, options.snapshot)
                except ek.EdgekitError as error:  # a full disk today may have room tomorrow
                    sys.stderr.write(f"snapshots.py: {error}\n")

        writer = threading.Thread(target=keep_writing, daemon=True)
        writer.start()
        try:
            for line in sys.stdin.buffer:
                answer = classify(line.decode(errors="replace").strip())
                sys.stdout.write(json.dumps({"label": answer.label, "score": answer.score}) + "\n")
                sys.stdout.flush()
        finally:
            ended.set()
            writer.join()
            write(classify, options.snapshot)


if __name__ == "__main__":
    try:
        main()
    except (ek.EdgekitError, OSError) as error:
        sys.exit(f"snapshots.py: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
