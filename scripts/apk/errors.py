"""What can go wrong in building the app, beside edgekit's own errors."""

from __future__ import annotations

from edgekit_runtime.errors import EdgekitError


class ApkError(EdgekitError):
    """A step of the build failed, or an APK is not as it should be.

    Attributes:
        output: All that the failed program said, or nothing.
    """

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message)
        self.output = output


class ToolMissingError(ApkError):
    """A program that the build calls is not on this machine."""


class FetchError(ApkError):
    """A package could not be fetched: it is not there, is not the one that was asked for, or the network is away."""
