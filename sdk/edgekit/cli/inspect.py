"""``edgekit inspect``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from edgekit.cli.bundle_options import BundlePath, Json
from edgekit.cli.terminal import Terminal, harmless, megabytes, percent, print_json, print_result
from edgekit_runtime import Bundle, open_bundle
from edgekit_runtime.combination import AVERAGE, Combination
from edgekit_runtime.errors import BundleSignatureError, OptionError, require


def command(
    bundle: BundlePath,
    recipe: Annotated[
        bool, typer.Option("--recipe", help="Print the settings that made it, for convert --recipe.")
    ] = False,
    json: Json = False,
) -> None:
    """Show what a bundle holds, how it was made and how it was verified. Runs no model.

    \b
    Example:
      $ edgekit inspect model.edgekit
      $ edgekit inspect model.edgekit --json
      $ edgekit inspect model.edgekit --recipe
    """
    if recipe:
        if json:
            raise OptionError("--recipe prints TOML, so --json cannot go with it; drop one of them")
        _print_recipe(bundle)
        return
    opened = open_bundle(bundle)
    manifest = opened.manifest
    if json:
        print_json(manifest)
        return
    _say(f"{manifest.name}  labels: {', '.join(manifest.labels)}")
    if manifest.combine is not None:
        _say(_combination(manifest.combine))
    _print_trust(opened)
    for model in manifest.models:
        text = model.text
        _say(
            f"{model.role}  {text.kind}, {'lower case' if text.lower_case else 'case kept'}, up to {text.max_length} tokens, "
            f"buckets {', '.join(map(str, text.buckets))}"
        )
        for program in model.programs:
            size = megabytes(manifest.files[program.file].bytes)
            _say(f"  {program.engine}  {program.scheme}  {program.file}  {size}  needs {program.min_engine}")
    for report in manifest.verify:
        role = f"{report.role} " if len(manifest.models) > 1 else ""
        _say(
            f"verified  {role}{report.engine} on {report.examples} texts: agreement {percent(report.agreement)}, "
            f"accuracy {percent(report.accuracy)} (float {percent(report.accuracy_float)}, "
            f"original {percent(report.accuracy_original)}), {percent(report.truncated)} cut"
            f"{f', by {report.distribution}' if report.distribution else ''}"
        )
    told = "none, so monitors cannot tell drift" if manifest.reference is None else f"{manifest.reference.texts} texts"
    _say(f"reference  {told}")
    for step in manifest.history:
        tools = ", ".join(f"{name} {version}" for name, version in step.tools.items())
        settings = ", ".join(f"{name}={value}" for name, value in _flat(step.settings) if value is not None)
        _say(f"history  {step.stage}: {settings}{f'  [{tools}]' if tools else ''}")
    for name, entry in manifest.files.items():
        _say(f"file  {name}  {entry.bytes} bytes  sha256 {entry.sha256}")


def _say(line: str) -> None:
    print_result(harmless(line))


def _print_trust(bundle: Bundle) -> None:
    if bundle.signature is not None:
        try:
            signers = ", ".join(each.key_id or each.algorithm for each in bundle.signatures()) or "nobody"
        except BundleSignatureError as error:
            _say(f"signature  {error}")
        else:
            _say(f"signature  said to be of {signers}; not checked (edgekit verify --key)")
    if (sealed := bundle.manifest.sealed) is not None:
        _say(f"sealed  {', '.join(sealed.files)}  {sealed.cipher}, key {sealed.key_id}")


def _combination(combine: Combination) -> str:
    if combine.kind == AVERAGE:
        return f"average of the probabilities of {', '.join(combine.order)}"
    return (
        f"cascade  {', then '.join(combine.order)}: whoever is sure by {combine.threshold:.4f} answers, else the last"
    )


def _print_recipe(bundle: Path) -> None:
    require("torch", extra="convert", purpose="edgekit inspect --recipe")
    from edgekit_converters.recorded import recorded_recipe

    recorded = recorded_recipe(bundle)
    print_result(recorded.to_toml().rstrip("\n"))
    if recorded.missing:
        with Terminal() as terminal:
            terminal.say(f"{bundle} does not record {', '.join(recorded.missing)}; the recipe has the defaults there")


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Name and value of every setting, those inside another one as ``outer.inner``."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
