"""Taking out of a bundle what tells of its making and is not needed to run it (docs/privacy.md). It needs no torch."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edgekit_runtime import jsonio
from edgekit_runtime.bundle import open_bundle, replacing, writable_file, write_bundle_file
from edgekit_runtime.errors import OptionError
from edgekit_runtime.golden import Golden
from edgekit_runtime.manifest import Manifest


@dataclass(frozen=True)
class Strip:
    """What was taken out of a bundle; its JSON is what ``edgekit strip --json`` prints.

    Attributes:
        bundle: The stripped bundle.
        bytes: Its size.
        texts: Golden texts whose words were taken out, of all models.
        steps: Steps of the history that were taken out.
        signature_dropped: Whether it was signed: that went, so sign it anew.
    """

    bundle: str
    bytes: int
    texts: int
    steps: int
    signature_dropped: bool


def strip_bundle(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    texts: bool = True,
    history: bool = True,
) -> Strip:
    """Strips a bundle. Programs and tokenizers stay byte for byte as they are, those of a sealed bundle too.

    A bundle of which nothing is to be taken out stays as it is, its signatures included.

    Args:
        path: The bundle.
        out: Where the stripped one goes; None puts it in the place of the other. An existing file is replaced.
        texts: Whether the words of the golden texts go; their ids and logits stay, and so the self-test.
        history: Whether the history goes.

    Raises:
        FileError, BundleError: The bundle is missing or damaged, or the place cannot be written; nothing is left behind.
        OptionError: Neither is to go.
    """
    if not (texts or history):
        raise OptionError("nothing would be stripped: drop --keep-texts or --keep-history")
    place = writable_file(Path(path if out is None else out))
    bundle = open_bundle(path)
    contents = {name: bundle.read(name) for name in bundle.manifest.files}
    before = bundle.manifest
    manifest, left = stripped(before, contents, texts=texts, history=history)
    steps, changed = len(before.history) - len(manifest.history), left != contents or manifest != before
    if changed:
        write_bundle_file(place, manifest, left)
    elif not (place.exists() and place.samefile(path)):
        with open(path, "rb") as source, replacing(place) as copy:
            shutil.copyfileobj(source, copy)
    spoken = sum(_texts(contents[model.golden], model.golden) for model in before.models) if texts else 0
    return Strip(str(place), place.stat().st_size, spoken, steps, changed and bundle.signature is not None)


def stripped(
    manifest: Manifest, contents: Mapping[str, bytes], *, texts: bool = True, history: bool = True
) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest and the entries of a bundle without what :func:`strip_bundle` takes out."""
    left, version = dict(contents), manifest.schema_version
    for name in {model.golden for model in manifest.models} if texts else ():
        golden = Golden.from_bytes(left[name], name)
        if any(item.text is not None for item in golden.texts):
            golden = golden.without_texts()
            left[name] = jsonio.to_bytes(golden)
        version = max(version, golden.schema_version)
    return replace(manifest, history=() if history else manifest.history, schema_version=version), left


def _texts(data: bytes, name: str) -> int:
    """How many golden texts have words."""
    return sum(item.text is not None for item in Golden.from_bytes(data, name).texts)
