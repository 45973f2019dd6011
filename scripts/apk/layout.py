"""Where the app's sources are, and where what is built from them goes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
PROJECT = CHECKOUT / "android-demo"
MAIN = PROJECT / "app" / "src" / "main"
TEST = PROJECT / "app" / "src" / "test"
CATALOGUE = PROJECT / "gradle" / "libs.versions.toml"
NPM_SUMS = PROJECT / "gradle" / "react-native-executorch.sha256"
POM = PROJECT / "pom.xml"

APPLICATION = "dev.edgekit.demo"
ABIS = ("arm64-v8a", "x86_64")


CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgekit"
"""The user's: what outlives every build, which is the debug key."""


@dataclass(frozen=True)
class Build:
    """The folder of everything that is built; all of it can be deleted.

    Attributes:
        folder: By default ``android-demo/build``.
        name: The APK's.
    """

    folder: Path = PROJECT / "build"
    name: str = "edgekit-demo.apk"

    @property
    def libs(self) -> Path:
        return self.folder / "libs"

    @property
    def assets(self) -> Path:
        """Where Gradle's build looks for the bundle, too."""
        return self.folder / "assets"

    @property
    def apk(self) -> Path:
        return self.folder / self.name
