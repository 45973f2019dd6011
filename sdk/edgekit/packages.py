"""Which packages edgekit and its extras ask for, and which are installed here; read from edgekit's own metadata."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement
from packaging.version import InvalidVersion

DISTRIBUTION = "edgekit"
BASE = "base"


@dataclass(frozen=True)
class Package:
    """One package.

    Attributes:
        name: The distribution.
        known_good: Versions that edgekit works with, ">=2.13,<2.15"; empty for any.
        installed: The version that is here; None if it is missing.
        fits: Whether that lies in the range.
    """

    name: str
    known_good: str
    installed: str | None
    fits: bool


@dataclass(frozen=True)
class Extra:
    """The packages of one extra, those of the extras within it among them.

    Attributes:
        name: The extra; ``base`` for what edgekit cannot do without.
        status: ``works``; ``absent``, where a package is missing, or nothing is here that the base has not; or ``wrong``, where
            one lies outside its range.
        packages: Its packages.
        install: The command that brings what is missing.
    """

    name: str
    status: str
    packages: tuple[Package, ...]
    install: str


def installed_extras(distribution: str = DISTRIBUTION) -> tuple[Extra, ...]:
    """The base and every extra, in the order of the metadata; the base alone where edgekit itself is not installed."""
    try:
        described = metadata.metadata(distribution)
    except metadata.PackageNotFoundError:
        itself = Package(distribution, "", None, False)
        return (Extra(BASE, "absent", (itself,), f"pip install {distribution}"),)
    wanted = [Requirement(line) for line in described.get_all("Requires-Dist") or ()]
    base = [requirement for requirement in wanted if _asked_for(requirement, "")]
    names = {requirement.name for requirement in base}
    return (
        _extra(BASE, base, f"pip install {distribution}"),
        *(
            _extra(
                name,
                [r for r in wanted if r not in base and _asked_for(r, name)],
                f"pip install '{distribution}[{name}]'",
                names,
            )
            for name in described.get_all("Provides-Extra") or ()
        ),
    )


def _asked_for(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _extra(name: str, wanted: Iterable[Requirement], install: str, base: Collection[str] = ()) -> Extra:
    """An extra; ``base`` names what is here in any case, perhaps in a version that only this extra cannot have."""
    packages = tuple(_package(requirement) for requirement in wanted)
    own = [package for package in packages if package.name not in base]
    if own and not any(package.installed for package in own):
        status = "absent"
    elif any(package.installed and not package.fits for package in packages):
        status = "wrong"
    else:
        status = "works" if all(package.fits for package in packages) else "absent"
    return Extra(name, status, packages, install)


def _package(requirement: Requirement) -> Package:
    try:
        installed = metadata.version(requirement.name)
        fits = requirement.specifier.contains(installed, prereleases=True)
    except metadata.PackageNotFoundError:
        installed, fits = None, False
    except (InvalidVersion, TypeError, KeyError):  # what is left of an installation that was cut short
        installed, fits = "unknown", False
    return Package(requirement.name, str(requirement.specifier), installed, fits)
