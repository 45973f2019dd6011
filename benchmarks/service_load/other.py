"""Another bundle, which answers every text otherwise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgekit_runtime.bundle import open_bundle, write_bundle_file


def with_other_labels(path: Path, out: Path) -> Path:
    """A copy whose labels have changed places, each with the next: whichever of the two answers, the label tells.

    Raises:
        BundleError: The bundle cannot be read.
    """
    bundle = open_bundle(path)
    manifest = bundle.manifest
    contents = {name: bundle.read(name) for name in manifest.files}
    labels = (*manifest.labels[1:], manifest.labels[0])
    return write_bundle_file(out, replace(manifest, name=f"{manifest.name}-other", labels=labels), contents)
