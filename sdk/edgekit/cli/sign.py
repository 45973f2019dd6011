"""``edgekit sign``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.bundle_options import BundlePath, Json
from edgekit.cli.terminal import harmless, print_json, print_result
from edgekit_runtime import open_bundle
from edgekit_runtime.trust.writing import sign_bundle


def command(
    bundle: BundlePath,
    key: Annotated[
        Path, typer.Option("--key", metavar="FILE", help="Private key in PEM, as edgekit keygen or OpenSSL makes it.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The signed bundle; default: in the place of BUNDLE.")
    ] = None,
    json: Json = False,
) -> None:
    """Sign a bundle, once every file's checksum was compared. Signatures of other keys stay, so that keys can be rotated.

    The passphrase of an encrypted key is taken from EDGEKIT_KEY_PASSPHRASE, or asked for on a terminal.

    \b
    Example:
      $ edgekit sign model.edgekit --key release
      $ edgekit sign model.edgekit --key release --out signed.edgekit
    """
    made = sign_bundle(bundle, key, out)
    signers = open_bundle(made).signatures()
    if json:
        print_json({"bundle": str(made), "signatures": [each.key_id or each.algorithm for each in signers]})
        return
    print_result(harmless(f"{made}  signed by {', '.join(each.key_id or each.algorithm for each in signers)}"))
