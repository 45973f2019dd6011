"""``edgekit keygen``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.bundle_options import Json
from edgekit.cli.terminal import print_json, print_result
from edgekit_runtime.trust.keys import PUBLIC_SUFFIX, write_sealing_key, write_signing_key


def command(
    out: Annotated[
        Path, typer.Option("--out", metavar="NAME", help="File of the secret key; the public one gets NAME.pub.")
    ],
    sealing: Annotated[
        bool, typer.Option("--sealing", help="Make a key that seals and opens programs, in place of a pair that signs.")
    ] = False,
    json: Json = False,
) -> None:
    """Make a key: a pair that signs bundles, or a secret that seals them. An existing file is never replaced.

    \b
    Example:
      $ edgekit keygen --out release
      $ edgekit keygen --sealing --out seal.key
    """
    key_id = write_sealing_key(out) if sealing else write_signing_key(out)
    public = None if sealing else f"{out}{PUBLIC_SUFFIX}"
    if json:
        print_json({"key": str(out), "public": public, "key_id": key_id})
        return
    print_result(f"{out}  secret, for whoever {'seals and opens' if sealing else 'signs'}  key {key_id}")
    if public is not None:
        print_result(f"{public}  public, for whoever checks signatures  key {key_id}")
