"""The search: real studies of a few trials, on a CNN that was trained on the sentences of the tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from edgekit_converters.checkpoint import ReadOptions, read_checkpoint, save_checkpoint
from edgekit_converters.data import read_labelled
from edgekit_converters.tuning import origins
from edgekit_converters.tuning.measuring import measure_here
from edgekit_converters.tuning.results import COMPLETE, PRUNED, Measured, Tuned
from edgekit_converters.tuning.tune import tune
from edgekit_runtime import jsonio, load, open_bundle
from edgekit_runtime.errors import EngineError, FileError, OptionError

PLAIN = {"engines": ("onnx",), "buckets": ("default",), "threads": (1,), "max_length": 32, "seconds": 0.2, "prune": ()}
"""What keeps a study small."""


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A CNN so small that it learns the sentences of the tests in a second."""
    path = tmp_path_factory.mktemp("student") / "tiny.toml"
    path.write_text('arch = "cnn"\nhidden = 16\nwidths = [1, 2, 3]\nfilters = 16\n')
    return str(path)


def searched(model: Path, out: Path, data: Path, student: str) -> Tuned:
    """The study that several tests look at, or what it says when it is asked again."""
    settings = {**PLAIN, "threads": (1, 2), "schemes": ("int8",), "epochs": 3, "copies": 1}
    budget = "bytes<=20MB,p95<=1s"
    return tune(model, out, data=data, eval_data=data, budget=budget, students=(student,), **settings)


@pytest.fixture(scope="module")
def study(cnn_checkpoint, labelled_csv, student, tmp_path_factory) -> tuple[Path, Tuned]:
    """The model, trimmed and not, and a student, with one and two threads; and where it was done."""
    out = tmp_path_factory.mktemp("study")
    found = searched(cnn_checkpoint, out, labelled_csv, student)
    return out, found


def test_a_study_tries_everything_once_and_its_bundles_are_what_it_says(study, labelled_csv, student):
    out, found = study
    assert found.exhausted
    assert len(found.trials) == found.space == len({trial.choice for trial in found.trials}) == 6
    assert {trial.state for trial in found.trials} == {COMPLETE}
    assert [trial.choice.source for trial in found.trials[:2]] == ["model", "model"], (
        "what needs no training comes first"
    )
    assert {trial.choice.source for trial in found.trials} == {"model", student}
    data = read_labelled(labelled_csv, ("negative", "positive"))
    for trial in found.trials:
        place = out / trial.bundle
        assert place.stat().st_size == trial.bytes
        assert 0 < trial.p50_ms <= trial.p95_ms <= trial.p99_ms
        assert trial.accuracy_share == pytest.approx(trial.accuracy / found.original_accuracy)
    with load(out / found.trials[-1].bundle) as classify:
        answers = [classify.labels.index(classify(text).label) for text in data.texts]
    right = [answer == label for answer, label in zip(answers, data.labels, strict=True)]
    assert sum(right) / len(right) == found.trials[-1].accuracy
    assert jsonio.decode(Tuned, json.loads(jsonio.to_bytes(found)), "it") == found


def test_a_process_that_measures_and_ends_by_an_exception_is_a_failure_of_the_trial(study, tmp_path):
    """So it is recorded with its reason, and the search goes on."""
    out, found = study
    place = out / found.trials[0].bundle
    with pytest.raises(EngineError, match="the process that measures failed: it ended with 1 and no answer"):
        measure_here(place, "onnx", 1, texts=["a"], seconds="x", memory=False, lock=tmp_path / "lock")


def test_trials_that_differ_in_threads_share_a_bundle(study):
    out, found = study
    assert len({trial.bundle for trial in found.trials}) == len(list((out / "trials").iterdir())) == 3


