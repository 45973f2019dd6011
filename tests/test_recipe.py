"""Settings of a conversion: what is taken by default, and what is refused."""

from __future__ import annotations

import pytest

from edgekit_converters.model import TextModel, TokenizerFile
from edgekit_converters.networks.bert import BertConfig
from edgekit_converters.networks.cnn import CnnConfig
from edgekit_converters.pipeline import convert
from edgekit_converters.quantspec import QuantSpec
from edgekit_converters.recipe import Recipe
from edgekit_converters.targets import find_target
from edgekit_runtime.errors import OptionError

TOKENIZER = TokenizerFile(b"{}", "wordpiece", True, {"pad": 0, "unk": 1}, 10)


class Heard:
    """A listener that keeps what it is told."""

    def __init__(self):
        self.said: list[str] = []

    def stage(self, title):
        raise AssertionError(f"no stage is due here: {title}")

    def progress(self, done, total):
        raise AssertionError("no progress is due here")

    def say(self, message):
        self.said.append(message)


def bert(positions=512):
    return TextModel("m", BertConfig(10, 8, 1, 1, 8, positions, 2), {}, TOKENIZER, ("a", "b"))


def cnn(widest=4, pad_to=None):
    return TextModel("m", CnnConfig(10, 8, (2, widest), (4, 4), 2), {}, TOKENIZER, ("a", "b"), pad_to)


@pytest.mark.parametrize(
    ("model", "recipe", "max_length", "buckets"),
    [
        (bert(), Recipe(), 128, (16, 32, 64, 128)),
        (bert(), Recipe(max_length=100), 100, (16, 32, 64, 100)),
        (bert(), Recipe(max_length=64), 64, (16, 32, 64)),
        (bert(), Recipe(max_length=10), 10, (10,)),
        (bert(), Recipe(max_length=512), 512, (16, 32, 64, 128, 512)),
        (bert(), Recipe(max_length=40, buckets=(8, 40)), 40, (8, 40)),
        (bert(128), Recipe(), 128, (16, 32, 64, 128)),
        (cnn(), Recipe(), 128, (16, 32, 64, 128)),
        (cnn(20), Recipe(), 128, (32, 64, 128)),
        (cnn(pad_to=32), Recipe(), 128, (32, 64, 128)),
        (cnn(pad_to=200), Recipe(), 200, (200,)),
        (cnn(), Recipe(max_length=4, buckets=(4,)), 4, (4,)),
    ],
)
def test_lengths(model, recipe, max_length, buckets):
    heard = Heard()
    spec = recipe.text_spec(model, heard)
    assert (spec.max_length, spec.buckets, spec.min_length) == (max_length, buckets, model.min_length)
    assert (spec.tokenizer, spec.kind, spec.lower_case, spec.special_ids) == (
        "tokenizer.json",
        "wordpiece",
        True,
        {"pad": 0, "unk": 1},
    )
    assert not heard.said


def test_a_short_position_table_shortens_the_default_said_aloud():
    heard = Heard()
    assert Recipe().text_spec(bert(96), heard).buckets == (16, 32, 64, 96)
    assert heard.said == ["the position table has 96 rows; the max length is 96"]


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        (bert(), {"buckets": (16, 256)}, "the bucket 256 is over the max length 128: raise --max-length"),
        (bert(), {"max_length": 32, "buckets": (16, 64)}, "the bucket 64 is over the max length 32"),
        (bert(), {"buckets": (16, 64)}, "texts of up to 128 tokens would fit no bucket, the largest is 64: add 128"),
        (bert(96), {"max_length": 97}, "--max-length 97 is over the 96 rows of the position table: lower it"),
        (bert(96), {"buckets": (16, 128)}, "the bucket 128 is over the max length 96"),
        (cnn(4), {"max_length": 3}, "--max-length 3 is under the 4 tokens that the CNN pads to"),
        (cnn(4, 40), {"max_length": 32}, "--max-length 32 is under the 40 tokens"),
        (cnn(20), {"buckets": (16, 128)}, "the bucket 16 is under the 20 tokens that the CNN pads to"),
        (cnn(4, 40), {"buckets": (32, 128)}, "the bucket 32 is under the 40 tokens"),
    ],
)
def test_lengths_that_contradict_the_model_or_each_other(model, settings, message):
    with pytest.raises(OptionError, match=message):
        Recipe(**settings).text_spec(model, Heard())


@pytest.mark.parametrize("buckets", [(32, 16), (16, 16, 32), ()])
def test_buckets_must_ascend(buckets):
    with pytest.raises(OptionError, match="--buckets must ascend"):
        Recipe(buckets=buckets)


@pytest.mark.parametrize("length", [0, -1])
def test_a_max_length_is_at_least_one(length):
    with pytest.raises(OptionError, match=f"--max-length must lie between 1 and 4096, not at {length}"):
        Recipe(max_length=length)


@pytest.mark.parametrize("value", [-0.01, 1.01, 5.0, float("nan")])
@pytest.mark.parametrize("name", ["max_drop", "max_total_drop"])
def test_a_drop_is_a_share(name, value):
    option = "--" + name.replace("_", "-")
    with pytest.raises(OptionError, match=f"{option} is a share between 0 and 1, not {value}"):
        Recipe(**{name: value})
    Recipe(**{name: 0.0})
    Recipe(**{name: 1.0})


@pytest.mark.parametrize("targets", [(), ("litert", "litert")])
def test_each_target_is_given_once(targets):
    with pytest.raises(OptionError, match="each target may be given once"):
        Recipe(targets=targets)


def test_an_unknown_scheme_lists_those_that_exist(tmp_path):
    with pytest.raises(
        OptionError, match="no scheme 'int7'; --quantize takes int8, int8-per-tensor, int8-static, int4, fp16, none"
    ):
        QuantSpec("int7")
    with pytest.raises(OptionError, match="no scheme 'int7'"):
        convert(tmp_path / "model.pt", recipe=Recipe(quantize="int7"))


def test_an_unknown_target_lists_those_that_exist(tmp_path):
    with pytest.raises(OptionError, match="no target 'coreml'; --target takes litert"):
        find_target("coreml")
    with pytest.raises(OptionError, match="no target 'coreml'"):
        convert(tmp_path / "model.pt", recipe=Recipe(targets=("litert", "coreml")))
