"""Packing: programs of one model that were made one by one come into one bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import edgekit_runtime
from edgekit_converters.packing import Part, join_programs, read_part, write_part
from edgekit_runtime import open_bundle
from edgekit_runtime.errors import BundleError
from edgekit_runtime.golden import Golden, file_of_key
from edgekit_runtime.selftest import run_golden_texts

PROBE = Path(edgekit_runtime.__file__).with_name("probe.edgekit")


@pytest.fixture(scope="module")
def whole() -> Part:
    return read_part(PROBE)


def only(part: Part, engine: str) -> Part:
    """The part with its program for one engine, as a conversion for that engine alone would have made it."""
    programs = tuple(program for program in part.programs if program.engine == engine)
    files = {program.file for program in programs}
    texts = tuple(
        replace(item, logits={key: row for key, row in item.logits.items() if file_of_key(key) in files})
        for item in part.golden.texts
    )
    reports = tuple(report for report in part.reports if report.engine == engine)
    contents = {file: part.contents[file] for file in files}
    return replace(part, programs=programs, golden=Golden(texts), reports=reports, contents=contents)


def test_joined_programs_answer_as_each_did(whole: Part, tmp_path: Path) -> None:
    joined = join_programs(only(whole, "executorch"), only(whole, "litert"))
    assert [program.engine for program in joined.programs] == ["executorch", "litert"]
    assert joined.history == whole.history, "what both went through is told once"
    bundle = open_bundle(write_part(tmp_path / "joined.edgekit", joined))
    assert all(test.golden for test in run_golden_texts(bundle))
    assert len(bundle.manifest.verify) == len(only(whole, "executorch").reports) + len(only(whole, "litert").reports)


def test_programs_that_cannot_be_joined_are_refused(whole: Part) -> None:
    one, other = only(whole, "litert"), only(whole, "executorch")
    with pytest.raises(BundleError, match=r"both have model\.tflite"):
        join_programs(one, whole)
    for change in (
        {"labels": ("bad", "good")},
        {"text": replace(other.text, max_length=other.text.max_length + 1)},
        {"tokenizer": other.tokenizer + b" "},
        {"golden": Golden(other.golden.texts[:-1])},
    ):
        with pytest.raises(BundleError, match="not of one model"):
            join_programs(one, replace(other, **change))  # type: ignore[arg-type]
