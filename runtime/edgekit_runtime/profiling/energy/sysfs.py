"""Files of a few words, as the kernel shows its sensors."""

from __future__ import annotations

from pathlib import Path

from edgekit_runtime.profiling.energy.meter import SensorFault


def entries(folder: Path, pattern: str = "*") -> list[Path]:
    """What lies in a folder, if there is one. Unlike glob it does not pass over a folder that may not be listed."""
    try:
        return sorted(path for path in folder.iterdir() if path.match(pattern))
    except FileNotFoundError:
        return []


def text(path: Path) -> str:
    """What a file says; nothing where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def whole_number(path: Path) -> int:
    """The number that a file says.

    Raises:
        SensorFault: It may not be read, is gone, or says something else.
    """
    try:
        return int(path.read_text(encoding="ascii"))
    except PermissionError as error:
        raise denied(path) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SensorFault(f"it gives no number ({reason}): use another sensor") from error


def denied(files: Path) -> SensorFault:
    """What a user is told who may not read a file, or those of a pattern."""
    hint = f"this user may not read it: sudo chmod a+r {files} (until the next boot), or run as root"
    return SensorFault(hint, denied=True)
