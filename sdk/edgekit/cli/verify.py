"""``edgekit verify``."""

from __future__ import annotations

from edgekit.cli.options import BundlePath, Json
from edgekit.cli.terminal import open_classifier, print_json, print_result
from edgekit_runtime import open_bundle
from edgekit_runtime.engines import engine_class
from edgekit_runtime.errors import EngineUnavailableError


def command(bundle: BundlePath, json: Json = False) -> None:
    """Check every file's checksum, then run the golden texts through every engine that is installed.

    \b
    Example:
      $ edgekit verify model.edgekit
    """
    opened = open_bundle(bundle)
    opened.check()
    results: list[dict[str, object]] = []
    for program in opened.manifest.main.programs:
        reason = _unavailable(program.engine)
        if reason is None:
            open_classifier(bundle, engine=program.engine).close()
        results.append({"engine": program.engine, "file": program.file, "golden": reason is None, "reason": reason})
    if not any(result["golden"] for result in results):
        raise EngineUnavailableError("; ".join(str(result["reason"]) for result in results))
    if json:
        print_json({"bundle": str(bundle), "files": len(opened.manifest.files), "programs": results})
        return
    print_result(f"{len(opened.manifest.files)} files match their checksums")
    for result in results:
        state = "answers its golden texts rightly" if result["golden"] else f"not run: {result['reason']}"
        print_result(f"{result['engine']}  {result['file']}  {state}")


def _unavailable(engine: str) -> str | None:
    """Why an engine cannot run here, also one that this edgekit does not know; None if it can."""
    try:
        return engine_class(engine).unavailable()
    except EngineUnavailableError as error:
        return str(error)
