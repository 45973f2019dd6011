"""The options for data, as eval, convert and finetune take them, and what eval does with a long file."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

import edgekit as api
from edgekit.cli import command_line
from edgekit.cli.options import DATA_OPTIONS
from edgekit_converters.data import DataOptions
from edgekit_converters.training.finetune import FinetuneSettings, finetune
from test_cli import edgekit, fails

GROUP: Any = typer.main.get_command(command_line())
KEYS = ["examples", "accuracy", "precision", "recall", "f1", "confusion", "engine", "skipped", "left_out"]


@pytest.fixture(scope="module")
def starred(labelled_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The 80 sentences with 1, 2, 4 and 5 stars, three more with 3, and two rows that are bad; as packed JSON lines."""
    with labelled_csv.open(encoding="utf-8", newline="") as file:
        rows = [(row["text"], int(row["label"])) for row in csv.DictReader(file)]
    items: list[dict[str, object]] = [
        {"body": text, "rating": (1 + index % 2) + 3 * label} for index, (text, label) in enumerate(rows)
    ]
    items += [{"body": "fair", "rating": 3}] * 3
    lines = [*(json.dumps(item) for item in items), "not json", '{"body": null, "rating": 1}']
    path = tmp_path_factory.mktemp("starred") / "stars 星.data"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


OPTIONS = ("--text-column", "body", "--label-column", "rating", "--label-map", "stars", "--skip-bad")


def test_every_option_for_data_is_one_of_eval_convert_and_finetune() -> None:
    fields = {field.name: field.default for field in dataclasses.fields(DataOptions)}
    assert list(DATA_OPTIONS) == list(fields)
    for command in ("eval", "convert", "finetune"):
        parameters = {parameter.name: parameter for parameter in GROUP.commands[command].params}
        for name, default in fields.items():
            assert f"--{name.replace('_', '-')}" in parameters[name].opts
            assert parameters[name].default == default
        assert "data_options" not in parameters


def test_options_go_over_those_of_a_recipe() -> None:
    recipe = DataOptions(text_column="body", header=True, skip_bad=True)
    assert DataOptions().over(recipe) == recipe
    flags = DataOptions(text_column="2", header=False, encoding="gbk")
    assert flags.over(recipe) == DataOptions(text_column="2", header=False, encoding="gbk", skip_bad=True)


