"""Writes runtime/edgekit_runtime/simplified.txt, the table of the cleaning step "simplified".

The table is made from TSCharacters.txt of OpenCC (https://github.com/BYVoid/OpenCC, Apache License 2.0), as the package
opencc-python-reimplemented (Apache License 2.0) brings it. Of several simplified characters the first is taken, as OpenCC
does for a character that stands alone; characters that stay as they are are left out.

Example:
    python scripts/make_simplified.py
"""

from __future__ import annotations

from importlib import metadata, resources
from pathlib import Path

PACKAGE = "opencc-python-reimplemented"
TABLE = Path(__file__).parents[1] / "runtime" / "edgekit_runtime" / "simplified.txt"
HEADER = """\
# Traditional Chinese characters, each followed by its simplified form. Made by scripts/make_simplified.py.
# Source: TSCharacters.txt of OpenCC (https://github.com/BYVoid/OpenCC) out of {package} {version}.
# Copyright by the authors of OpenCC, licensed under the Apache License, Version 2.0
# (http://www.apache.org/licenses/LICENSE-2.0). Changed: the first of several forms, no characters that stay as they are.
"""


def table() -> str:
    """The whole file: a header whose lines begin with #, then two characters a line, in the order of the first."""
    lines = (
        resources.files("opencc").joinpath("dictionary", "TSCharacters.txt").read_text(encoding="utf-8").splitlines()
    )
    pairs = [(line.split("\t")[0], line.split("\t")[1].split(" ")[0]) for line in lines]
    header = HEADER.format(package=PACKAGE, version=metadata.version(PACKAGE))
    return header + "".join(f"{before}{after}\n" for before, after in sorted(pairs) if before != after)


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8", newline="\n")
