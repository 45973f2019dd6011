"""The Python of this machine that an environment is made from."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from edgekit_converters.environments.environment import Environment
from edgekit_converters.environments.places import versions_of
from edgekit_runtime.errors import MissingExtraError

LIMIT_S = 30


@dataclass(frozen=True)
class Base:
    """A Python that can make environments; ``version`` is "3.11"."""

    python: Path
    version: str


def find_base(environment: Environment) -> Base:
    """The running Python if it fits, else the newest ``python3.N`` of PATH that does.

    Raises:
        MissingExtraError: There is none.
    """
    running = f"3.{sys.version_info.minor}"
    for version in versions_of(environment):
        found = sys.executable if version == running else shutil.which(f"python{version}")
        if found and _serves(found, version):
            return Base(Path(found), version)
    newest = f"python{versions_of(environment)[-1 if running in versions_of(environment) else 0]}"
    raise MissingExtraError(
        f"{environment.name} needs Python {environment.pythons} with its venv, and there is none on PATH, where it is called "
        f"{newest}: install it (apt install {newest}-venv on a Debian or Ubuntu that has it; pyenv and uv have it anywhere)"
    )


def _serves(python: str, version: str) -> bool:
    """Whether it starts, is of that version, and has what makes environments."""
    code = "import ensurepip, venv, sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.strip() == version
