"""Fusing: real bundles become one, and what it answers is what was measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit_runtime as ek
from bundles import entries, with_contents, with_manifest
from edgekit.evaluation import evaluate
from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
from edgekit_converters.combining.combine import Fusion, find_cascade, write_cascade
from edgekit_converters.combining.fitting import fitting
from edgekit_converters.combining.fuse import combine_bundles
from edgekit_converters.data import LabelledText, read_labelled
from edgekit_converters.packing import Part, read_part, write_part
from edgekit_converters.pipeline import convert
from edgekit_converters.quantspec import QuantSpec
from edgekit_converters.recipe import Recipe
from edgekit_converters.recorded import recorded_recipe
from edgekit_converters.targets.litert import LiteRtTarget
from edgekit_converters.training.finetune import FinetuneSettings, finetune
from edgekit_converters.verify import verify
from edgekit_runtime.bundle import MANIFEST
from edgekit_runtime.errors import BundleError, DataError, FileError, GateError, GoldenMismatchError, OptionError
from edgekit_runtime.golden import Golden
from edgekit_runtime.manifest import HistoryStep
from edgekit_runtime.progress import LogListener
from test_cli import edgekit, fails

KEEP = 0.9
"""What 80 texts can show."""


class Heard(LogListener):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


@pytest.fixture(scope="module")
def bert(bert_checkpoint: Path, labelled_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bert") / "bert.edgekit"
    convert(bert_checkpoint, out, recipe=Recipe(max_length=32, buckets=(32,)), eval_data=labelled_csv)
    return out


@pytest.fixture(scope="module")
def weak(labelled_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CNN that has seen little, and is not sure of much."""
    folder = tmp_path_factory.mktemp("weak")
    finetune(labelled_csv, folder / "weak.pt", FinetuneSettings(arch="cnn", epochs=1, batch_size=8, held_out=0.2))
    recipe = Recipe(max_length=32, buckets=(32,), max_drop=1.0, max_total_drop=1.0)
    convert(folder / "weak.pt", folder / "weak.edgekit", recipe=recipe, eval_data=labelled_csv)
    return folder / "weak.edgekit"


@pytest.fixture(scope="module")
def data(labelled_csv: Path) -> LabelledText:
    return read_labelled(labelled_csv, ("negative", "positive"))


@pytest.fixture(scope="module")
def lowered(cnn_checkpoint: Path, data: LabelledText) -> dict[str, Part]:
    """The CNN lowered by each scheme and verified, as convert has it before it is packed."""
    model = read_checkpoint(cnn_checkpoint, ReadOptions(), lambda message: None)
    recipe, listener = Recipe(max_length=32, buckets=(32,)), LogListener()
    spec, parts = recipe.text_spec(model, listener), {}
    for scheme in ("int8", "none"):
        program = LiteRtTarget().lower(model.network(), (32,), QuantSpec(scheme), listener)
        done = verify(model, model, spec, [program], data, recipe, listener)
        parts[scheme] = done.part([HistoryStep("lower", {"scheme": scheme})])
    return parts


