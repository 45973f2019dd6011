"""Runs on the ARM64 side: classifies texts with bundles, each on the engines asked for.

Reads ``{"bundles": {path: [engine]}, "texts": [str]}`` from stdin and prints one JSON object. It imports the standard
library and edgekit's runtime only.
"""

from __future__ import annotations

import dataclasses
import json
import platform
import sys
import time
from importlib import util

import edgekit_runtime
from edgekit_runtime.profiling.device import describe_device


def answers(bundle: str, engine: str, texts: list[str]) -> dict[str, object]:
    """What a bundle answers, its golden texts verified first; or the error that edgekit raises."""
    begin = time.perf_counter()
    try:
        with edgekit_runtime.load(bundle, engine=engine) as classify:
            labels = [classify(text).label for text in texts]
            logits = [classify.logits(classify.encoder.ids(text)).tolist() for text in texts]
            distribution = classify.engine.distribution
    except edgekit_runtime.EdgekitError as error:
        return {"bundle": bundle, "engine": engine, "error": f"{type(error).__name__}: {error}"}
    return {
        "bundle": bundle,
        "engine": engine,
        "distribution": distribution,
        "labels": labels,
        "logits": logits,
        "seconds": time.perf_counter() - begin,
    }


def imported() -> list[str]:
    """Top-level names of the modules that were loaded from outside the standard library."""
    names = {
        name.partition(".")[0] for name, module in sys.modules.items() if getattr(module, "__file__", None) is not None
    }
    return sorted(names - sys.stdlib_module_names - {"__main__"})


def main() -> None:
    """Answers what stdin asks."""
    asked = json.load(sys.stdin)
    runs = [
        answers(bundle, engine, asked["texts"]) for bundle, engines in asked["bundles"].items() for engine in engines
    ]
    result = {
        "device": dataclasses.asdict(describe_device()),
        "system": f"Python {platform.python_version()}, {' '.join(platform.libc_ver())}",
        "runs": runs,
        "imported": imported(),
        "torch": util.find_spec("torch") is not None,
    }
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
