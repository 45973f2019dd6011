"""The row "hub" of docs/data.md, against a hub on this machine: in processes of their own, since its address is read once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekit_converters.data import DataOptions, read_labelled
from edgekit_runtime.errors import OptionError
from fakehub import FakeHub

CARD = b"""---
configs:
- config_name: default
  data_files:
  - {split: train, path: train.jsonl}
  - {split: dev, path: dev.jsonl}
- config_name: long
  data_files:
  - {split: train, path: long.jsonl}
---
"""
REPOSITORIES = {
    "someone/films": {"train.jsonl": b'{"text": "good", "label": 1}\n{"text": "bad", "label": 0}\n'},
    "someone/split": {
        "README.md": CARD,
        "train.jsonl": b'{"text": "train", "label": 1}\n',
        "dev.jsonl": b'{"text": "dev", "label": 0}\n',
        "long.jsonl": b'{"text": "long", "label": 1}\n',
    },
    "someone/code": {"code.py": b"open('ran', 'w')\n", "train.jsonl": b'{"text": "good", "label": 1}\n'},
}

READ = """
import json, sys
from edgekit_converters.data import DataOptions, read_labelled
from edgekit_runtime.errors import EdgekitError
for address, split in json.loads(sys.argv[1]):
    said = []
    try:
        data = read_labelled(address, ("negative", "positive"), DataOptions(split=split), say=said.append)
        print(json.dumps([list(data.texts), list(data.labels), said]))
    except EdgekitError as error:
        print(json.dumps(str(error)))
"""


@pytest.fixture(scope="module")
def hub() -> Iterator[FakeHub]:
    with FakeHub(REPOSITORIES) as hub:
        yield hub


def read(folder: Path, *addresses: tuple[str, str | None], remark: str = "", **environment: str) -> list[object]:
    """What each address gives: texts, labels and what was said, or the error. Nothing is printed but the remark."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", READ, json.dumps(addresses)],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "HF_HOME": str(folder / "cache"), **environment},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert remark in done.stderr if remark else done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_dataset_is_downloaded_once_and_its_split_and_configuration_chosen(tmp_path: Path, hub: FakeHub) -> None:
    told = "{} is taken from the Hugging Face Hub, or from the cache if it is there"
    addresses = [
        ("hf:someone/films", None),
        ("hf:someone/split@dev", None),
        ("hf:someone/split", "train"),
        ("hf:someone/split:long", None),
    ]
    expected = [[["good", "bad"], [1, 0]], [["dev"], [0]], [["train"], [1]], [["long"], [1]]]
    with_what_was_said = [
        [*pair, [told.format(address)]] for pair, (address, _) in zip(expected, addresses, strict=True)
    ]
    assert read(tmp_path, *addresses, HF_ENDPOINT=hub.url) == with_what_was_said
    offline = read(tmp_path, addresses[0], remark="Using the latest cached version", HF_HUB_OFFLINE="1")
    assert offline == with_what_was_said[:1]


def test_what_cannot_be_had_is_one_line(tmp_path: Path, hub: FakeHub) -> None:
    several, unknown, configuration, missing, code = read(
        tmp_path,
        ("hf:someone/split", None),
        ("hf:someone/split@test", None),
        ("hf:someone/split:short@train", None),
        ("hf:someone/nothing", None),
        ("hf:someone/code", None),
        HF_ENDPOINT=hub.url,
    )
    assert several == "hf:someone/split has several splits; choose one with --split: train, dev"
    assert unknown == "hf:someone/split@test has no split 'test'; choose one with --split: train, dev"
    assert isinstance(configuration, str) and "'short' not found. Available: ['default', 'long']" in configuration
    assert isinstance(missing, str) and "doesn't exist on the Hub" in missing
    assert isinstance(code, str) and "Dataset scripts are no longer supported" in code
    assert not (tmp_path / "ran").exists()


def test_no_network_is_one_line(tmp_path: Path) -> None:
    (message,) = read(tmp_path, ("hf:someone/films", None), HF_HUB_OFFLINE="1")
    assert isinstance(message, str)
    assert message.startswith("hf:someone/films cannot be had: Couldn't reach 'someone/films' on the Hub")
    assert message.endswith("; check the network, or give a file")


@pytest.mark.parametrize("address", ["hf:films", "hf:", "hf:a/b/c", "hf:a/b@", "hf:a/b:", "hf:../x"])
def test_an_address_that_names_no_dataset(address: str) -> None:
    with pytest.raises(OptionError, match="names no dataset of the hub; write hf:OWNER/NAME"):
        read_labelled(address, ("negative", "positive"))


def test_two_different_splits(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="name different splits; drop one"):
        read_labelled("hf:a/b@train", ("negative", "positive"), DataOptions(split="dev"))


def test_a_folder_of_that_name_is_not_read_in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "someone" / "films").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OptionError, match="here is a folder someone/films, which would be read in place of the hub's"):
        read_labelled("hf:someone/films", ("negative", "positive"))
