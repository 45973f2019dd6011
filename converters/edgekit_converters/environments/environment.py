"""What an environment is made of."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgekit_runtime.errors import OptionError
from edgekit_runtime.profiling.device import instruction_sets


@dataclass(frozen=True)
class Environment:
    """A Python with packages that do not go together with edgekit's own.

    Attributes:
        name: Its name, as in ``edgekit doctor --install-NAME``.
        requirements: Every package in it, pinned ("numpy==1.26.4"): pip adds none.
        pythons: Versions of Python that these packages are made for, ">=3.10,<3.12".
        megabytes: What it takes on the disk, in 10^6 bytes.
        purpose: What needs it, for messages.
        imports: Modules that must be importable in it.
        machines: Architectures that these packages are made for.
        needs: Instruction sets that they use without asking, on x86, as /proc/cpuinfo spells them.
        variables: Environment variables for whatever runs there.
    """

    name: str
    requirements: tuple[str, ...]
    pythons: str
    megabytes: int
    purpose: str
    imports: tuple[str, ...]
    machines: tuple[str, ...]
    needs: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> str:
        """What it takes on the disk, for the eye."""
        return f"{self.megabytes / 1000:.1f} GB" if self.megabytes >= 1000 else f"{self.megabytes} MB"

    @property
    def install(self) -> str:
        """The command that installs it."""
        return f"edgekit doctor --install-{self.name}"

    def check_machine(self) -> None:
        """Refuses a machine that cannot run its packages.

        Raises:
            OptionError: The architecture or the processor is another.
        """
        here = f"{platform.system()} on {platform.machine()}"
        if platform.system() != "Linux" or platform.machine() not in self.machines:
            there = " or ".join(self.machines)
            raise OptionError(
                f"{self.purpose} needs {self.name}, which is made for Linux on {there}, and this is {here}"
            )
        present = instruction_sets()
        if present and (missing := [name for name in self.needs if name not in present]):
            raise OptionError(
                f"{self.purpose} needs {self.name}, which needs {', '.join(missing)}, and this processor has no such "
                "instructions: use another machine"
            )
