"""Makes runtime/edgekit_runtime/probe.edgekit, with a program for every target: run it when a target is added.

python scripts/make_probe.py
"""

from __future__ import annotations

import sys
from pathlib import Path

from edgekit_converters.probe import convert_probe
from edgekit_converters.targets import TARGETS

PROBE = Path(__file__).parents[1] / "runtime" / "edgekit_runtime" / "probe.edgekit"


def main(out: Path = PROBE) -> None:
    """Writes the probe."""
    made = convert_probe(out, tuple(TARGETS))
    sys.stdout.write(f"{made.bundle}: {made.bytes} bytes, {', '.join(program.engine for program in made.programs)}\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
