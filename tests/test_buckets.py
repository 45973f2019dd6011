"""Buckets that suit the texts: the choice is the best there is, and a conversion tells and keeps it."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import edgekit_runtime
from edgekit.cli.options import lengths
from edgekit_converters.buckets import FIXED_TOKENS, MOST_BUCKETS, ROWS, choose_buckets, cost, expected_length
from edgekit_converters.data import read_rows
from edgekit_converters.pipeline import convert
from edgekit_converters.recipe import Recipe
from edgekit_runtime.errors import OptionError
from test_cli import fails


class Heard:
    """A listener that keeps what it is told."""

    def __init__(self):
        self.said: list[str] = []
        self.stages: list[str] = []

    def stage(self, title):
        self.stages.append(title)

    def progress(self, done, total):
        pass

    def say(self, message):
        self.said.append(message)


@given(
    st.lists(st.integers(1, 25), min_size=1, max_size=20),
    st.integers(25, 29),
    st.integers(1, 4),
    st.sampled_from((0.0, 0.01, 0.2)),
)
def test_no_other_choice_is_quicker(found, max_length, most, worth):
    steps = sorted({rows * times for rows in ROWS for times in range(1, 8)} & set(range(max_length)))
    buckets = choose_buckets(found, max_length, most, worth)
    others = [(*chosen, max_length) for count in range(most) for chosen in combinations(steps, count)]
    assert buckets in others
    assert paid(found, buckets, worth) == pytest.approx(min(paid(found, other, worth) for other in others))


def paid(found, buckets, worth):
    """Cost of all texts, as it must be when each bucket after the first has to take ``worth`` off it."""
    total = sum(cost(next(bucket for bucket in buckets if bucket >= length)) for length in found)
    return total / (1 - worth) ** (len(buckets) - 1)


@given(st.integers(1, 600))
def test_a_longer_text_never_costs_less_and_a_whole_tile_costs_what_it_holds(length):
    assert cost(length) <= cost(length + 1)
    assert cost(80 * length) == FIXED_TOKENS + 80 * length  # 80 is a multiple of every tile
    assert cost(length) >= FIXED_TOKENS + length


@pytest.mark.parametrize(
    ("found", "max_length", "buckets"),
    [
        ([5, 5, 5], 128, (5, 128)),
        ([128], 128, (128,)),
        ([6, 7], 128, (8, 128)),  # 8 costs as much, and is right for more texts
        ([127], 128, (128,)),
        ([49], 50, (50,)),
        ([10] * 90 + [20] * 5 + [30] * 4 + [31], 64, (10, 20, 32, 64)),
    ],
)
def test_choices_that_are_plain_to_see(found, max_length, buckets):
    assert choose_buckets(found, max_length) == buckets


def test_a_bucket_that_saves_little_is_left_out():
    found = [20] * 990 + [30] * 10
    assert choose_buckets(found, 64, worth=0.0) == (20, 30, 64)
    assert choose_buckets(found, 64, worth=0.02) == (20, 64)
    assert len(choose_buckets(range(1, 129), 128, most=5, worth=0.0)) == 5


def test_the_largest_choice_there_can_be_is_quick():
    found = [1 + (index * index) % 512 for index in range(5000)]
    buckets = choose_buckets(found, 512)
    assert 4 < len(buckets) <= MOST_BUCKETS
    assert expected_length(found, buckets) < 0.8 * expected_length(found, (16, 64, 128, 512))


def test_a_conversion_says_records_and_uses_the_buckets(cnn_checkpoint, labelled_csv, tmp_path):
    heard = Heard()
    recipe = Recipe(max_length=48, buckets="auto", quantize="none")
    made = convert(cnn_checkpoint, tmp_path / "auto.edgekit", recipe=recipe, eval_data=labelled_csv, listener=heard)
    with edgekit_runtime.load(made.bundle) as classifier:
        spec = classifier.encoder.spec
        found = [max(len(ids), spec.min_length) for ids in classifier.encoder.ids_of(texts_of(labelled_csv))]
        assert spec.buckets == choose_buckets(found, 48)
        assert spec.buckets not in ((16, 32, 48), (48,))
        lower = classifier.manifest.history[-1].settings
    assert lower["buckets"] == "auto"
    assert lower["resolved"] == {"max_length": 48, "buckets": list(spec.buckets)}
    (said,) = [message for message in heard.said if "buckets" in message]
    told = f"padded to {expected_length(found, spec.buckets):.1f} tokens on average over 80 texts"
    assert told in said
    assert f"with 16, 32, 48 to {expected_length(found, (16, 32, 48)):.1f}" in said
    assert made.verify[0].accuracy > 0.9


def test_calibration_texts_go_before_those_of_eval(cnn_checkpoint, labelled_csv, tmp_path):
    calibrate = tmp_path / "short.csv"
    calibrate.write_text("text,label\n" + "good film,1\nbad film,0\n" * 4, encoding="utf-8")
    recipe = Recipe(max_length=48, buckets="auto", quantize="none")
    made = convert(
        cnn_checkpoint, tmp_path / "auto.edgekit", recipe=recipe, eval_data=labelled_csv, calibrate=calibrate
    )
    with edgekit_runtime.load(made.bundle) as classifier:
        spec = classifier.encoder.spec
        (shortest, longest) = spec.buckets
        assert longest == 48
        needed = max(spec.min_length, len(classifier.encoder.ids("good film")))
        assert needed <= shortest < needed + min(ROWS)
        lower = classifier.manifest.history[-1].settings
    assert lower["calibration"] == {"texts": 8, "samples": 0}
    assert lower["data"]["calibrate"] == {"file": "short.csv", "bytes": calibrate.stat().st_size}


def test_without_texts_there_is_nothing_to_go_by(tmp_path):
    heard = Heard()
    with pytest.raises(OptionError, match="--buckets auto goes by the lengths of texts: give some with --calibrate"):
        convert(tmp_path / "missing.pt", recipe=Recipe(buckets="auto"), listener=heard)
    assert heard.stages == []


def test_the_command_line_takes_auto_or_lengths(cnn_checkpoint):
    assert lengths(None, "--buckets") is None
    assert lengths("auto", "--buckets") == lengths(" auto ", "--buckets") == "auto"
    assert lengths("8, 16", "--buckets") == (8, 16)
    for wrong in ("automatic", "auto,128", "8,x", "0,8"):
        with pytest.raises(OptionError, match=r"--buckets takes auto, or whole numbers separated by commas"):
            lengths(wrong, "--buckets")
    fails("convert", cnn_checkpoint, "--buckets", "auto", because="give some with --calibrate DATA or --eval DATA")


def texts_of(path):
    return [row.text for row in read_rows(path)]
