"""Runs ExecuTorch programs (``.pte``): numpy in, numpy out, no torch.

Example::

    import edgekit_executorch

    with edgekit_executorch.Program("model.pte", threads=2) as program:
        print(program.inputs())
        (logits,) = program.run(ids, mask)
"""

from __future__ import annotations

import os

from edgekit_executorch._engine import EXECUTORCH_VERSION, ExecuTorchError, log
from edgekit_executorch.program import Program, Tensor

log(os.environ.get("EDGEKIT_EXECUTORCH_LOG", "") not in ("", "0"))

__all__ = ["EXECUTORCH_VERSION", "ExecuTorchError", "Program", "Tensor", "log"]
