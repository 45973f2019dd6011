"""A lowered program on its engine, before it is in any bundle."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgekit_runtime.engines import Engine, engine_class
from edgekit_runtime.filepart import FilePart
from edgekit_runtime.manifest import Program


@contextlib.contextmanager
def loaded(program: Program, data: bytes, threads: int) -> Iterator[Engine]:
    """Loads a program as a device would, from a file; engine and file are gone after the block.

    Args:
        program: Its description.
        data: Its contents.
        threads: Upper bound on the threads of one call.

    Raises:
        EngineError: The engine is not installed or refuses the program.
    """
    with tempfile.TemporaryDirectory(prefix="edgekit-") as folder:
        contents = FilePart.write(Path(folder) / program.file, data)
        engine = engine_class(program.engine).load(program, contents, threads)
        try:
            yield engine
        finally:
            engine.close()
