"""Running an ONNX file in a process of its own: it may ask for more memory than there is, crash, or never end."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from edgekit_runtime.engines.onnx import telemetry_off
from edgekit_runtime.errors import require

THREADS = 2


def run(path: str, feeds: Sequence[Mapping[str, Any]], most_bytes: int) -> dict[str, Any]:
    """Runs the file on each of the feeds.

    Args:
        path: An ONNX file with one output.
        feeds: For each call the inputs by name: ``dtype`` and ``rows``.
        most_bytes: Memory that the process may take more than now.

    Returns:
        ``logits``: a list of the first text's numbers for each call; or ``refused``: why it does not run.
    """
    import numpy as np

    telemetry_off()
    onnxruntime = require("onnxruntime", extra="convert", purpose="reading ONNX")
    _limit_memory(most_bytes)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.log_severity_level = 4  # what goes wrong is raised as well
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        answers = []
        for feed in feeds:
            arrays = {name: np.asarray(each["rows"], each["dtype"]) for name, each in feed.items()}
            answers.append(session.run(None, arrays)[0][:1].ravel().tolist())
    except Exception as error:  # onnxruntime's own errors are of no common class
        return {"refused": " ".join(str(error).split())[:200]}
    return {"logits": answers}


def _limit_memory(more_bytes: int) -> None:
    """Lets the process have so much more memory and no further, where the system can hold it to that."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        with open("/proc/self/statm", encoding="ascii") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + more_bytes, now + more_bytes))
