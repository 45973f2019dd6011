"""``edgekit verify``."""

from __future__ import annotations

from edgekit.cli.options import BundlePath, Json
from edgekit.cli.terminal import native_output_hidden, print_json, print_result
from edgekit_runtime import open_bundle
from edgekit_runtime.selftest import run_golden_texts


def command(bundle: BundlePath, json: Json = False) -> None:
    """Check every file's checksum, then run the golden texts of every model through every engine that is installed.

    \b
    Example:
      $ edgekit verify model.edgekit
    """
    opened = open_bundle(bundle)
    opened.check()
    with native_output_hidden():
        results = run_golden_texts(opened)
    alone = len(opened.manifest.models) == 1
    if json:
        programs = [{key: value for key, value in vars(each).items() if key != "role" or not alone} for each in results]
        print_json({"bundle": str(bundle), "files": len(opened.manifest.files), "programs": programs})
        return
    print_result(f"{len(opened.manifest.files)} files match their checksums")
    for result in results:
        role = "" if alone else f"{result.role}  "
        state = "answers its golden texts rightly" if result.golden else f"not run: {result.reason}"
        print_result(f"{role}{result.engine}  {result.file}  {state}")
