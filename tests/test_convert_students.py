"""The whole chain in one call: distil, trim, prune, lower, verify, pack, alone and as a cascade."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from edgekit_converters import pipeline
from edgekit_converters.compress import Compression
from edgekit_converters.pipeline import convert
from edgekit_converters.recipe import Recipe
from edgekit_converters.recorded import recorded_recipe
from edgekit_runtime import load, open_bundle
from edgekit_runtime.errors import DataError, FileError, GateError, OptionError
from test_cli import edgekit, fails
from test_convert import Heard

SMALL = Recipe(max_length=32, buckets=(8, 32), max_total_drop=1.0)


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CNN so small that it learns the sentences of the tests in a second."""
    path = tmp_path_factory.mktemp("student") / "tiny.toml"
    path.write_text('arch = "cnn"\nhidden = 16\nwidths = [1, 2, 3]\nfilters = 16\n')
    return path


@pytest.fixture(scope="module")
def texts(labelled_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sentences of the tests and as many others, so that a tenth of them is enough to find a threshold on."""
    path = tmp_path_factory.mktemp("texts") / "texts.csv"
    with labelled_csv.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    more = [[f"{text} {word}", label] for word in ("in the end", "really", "ok", "it was") for text, label in rows[1:]]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([*rows, *more])
    return path


def stages(path: str | Path) -> list[str]:
    return [step.stage for step in open_bundle(path).manifest.history]


def test_distilled_trimmed_and_pruned_in_one_call(bert_checkpoint, texts, labelled_csv, student, tmp_path):
    compression = Compression(distill=str(student), prune=0.5, epochs=30)
    made = convert(
        bert_checkpoint,
        tmp_path / "m.edgekit",
        recipe=SMALL,
        compression=compression,
        train_data=texts,
        eval_data=labelled_csv,
    )
    assert stages(made.bundle) == ["finetune", "read", "trim", "distill", "prune", "lower"]
    report = made.verify[0]
    assert report.accuracy_original > 0.9
    assert report.accuracy > 0.7
    assert report.accuracy_float == pytest.approx(report.accuracy, abs=0.01)
    assert made.cascade is None
    assert made.seconds.compress > 0
    history = {step.stage: step.settings for step in open_bundle(made.bundle).manifest.history}
    assert history["distill"]["student"] == student.name
    assert history["prune"]["filters"] == [8, 8, 8]
    with load(made.bundle) as classify:
        assert classify("what a wonderful film it was in the end").label == "positive"


def test_the_same_settings_give_the_same_bytes(bert_checkpoint, texts, student, tmp_path):
    """A bundle tells how it was made, training included."""
    compression = Compression(distill=str(student), epochs=1, copies=1, seed=7)
    made = []
    for name in ("a", "b"):
        (folder := tmp_path / name).mkdir()
        made.append(
            convert(
                bert_checkpoint, folder / "m.edgekit", recipe=SMALL, compression=compression, train_data=texts
            ).bundle
        )
    first, second = (Path(path).read_bytes() for path in made)
    assert first == second
    told = recorded_recipe(made[0]).file
    assert (told.compression.distill, told.compression.seed) == (student.name, 7)
    assert told.train_data == Path(texts.name)


def test_a_pruned_bert(bert_checkpoint, texts, labelled_csv, tmp_path):
    whole = convert(bert_checkpoint, tmp_path / "w.edgekit", recipe=SMALL)
    made = convert(
        bert_checkpoint,
        tmp_path / "m.edgekit",
        recipe=SMALL,
        compression=Compression(prune=0.5, trim_vocab=True, epochs=3),
        train_data=texts,
        eval_data=labelled_csv,
    )
    assert stages(made.bundle) == ["finetune", "read", "trim", "prune", "lower"]
    assert made.bytes < whole.bytes
    assert made.verify[0].accuracy > 0.8


def test_a_trimmed_vocabulary_alone(bert_checkpoint, texts, labelled_csv, tmp_path):
    """Nothing is trained, and what the texts say is read as before."""
    whole = convert(bert_checkpoint, tmp_path / "w.edgekit", recipe=SMALL, eval_data=labelled_csv)
    made = convert(
        bert_checkpoint,
        tmp_path / "m.edgekit",
        recipe=SMALL,
        compression=Compression(trim_vocab=True),
        train_data=texts,
        eval_data=labelled_csv,
    )
    assert stages(made.bundle) == ["finetune", "read", "trim", "lower"]
    assert made.bytes < whole.bytes
    assert made.verify[0].accuracy_float == whole.verify[0].accuracy_float


def test_a_cascade(bert_checkpoint, texts, labelled_csv, student, tmp_path):
    compression = Compression(cascade=str(student), keep=0.8, epochs=30)
    made = convert(
        bert_checkpoint,
        tmp_path / "m.edgekit",
        recipe=SMALL,
        compression=compression,
        train_data=texts,
        eval_data=labelled_csv,
    )
    assert [(report.role, report.examples) for report in made.verify] == [("main", 80), ("student", 80)]
    packed = open_bundle(made.bundle).manifest.files
    assert {program.role: program.bytes == packed[program.file].bytes for program in made.programs} == {
        "main": True,
        "student": True,
    }
    assert made.cascade.combine.order == ("student", "main")
    combined = next(s.settings for s in open_bundle(made.bundle).manifest.history if s.stage == "combine")
    assert combined["held_out"]["examples"] == 40  # the tenth of the 400 texts that no training saw
    measured = made.cascade.measured
    assert measured.examples == 80
    with load(made.bundle) as classify, labelled_csv.open(encoding="utf-8", newline="") as file:
        rows = [(classify(row["text"]), row["label"]) for row in csv.DictReader(file)]
    asked = [prediction.model for prediction, _ in rows]
    right = [prediction.label == ("negative", "positive")[int(label)] for prediction, label in rows]
    assert measured.answered_by["student"] == pytest.approx(asked.count("student") / 80)
    assert measured.accuracy == pytest.approx(sum(right) / 80)


def test_a_cascade_that_cannot_be_shown_is_not_written(bert_checkpoint, texts, tmp_path, student, monkeypatch):
    """What the search for a threshold says is meant for bundles; who converts is told what to change."""

    def refuse(*arguments, **named):
        raise GateError("40 held-out texts show at best 90.00%")

    monkeypatch.setattr(pipeline, "find_cascade", refuse)
    compression = Compression(cascade=str(student), keep=0.97, epochs=1, copies=0)
    with pytest.raises(GateError, match=r"at best 90.00%; the held-out texts are a tenth of --data: more rows"):
        convert(bert_checkpoint, tmp_path / "m.edgekit", recipe=SMALL, compression=compression, train_data=texts)
    assert not (tmp_path / "m.edgekit").exists()


# What is refused, before any work


@pytest.mark.parametrize(
    ("compression", "more", "message"),
    [
        ({"distill": "cnn"}, {}, "learn from texts: give labelled ones with --data"),
        ({"trim_vocab": True}, {}, "learn from texts: give labelled ones with --data"),
        ({}, {"train_data": "x.csv"}, "--data is for --distill, --prune, --cascade or --trim-vocab"),
        ({}, {"unlabelled": "x.csv"}, "--unlabelled is for --distill"),
        ({"distill": "lstm"}, {"train_data": "x.csv"}, "no student 'lstm'; --student takes cnn"),
        ({"cascade": "lstm"}, {"train_data": "x.csv"}, "no student 'lstm'"),
    ],
)
def test_what_lacks_its_data_or_its_student(bert_checkpoint, tmp_path, compression, more, message):
    heard = Heard()
    with pytest.raises(OptionError, match=message):
        convert(bert_checkpoint, tmp_path / "m.edgekit", compression=Compression(**compression), listener=heard, **more)
    assert heard.stages == []


@pytest.mark.parametrize(
    ("compression", "recipe", "message"),
    [
        ({"distill": "cnn-small", "prune": 0.995}, {}, "filters"),
        ({"distill": "cnn"}, {"buckets": (4, 32), "max_length": 32}, "the bucket 4 is under the 5 tokens"),
        ({"distill": "cnn"}, {"buckets": (16, 32)}, "texts of up to 96 tokens would fit no bucket"),
        ({"cascade": "cnn", "keep": 0.99}, {}, "and 40 texts cannot show it: give 1000 rows or more"),
        ({"distill": "cnn", "quantize": "int8-static"}, {}, "takes the ranges of its activations from texts"),
    ],
)
def test_what_could_not_be_done_with_the_result_is_refused_before_training(
    bert_checkpoint, texts, tmp_path, compression, recipe, message
):
    heard = Heard()
    scheme = {"quantize": compression.pop("quantize", "int8")}
    with pytest.raises(OptionError, match=message):
        convert(
            bert_checkpoint,
            tmp_path / "m.edgekit",
            recipe=Recipe(**scheme, **recipe),
            compression=Compression(**compression),
            train_data=texts,
            listener=heard,
        )
    assert not any(stage.startswith(("Training", "Asking", "Making")) for stage in heard.stages)


def test_a_bert_student_of_a_cnn_is_refused_before_training(cnn_checkpoint, texts, tmp_path):
    heard = Heard()
    with pytest.raises(OptionError, match="a BERT student learns from a BERT"):
        convert(
            cnn_checkpoint,
            tmp_path / "m.edgekit",
            compression=Compression(prune=0.5, cascade="bert-2x128", keep=0.9),
            train_data=texts,
            listener=heard,
        )
    assert not any(stage.startswith(("Training", "Asking")) for stage in heard.stages)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"keep": 0.5}, "--keep is for --cascade"),
        ({"copies": 3}, "--copies is for --distill or --cascade"),
        ({"epochs": 3}, "--epochs is for --distill, --prune or --cascade"),
        ({"trim_vocab": True, "epochs": 3}, "--epochs is for"),
    ],
)
def test_what_would_change_nothing(bert_checkpoint, texts, tmp_path, values, message):
    train = texts if values.get("trim_vocab") else None
    with pytest.raises(OptionError, match=message):
        convert(bert_checkpoint, tmp_path / "m.edgekit", compression=Compression(**values), train_data=train)


def test_students_read_as_much_of_a_text_as_the_bundle(bert_checkpoint, texts, student, tmp_path):
    """The BERT has 96 positions, the CNN no limit: both are trained and lowered for 96 tokens."""
    compression = Compression(distill=str(student), epochs=1, copies=0)
    made = convert(bert_checkpoint, tmp_path / "m.edgekit", compression=compression, train_data=texts)
    manifest = open_bundle(made.bundle).manifest
    history = {step.stage: step.settings for step in manifest.history}
    assert manifest.main.text.max_length == history["distill"]["max_length"] == 96


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, "--epochs must be 1 or more"),
        ({"copies": -1}, "--copies must be 0 or more"),
        ({"prune": 0.0}, "--prune lies between 0 and 1, not at 0.0"),
        ({"prune": 1.0}, "--prune lies between 0 and 1"),
        ({"keep": 1.5}, "--keep is the share"),
    ],
)
def test_settings_that_make_no_sense(values, message):
    with pytest.raises(OptionError, match=message):
        Compression(**values)


def test_data_of_other_labels_is_refused_before_training(bert_checkpoint, tmp_path):
    (tmp_path / "x.csv").write_text("text,label\n" + "good,great\nbad,awful\n" * 20)
    heard = Heard()
    with pytest.raises(DataError, match="the label 'great' is none of negative, positive"):
        convert(
            bert_checkpoint,
            tmp_path / "m.edgekit",
            compression=Compression(distill="cnn"),
            train_data=tmp_path / "x.csv",
            listener=heard,
        )
    assert not any(stage.startswith("Training") for stage in heard.stages)


def test_data_that_is_not_there(bert_checkpoint, tmp_path):
    with pytest.raises(FileError, match=r"gone\.csv"):
        convert(
            bert_checkpoint,
            tmp_path / "m.edgekit",
            compression=Compression(distill="cnn"),
            train_data=tmp_path / "gone.csv",
        )


def test_the_bundle_never_replaces_what_is_learned_from(bert_checkpoint, texts, tmp_path):
    (own := tmp_path / "own.csv").write_bytes(texts.read_bytes())
    with pytest.raises(OptionError, match="is read and would be replaced"):
        convert(bert_checkpoint, own, compression=Compression(distill="cnn"), train_data=own)


# By the command line, and by a recipe


def test_the_chain_by_the_command_line(bert_checkpoint, texts, labelled_csv, student, tmp_path):
    (tmp_path / "r.toml").write_text(
        f'max_length = 32\nbuckets = [8, 32]\nmax_total_drop = 1.0\n[compress]\ndistill = "cnn"\nepochs = 3\ncopies = 1\n'
        f'[data]\ntrain = "{texts}"\neval = "{labelled_csv}"\n'
    )
    out = tmp_path / "m.edgekit"
    done = edgekit(
        "convert", bert_checkpoint, "--recipe", tmp_path / "r.toml", "--distill", student, "--out", out, "--json"
    )
    made = json.loads(done.stdout)
    assert made["cascade"] is None
    assert set(made["seconds"]) == {"load", "compress", "lower", "verify", "total"}
    history = {step.stage: step.settings for step in open_bundle(out).manifest.history}
    assert history["lower"]["compress"] == {
        "distill": student.name,
        "trim_vocab": None,
        "prune": None,
        "cascade": None,
        "keep": 0.995,
        "epochs": 3,
        "copies": 1,
        "seed": 42,
    }
    fails("convert", bert_checkpoint, "--distill", "cnn", because="--cascade and --trim-vocab learn from texts")
