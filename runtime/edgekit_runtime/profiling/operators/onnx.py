"""ONNX Runtime's time by operator: what its own profiler writes, Chrome's trace events in a JSON file."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgekit_runtime.engines.onnx import OnnxEngine, open_session
from edgekit_runtime.errors import EngineError, EngineUnavailableError
from edgekit_runtime.filepart import Contents
from edgekit_runtime.manifest import Program
from edgekit_runtime.profiling.operators.times import Inference, Traced

WARM_UP = 10
"""Inferences before those that count: the first ones make room."""

WHOLE, NODE = "model_run", "_kernel_time"
"""Name of the event that is one inference; how the name of the event of a node's own time ends."""


def trace(program: Program, contents: Contents, threads: int, ids: Sequence[int], runs: int) -> Traced:
    """Runs a program on token ids, as many as there are, with profiling on.

    Raises:
        EngineUnavailableError: onnxruntime is not installed.
        EngineError: The engine refuses the program or fails, or its profile is not as expected.
    """
    if reason := OnnxEngine.unavailable():
        raise EngineUnavailableError(reason)
    array = np.array([ids], dtype=program.inputs[0].dtype)
    with tempfile.TemporaryDirectory(prefix="edgekit-") as folder:
        session = open_session(program, contents, threads, profile_to=Path(folder) / "profile")
        try:
            for _ in range(WARM_UP + runs):
                session.run(None, {program.inputs[0].name: array})
            events = json.loads(Path(session.end_profiling()).read_bytes())
        except Exception as error:  # its errors have no base but Exception
            raise EngineError(f"ONNX Runtime failed with profiling on: {error}") from error
    found = inferences(events)
    if len(found) != WARM_UP + runs:
        raise EngineError(
            f"ONNX Runtime told of {len(found)} inferences in place of {WARM_UP + runs}; try another --engine"
        )
    return Traced(len(ids), found[WARM_UP:])


def inferences(events: Sequence[dict[str, Any]]) -> tuple[Inference, ...]:
    """What each inference of a profile took; times in it are whole microseconds."""
    nodes = sorted((each for each in events if str(each.get("name")).endswith(NODE)), key=_begin)
    found, at = [], 0
    for whole in sorted((each for each in events if each.get("name") == WHOLE), key=_begin):
        calls = []
        while at < len(nodes) and _begin(nodes[at]) < _begin(whole) + int(whole["dur"]):
            calls.append((str(nodes[at]["args"]["op_name"]), nodes[at]["dur"] / 1e3))
            at += 1
        found.append(Inference(whole["dur"] / 1e3, tuple(calls)))
    return tuple(found)


def _begin(event: dict[str, Any]) -> int:
    return int(event["ts"])
