"""What an ExecuTorch program asks of the library that is to run it: operators and backends."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from pathlib import Path

import tools
from errors import ApkError


def required(program: bytes) -> list[str]:
    """The names that a runtime registers for what the program calls: ``aten::amax.out``, ``XnnpackBackend``.

    The program is a FlatBuffer; the executorch package brings its schema and the compiler that reads it.

    Raises:
        ApkError: It is no program, or the executorch package is not installed.
    """
    found = importlib.util.find_spec("executorch")
    if found is None or not found.submodule_search_locations:
        raise ApkError(
            "the check of the bundle's operators needs the executorch package: pip install 'edgekit[convert]'"
        )
    package = Path(found.submodule_search_locations[0])
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "program.pte"
        path.write_bytes(program)
        schema = package / "schema" / "program.fbs"
        tools.run(
            *(package / "data" / "bin" / "flatc", "--json", "--strict-json", "--defaults-json", "--raw-binary"),
            *("-o", scratch, "-I", schema.parent, schema, "--", path),
        )
        plans = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["execution_plan"]
    operators = [operator for plan in plans for operator in plan["operators"]]
    names = [f"{one['name']}.{one['overload']}" if one["overload"] else one["name"] for one in operators]
    return sorted({*names, *(delegate["id"] for plan in plans for delegate in plan["delegates"])})