@pytest.fixture(scope="module")
def float_cnn(lowered: dict[str, Part], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CNN of ``bundle`` in float32, a little larger."""
    return write_part(tmp_path_factory.mktemp("float") / "float-cnn.edgekit", lowered["none"])


@pytest.fixture(scope="module")
def fused(weak: Path, bert: Path, labelled_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Fusion:
    """A cascade of the weak CNN and the BERT, given in the wrong order."""
    out = tmp_path_factory.mktemp("fused") / "cascade.edgekit"
    return combine_bundles([bert, weak], out, labelled_csv, cascade=True, keep=KEEP)


@pytest.fixture(scope="module")
def cascade(fused: Fusion) -> Path:
    return Path(fused.bundle)


@pytest.fixture(scope="module")
def averaged(bundle: Path, bert: Path, labelled_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Fusion:
    return combine_bundles([bert, bundle], tmp_path_factory.mktemp("fused") / "average.edgekit", labelled_csv)


def test_a_cascade_answers_as_its_models_do(
    fused: Fusion, cascade: Path, weak: Path, bert: Path, data: LabelledText
) -> None:
    threshold = fused.combine.threshold
    assert threshold is not None
    with ek.load(cascade) as classify, ek.load(weak) as small, ek.load(bert) as big:
        student, main = small.predict(data.texts), big.predict(data.texts)
        expected = [
            replace(first, model="student") if first.score >= threshold else second
            for first, second in zip(student, main, strict=True)
        ]
        assert classify.predict(data.texts) == expected
        assert [classify(text) for text in data.texts] == expected
    right = [
        answer.label == ("negative", "positive")[label] for answer, label in zip(expected, data.labels, strict=True)
    ]
    assert fused.measured is not None and fused.measured.answered_by is not None
    assert fused.measured.accuracy == np.mean(right)
    assert fused.measured.answered_by["student"] == np.mean([answer.model == "student" for answer in expected])
    assert 0.1 < fused.measured.answered_by["student"] < 1
    assert fused.measured.agreement == np.mean([a.label == b.label for a, b in zip(expected, main, strict=True)])
    assert fused.measured.accuracy >= KEEP * fused.measured.accuracy_alone["main"]  # type: ignore[index]


def test_the_manifest_of_a_cascade(fused: Fusion, cascade: Path, weak: Path, bert: Path) -> None:
    opened = ek.open_bundle(cascade)
    manifest, small, big = opened.manifest, ek.open_bundle(weak).manifest, ek.open_bundle(bert).manifest
    assert (manifest.name, manifest.schema_version, manifest.combine) == ("cascade", 1, fused.combine)
    assert fused.combine.order == ("student", "main")
    assert list(manifest.files) == [
        *("tokenizer.json", "golden.json", "model.tflite"),
        *("student-tokenizer.json", "student-golden.json", "student-model.tflite"),
    ]
    main, student = manifest.models
    assert (main.role, main.text) == ("main", big.main.text)
    assert (student.role, student.text) == ("student", replace(small.main.text, tokenizer="student-tokenizer.json"))
    assert opened.read("student-model.tflite") == ek.open_bundle(weak).read("model.tflite")
    assert opened.part("student-model.tflite").offset % 4096 == 0
    assert [(report.role, report.engine) for report in manifest.verify] == [("main", "litert"), ("student", "litert")]
    assert replace(manifest.verify[1], role="main") == small.verify[0]
    assert (fused.bytes, len(fused.models)) == (cascade.stat().st_size, 2)
    assert [(model.role, model.name) for model in fused.models] == [("student", "weak"), ("main", "bert")]


def test_the_history_tells_both_ways_and_how_they_were_combined(cascade: Path, weak: Path, bert: Path) -> None:
    history = ek.open_bundle(cascade).manifest.history
    *steps, last = history
    small, big = (ek.open_bundle(path).manifest.history for path in (weak, bert))
    assert [(step.stage, step.settings["role"]) for step in steps] == [
        *((step.stage, "student") for step in small),
        *((step.stage, "main") for step in big),
    ]
    assert last.stage == "combine"
    assert (last.settings["kind"], last.settings["keep"], last.settings["order"]) == (
        "cascade",
        KEEP,
        ["student", "main"],
    )
    assert last.settings["measured"]["examples"] == 80
    assert recorded_recipe(cascade).file == recorded_recipe(bert).file


def test_programs_that_only_one_model_has_are_left_out_aloud(bundle: Path, bert: Path) -> None:
    heard, big = Heard(), read_part(bert)
    second = replace(big.programs[0], engine="warp", file="model.warp")
    both = replace(big, programs=(*big.programs, second), contents={**big.contents, "model.warp": b"warp"})
    parts = fitting({"student": read_part(bundle), "main": both}, heard)
    assert heard.said == ["not every model has a program for warp, so the new bundle has none for it"]
    assert parts == {"student": read_part(bundle), "main": big}


def test_the_commands_show_several_models(fused: Fusion, cascade: Path, labelled_csv: Path) -> None:
    answered_by = fused.measured and fused.measured.answered_by
    done = edgekit("predict", cascade, "--json", "the film was good", "zzz")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [list(answer) for answer in answers] == [["text", "label", "score", "scores", "model"]] * 2
    assert {answer["model"] for answer in answers} <= {"student", "main"}
    assert edgekit("predict", cascade, "a film").stdout.split("\t")[2] in ("student", "main")

    done = edgekit("eval", cascade, labelled_csv, "--json")
    assert json.loads(done.stdout)["answered_by"] == pytest.approx(answered_by)
    assert "answered by  student " in edgekit("eval", cascade, labelled_csv).stdout

    shown = edgekit("inspect", cascade).stdout
    assert "cascade  student, then main: whoever is sure by 0." in shown
    assert "verified  student litert on 80 texts" in shown and "student-model.tflite" in shown

    done = edgekit("verify", cascade)
    assert done.stdout.splitlines() == [
        "6 files match their checksums",
        "main  litert  model.tflite  answers its golden texts rightly",
        "student  litert  student-model.tflite  answers its golden texts rightly",
    ]
    programs = json.loads(edgekit("verify", cascade, "--json").stdout)["programs"]
    assert [program["role"] for program in programs] == ["main", "student"]


def test_an_average_answers_the_mean(averaged: Fusion, bundle: Path, bert: Path, data: LabelledText) -> None:
    assert (averaged.combine.kind, averaged.combine.order) == ("average", ("main", "member-2"))
    assert ek.open_bundle(averaged.bundle).manifest.schema_version == 2
    with ek.load(averaged.bundle) as classify, ek.load(bundle) as small, ek.load(bert) as big:
        found = classify.predict(data.texts)
        for text, answer in zip(data.texts, found, strict=True):
            both = [small(text).scores, big(text).scores]
            assert answer.scores == pytest.approx(
                {name: (both[0][name] + both[1][name]) / 2 for name in classify.labels}
            )
        shown = evaluate(classify, data.source)
    assert averaged.measured is not None
    assert averaged.measured.accuracy == shown.accuracy
    assert (averaged.measured.answered_by, shown.answered_by) == (None, None)
    assert set(averaged.measured.accuracy_alone or ()) == {"main", "member-2"}
    assert "average of the probabilities of main, member-2" in edgekit("inspect", averaged.bundle).stdout


def test_models_with_the_same_tokenizer_share_its_entry(bundle: Path, float_cnn: Path, tmp_path: Path) -> None:
    heard = Heard()
    made = combine_bundles([bundle, float_cnn], tmp_path / "x.edgekit", listener=heard)
    opened = ek.open_bundle(made.bundle)
    assert {model.text.tokenizer for model in opened.manifest.models} == {"tokenizer.json"}
    assert "member-2-tokenizer.json" not in opened.manifest.files
    assert made.measured is None and not heard.said
    with ek.load(made.bundle) as classify, ek.load(bundle) as alone:
        assert classify("the film was good").label == alone("the film was good").label


def test_it_is_said_where_fusing_does_not_pay(
    bundle: Path, float_cnn: Path, labelled_csv: Path, tmp_path: Path
) -> None:
    heard = Heard()
    combine_bundles([bundle, float_cnn], tmp_path / "x.edgekit", labelled_csv, listener=heard)
    assert len(heard.said) == 1 and heard.said[0].startswith("on these texts fusing does not pay: cnn alone has")


def test_what_convert_verified_becomes_a_cascade_also_without_labels(
    lowered: dict[str, Part], data: LabelledText, tmp_path: Path
) -> None:
    found = find_cascade(lowered["int8"], lowered["none"], data.texts, keep=KEEP)
    made = write_cascade(tmp_path / "x.edgekit", found)
    assert made.measured is not None
    assert (made.measured.accuracy, made.measured.accuracy_alone) == (None, None)
    assert made.measured.agreement >= KEEP
    with ek.load(made.bundle) as classify:
        assert classify("the film was good").label == "positive"
        assert len({id(member.encoder._tokenizer) for member in classify.members}) == 1
    history = ek.open_bundle(made.bundle).manifest.history
    assert [(step.stage, step.settings.get("scheme")) for step in history] == [
        *(("lower", "int8"), ("lower", "none"), ("combine", None))
    ]
    assert history[-1].settings["held_out"]["threshold"] == made.combine.threshold
    with pytest.raises(DataError, match="there are none"):
        find_cascade(lowered["int8"], lowered["none"], ())


def test_a_cascade_is_measured_on_other_texts_and_may_not_lose_more_than_was_allowed(
    lowered: dict[str, Part], data: LabelledText, tmp_path: Path
) -> None:
    """The labels of the other texts are turned round, so that what the models answer to them is wrong."""
    found = find_cascade(lowered["int8"], lowered["none"], data, keep=KEEP)
    other = replace(data, texts=data.texts[:60], labels=tuple(1 - label for label in data.labels[:60]))
    made = write_cascade(tmp_path / "x.edgekit", found, other, max_total_drop=1.0)
    assert made.measured is not None and made.measured.accuracy is not None
    assert (made.measured.examples, made.measured.accuracy < 0.2) == (60, True)
    with pytest.raises(
        GateError, match=r"more than --max-total-drop 50\.00% \(accuracy .* on 60 texts\); nothing was written"
    ):
        write_cascade(tmp_path / "y.edgekit", found, other, max_total_drop=0.5)
    assert [path.name for path in tmp_path.iterdir()] == ["x.edgekit"]


def test_a_student_larger_than_the_model_behind_it_is_told(lowered: dict[str, Part], data: LabelledText) -> None:
    heard = Heard()
    find_cascade(lowered["none"], lowered["int8"], data, keep=KEEP, listener=heard)
    assert any("is asked first, though it is no smaller" in each for each in heard.said)


def relabelled(path: Path, out: Path, *labels: str) -> Path:
    return with_manifest(path, out, labels=labels)


def test_bundles_that_do_not_go_together(
    bundle: Path, bert: Path, float_cnn: Path, cascade: Path, labelled_csv: Path, tmp_path: Path
) -> None:
    def refused(kind: type[Exception], match: str, *paths: Path, **options: Any) -> None:
        out = options.pop("out", tmp_path / "out.edgekit")
        before = out.read_bytes() if out.is_file() else None
        with pytest.raises(kind, match=match) as caught:
            combine_bundles(paths, out, options.pop("eval_data", labelled_csv), **options)
        assert caught.type is kind and "\n" not in str(caught.value)
        assert (out.read_bytes() if out.is_file() else None) == before
        assert not list(tmp_path.glob(".*"))

    swapped = relabelled(bundle, tmp_path / "swapped.edgekit", "positive", "negative")
    refused(OptionError, "positive,negative: the order counts, so train one of them anew", bert, swapped)
    other = relabelled(bundle, tmp_path / "other.edgekit", "bad", "good")
    refused(OptionError, "other classes cannot answer together; if only the names differ", bert, other)
    refused(OptionError, "two or more, not of 1", bundle)
    refused(OptionError, "a cascade is made of two bundles, not 3", bundle, bert, float_cnn, cascade=True)
    refused(OptionError, "give labelled ones with --eval", bundle, bert, cascade=True, eval_data=None)
    refused(OptionError, "between 0 and 1", bundle, bert, cascade=True, keep=1.0)
    refused(OptionError, "--keep is for a cascade", bundle, bert, keep=0.9)
    refused(OptionError, "is read and would be replaced", other, bundle, out=other)
    refused(OptionError, "two of cnn, cnn are the same model", bundle, bundle)
    refused(BundleError, "holds several models already", bundle, cascade)
    refused(FileError, "there is no folder", bundle, bert, out=tmp_path / "none" / "x.edgekit")
    refused(FileError, "no file", bundle, tmp_path / "none.edgekit")
    unverified = with_manifest(bundle, tmp_path / "unverified.edgekit", verify=[])
    refused(BundleError, "does not say how its program for litert was verified", unverified, bert)
    golden = json.loads(entries(bundle)["golden.json"])
    del golden["texts"][1]["logits"]["model.tflite"]
    silent = with_contents(bundle, tmp_path / "silent.edgekit", golden_json=json.dumps(golden).encode())
    refused(BundleError, r"has golden texts without logits for model\.tflite; convert the model anew", silent, bert)
    models = json.loads(entries(bundle)[MANIFEST])["models"]
    models[0]["programs"][0]["engine"] = "warp"
    warp = with_manifest(bundle, tmp_path / "warp.edgekit", models=models, verify=[])
    refused(BundleError, "its program for warp was verified", warp, float_cnn)
    report = {**json.loads(entries(bundle)[MANIFEST])["verify"][0], "engine": "warp"}
    warp = with_manifest(bundle, tmp_path / "warp.edgekit", models=models, verify=[report])
    refused(OptionError, r"no engine in common \(warp; litert\): convert them for one", warp, float_cnn)


def test_80_texts_cannot_show_half_a_per_cent(bundle: Path, bert: Path, labelled_csv: Path, tmp_path: Path) -> None:
    with pytest.raises(
        GateError, match=r"80 held-out texts show at best .* give \d+ or more, or ask for less with --keep"
    ):
        combine_bundles([bundle, bert], tmp_path / "x.edgekit", labelled_csv, cascade=True)
    assert not list(tmp_path.iterdir())


def test_what_answers_wrongly_once_packed_does_not_replace_what_is_there(
    bundle: Path, float_cnn: Path, tmp_path: Path
) -> None:
    golden = Golden.from_bytes(entries(bundle)["golden.json"], "golden.json")
    raw = json.loads(entries(bundle)["golden.json"])
    raw["texts"][0]["logits"]["model.tflite"][0] += 1
    assert len(golden.texts) == len(raw["texts"])
    altered = with_contents(bundle, tmp_path / "altered.edgekit", golden_json=json.dumps(raw).encode())
    out = tmp_path / "out.edgekit"
    out.write_bytes(b"what was there")
    with pytest.raises(GoldenMismatchError, match=r"it runs member-2-model\.tflite wrongly"):
        combine_bundles([float_cnn, altered], out)
    assert out.read_bytes() == b"what was there"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["altered.edgekit", "out.edgekit"]


def test_an_existing_file_is_replaced_and_the_same_is_made_again(bundle: Path, float_cnn: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.edgekit"
    out.write_bytes(b"what was there")
    combine_bundles([float_cnn, bundle], out)
    first = out.read_bytes()
    combine_bundles([float_cnn, bundle], out)
    assert out.read_bytes() == first
    assert out.stat().st_mode & 0o777 == 0o666 & ~current_umask()


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_part_is_what_was_packed(bundle: Path) -> None:
    part, opened = read_part(bundle), ek.open_bundle(bundle)
    assert part.contents == {"model.tflite": opened.read("model.tflite")}
    assert (part.name, part.labels, part.history) == ("cnn", opened.manifest.labels, opened.manifest.history)


def test_the_command(bundle: Path, float_cnn: Path, bert: Path, labelled_csv: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.edgekit"
    done = edgekit("fuse", bundle, bert, "--cascade", "--keep", str(KEEP), "--eval", labelled_csv, "--out", out)
    assert (done.returncode, done.stdout) == (0, f"{out}\n"), done.stderr
    assert "student: cnn" in done.stderr and "main: bert" in done.stderr and "threshold 0." in done.stderr
    done = edgekit("fuse", bundle, float_cnn, "--eval", labelled_csv, "--label-column", "label", "--out", out, "--json")
    made = json.loads(done.stdout)
    assert list(made) == ["bundle", "bytes", "combine", "models", "measured"]
    assert made["combine"] == {"kind": "average", "order": ["main", "member-2"], "threshold": None}
    assert list(made["measured"]) == ["engine", "examples", "accuracy", "accuracy_alone", "agreement", "answered_by"]
    fails("fuse", bundle, bert, "--out", out, "--label-column", "label", because="give it with --eval")
    fails("fuse", bundle, "--out", out, because="two or more")


def test_fusing_needs_no_torch(bundle: Path, float_cnn: Path, labelled_csv: Path, tmp_path: Path) -> None:
    code = """
        import sys
        for name in ("torch", "transformers", "accelerate", "safetensors", "litert_torch", "sklearn", "pandas"):
            sys.modules[name] = None
        from edgekit.cli import main
        main()
    """
    out = tmp_path / "x.edgekit"
    arguments = ["fuse", bundle, float_cnn, "--eval", labelled_csv, "--out", out]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"{out}\n"), done.stderr
