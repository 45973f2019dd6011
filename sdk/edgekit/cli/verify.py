"""``edgekit verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.bundle_options import BundlePath, Json, KeyFile, use_key_file
from edgekit.cli.terminal import native_output_hidden, print_json, print_result
from edgekit_runtime import open_bundle
from edgekit_runtime.selftest import run_golden_texts


def command(
    bundle: BundlePath,
    key: Annotated[
        list[Path] | None,
        typer.Option("--key", metavar="PUB", help="Public key, one of which must have signed it; repeat it for more."),
    ] = None,
    key_file: KeyFile = None,
    json: Json = False,
) -> None:
    """Check every file's checksum, then run the golden texts of every model through every engine that is installed.

    With --key its signature first.

    \b
    Example:
      $ edgekit verify model.edgekit
      $ edgekit verify model.edgekit --key release.pub
      $ edgekit verify sealed.edgekit --key-file seal.key
    """
    use_key_file(key_file)
    opened = open_bundle(bundle, trusted_keys=key or None)
    opened.check()
    with native_output_hidden():
        results = run_golden_texts(opened, trial=True)
    alone = len(opened.manifest.models) == 1
    if json:
        programs = [{key: value for key, value in vars(each).items() if key != "role" or not alone} for each in results]
        found = {"bundle": str(bundle), "files": len(opened.manifest.files), "programs": programs}
        print_json(found | ({"signed_by": opened.signed_by} if key else {}))
        return
    if opened.signed_by:
        print_result(f"signed by {', '.join(opened.signed_by)}, as asked for")
    print_result(f"{len(opened.manifest.files)} files match their checksums")
    for result in results:
        role = "" if alone else f"{result.role}  "
        state = "answers its golden texts rightly" if result.golden else f"not run: {result.reason}"
        print_result(f"{role}{result.engine}  {result.file}  {state}")
