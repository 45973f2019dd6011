"""``edgekit convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.options import Json, LabelColumn, Labels, TextColumn, names, numbers
from edgekit.cli.terminal import Terminal, megabytes, percent, print_json, print_result
from edgekit_runtime.errors import require


def command(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Checkpoint file or Hugging Face folder.")],
    out: Annotated[Path | None, typer.Option("--out", help="The bundle; default: beside MODEL.")] = None,
    target: Annotated[list[str] | None, typer.Option("--target", help="litert (default); repeatable.")] = None,
    quantize: Annotated[str, typer.Option("--quantize", help="int8, int8-per-tensor or none.")] = "int8",
    tokenizer: Annotated[
        Path | None, typer.Option("--tokenizer", help="vocab.txt, tokenizer.json or a folder; default: beside MODEL.")
    ] = None,
    labels: Labels = None,
    heads: Annotated[int | None, typer.Option("--heads", help="Attention heads, where no config.json says so.")] = None,
    pad_to: Annotated[
        int | None, typer.Option("--pad-to", help="Length to which a CNN's training padded short texts.")
    ] = None,
    max_length: Annotated[int | None, typer.Option("--max-length", help="Longest text in tokens; default 128.")] = None,
    buckets: Annotated[
        str | None, typer.Option("--buckets", metavar="N,N,…", help="Padded lengths; default 16,32,64,128.")
    ] = None,
    eval_data: Annotated[Path | None, typer.Option("--eval", help="Labelled text for the accuracy gates.")] = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    max_drop: Annotated[float, typer.Option("--max-drop", help="Accuracy that lowering may cost.")] = 0.01,
    max_total_drop: Annotated[float, typer.Option("--max-total-drop", help="Accuracy that all may cost.")] = 0.05,
    json: Json = False,
) -> None:
    """Turn a fine-tuned checkpoint into a verified bundle.

    The result is compared with the original on --eval, or on built-in texts, and is written only if it holds.

    \b
    Example:
      $ edgekit convert model.pt --eval dev.tsv
      $ edgekit convert bert-folder --out small.edgekit --max-length 64 --buckets 16,32,64
    """
    require("torch", extra="convert", purpose="edgekit convert")
    from edgekit_converters.checkpoint import ReadOptions
    from edgekit_converters.data import DataOptions
    from edgekit_converters.pipeline import convert
    from edgekit_converters.recipe import Recipe

    recipe = Recipe(
        targets=tuple(target or ["litert"]),
        quantize=quantize,
        max_length=max_length,
        buckets=numbers(buckets, "--buckets"),
        max_drop=max_drop,
        max_total_drop=max_total_drop,
    )
    read = ReadOptions(tokenizer, names(labels, "--labels"), heads, pad_to)
    with Terminal() as terminal:
        made = convert(
            model,
            out,
            recipe=recipe,
            read=read,
            eval_data=eval_data,
            data_options=DataOptions(text_column, label_column),
            listener=terminal,
        )
    if json:
        print_json(made)
        return
    with Terminal() as terminal:
        for report in made.verify:
            terminal.print(
                f"{report.engine}: agreement {percent(report.agreement)}, accuracy {percent(report.accuracy)}, "
                f"float {percent(report.accuracy_float)}, original {percent(report.accuracy_original)}; "
                f"{report.examples} texts, {percent(report.truncated)} cut"
            )
        terminal.print(f"{megabytes(made.bytes)} in {made.seconds.total:.0f} s")
    print_result(made.bundle)