def test_eval_counts_what_it_leaves_out(bundle: Path, starred: Path) -> None:
    done = edgekit("eval", bundle, starred, *OPTIONS, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert list(result) == KEYS
    assert (result["examples"], result["skipped"], result["left_out"]) == (80, 2, 3)
    assert result["accuracy"] >= 0.95
    notes = [line for line in done.stderr.splitlines() if line.startswith("note: ")]
    assert notes == [
        f"note: rows of {starred} that cannot be used, and were skipped: 2; the first is {starred}, line 84: it is no JSON "
        "(Expecting value at column 1), and each line must hold one object",
        f"note: rows of {starred} that --label-map leaves out: 3",
    ]


def test_eval_reads_stdin(bundle: Path, labelled_csv: Path) -> None:
    done = edgekit("eval", bundle, "-", "--json", stdin=labelled_csv.read_bytes())
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(edgekit("eval", bundle, labelled_csv, "--json").stdout)
    assert "Classifying stdin" in done.stderr


def test_eval_says_what_it_recognised(bundle: Path, tmp_path: Path) -> None:
    data = tmp_path / "data.tsv"
    data.write_bytes("text\tlabel\n这个电影很好\t1\n这个房间很差，太小\t-1\n".encode("gbk"))
    done = edgekit("eval", bundle, data, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["examples"] == 2
    assert "data.tsv is not UTF-8 and is read as GB18030" in done.stderr
    assert "data.tsv are numbered so: -1 negative, 1 positive" in done.stderr


@pytest.mark.parametrize(
    ("options", "because"),
    [
        (
            (),
            "the labels found so far are 好评, 差评: say what they mean, such as --label-map '好评=positive,差评=negative'",
        ),
        (("--label-map", "好评"), "--label-map has '好评'"),
        (("--encoding", "klingon"), "there is no encoding 'klingon'"),
        (("--split", "dev"), "so that --split says nothing of it"),
        (("--encoding", "utf-16"), "data.csv"),
    ],
)
def test_what_is_wrong_with_the_options_is_one_line(
    options: tuple[str, ...], because: str, bundle: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data.csv"
    data.write_text("text,label\n很好,好评\n很差,差评\n", encoding="utf-8")
    fails("eval", bundle, data, *options, because=because)


def test_a_name_of_the_hub_survives_the_command_line(bundle: Path, tmp_path: Path) -> None:
    address = "hf:someone/films:long@train"
    done = edgekit("eval", bundle, address, environment={"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)})
    assert done.returncode == 1
    assert f"note: {address} is taken from the Hugging Face Hub, or from the cache" in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"edgekit: error: {address} cannot be had: Couldn't reach 'someone/films' on the Hub")


@pytest.mark.parametrize("command", ["convert", "finetune"])
def test_convert_and_finetune_take_the_same_options(
    command: str, cnn_checkpoint: Path, starred: Path, tmp_path: Path
) -> None:
    options = ("--text-column", "body", "--label-column", "rating", "--label-map", "9=positive", "--skip-bad")
    arguments = {
        "convert": (cnn_checkpoint, "--eval", "-", "--out", tmp_path / "x.edgekit"),
        "finetune": ("-", "--arch", "cnn", "--out", tmp_path / "x.pt"),
    }
    because = {"convert": "stdin has no example left: 85 rows cannot", "finetune": "the label map gives no row a class"}
    done = edgekit(command, *arguments[command], *options, stdin=starred.read_bytes())
    assert done.returncode == 1
    assert because[command] in done.stderr.splitlines()[-1]
    assert not [*tmp_path.iterdir()]


def test_finetune_reads_the_same_forms(starred: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    options = DataOptions(text_column="body", label_column="2", label_map="stars", skip_bad=True)
    settings = FinetuneSettings(arch="cnn", epochs=1, held_out=0.2)
    tuned = finetune(starred, tmp_path / "model.pt", settings, data_options=options)
    assert tuned.labels == ("negative", "positive")
    assert (tuned.train_examples, tuned.held_out_examples) == (56, 16)
    assert f"rows of {starred} that cannot be used, and were skipped: 2" in caplog.text


def test_finetune_takes_the_classes_from_numbers_that_stand_for_poles(labelled_csv: Path, tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    with labelled_csv.open(encoding="utf-8", newline="") as file:
        rows = [{"text": row["text"], "label": 2 * int(row["label"]) - 1} for row in csv.DictReader(file)]
    data.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    tuned = finetune(data, tmp_path / "model.pt", FinetuneSettings(arch="cnn", epochs=1, held_out=0.2))
    assert tuned.labels == ("negative", "positive")
    assert (tuned.train_examples, tuned.held_out_examples) == (56, 16)


def test_progress_of_evaluate(bundle: Path, labelled_csv: Path) -> None:
    steps: list[tuple[int, int]] = []
    with api.load(bundle) as classify:
        api.evaluate(classify, labelled_csv, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(done, 80) for done in range(1, 81)]


def test_evaluate_without_a_listener_writes_to_the_log(
    bundle: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = tmp_path / "data.csv"
    data.write_text("text,label\ngood,1\nbad,-1\n", encoding="utf-8")
    with api.load(bundle) as classify:
        assert api.evaluate(classify, str(data)).examples == 2
    assert "numbered so: -1 negative, 1 positive" in caplog.text


MEMORY = """
import sys, edgekit
from pathlib import Path

def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024

with edgekit.load(sys.argv[1]) as classify:
    for path in sys.argv[2:]:
        before = peak()
        print(edgekit.evaluate(classify, path).examples, peak() - before)
"""


def test_a_bundle_is_evaluated_in_a_memory_that_does_not_grow_with_the_file(bundle: Path, tmp_path: Path) -> None:
    for name, count in (("small.csv", 1100), ("large.csv", 8000)):
        with (tmp_path / name).open("w", encoding="utf-8", newline="") as file:
            rows = [(f"film {index} was good" + " " * 4000 + "end", index % 2) for index in range(count)]
            csv.writer(file).writerows([("text", "label"), *rows])
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, bundle, tmp_path / "small.csv", tmp_path / "large.csv"],
        capture_output=True,
        text=True,
        env=os.environ,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    count, grown = map(int, done.stdout.splitlines()[-1].split())
    assert count == 8000
    assert grown < 0.3 * (tmp_path / "large.csv").stat().st_size
