"""manifest.json: there and back, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bundles import TEXT, make_manifest
from edgekit_runtime.combination import SCHEMA_VERSIONS, Combination
from edgekit_runtime.errors import BundleError, BundleVersionError
from edgekit_runtime.manifest import (
    FileEntry,
    HistoryStep,
    Manifest,
    ModelEntry,
    Program,
    TensorSpec,
    TextSpec,
    Verification,
)
from edgekit_runtime.monitoring.reference import Reference, Spread

words = st.text(max_size=8)
numbers = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=5,
)
histories = st.builds(
    HistoryStep, words, st.dictionaries(words, json_values, max_size=3), st.dictionaries(words, words, max_size=2)
)
verifications = st.builds(
    Verification,
    engine=words,
    role=words,
    examples=st.integers(),
    agreement=numbers,
    max_abs_logit_diff=numbers,
    accuracy=st.none() | numbers,
    accuracy_float=st.none() | numbers,
    accuracy_original=st.none() | numbers,
    f1=st.none() | numbers,
    truncated=numbers,
)


@st.composite
def texts(draw: st.DrawFn) -> TextSpec:
    buckets = sorted(draw(st.sets(st.integers(1, 4096), min_size=1, max_size=5)))
    ids = draw(st.dictionaries(st.sampled_from(["unk", "cls", "sep"]), st.integers(0, 2**30)))
    stop_words = tuple(draw(st.lists(words, max_size=2)))
    return TextSpec(
        tokenizer="tokenizer.json",
        kind=draw(words),
        lower_case=draw(st.booleans()),
        max_length=buckets[-1],
        buckets=tuple(buckets),
        special_ids=ids | {"pad": draw(st.integers(0, 2**30))},
        clean=(
            *draw(st.lists(words.filter(lambda name: name != "stop-words"), max_size=2)),
            *["stop-words"] * bool(stop_words),
        ),
        stop_words=stop_words,
        min_length=draw(st.integers(1, buckets[-1])),
        dropped=draw(st.none() | st.integers(2**30 + 1, 2**31 - 1)),
        vocab_size=draw(st.none() | st.integers(2**30 + 1, 2**31 - 1)),
    )


@st.composite
def references(draw: st.DrawFn, classes: int) -> Reference:
    texts = draw(st.integers(1, 1000))
    of_all = [(texts, *(0,) * ranges) for ranges in (classes - 1, 1, 2)]
    spreads = [Spread((0.5,), of_all[1]), Spread((4.0, 8.0), of_all[2])]
    return Reference(texts, of_all[0], *spreads, draw(st.none() | st.just(spreads[0])))


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    labels = tuple(draw(st.lists(words, min_size=2, max_size=4, unique=True)))
    programs = st.builds(
        Program,
        engine=words,
        file=st.sampled_from(["model.tflite", "model.pte"]),
        scheme=words,
        min_engine=words,
        right_on=st.lists(words, max_size=2).map(tuple),
        inputs=st.tuples(st.builds(TensorSpec, words, st.just("ids"), words, st.just((1, "L")))),
        outputs=st.tuples(st.builds(TensorSpec, words, st.just("logits"), words, st.just((1, len(labels))))),
    )
    several = st.lists(programs, max_size=2).map(tuple)
    roles = draw(st.permutations(["main", *draw(st.lists(st.just("small"), max_size=1))]))
    models = tuple(ModelEntry(role, draw(texts()), "golden.json", draw(several)) for role in roles)
    sizes = st.builds(FileEntry, words, st.integers(0))
    cascade, average = (
        Combination(kind, ("small", "main"), 0.5 if kind == "cascade" else None) for kind in SCHEMA_VERSIONS
    )
    combine = draw(st.sampled_from([None, cascade, average])) if len(roles) > 1 else None
    return Manifest(
        name=draw(words),
        labels=labels,
        models=models,
        combine=combine,
        schema_version=combine.schema_version if combine else draw(st.sampled_from([1, 2])),
        files={name: draw(sizes) for name in ("tokenizer.json", "golden.json", "model.tflite", "model.pte")},
        history=tuple(draw(st.lists(histories, max_size=2))),
        verify=tuple(draw(st.lists(verifications, max_size=2))),
        reference=draw(st.none() | references(len(labels))),
    )


@given(manifests())
@settings(max_examples=40)
def test_there_and_back(manifest: Manifest) -> None:
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest


def test_the_json_is_that_of_the_contract() -> None:
    raw = plain()
    assert list(raw) == [
        "name",
        "labels",
        "models",
        "combine",
        "files",
        "history",
        "verify",
        "sealed",
        "reference",
        "schema_version",
    ]
    assert (raw["combine"], raw["sealed"], raw["reference"], raw["schema_version"]) == (None, None, None, 1)
    assert raw["models"][0] == {
        "role": "main",
        "text": {
            "tokenizer": "tokenizer.json",
            "kind": "wordpiece",
            "lower_case": True,
            "max_length": 16,
            "buckets": [4, 8, 16],
            "special_ids": {"pad": 0, "unk": 1, "cls": 2, "sep": 3},
            "clean": [],
            "stop_words": [],
            "min_length": 1,
            "dropped": None,
            "vocab_size": None,
        },
        "golden": "golden.json",
        "programs": [
            {
                "engine": "litert",
                "file": "model.tflite",
                "scheme": "int8",
                "min_engine": "ai-edge-litert 2.3.0",
                "right_on": ["ai-edge-litert"],
                "inputs": [
                    {"name": "args_0", "role": "ids", "dtype": "int32", "shape": [1, "L"]},
                    {"name": "args_1", "role": "mask", "dtype": "float32", "shape": [1, "L"]},
                ],
                "outputs": [{"name": "output_0", "role": "logits", "dtype": "float32", "shape": [1, 2]}],
            }
        ],
    }
    assert raw["files"]["model.tflite"] == {"sha256": "0", "bytes": 1}


def test_main_is_the_model_that_answers() -> None:
    made = make_manifest()
    small = dataclasses.replace(made.models[0], role="small")
    assert dataclasses.replace(made, models=(small, *made.models)).main is made.models[0]


def plain() -> dict[str, Any]:
    """A valid manifest as JSON values."""
    files = {name: FileEntry("0", 1) for name in ("tokenizer.json", "golden.json", "model.tflite")}
    raw: dict[str, Any] = json.loads(make_manifest(files=files).to_bytes())
    return raw


def refused(raw: dict[str, Any], match: str) -> None:
    with pytest.raises(BundleError, match=match) as caught:
        Manifest.from_bytes(json.dumps(raw).encode())
    assert caught.type is BundleError


OPTIONAL = ("combine", "files", "history", "verify", "sealed", "reference", "schema_version")


@pytest.mark.parametrize("key", [field.name for field in dataclasses.fields(Manifest) if field.name not in OPTIONAL])
def test_a_missing_key_is_named(key: str) -> None:
    raw = plain()
    del raw[key]
    refused(raw, rf"manifest\.json has no '{key}'")


@pytest.mark.parametrize("key", ["role", "text", "golden", "programs"])
def test_a_missing_key_of_a_model_is_named_with_its_place(key: str) -> None:
    raw = plain()
    del raw["models"][0][key]
    refused(raw, rf"manifest\.json\.models\[0\] has no '{key}'")


@pytest.mark.parametrize(
    ("path", "value", "wanted"),
    [
        (("name",), 1, "a string"),
        (("labels",), "negative,positive", "a list"),
        (("labels", 1), None, "a string"),
        (("models",), {}, "a list"),
        (("models", 0), [], "an object"),
        (("models", 0, "text", "max_length"), "16", "a whole number"),
        (("models", 0, "text", "max_length"), 16.5, "a whole number"),
        (("models", 0, "text", "max_length"), True, "a whole number"),
        (("models", 0, "text", "lower_case"), 1, "true or false"),
        (("models", 0, "text", "special_ids"), [], "an object"),
        (("models", 0, "text", "special_ids", "pad"), "0", "a whole number"),
        (("models", 0, "programs", 0, "inputs", 0, "shape", 1), None, "a string"),
        (("files", "model.tflite"), "0", "an object"),
        (("files", "model.tflite", "bytes"), 1.0, "a whole number"),
        (("schema_version",), "1", "a whole number"),
        (("schema_version",), None, "a whole number"),
        (("schema_version",), True, "a whole number"),
    ],
)
def test_a_value_of_the_wrong_type_is_named_with_its_place(path: tuple[Any, ...], value: Any, wanted: str) -> None:
    raw = plain()
    place: Any = raw
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    name = "".join(rf"\[{key}\]" if isinstance(key, int) else rf"\.{key}" for key in path)
    refused(raw, rf"^manifest\.json{name} should be {wanted}, not ")


def test_a_number_that_no_float_holds() -> None:
    raw = plain()
    report = Verification("litert", "main", 1, 1.0, 0.0, None, None, None, None, 0.0)
    raw["verify"] = [dataclasses.asdict(report) | {"agreement": 10**400}]
    refused(raw, r"verify\[0\]\.agreement should be a number in range")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"buckets": []}, "buckets must be positive and ascend"),
        ({"buckets": [8, 4, 16]}, "buckets must be positive and ascend"),
        ({"buckets": [4, 4, 16]}, "buckets must be positive and ascend"),
        ({"buckets": [0, 16]}, "buckets must be positive and ascend"),
        ({"buckets": [4, 8]}, "largest bucket must equal max_length"),
        ({"max_length": 17}, "largest bucket must equal max_length"),
        ({"min_length": 0}, "min_length must lie between 1 and max_length"),
        ({"min_length": 17}, "min_length must lie between 1 and max_length"),
        ({"special_ids": {"unk": 1}}, "special_ids has no 'pad'"),
        ({"vocab_size": 3}, "vocab_size must be a 32-bit integer above special_ids, not 3"),
        ({"vocab_size": 0}, "vocab_size must be"),
        ({"vocab_size": 2**31}, "vocab_size must be"),
        ({"special_ids": {"pad": 2**31}}, "32-bit integers"),
        ({"special_ids": {"pad": -1}}, "32-bit integers"),
        ({"max_length": 10**30, "buckets": [10**30]}, "32-bit integers"),
        ({"dropped": -1}, "32-bit integers"),
        ({"dropped": 2**31}, "32-bit integers"),
        ({"dropped": 1}, "must not be one of special_ids"),
        ({"clean": ["stop-words"]}, "both stop_words and the step 'stop-words' in clean, or neither"),
        ({"clean": ["html"], "stop_words": ["the"]}, "both stop_words and the step 'stop-words' in clean, or neither"),
    ],
)
def test_lengths_and_ids_that_make_no_sense(changes: dict[str, Any], match: str) -> None:
    raw = plain()
    raw["models"][0]["text"].update(changes)
    refused(raw, match)


@pytest.mark.parametrize("labels", [[], ["one"], ["same", "same"]])
def test_labels_are_two_or_more_and_differ(labels: list[str]) -> None:
    refused(plain() | {"labels": labels}, "two or more different labels")


def test_as_many_labels_as_logits() -> None:
    refused(plain() | {"labels": ["a", "b", "c"]}, r"3 labels, and logits of shape \[1, 2\]")


@pytest.mark.parametrize("roles", [[], ["small"], ["main", "main"]])
def test_exactly_one_model_is_the_main_one(roles: list[str]) -> None:
    raw = plain()
    raw["models"] = [raw["models"][0] | {"role": role} for role in roles]
    refused(raw, "exactly one model of role 'main'")


@pytest.mark.parametrize("name", ["tokenizer.json", "golden.json", "model.tflite"])
def test_every_file_that_a_model_names_has_a_checksum(name: str) -> None:
    raw = plain()
    del raw["files"][name]
    refused(raw, f"names {name}, but not under 'files'")


def test_a_newer_schema_is_told_before_anything_else() -> None:
    with pytest.raises(BundleVersionError, match="schema version 4"):
        Manifest.from_bytes(b'{"schema_version": 4}')


def test_the_hand_made_one_is_valid() -> None:
    assert Manifest.from_bytes(json.dumps(plain()).encode()).main.text == TEXT
