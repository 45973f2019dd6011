"""Makes runtime/edgekit_runtime/probe.edgekit, with a program for every target: run it when a target is added.

The LiteRT program is one that tflite-runtime runs, too, so that ``edgekit doctor`` can try either package; that needs
``edgekit doctor --install-tflite-runtime``.

python scripts/make_probe.py
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from edgekit_converters.packing import join_programs, read_part, write_part
from edgekit_converters.probe import convert_probe
from edgekit_converters.targets import TARGETS

PROBE = Path(__file__).parents[1] / "runtime" / "edgekit_runtime" / "probe.edgekit"


def main(out: Path = PROBE) -> None:
    """Writes the probe."""
    others = tuple(target for target in TARGETS if target != "litert")
    with tempfile.TemporaryDirectory() as folder:
        older, newer = Path(folder) / "older.edgekit", Path(folder) / "newer.edgekit"
        convert_probe(older, ("litert",), compat="tflite-runtime")
        convert_probe(newer, others)
        part = join_programs(read_part(older), read_part(newer))
    write_part(out, replace(part, name="probe"))
    sys.stdout.write(f"{out}: {out.stat().st_size} bytes, {', '.join(each.engine for each in part.programs)}\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
