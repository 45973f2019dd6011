"""``edgekit seal``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.bundle_options import BundlePath, Json, KeyFile
from edgekit.cli.terminal import Terminal, print_json, print_result
from edgekit_runtime import open_bundle
from edgekit_runtime.trust.writing import seal_bundle


def command(
    bundle: BundlePath,
    key_file: KeyFile = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The sealed bundle; default: in the place of BUNDLE.")
    ] = None,
    json: Json = False,
) -> None:
    """Encrypt the programs of a bundle. Tokenizer, golden texts and manifest stay readable. Sign it afterwards.

    \b
    Example:
      $ edgekit seal model.edgekit --key-file seal.key
      $ edgekit seal model.edgekit --key-file seal.key --out sealed.edgekit
    """
    signed = open_bundle(bundle).signature is not None
    made = seal_bundle(bundle, key_file, out)
    sealed = open_bundle(made).manifest.sealed
    assert sealed is not None, "it was just sealed"
    if signed:
        with Terminal() as terminal:
            terminal.say("the bundle was signed, and its signatures went: sign it anew with edgekit sign")
    if json:
        print_json(
            {"bundle": str(made), "key_id": sealed.key_id, "sealed": list(sealed.files), "signature_dropped": signed}
        )
        return
    print_result(f"{made}  sealed {', '.join(sealed.files)} with the key {sealed.key_id}")
