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

from edgekit_converters.packing import Part, read_part, write_part
from edgekit_converters.probe import convert_probe
from edgekit_converters.targets import TARGETS
from edgekit_runtime.golden import Golden

PROBE = Path(__file__).parents[1] / "runtime" / "edgekit_runtime" / "probe.edgekit"


def main(out: Path = PROBE) -> None:
    """Writes the probe."""
    others = tuple(target for target in TARGETS if target != "litert")
    with tempfile.TemporaryDirectory() as folder:
        older, newer = Path(folder) / "older.edgekit", Path(folder) / "newer.edgekit"
        convert_probe(older, ("litert",), compat="tflite-runtime")
        convert_probe(newer, others)
        part = joined(read_part(older), read_part(newer))
    write_part(out, replace(part, name="probe"))
    sys.stdout.write(f"{out}: {out.stat().st_size} bytes, {', '.join(each.engine for each in part.programs)}\n")


def joined(one: Part, other: Part) -> Part:
    """One part with the programs of two, which are of the same model and texts."""
    texts = zip(one.golden.texts, other.golden.texts, strict=True)
    return replace(
        one,
        golden=Golden(tuple(replace(first, logits=first.logits | second.logits) for first, second in texts)),
        programs=(*one.programs, *other.programs),
        contents={**one.contents, **other.contents},
        reports=(*one.reports, *other.reports),
        history=(*one.history, *other.history[1:]),  # both begin with reading the network
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