def test_front_and_best_are_those_of_the_trials(study):
    _, found = study
    points = {trial.number: (-trial.accuracy, trial.p95_ms, trial.bytes) for trial in found.trials}
    beaten = {
        mine
        for mine, point in points.items()
        if any(other != point and all(a <= b for a, b in zip(other, point, strict=True)) for other in points.values())
    }
    assert set(found.front) == points.keys() - beaten
    assert points[found.best] == min(points.values())
    assert found.nearest is None


def test_bundles_tell_how_they_were_made(study, student):
    out, found = study
    trial = next(trial for trial in found.trials if trial.choice.source == student)
    history = open_bundle(out / trial.bundle).manifest.history
    assert [step.stage for step in history if step.stage != "finetune"] == ["read", "trim", "distill", "lower"]
    assert history[-1].settings["compress"]["distill"] == Path(student).name
    assert open_bundle(out / trial.bundle).manifest.verify[0].accuracy_original == found.original_accuracy


def test_a_study_that_is_done_is_told_again_and_nothing_is_tried(study, cnn_checkpoint, labelled_csv, student):
    out, found = study
    again = searched(cnn_checkpoint, out, labelled_csv, student)
    assert again.trials == found.trials
    assert again.resumed == len(found.trials)


def test_another_model_or_budget_is_refused_under_the_same_name(study, cnn_checkpoint, labelled_csv, student, tmp_path):
    out, _ = study
    settings = {**PLAIN, "threads": (1, 2), "schemes": ("int8",), "epochs": 3, "copies": 1}
    model = read_checkpoint(cnn_checkpoint, ReadOptions(), print)
    weights = {name: tensor + 1e-3 for name, tensor in model.weights.items()}
    other = save_checkpoint(replace(model, weights=weights), tmp_path / "other.pt")
    arguments = {"data": labelled_csv, "eval_data": labelled_csv, "students": (student,), **settings}
    with pytest.raises(OptionError, match=r"is of another model: give another --out"):
        tune(other, out, budget="bytes<=20MB,p95<=1s", **arguments)
    with pytest.raises(OptionError, match=r"is of another budget: give another --out"):
        tune(cnn_checkpoint, out, budget="bytes<=2MB", **arguments)


def test_a_trained_student_is_taken_from_the_cache(study, cnn_checkpoint, labelled_csv, student, tmp_path, monkeypatch):
    out, found = study

    def never(*arguments: object, **named: object) -> None:
        raise AssertionError("it is trained again")

    monkeypatch.setattr(origins, "distill", never)
    before = next(trial for trial in found.trials if trial.choice.source == student and trial.choice.scheme == "int8")
    again = tune(
        cnn_checkpoint,
        tmp_path / "again",
        data=labelled_csv,
        eval_data=labelled_csv,
        budget=f"bytes<={before.bytes}B",
        students=(student,),
        cache=out / "cache",
        schemes=("int8",),
        epochs=3,
        copies=1,
        measure=lambda path, engine, threads: Measured(0.1, 0.2),
        **PLAIN,
    )
    of_student = [trial for trial in again.trials if trial.choice.source == student]
    assert [trial.accuracy for trial in of_student] == [before.accuracy]
    assert [trial.bytes for trial in of_student] == [before.bytes], "the bundle is the same"


def test_what_is_too_big_is_stopped_before_it_is_trained(cnn_checkpoint, labelled_csv, tmp_path, monkeypatch):
    """Its weights alone would fit: the bundle that its untrained network gives does not."""
    wide = tmp_path / "wide.toml"
    wide.write_text('arch = "cnn"\nhidden = 64\nwidths = [1, 2, 3]\nfilters = 96\n')

    def never(*arguments: object, **named: object) -> None:
        raise AssertionError("it is trained")

    monkeypatch.setattr(origins, "distill", never)
    found = tune(
        cnn_checkpoint,
        tmp_path / "study",
        data=labelled_csv,
        eval_data=labelled_csv,
        budget="bytes<=50kB",
        students=(str(wide),),
        schemes=("int8",),
        measure=lambda path, engine, threads: Measured(0.1, 0.2),
        **PLAIN,
    )
    stopped = next(trial for trial in found.trials if trial.choice.source == str(wide))
    assert stopped.state == PRUNED
    assert stopped.reason.startswith("before training: bytes ")
    assert stopped.bytes > 50_000
    assert stopped.p95_ms == 0.2
    assert stopped.bundle is None


