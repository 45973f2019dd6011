"""Makes runtime/edgekit_runtime/probe.edgekit, with a program for every target: run it when a target is added.

Beside it goes what the tests of the Android app load to see it refused: the probe in int8 with scales per channel, which old
versions of TensorFlow Lite answer wrongly.

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

CHECKOUT = Path(__file__).parents[1]
PROBE = CHECKOUT / "runtime" / "edgekit_runtime" / "probe.edgekit"
PER_CHANNEL = CHECKOUT / "android-demo" / "app" / "src" / "test" / "resources" / "per-channel.edgekit"


def main(out: Path = PROBE, per_channel: Path = PER_CHANNEL) -> None:
    """Writes both."""
    others = tuple(target for target in TARGETS if target != "litert")
    with tempfile.TemporaryDirectory() as folder:
        older, newer = Path(folder) / "older.edgekit", Path(folder) / "newer.edgekit"
        convert_probe(older, ("litert",), compat="tflite-runtime")
        convert_probe(newer, others)
        part = join_programs(read_part(older), read_part(newer))
    write_part(out, replace(part, name="probe"))
    convert_probe(per_channel, ("litert",))
    sys.stdout.write(f"{out}: {out.stat().st_size} bytes, {', '.join(each.engine for each in part.programs)}\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
