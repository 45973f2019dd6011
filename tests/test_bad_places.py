"""Disks that are full or read-only, and names that scripts trip over."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import missing

SCRIPT = Path(sys.executable).with_name("edgekit")


def edgekit(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """An empty disk of 32 KiB, smaller than any model."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", folder], capture_output=True, check=False)
    if done.returncode:
        missing("mounting a small disk needs root and the right to mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def assert_one_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    last = done.stderr.rstrip("\n").splitlines()[-1]
    assert last.startswith("edgekit: error: ")
    assert all(word in last for word in words), last


def test_a_full_disk_keeps_the_old_bundle_and_nothing_half_written(disk, cnn_checkpoint, labelled_csv, tmp_path):
    (disk / "model.edgekit").write_text("the old one")
    done = edgekit("convert", cnn_checkpoint, "--out", disk / "model.edgekit", "--eval", labelled_csv, cwd=tmp_path)
    assert_one_line(done, "No space left on device", "nothing was left behind")
    assert [path.name for path in disk.iterdir()] == ["model.edgekit"]
    assert (disk / "model.edgekit").read_text() == "the old one"


def test_a_full_disk_under_a_new_checkpoint(disk, labelled_csv, tmp_path):
    done = edgekit("finetune", labelled_csv, "--arch", "cnn", "--epochs", 1, "--out", disk / "model.pt", cwd=tmp_path)
    assert_one_line(done, "nothing was left behind")
    assert list(disk.iterdir()) == []


def test_a_full_disk_under_the_temporary_files(disk, cnn_checkpoint, tmp_path):
    (disk / "filler").write_bytes(bytes(32 * 1024))
    done = edgekit("convert", cnn_checkpoint, "--out", tmp_path / "out.edgekit", cwd=tmp_path, TMPDIR=str(disk))
    if done.returncode:  # the tools may do without temporary files
        assert_one_line(done)
        assert not (tmp_path / "out.edgekit").exists()
    else:
        assert edgekit("verify", tmp_path / "out.edgekit", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("command", ["convert", "finetune"])
def test_a_read_only_disk_is_refused_before_the_work(disk, command, cnn_checkpoint, labelled_csv, tmp_path):
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    given = [cnn_checkpoint] if command == "convert" else [labelled_csv, "--arch", "cnn"]
    done = edgekit(command, *given, "--out", disk / "out", cwd=tmp_path)
    assert_one_line(done, f"cannot write to {disk}", "choose another --out")
    assert "…" not in done.stderr, "no stage may have begun"


def test_names_with_spaces_and_of_any_script(cnn_checkpoint, labelled_csv, tmp_path):
    folder = tmp_path / "模型 и данные"
    folder.mkdir()
    shutil.copy(cnn_checkpoint, folder / "лучшая модель #1 (v2).pt")
    shutil.copy(labelled_csv, folder / "评论 数据.csv")
    done = edgekit("convert", "лучшая модель #1 (v2).pt", "--eval", "评论 数据.csv", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)["bundle"]
    assert Path(made) == folder / "лучшая модель #1 (v2).edgekit"
    assert edgekit("eval", made, "评论 数据.csv", cwd=folder).returncode == 0
    written = edgekit("inspect", made, "--recipe", cwd=folder).stdout
    (folder / "рецепт 一.toml").write_text(written, encoding="utf-8")
    again = folder / "again" / Path(made).name
    again.parent.mkdir()
    done = edgekit("convert", "лучшая модель #1 (v2).pt", "--recipe", "рецепт 一.toml", "--out", again, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert again.read_bytes() == Path(made).read_bytes()
