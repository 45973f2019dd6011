"""Where an engine's time goes, operator by operator; one file an engine that tells."""

from __future__ import annotations

from edgekit_runtime.profiling.operators.measure import TRACERS, measure_operators
from edgekit_runtime.profiling.operators.times import OperatorTime, OperatorTimes

__all__ = ["TRACERS", "OperatorTime", "OperatorTimes", "measure_operators"]