def test_what_is_too_slow_is_stopped_before_it_is_trained(cnn_checkpoint, labelled_csv, student, tmp_path, monkeypatch):
    monkeypatch.setattr(origins, "distill", None)
    found = tune(
        cnn_checkpoint,
        tmp_path,
        data=labelled_csv,
        eval_data=labelled_csv,
        budget="p95<=1ms",
        students=(student,),
        schemes=("int8",),
        measure=lambda path, engine, threads: Measured(0.1, 2.0),
        **PLAIN,
    )
    stopped = next(trial for trial in found.trials if trial.choice.source == student)
    assert (stopped.state, stopped.reason) == (PRUNED, "before training: p95 2 ms is over 1 ms")
    assert found.best is None
    assert found.trial(found.nearest).state == COMPLETE, "the model, which is as slow, and whose accuracy is known"


def test_a_budget_that_nothing_fits_tells_what_came_nearest(cnn_checkpoint, labelled_csv, tmp_path):
    found = tune(
        cnn_checkpoint,
        tmp_path,
        data=None,
        eval_data=labelled_csv,
        budget="bytes<=1kB",
        schemes=("none", "int8"),
        **PLAIN,
    )
    assert [trial.state for trial in found.trials] == [PRUNED, PRUNED]
    assert (found.front, found.best) == ((), None)
    assert found.trial(found.nearest).choice.scheme == "int8"
    assert all(trial.reason.startswith("the weights alone: bytes ") for trial in found.trials)


def test_what_falls_behind_in_training_is_stopped(cnn_checkpoint, labelled_csv, student, tmp_path):
    """The second student costs more and cannot learn: one filter of one token."""
    poor = tmp_path / "poor.toml"
    poor.write_text('arch = "cnn"\nhidden = 2000\nwidths = [1]\nfilters = 1\ninit = "random"\n')
    found = tune(
        cnn_checkpoint,
        tmp_path / "study",
        data=labelled_csv,
        eval_data=labelled_csv,
        budget="bytes<=20MB",
        students=(str(poor), student),
        schemes=("int8",),
        epochs=4,
        copies=4,
        measure=lambda path, engine, threads: Measured(0.1, 0.2),
        **PLAIN,
    )
    by_source = {trial.choice.source: trial for trial in found.trials}
    assert by_source[student].state == COMPLETE
    assert by_source[student].number < by_source[str(poor)].number, "the cheaper training comes first"
    assert by_source[str(poor)].state == PRUNED
    assert by_source[str(poor)].reason.startswith("fell behind in training: after epoch ")
    assert not list((tmp_path / "study" / "cache" / "students").glob("*.unfinished"))


PROGRAM = """
    import os, signal, sys, time
    from pathlib import Path
    from edgekit_converters.tuning.measuring import measure_here
    from edgekit_converters.tuning.results import Measured
    from edgekit_converters.tuning.tune import tune

    model, out, data, storage, kill, workers = sys.argv[1:]
    measured = []
    (Path(out) / f"ready-{os.getpid()}").touch()
    while len(list(Path(out).glob("ready-*"))) < int(workers):
        time.sleep(0.01)

    def measure(path, engine, threads):
        measured.append(path)
        if len(measured) == int(kill):
            (path.parent / f".{path.name}.dead.part").write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.2)
        return Measured(0.1 * threads, 0.2 * threads)

    found = tune(
        model, out, data=None, eval_data=data, budget="bytes<=20MB", engines=("onnx",), buckets=("default", "8,32"),
        threads=(1, 2), schemes=("int8",), max_length=32, seconds=0.2, storage=storage or None, measure=measure,
    )
    print(len(measured), len(found.trials), found.space)
"""


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )


