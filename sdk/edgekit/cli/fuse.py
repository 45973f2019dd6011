"""``edgekit fuse``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.bundle_options import Json
from edgekit.cli.options import UNSAID, with_data_options
from edgekit.cli.terminal import Terminal, megabytes, percent, print_json, print_result
from edgekit_converters.combining.fuse import combine_bundles
from edgekit_converters.combining.threshold import KEEP
from edgekit_converters.data import DataOptions


@with_data_options
def command(
    bundles: Annotated[
        list[Path], typer.Argument(metavar="BUNDLE…", help="Two .edgekit files or more, of one model each.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The bundle to write.")],
    eval_data: Annotated[
        str | None,
        typer.Option("--eval", metavar="DATA", help="Labelled text: how good is each alone, and all together?"),
    ] = None,
    cascade: Annotated[
        bool, typer.Option("--cascade", help="The smaller of two answers where it is sure; default: average them.")
    ] = False,
    keep: Annotated[
        float,
        typer.Option("--keep", metavar="SHARE", help="Of a cascade: how much of the bigger one's accuracy to keep."),
    ] = KEEP,
    data_options: DataOptions = UNSAID,
    json: Json = False,
) -> None:
    """Make one bundle of several: an average, or a cascade whose threshold is found on the texts of --eval.

    \b
    Example:
      $ edgekit fuse cnn-a.edgekit cnn-b.edgekit --out both.edgekit --eval dev.tsv
      $ edgekit fuse cnn.edgekit bert.edgekit --cascade --eval held-out.tsv --keep 0.99 --out cascade.edgekit
    """
    with Terminal() as terminal:
        made = combine_bundles(
            bundles, out, eval_data, cascade=cascade, keep=keep, data_options=data_options, listener=terminal
        )
        measured = made.measured
        if measured is not None:
            alone, shares = measured.accuracy_alone or {}, measured.answered_by or {}
            rows = [
                [
                    f"{model.role}: {model.name}",
                    megabytes(model.bytes),
                    percent(alone.get(model.role)),
                    percent(shares.get(model.role)),
                ]
                for model in made.models
            ]
            together = [made.combine.kind, megabytes(made.bytes), percent(measured.accuracy), ""]
            terminal.table(
                [f"{measured.examples} texts, {measured.engine}", "size", "accuracy", "answers"], [*rows, together]
            )
        if made.combine.threshold is not None:
            terminal.print(f"threshold {made.combine.threshold:.4f}")
    if json:
        print_json(made)
    else:
        print_result(made.bundle)
