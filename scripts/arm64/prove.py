"""Runs bundles on emulated ARM64, on every engine that they have a program for, and compares with this machine.

Example:
    python scripts/arm64/prove.py demo-out/model.edgekit
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from emulator import Arm64Error, Emulator, prepare
from wheels import device_packages

import edgekit_runtime
from edgekit_converters.sample import sample_texts
from edgekit_runtime.errors import EdgekitError
from edgekit_runtime.golden import MAX_LOGIT_DIFFERENCE

CHINESE = re.compile(r"[\u4e00-\u9fff]")


@dataclass(frozen=True)
class Agreement:
    """One program of one bundle on both machines.

    Attributes:
        bundle: The bundle's path.
        engine: The engine and its version on ARM64.
        texts: How many were classified; the golden texts come on top.
        labels: The labels that occurred on this machine.
        equal: Texts with the same label on both.
        max_logit_diff: The largest difference of a logit.
        seconds: What loading and classifying took under emulation; that is no measure of a device.
    """

    bundle: str
    engine: str
    texts: int
    labels: frozenset[str]
    equal: int
    max_logit_diff: float
    seconds: float

    @property
    def right(self) -> bool:
        """Whether ARM64 answers as this machine, as exactly as the golden texts ask of every engine.

        In float32 the machines differ by 1e-6. With int8 activations such a difference now and then rounds one to the
        neighbouring step, which deeper networks make more of.
        """
        return self.equal == self.texts and self.max_logit_diff <= MAX_LOGIT_DIFFERENCE


@dataclass(frozen=True)
class Proof:
    """What the ARM64 side said.

    Attributes:
        device: Processor, system and Python, as they look from inside.
        agreements: One a program.
        imported: Packages outside the standard library that the process loaded.
        torch: Whether it could have imported torch.
    """

    device: str
    agreements: tuple[Agreement, ...]
    imported: frozenset[str]
    torch: bool


def fifty_texts() -> list[str]:
    """Built-in texts from short to long, 25 with Chinese and 25 without."""
    texts = sample_texts()
    chinese = [text for text in texts if CHINESE.search(text)]
    others = [text for text in texts if not CHINESE.search(text)]
    return [*chinese[:25], *others[:: len(others) // 25][:25]]


def prove(emulator: Emulator, site: Path, bundles: Sequence[Path], texts: Sequence[str]) -> Proof:
    """Classifies texts on both machines, on ARM64 in one process.

    Args:
        emulator: Runs the ARM64 side.
        site: Folder with edgekit as a device has it: :func:`device_packages`.
        bundles: The bundles.
        texts: The texts.

    Raises:
        Arm64Error: The ARM64 side refuses a bundle, or fails.
        EdgekitError: This side does.
    """
    engines = {
        str(path.resolve()): [program.engine for program in edgekit_runtime.open_bundle(path).manifest.main.programs]
        for path in bundles
    }
    with tempfile.TemporaryDirectory() as home:
        asked = json.dumps({"bundles": engines, "texts": texts})
        said = json.loads(emulator.run(Path(__file__).with_name("inside.py"), asked, Path(home), [site]))
    device = f"{said['device']['processor']}, {said['device']['system']}, {said['system']}"
    agreements = tuple(_compare(run, texts) for run in said["runs"])
    return Proof(device, agreements, frozenset(said["imported"]), said["torch"])


def _compare(run: dict[str, Any], texts: Sequence[str]) -> Agreement:
    if "error" in run:
        raise Arm64Error(f"ARM64 does not run {run['bundle']} on {run['engine']}: {run['error']}")
    with edgekit_runtime.load(run["bundle"], engine=run["engine"]) as classify:
        labels = [classify(text).label for text in texts]
        logits = np.stack([classify.logits(classify.encoder.ids(text)) for text in texts])
    return Agreement(
        bundle=run["bundle"],
        engine=run["distribution"],
        texts=len(texts),
        labels=frozenset(labels),
        equal=sum(here == there for here, there in zip(labels, run["labels"], strict=True)),
        max_logit_diff=float(np.abs(logits - np.array(run["logits"])).max()),
        seconds=run["seconds"],
    )


def table(proof: Proof) -> str:
    """The proof for the eye."""
    rows = [("bundle", "engine", "texts", "equal labels", "largest logit difference", "seconds")]
    rows += [
        (Path(a.bundle).name, a.engine, str(a.texts), str(a.equal), f"{a.max_logit_diff:.1e}", f"{a.seconds:.1f}")
        for a in proof.agreements
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([proof.device, *lines])


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table; returns 0 where ARM64 answers alike, and 1 where it does not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle", type=Path, nargs="+", help="an .edgekit file")
    asked = parser.parse_args(arguments)
    try:
        for path in asked.bundle:  # before anything is fetched
            edgekit_runtime.open_bundle(path)
        with tempfile.TemporaryDirectory() as folder:
            proof = prove(prepare(), device_packages(Path(folder)), asked.bundle, fifty_texts())
    except EdgekitError as error:
        sys.exit(f"prove.py: error: {error}")
    sys.stdout.write(table(proof) + "\n")
    return 0 if all(agreement.right for agreement in proof.agreements) else 1


if __name__ == "__main__":
    sys.exit(main())
