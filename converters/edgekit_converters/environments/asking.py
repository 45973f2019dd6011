"""Asking a function of edgekit in another environment."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import edgekit_converters
import edgekit_runtime
from edgekit_converters.environments.environment import Environment
from edgekit_converters.environments.places import python_of
from edgekit_runtime.errors import EdgekitError, LoweringError
from edgekit_runtime.fresh import NoAnswerError, OtherPython, ask, ended_in_order, no_answer

OURS = (edgekit_runtime, edgekit_converters)
"""What is visible there of this Python's packages, and nothing besides: numpy 2 lies beside them."""

KEPT = ("PATH", "LANG", "LC_ALL")
"""What is left there of the caller's environment variables."""

IMPORTS_LIMIT_S = 300

_IMPORTING = """
import importlib, sys
sys.path.append(sys.argv[1])
for module in sys.argv[2:]:
    importlib.import_module(module)
"""

MEANINGS = {
    signal.SIGILL: "this processor lacks instructions that its packages use (AVX, most likely): use another machine",
    signal.SIGKILL: "the system ended it, for want of memory most likely: close other programs, or use another machine",
}


def ask_there(
    environment: Environment,
    function: str,
    options: Mapping[str, Any],
    *,
    limit_s: float,
    failure: type[EdgekitError] = LoweringError,
) -> Any:
    """Calls a function of edgekit in a fresh process of another environment.

    Args:
        environment: Which; it must be installed.
        function: ``module:name`` of edgekit_runtime or edgekit_converters; the module imports nothing that is not there.
        options: Its keyword arguments, fit for JSON.
        limit_s: How long it may take, the start of Python included.
        failure: What is raised where there is no answer.

    Returns:
        What the function returned, as JSON values.

    Raises:
        MissingExtraError: The environment is not installed.
        EdgekitError: The function raised it; or ``failure``: it hung, crashed or was killed.
    """
    python = python_of(environment)
    try:
        with ended_in_order(), _seeing_ours(environment, python) as there:
            return ask(function, options, limit_s=limit_s, python=there).value
    except NoAnswerError as error:
        mended = f"--debug shows what it said, and {environment.install} mends a damaged environment"
        meaning = mended if error.killed_by is None else MEANINGS.get(error.killed_by, mended)
        raise failure(f"{environment.name} gave no answer: {error}; {meaning}") from error


def tried_imports(environment: Environment, python: Path) -> str | None:
    """Imports what the environment is for; gives what went wrong, or None."""
    with _seeing_ours(environment, python) as there:
        command = there.command(_IMPORTING, str(there.packages), *environment.imports)
        try:
            done = subprocess.run(
                command, capture_output=True, timeout=IMPORTS_LIMIT_S, env=dict(there.variables), check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
    return None if done.returncode == 0 else str(no_answer(done))


@contextlib.contextmanager
def _seeing_ours(environment: Environment, python: Path) -> Iterator[OtherPython]:
    """That Python with edgekit's two lower floors, and a home of its own: no settings come in, and no file stays."""
    with tempfile.TemporaryDirectory(prefix="edgekit-") as home:
        packages = Path(home, "packages")
        packages.mkdir()
        for package in OURS:
            source = Path(next(iter(package.__path__))).absolute()
            (packages / source.name).symlink_to(source)
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        yield OtherPython(python, packages, {**kept, "HOME": home, "TMPDIR": home, **environment.variables})
