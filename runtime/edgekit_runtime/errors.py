"""Every error that edgekit raises on purpose.

::

    EdgekitError
    ├── FileError                 a path that is missing, unreadable, unwritable or of the wrong kind
    ├── OptionError               a setting that is invalid, or contradicts another or the model
    ├── DataError                 labelled text that cannot be read as such
    ├── TokenizerError            a tokenizer that is missing, broken or does not fit the model
    ├── CheckpointError           a checkpoint that cannot be read or is of no supported architecture
    │   └── UntrustedCheckpointError  reading it would run code that it carries
    ├── TrainingError             training that went astray, or lost one of its processes
    ├── LoweringError             a target that could not lower or quantize the network
    ├── GateError                 what was made answers too differently, or costs too much; nothing was written
    ├── BundleError               a file that is no bundle, or a malformed one
    │   ├── BundleIntegrityError  contents that differ from what the manifest promises
    │   ├── BundleVersionError    written by a newer edgekit
    │   ├── BundleSignatureError  signed by nobody who is trusted, or the signature is wrong
    │   └── SealError             sealed programs that cannot be opened: no key, a wrong one, or changed contents
    ├── EngineError               an engine that cannot run the program
    │   ├── EngineUnavailableError    not installed, or not in the bundle
    │   └── GoldenMismatchError   runs, but answers otherwise than at conversion
    ├── DeviceError               a phone that cannot be reached, or an app that fails on it
    └── MissingExtraError         a part of edgekit whose packages are not installed

Each message says what is wrong and what to do next, on one line. The command line prints it and exits with 1.
"""

from __future__ import annotations

import importlib
import re
from types import ModuleType

_CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069]+")
MOST_CHARACTERS = 2000


class EdgekitError(Exception):
    """Base of every error that edgekit raises on purpose.

    Its text is one line of at most MOST_CHARACTERS, without what would steer a terminal, whatever it quotes of a file.
    """

    def __str__(self) -> str:
        line = _CONTROL.sub(" ", super().__str__()).strip()
        return line if len(line) <= MOST_CHARACTERS else line[:MOST_CHARACTERS] + " …"


class FileError(EdgekitError):
    """A path that is missing, unreadable, unwritable or of the wrong kind."""


class OptionError(EdgekitError):
    """A setting that is invalid, or contradicts another setting or the model."""


class DataError(EdgekitError):
    """Labelled text that cannot be read as such."""


class TokenizerError(EdgekitError):
    """A tokenizer that is missing, broken or does not fit the model."""


class CheckpointError(EdgekitError):
    """A checkpoint that cannot be read or is of no supported architecture."""


class UntrustedCheckpointError(CheckpointError):
    """A checkpoint whose reading would run code that it carries."""


class TrainingError(EdgekitError):
    """Training went astray, or lost one of its processes."""


class LoweringError(EdgekitError):
    """A target could not lower or quantize the network."""


class GateError(EdgekitError):
    """What was made answers too differently from the original, or is outside its budget; nothing was written."""


class BundleError(EdgekitError):
    """A file that is no bundle, or a malformed one."""


class BundleIntegrityError(BundleError):
    """Contents that differ from what the manifest promises."""


class BundleVersionError(BundleError):
    """A bundle written by a newer edgekit."""


class BundleSignatureError(BundleError):
    """A bundle that nobody who is trusted has signed, or whose signature is wrong."""


class SealError(BundleError):
    """Sealed programs that cannot be opened: there is no key, it is another one, or the contents were changed."""


class EngineError(EdgekitError):
    """An engine cannot run the program."""


class EngineUnavailableError(EngineError):
    """The engine is not installed, or the bundle has no program for it."""


class GoldenMismatchError(EngineError):
    """The engine runs the program, but answers otherwise than at conversion."""


class DeviceError(EdgekitError):
    """A phone cannot be reached, or the app cannot be built for it or fails on it."""


class MissingExtraError(EdgekitError):
    """A part of edgekit whose packages are not installed."""


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Imports an optional module, or says which extra brings it.

    Args:
        module: Dotted name of the module.
        extra: The extra of the ``edgekit`` distribution that installs it.
        purpose: What needs it, for the message ("reading checkpoints").

    Raises:
        MissingExtraError: The module, or one that it imports, is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"{purpose} needs {error.name}, which is not installed: pip install 'edgekit[{extra}]'"
        ) from error
