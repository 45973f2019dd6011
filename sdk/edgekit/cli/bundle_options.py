"""Options that say which bundle, and how to open it; and how to answer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from edgekit_runtime.trust.keys import KEY_FILE_VARIABLE, KEY_VARIABLE

BundlePath = Annotated[Path, typer.Argument(metavar="BUNDLE", help="The .edgekit file.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]
EngineName = Annotated[str | None, typer.Option("--engine", help="Engine to use; default: the first that works here.")]
Threads = Annotated[int | None, typer.Option("--threads", help="Most threads a text may use; default: up to 4.")]
TrustedKeys = Annotated[
    list[Path] | None,
    typer.Option(
        "--trusted-key",
        metavar="PUB",
        help="Refuse the bundle unless the owner of this public key signed it; repeat it for further ones.",
    ),
]

KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        metavar="FILE",
        help="Key that opens a sealed bundle; default: EDGEKIT_KEY or EDGEKIT_KEY_FILE of the environment.",
    ),
]


def use_key_file(path: Path | None) -> None:
    """Has this process and those that it starts open sealed bundles by the file of --key-file."""
    if path is not None:
        os.environ.pop(KEY_VARIABLE, None)
        os.environ[KEY_FILE_VARIABLE] = str(path.resolve())
