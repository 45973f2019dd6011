"""ExecuTorch's time by operator, XNNPACK's inside the delegate among them: edgekit-executorch's trace, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import util

import numpy as np

from edgekit_runtime.errors import EngineError, EngineUnavailableError
from edgekit_runtime.filepart import Contents
from edgekit_runtime.manifest import Program
from edgekit_runtime.profiling.operators.etdump import inferences
from edgekit_runtime.profiling.operators.times import Traced

WARM_UP = 10
"""Inferences before those that count: the first ones make room."""
MOST = 200
"""Inferences in one trace: the engine keeps 256, and the next after fetching a trace is slower, as it makes room again."""


def trace(program: Program, contents: Contents, threads: int, ids: Sequence[int], runs: int) -> Traced:
    """Runs a program on token ids, as many as there are, with tracing on.

    Raises:
        EngineUnavailableError: edgekit-executorch is not installed; the official binding needs torch to read its traces.
        EngineError: The engine refuses the program or fails.
    """
    if util.find_spec("edgekit_executorch") is None:
        raise EngineUnavailableError(
            "ExecuTorch tells its time by operator only through edgekit-executorch: pip install 'edgekit[executorch]'"
        )
    from edgekit_executorch import ExecuTorchError
    from edgekit_executorch import Program as Mapped

    array = np.array([ids], dtype=program.inputs[0].dtype)
    contents.check()
    try:
        with (
            contents.mapped() as part,
            Mapped(
                part.path, offset=part.offset, size=part.size, threads=threads, trace=True, sha256=part.sha256
            ) as traced,
        ):
            for _ in range(WARM_UP):
                traced.run(array)
            traced.etdump()
            dumps = []
            for begin in range(0, runs, MOST):
                for _ in range(min(MOST, runs - begin)):
                    traced.run(array)
                dumps.append(traced.etdump())
    except (ExecuTorchError, OSError) as error:
        raise EngineError(f"ExecuTorch failed with tracing on: {error}") from error
    found = tuple(each for dump in dumps for each in inferences(dump))
    if len(found) != runs:
        raise EngineError(
            f"ExecuTorch told of {len(found)} inferences in place of {runs}; reinstall edgekit-executorch"
        )
    return Traced(len(ids), found)
