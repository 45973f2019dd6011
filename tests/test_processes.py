"""Training in several processes, and what becomes of it when one of them is killed or the user interrupts."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest
import torch

from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
from edgekit_converters.training import processes

TORCHRUN = Path(sys.executable).with_name("torchrun")
SCRIPT = Path(sys.executable).with_name("edgekit")
GOOD = "good great wonderful lovely brilliant"
BAD = "bad awful terrible horrid dull"


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 sentences that say what they think in one word out of ten."""
    path = tmp_path_factory.mktemp("reviews") / "reviews.csv"
    lot = random.Random(0)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for index in range(400):
            thing = lot.choice(["film", "room", "phone", "meal", "story", "service"])
            word = lot.choice((BAD, GOOD)[index % 2].split())
            writer.writerow([f"the {thing} was {'really ' * lot.randrange(4)}{word}", index % 2])
    return path


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error"}


def torchrun(*arguments: object) -> list[str]:
    return [str(TORCHRUN), "--standalone", "--nproc-per-node", "2", "-m", "edgekit", *map(str, arguments)]


class Running:
    """A process that is not waited for, with what it prints in files."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self.out, self.err = folder / "stdout", folder / "stderr"
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=err, env=environment())

    def until(self, happened: Path) -> None:
        """Waits until a checkpoint lies there."""
        for _ in range(1200):
            if happened.is_dir() and any(path.name.startswith("checkpoint-") for path in happened.iterdir()):
                return
            assert self.process.poll() is None, self.err.read_text()
            time.sleep(0.05)
        pytest.fail(f"no checkpoint after a minute: {self.err.read_text()}")


@pytest.fixture
def started() -> Iterator[list[Running]]:
    """Whatever a test starts ends with it."""
    running: list[Running] = []
    yield running
    for one in running:
        if one.process.poll() is None:
            for child in psutil.Process(one.process.pid).children(recursive=True):
                child.kill()
            one.process.kill()
            one.process.wait()


def test_one_process_unless_several_were_started(monkeypatch):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert (processes.rank(), processes.world_size(), processes.is_main()) == (0, 1, True)
    processes.barrier()
    assert processes.agreed({"a": 1}) == {"a": 1}
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert (processes.rank(), processes.world_size(), processes.is_main()) == (1, 2, False)


def test_two_processes_train_one_model(reviews, tmp_path):
    done = subprocess.run(
        torchrun(
            *("finetune", reviews, "--arch", "cnn", "--epochs", 3, "--batch-size", 16, "--out", "m.pt"),
            *("--checkpoints", "c", "--curves", "m.svg", "--json"),
        ),
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)  # one object, so that one process has printed
    assert made["processes"] == 2
    assert made["test"]["accuracy"] == 1.0
    assert (made["train_examples"], made["held_out_examples"], made["test_examples"]) == (320, 40, 40)
    assert done.stderr.count("Training on 320 texts") == 1
    assert done.stderr.count("note: epoch ") == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "m.pt", "m.svg"]
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["checkpoint-30"], "320 texts by 2 times 16, 3 times"
    model = read_checkpoint(tmp_path / "m.pt", ReadOptions(), lambda message: None)
    assert model.history[0].settings["processes"] == 2


def test_what_unfreezes_in_two_processes_learns_as_in_one(reviews, bert_base, tmp_path):
    """Gradients of layers that begin to learn later are averaged too: two halves of a batch are the batch."""
    flags = (
        "finetune",
        reviews,
        "--base",
        bert_base,
        "--unfreeze",
        "gradual",
        "--epochs",
        4,
        "--limit",
        72,
        "--json",
    )  # 64 to learn
    flags += ("--optimizer", "sgd", "--learning-rate", 0.05, "--dropout", 0.0, "--no-bf16", "--test", 0, "--out")
    trained = []
    for command in (
        [SCRIPT, *flags, "one.pt", "--batch-size", 32],
        torchrun(*flags, "two.pt", "--batch-size", 16),
    ):
        done = subprocess.run(
            [str(part) for part in command],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        made = json.loads(done.stdout)
        trained.append((made, read_checkpoint(tmp_path / made["checkpoint"], ReadOptions(), lambda message: None)))
    (alone, one), (both, two) = trained
    assert (alone["processes"], both["processes"]) == (1, 2)
    start = read_checkpoint(bert_base, ReadOptions(), lambda message: None)
    moved = {name for name, tensor in one.weights.items() if not torch.equal(tensor, start.weights[name])}
    assert {"bert.embeddings.word_embeddings.weight", "bert.encoder.layer.0.output.dense.weight"} <= moved
    for name, tensor in one.weights.items():
        torch.testing.assert_close(two.weights[name], tensor, atol=1e-5, rtol=0)


def test_a_killed_process_ends_the_others(reviews, tmp_path, started):
    command = torchrun(
        *("finetune", reviews, "--arch", "cnn", "--epochs", 5000, "--batch-size", 16, "--out", "m.pt"),
        *("--checkpoints", "c"),
    )
    started.append(run := Running(command, tmp_path))
    run.until(tmp_path / "c")
    workers = psutil.Process(run.process.pid).children()
    assert len(workers) == 2
    begin = time.monotonic()
    max(workers, key=lambda worker: int(worker.environ()["RANK"])).kill()
    assert run.process.wait(timeout=60) == 1
    assert time.monotonic() - begin < 60
    assert not any(worker.is_running() for worker in workers)
    assert "exitcode  : -9" in run.err.read_text(), "torchrun says which one died"
    assert run.out.read_text() == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "stderr", "stdout"]
    [left] = (tmp_path / "c").iterdir()
    assert left.name.startswith("checkpoint-"), "whole, and nothing else"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_nothing_half_written_and_goes_on(number, code, reviews, tmp_path, started):
    command = [str(SCRIPT), "finetune", str(reviews), "--arch", "cnn", "--epochs", "20", "--out", "m.pt"]
    command += ["--checkpoints", "c", "--json"]
    started.append(run := Running(command, tmp_path))
    run.until(tmp_path / "c")
    run.process.send_signal(number)
    assert run.process.wait(timeout=30) == code
    assert run.out.read_text() == ""
    last = run.err.read_text().splitlines()[-1]
    assert number != signal.SIGINT or last == "edgekit: interrupted; nothing half-written was left behind"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "stderr", "stdout"]
    [left] = (tmp_path / "c").iterdir()
    assert left.name.startswith("checkpoint-")
    if number == signal.SIGINT:
        done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True)
        assert "note: going on from epoch " in done.stderr
        assert len(json.loads(done.stdout)["curve"]) == 20
