"""``edgekit convert``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from edgekit.cli.bundle_options import Json
from edgekit.cli.options import UNREAD, UNSAID, lengths, with_data_options, with_read_options
from edgekit.cli.terminal import Terminal, megabytes, percent, print_json, print_result
from edgekit_converters.data import DataOptions
from edgekit_runtime.errors import require

Settings = TypeVar("Settings")


@with_data_options
@with_read_options
def command(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Checkpoint file or Hugging Face folder.")],
    out: Annotated[Path | None, typer.Option("--out", help="The bundle; default: beside MODEL.")] = None,
    target: Annotated[
        list[str] | None, typer.Option("--target", help="litert (default), executorch or onnx; repeatable.")
    ] = None,
    quantize: Annotated[
        str | None,
        typer.Option("--quantize", help="int8 (default), int8-per-tensor, int8-static, int4, fp16 or none."),
    ] = None,
    read: Mapping[str, Any] = UNREAD,
    max_length: Annotated[int | None, typer.Option("--max-length", help="Longest text in tokens; default 128.")] = None,
    buckets: Annotated[
        str | None,
        typer.Option(
            "--buckets",
            metavar="N,N,…|auto",
            help="Padded lengths; default 16,32,64,128; auto: those that suit --calibrate, or else --eval.",
        ),
    ] = None,
    calibrate: Annotated[
        Path | None,
        typer.Option("--calibrate", help="Texts for int8-static or --buckets auto, in the form of --eval."),
    ] = None,
    eval_data: Annotated[Path | None, typer.Option("--eval", help="Labelled text for the accuracy gates.")] = None,
    distill: Annotated[
        str | None,
        typer.Option(
            "--distill",
            metavar="STUDENT",
            help="Lower a student in MODEL's place: cnn, cnn-small, bert-3x384, bert-2x128 or a FILE.toml.",
        ),
    ] = None,
    prune: Annotated[
        float | None,
        typer.Option("--prune", metavar="R", help="Take this share of heads and neurons away, such as 0.5."),
    ] = None,
    cascade: Annotated[
        str | None,
        typer.Option("--cascade", metavar="STUDENT", help="Pack a student too, which answers where it is sure."),
    ] = None,
    keep: Annotated[
        float | None, typer.Option("--keep", help="Share of the accuracy that a cascade keeps; default 0.995.")
    ] = None,
    trim_vocab: Annotated[
        bool | None,
        typer.Option(
            "--trim-vocab/--no-trim-vocab",
            help="Leave out pieces that the texts hardly use; default: for CNN students.",
        ),
    ] = None,
    train_data: Annotated[
        Path | None, typer.Option("--data", metavar="DATA", help="Labelled text that these four learn from.")
    ] = None,
    unlabelled: Annotated[
        Path | None, typer.Option("--unlabelled", metavar="FILE", help="More texts for them; MODEL labels them.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", help="Passes over the texts in each training; default: what suits it.")
    ] = None,
    copies: Annotated[
        int | None, typer.Option("--copies", help="New texts made of each for a student; default: what suits it.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option("--cache", metavar="DIR", help="Keep MODEL's answers there; a later run takes them.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of everything random in training; default 42.")] = None,
    data_options: DataOptions = UNSAID,
    max_drop: Annotated[
        float | None, typer.Option("--max-drop", help="Accuracy that lowering may cost; default 0.01.")
    ] = None,
    max_total_drop: Annotated[
        float | None, typer.Option("--max-total-drop", help="Accuracy that all may cost; default 0.05.")
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            metavar="LIMITS",
            help="Fail where the bundle, measured on this machine (a phone's figures are others), is over one of them: "
            "p50, p95, p99, bytes, drop (of accuracy in all), rss; such as 'p95<=3ms,bytes<=2MB,drop<=0.01'.",
        ),
    ] = None,
    route: Annotated[
        str | None,
        typer.Option(
            "--route", help="onnx: make the LiteRT program by ONNX and TensorFlow (edgekit doctor --install-onnx-tf)."
        ),
    ] = None,
    compat: Annotated[
        str | None,
        typer.Option("--compat", help="tflite-runtime: the LiteRT program must be right on that old runtime, too."),
    ] = None,
    strip: Annotated[
        bool | None,
        typer.Option("--strip/--no-strip", help="Leave golden texts and history out of the bundle (edgekit strip)."),
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option("--recipe", metavar="FILE.toml", help="Settings from a file; a flag given here goes before it."),
    ] = None,
    json: Json = False,
) -> None:
    """Turn a fine-tuned checkpoint into a verified bundle.

    The result is compared with the original on --eval, or on built-in texts, and is written only if it holds.

    \b
    Example:
      $ edgekit convert model.pt --eval dev.tsv
      $ edgekit convert bert-folder --out small.edgekit --max-length 64 --buckets 16,32,64
      $ edgekit convert model.pt --quantize int4 --buckets auto --eval dev.tsv
      $ edgekit convert model.pt --recipe recipe.toml --quantize none
      $ edgekit convert model.pt --distill cnn --data train.tsv --eval dev.tsv
      $ edgekit convert model.pt --eval dev.tsv --budget "p95<=3ms,bytes<=25MB,drop<=0.01"
      $ edgekit convert model.pt --prune 0.5 --cascade cnn --data train.tsv --eval dev.tsv
    """
    require("torch", extra="convert", purpose="edgekit convert")
    from edgekit_converters.pipeline import convert
    from edgekit_converters.recipe_file import RecipeFile

    settings = RecipeFile() if recipe is None else RecipeFile.load(recipe)
    with Terminal() as terminal:
        made = convert(
            model,
            out,
            recipe=_given(
                settings.recipe,
                targets=tuple(target) if target else None,
                quantize=quantize,
                max_length=max_length,
                buckets=lengths(buckets, "--buckets"),
                max_drop=max_drop,
                max_total_drop=max_total_drop,
                budget=budget,
                route=route,
                compat=compat,
                strip=strip,
            ),
            read=replace(settings.read, **read),
            compression=_given(
                settings.compression,
                distill=distill,
                prune=prune,
                cascade=cascade,
                keep=keep,
                trim_vocab=trim_vocab,
                epochs=epochs,
                copies=copies,
                seed=seed,
            ),
            train_data=train_data or settings.train_data,
            unlabelled=unlabelled or settings.unlabelled,
            eval_data=eval_data or settings.eval_data,
            calibrate=calibrate or settings.calibrate,
            data_options=data_options.over(settings.data_options),
            cache=cache,
            listener=terminal,
        )
    if json:
        print_json(made)
        return
    with Terminal() as terminal:
        for report in made.verify:
            ran_by = f"{report.engine}, {report.role}" if made.cascade else report.engine
            if sum((each.engine, each.role) == (report.engine, report.role) for each in made.verify) > 1:
                ran_by += f" on {report.distribution}"
            terminal.print(
                f"{ran_by}: agreement {percent(report.agreement)}, accuracy {percent(report.accuracy)}, "
                f"float {percent(report.accuracy_float)}, original {percent(report.accuracy_original)}; "
                f"{report.examples} texts, {percent(report.truncated)} cut"
            )
        if made.cascade is not None and (measured := made.cascade.measured) is not None:
            assert measured.answered_by is not None, "it is a cascade"
            shares = ", ".join(f"{role} answers {percent(share)}" for role, share in measured.answered_by.items())
            terminal.print(f"cascade: accuracy {percent(measured.accuracy)} on {measured.examples} texts; {shares}")
        for figure in made.budget or ():
            terminal.print(f"budget: {figure}")
        terminal.print(f"{megabytes(made.bytes)} in {made.seconds.total:.0f} s")
    print_result(made.bundle)


def _given(settings: Settings, **flags: object) -> Settings:
    """The settings of the recipe, but for the flags that were given; None is one that was not."""
    return replace(settings, **{name: value for name, value in flags.items() if value is not None})  # type: ignore[type-var]
