"""``edgekit tune``: the command, and the files that it leaves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from edgekit import tuning_files
from edgekit.android.adb import UnreachableError
from edgekit.android.measuring import PhoneLostError, PhoneMeasure
from edgekit.android.phone import find_phone
from edgekit.cli.tune import _serial
from edgekit.report.tuned import about, front_table, outcome
from edgekit.report.tuned_chart import tuned_svg
from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
from edgekit_converters.tuning.choice import Choice
from edgekit_converters.tuning.results import COMPLETE, PRUNED, TrialResult, Tuned
from edgekit_runtime import jsonio, load
from edgekit_runtime.errors import OptionError
from edgekit_runtime.profiling.device import describe_device
from test_android import Ears, Replay, replay  # noqa: F401
from test_cli import edgekit, fails

SMALL = (
    *("--target", "onnx", "--buckets", "default", "--seconds", 0.2, "--threads", 1),
    *("--quantize", "none", "--quantize", "int8"),
)


def trial(number: int, source: str, accuracy: float | None, p95: float | None, size: int | None, **more) -> TrialResult:
    choice = Choice(source, None, False, "int8", "litert", more.pop("buckets", "default"), more.pop("threads", 1))
    bundle = None if accuracy is None else f"trials/{number:04d}.edgekit"
    values = {"accuracy": accuracy, "accuracy_share": accuracy, "bytes": size, "p50_ms": p95, "p95_ms": p95}
    return TrialResult(
        number, COMPLETE if accuracy else PRUNED, choice, **{"bundle": bundle, "host": "box", **values, **more}
    )


@pytest.fixture
def found(tmp_path: Path) -> Tuned:
    """A search by hand; the bundles of trials 0 and 1 are in ``tmp_path``, that of 2 is on another machine."""
    trials = (
        trial(0, "model", 0.91, 2.2, 23_000_000, reason="bytes 23 MB is over 4 MB"),
        trial(1, "cnn|x", 0.88, 0.05, 1_000_000, within=True),
        trial(2, "cnn-small", 0.86, 0.02, 400_000, within=True, host="elsewhere"),
        trial(3, "worse", 0.5, 9.0, 30_000_000),
        trial(4, "bert", None, None, 9_000_000, reason="before training: bytes 9 MB is over 4 MB"),
    )
    (tmp_path / "trials").mkdir()
    for each in trials[:2]:
        (tmp_path / str(each.bundle)).write_bytes(f"bundle {each.number}".encode())
    return Tuned(
        budget="p95<=2ms,bytes<=4MB,drop<=0.05",
        original_accuracy=0.91,
        examples=872,
        trials=trials,
        front=(0, 1, 2),
        best=1,
        nearest=None,
        space=60,
        exhausted=False,
        resumed=0,
        seconds=12.0,
        study="edgekit",
        storage="study.log",
        device=describe_device(),
    )


def test_the_files_of_a_search(found: Tuned, tmp_path: Path) -> None:
    bundles = tuning_files.write_front(found, tmp_path, None)
    assert bundles == {0: "front/model-int8-litert.edgekit", 1: "front/cnn-x-int8-litert.edgekit"}
    assert (tmp_path / bundles[1]).read_bytes() == b"bundle 1"
    told = json.loads((tmp_path / "front.json").read_bytes())
    assert (told.pop("bundles"), told.pop("measured_on")) == ({str(n): name for n, name in bundles.items()}, None)
    assert jsonio.decode(Tuned, told, "it") == found
    written = (tmp_path / "front.md").read_text(encoding="utf-8")
    assert "best within p95&lt;=2ms,bytes&lt;=4MB,drop&lt;=0.05: trial 1, cnn\\|x, int8, litert, 1 thread" in written
    assert '    edgekit predict front/cnn-x-int8-litert.edgekit "…" --engine litert --threads 1' in written
    assert "before training: bytes 9 MB is over 4 MB" in written


def test_bundles_that_left_the_front_go_and_others_stay_as_they_are(found: Tuned, tmp_path: Path) -> None:
    tuning_files.write_front(found, tmp_path, None)
    tuning_files.write_front(replace(found, front=(1, 2)), tmp_path, None)
    assert [path.name for path in (tmp_path / "front").iterdir()] == ["cnn-x-int8-litert.edgekit"]
    assert (tmp_path / "trials/0000.edgekit").read_bytes() == b"bundle 0"


def test_trials_of_one_bundle_share_a_name_and_equal_names_are_told_apart(found: Tuned, tmp_path: Path) -> None:
    same = replace(found.trials[1], number=2, choice=replace(found.trials[1].choice, threads=2))
    other = replace(found.trials[0], choice=found.trials[1].choice)
    made = replace(found, trials=(other, found.trials[1], same))
    assert tuning_files.bundle_names(made, tmp_path) == {
        0: "front/cnn-x-int8-litert.edgekit",
        1: "front/cnn-x-int8-litert-1.edgekit",
        2: "front/cnn-x-int8-litert-1.edgekit",
    }


def test_the_chart_is_a_file_of_its_own_and_shows_no_pruned_trial(found: Tuned) -> None:
    svg = tuned_svg(found)
    assert svg is not None and "var(" not in svg
    root = ElementTree.fromstring(svg)
    words = " ".join(element.text or "" for element in root.iter() if element.tag.endswith("text"))
    assert "cnn-small, int8, litert, 1 thread" in words
    assert "bert" not in words
    assert "worse" not in words, "what is not on the front has no name"
    assert tuned_svg(found) == svg, "the same figures give the same file"
    assert tuned_svg(replace(found, trials=found.trials[4:], front=(), best=None)) is None


def test_a_search_in_words(found: Tuned) -> None:
    table = front_table(found)
    assert [row[0] for row in table.rows] == ["0", "1", "2"]
    assert [row[2] for row in table.rows] == ["bytes 23 MB is over 4 MB", "★", "✓"]
    assert "its bundle is on elsewhere: trials/0002.edgekit" in outcome(replace(found, best=2), {})
    none = replace(found, best=None, nearest=4, trials=found.trials[3:], front=(3,))
    assert outcome(none, {}) == (
        "nothing keeps to p95<=2ms,bytes<=4MB,drop<=0.05; nearest is trial 4, bert, int8, litert, 1 thread: before "
        "training: bytes 9 MB is over 4 MB",
    )
    assert "4 complete, 1 pruned" in about(found, None)[0]
    assert about(found, "Pixel 8")[1].endswith(", latency on Pixel 8")


def test_the_command_from_checkpoint_to_files_and_on(cnn_checkpoint: Path, labelled_csv: Path, tmp_path: Path) -> None:
    """Stopped after a trial that is over the budget, and gone on with to one that keeps to it."""
    out = tmp_path / "tuned"
    weights = 4 * read_checkpoint(cnn_checkpoint, ReadOptions(), print).parameters
    call = ("tune", cnn_checkpoint, "--eval", labelled_csv, "--out", out, *SMALL, "--budget", f"bytes<={weights - 1}B")
    done = edgekit(*call, "--trials", 1)
    assert done.returncode == 1
    assert "trial 0: model, none, onnx, 1 thread: pruned: the weights alone: bytes " in done.stderr
    assert "error: nothing keeps to bytes<=" in done.stderr
    assert "nearest is trial 0" in done.stderr
    assert "or try students with --data" in done.stderr
    assert "1 trial of 2 choices: 1 pruned; the same command goes on" in done.stdout
    assert "nothing keeps to" in (out / "front.md").read_text(encoding="utf-8")

    done = edgekit(*call, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["resumed"], len(told["trials"]), told["exhausted"], told["best"]) == (1, 2, True, 1)
    assert told == json.loads((out / "front.json").read_bytes())
    assert "best within bytes&lt;=" in (out / "front.md").read_text(encoding="utf-8")
    ElementTree.parse(out / "front.svg")
    assert [path.name for path in (out / "front").iterdir()] == ["model-int8-onnx.edgekit"]
    with load(out / "front/model-int8-onnx.edgekit") as classify:
        assert classify("the film was good").label in classify.labels


def test_a_storage_that_is_none_is_refused_its_password_unsaid_and_nothing_is_left(
    cnn_checkpoint: Path, labelled_csv: Path, tmp_path: Path
) -> None:
    call = ("tune", cnn_checkpoint, "--eval", labelled_csv, "--out", tmp_path / "a" / "out", "--budget", "p95<=1s")
    fails(*call, "--storage", "nonsense://me:secret@x", because="--storage nonsense://me:***@x cannot be used")
    assert not list(tmp_path.glob("a*"))


def test_a_device_that_is_none_is_refused() -> None:
    with pytest.raises(OptionError, match="--device takes adb, or adb:SERIAL"):
        _serial("usb")
    with pytest.raises(OptionError, match="--device takes adb, or adb:SERIAL"):
        _serial("adb:")


def test_a_phone_measures(replay: Replay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """Through adb as ``edgekit android bench`` does; the engine and the threads are the trial's."""
    bundle = tmp_path / "my model.edgekit"
    bundle.write_bytes(b"x" * 1000)
    replay.play("happy")
    for call in replay._calls:
        call["arguments"] = [word.replace("--es runs 200", "--es seconds 3.0") for word in call["arguments"]]
    (tmp_path / "replay" / "transcript.json").write_text(json.dumps(replay._calls), encoding="utf-8")
    measured = PhoneMeasure(find_phone(), ["good", "bad"], 3.0, Ears())(bundle, "litert", 2)
    latency = replay.profile["latency_ms"]
    assert (measured.p50_ms, measured.p95_ms) == (latency["p50"], latency["p95"])
    assert measured.load_average is None


def test_a_phone_that_goes_away_is_no_fault_of_the_bundle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def gone(*arguments: object, **more: object) -> None:
        raise UnreachableError("device 'R5CT1' not found")

    monkeypatch.setattr("edgekit.android.measuring.bench", gone)
    with pytest.raises(PhoneLostError, match="R5CT1"):
        PhoneMeasure(None, [], 3.0, Ears())(tmp_path / "a.edgekit", "litert", 1)  # type: ignore[arg-type]