def test_a_study_goes_on_after_its_process_was_killed(cnn_checkpoint, labelled_csv, tmp_path):
    killed = start(cnn_checkpoint, tmp_path, labelled_csv, "", 3, 1)
    _, said = killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL, said
    assert len(list((tmp_path / "trials").iterdir())) > 2, "the third was made, and half of another"
    found = tune(
        cnn_checkpoint,
        tmp_path,
        data=None,
        eval_data=labelled_csv,
        budget="bytes<=20MB",
        measure=lambda path, engine, threads: Measured(0.1, 0.2),
        **{**PLAIN, "threads": (1, 2), "schemes": ("int8",), "buckets": ("default", "8,32")},
    )
    assert (found.resumed, len(found.trials), found.space) == (2, 4, 4)
    assert [trial.number for trial in found.trials] == [0, 1, 3, 4], "the killed one is tried again"
    names = [path.name for path in (tmp_path / "trials").iterdir()]
    assert not any(name.startswith(".") for name in names)
    assert len(names) == 2


@pytest.mark.slow
def test_two_processes_share_a_study_and_repeat_nothing(cnn_checkpoint, labelled_csv, tmp_path):
    storage = f"sqlite:///{tmp_path}/study.db"
    workers = [start(cnn_checkpoint, tmp_path, labelled_csv, storage, 0, 2) for _ in range(2)]
    told = []
    for worker in workers:
        out, said = worker.communicate(timeout=120)
        assert worker.returncode == 0, said
        told.append([int(number) for number in out.split()])
    assert sum(measured for measured, _, _ in told) == 4, "each choice was measured once"
    assert all(measured > 0 for measured, _, _ in told), "both worked"
    assert max(known for _, known, _ in told) == 4


def test_what_makes_no_sense_is_refused_before_any_work(cnn_checkpoint, labelled_csv, tmp_path):
    def refused(match: str, **changed: object) -> None:
        arguments = {"data": None, "eval_data": labelled_csv, "budget": "bytes<=1MB", **PLAIN, **changed}
        with pytest.raises(OptionError, match=match):
            tune(cnn_checkpoint, tmp_path / "study", **arguments)

    refused("--trials must be 1 or more, not 0", trials=0)
    refused("--minutes must be over 0", minutes=-1.0)
    refused("no limit", budget="small")
    refused("there is no scheme 'int3'", schemes=("int3",))
    refused("there is no target 'tvm'", engines=("tvm",))
    refused("--buckets takes default, auto or lengths", buckets=("wide",))
    refused("--threads are whole numbers", threads=(0,))
    refused("nobody", students=("nobody",))
    refused("give labelled ones with --data", students=("cnn",))
    refused("give labelled ones with --data", prune=(0.5,))
    refused("give those with --data", unlabelled=labelled_csv)
    refused("--storage nosuch://x cannot be used", storage="nosuch://x")
    assert not (tmp_path / "study").exists()


def test_another_study_or_storage_is_refused_in_the_same_folder(study, cnn_checkpoint, labelled_csv):
    out, _ = study
    arguments = {"data": None, "eval_data": labelled_csv, "budget": "bytes<=20MB", **PLAIN}
    with pytest.raises(OptionError, match=r"holds the study 'edgekit' in study.log, and this is 'other' in study.log"):
        tune(cnn_checkpoint, out, study="other", **arguments)
    with pytest.raises(OptionError, match=r"and this is 'edgekit' in sqlite:///x.db: give another --out"):
        tune(cnn_checkpoint, out, storage="sqlite:///x.db", **arguments)


def test_a_file_is_no_folder(cnn_checkpoint, labelled_csv, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="is a file, and a search needs a folder"):
        tune(cnn_checkpoint, tmp_path / "file", data=None, eval_data=labelled_csv, budget="bytes<=1MB", **PLAIN)
