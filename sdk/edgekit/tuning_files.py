"""The files of a search: what ``edgekit tune`` leaves in its folder for people and programs."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekit.report.markdown import tuned_markdown
from edgekit.report.tuned_chart import tuned_svg
from edgekit_converters.tuning.choice import DEFAULT, Choice
from edgekit_converters.tuning.results import Tuned
from edgekit_runtime import jsonio
from edgekit_runtime.bundle import SUFFIX, replacing

JSON, MARKDOWN, CHART, FOLDER = "front.json", "front.md", "front.svg", "front"


def bundle_names(found: Tuned, out: Path) -> dict[int, str]:
    """Number of each trial of the front whose bundle is here to the bundle's readable name in the folder of the front."""
    names: dict[str, str] = {}
    for number in found.front:
        bundle = found.trial(number).bundle
        if bundle is None or bundle in names or not (out / bundle).is_file():
            continue
        plain = name = _readable(found.trial(number).choice)
        while name in names.values():
            name = f"{plain}-{number}" if name == plain else f"{name}-{number}"
        names[bundle] = name
    numbered = {number: found.trial(number).bundle for number in found.front}
    return {
        number: f"{FOLDER}/{names[bundle]}{SUFFIX}" for number, bundle in numbered.items() if bundle and bundle in names
    }


def as_json(found: Tuned, bundles: Mapping[int, str], measured_on: str | None) -> dict[str, Any]:
    """What ``--json`` prints: what was found, the front's bundles by trial, and the phone that measured, if one did."""
    named = {str(number): name for number, name in bundles.items()}
    return {**jsonio.encode(found), "bundles": named, "measured_on": measured_on}


def write_front(found: Tuned, out: Path, measured_on: str | None) -> dict[int, str]:
    """Writes tables, chart, JSON and the front's bundles; those that are no longer on it go.

    Returns:
        As of :func:`bundle_names`.
    """
    bundles = bundle_names(found, out)
    folder = out / FOLDER
    folder.mkdir(exist_ok=True)
    for number, name in bundles.items():
        _link(out / str(found.trial(number).bundle), out / name)
    for path in folder.glob(f"*{SUFFIX}"):
        if f"{FOLDER}/{path.name}" not in bundles.values():
            path.unlink()
    chart = tuned_svg(found)
    if chart is None:
        (out / CHART).unlink(missing_ok=True)
    else:
        _write(out / CHART, chart)
    _write(out / MARKDOWN, tuned_markdown(found, bundles, measured_on, CHART if chart else None))
    _write(out / JSON, json.dumps(as_json(found, bundles, measured_on), ensure_ascii=False, indent=1) + "\n")
    return bundles


def _readable(choice: Choice) -> str:
    parts = [choice.named, choice.scheme, choice.engine, *([] if choice.buckets == DEFAULT else [choice.buckets])]
    return re.sub(r"[^\w.]+", "-", " ".join(parts)).strip("-.")


def _link(source: Path, target: Path) -> None:
    """The same bundle under another name, without a second copy where the file system can."""
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        os.link(source, part)
    except OSError:
        shutil.copyfile(source, part)
    if target.exists() and target.samefile(part):  # which renaming would leave alone, the part too
        part.unlink()
    else:
        part.replace(target)


def _write(path: Path, text: str) -> None:
    with replacing(path) as file:
        file.write(text.encode())
