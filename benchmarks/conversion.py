"""Wall time and peak memory of ``edgekit convert``, on a model of yours and on one of bert-base-chinese's shape.

Example:
    python benchmarks/conversion.py --model demo-out/model.pt --data demo-out/dev.csv
"""

from __future__ import annotations

import json
import multiprocessing
import os
import string
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import harness
from contenders.edgekit import COMMAND
from harness import markdown_table
from machine import Machine, describe_machine

DISTRIBUTIONS = ("edgekit", "litert-torch", "ai-edge-quantizer", "ai-edge-litert", "torch", "transformers")
CHINESE_PIECES = 21_128
"""Rows of bert-base-chinese's vocabulary."""


@dataclass(frozen=True)
class Run:
    """One run of ``edgekit convert``.

    Attributes:
        name: What was converted.
        wall_s: Seconds from start to end of the process.
        peak_gib: Its peak resident memory.
        conversion: What ``--json`` printed; None if it refused.
        error: What it said when it refused; empty if it did not.
    """

    name: str
    wall_s: float
    peak_gib: float
    conversion: dict[str, Any] | None
    error: str


@dataclass(frozen=True)
class Conversions:
    """What the benchmark found."""

    machine: Machine
    runs: tuple[Run, ...]


def main() -> None:
    """Parses, measures and reports."""
    parser = harness.parser(__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="checkpoint or Hugging Face folder; converted with --eval DATA")
    parser.add_argument("--data", type=Path, help="labelled texts, csv or tsv")
    parser.add_argument("--skip-chinese", action="store_true", help="leave out the model of bert-base-chinese's shape")
    arguments = parser.parse_args()
    harness.required(arguments, parser, "model")
    harness.required(arguments, parser, "data")
    machine = describe_machine(DISTRIBUTIONS)
    with harness.workspace(arguments.keep) as work:
        runs = [convert(f"{arguments.model.name}, --eval", arguments.model, work, ["--eval", str(arguments.data)])]
        if not arguments.skip_chinese:
            maker = multiprocessing.get_context("spawn").Process(target=make_chinese_bert, args=(work / "chinese",))
            maker.start()  # in a process of its own: a child's peak memory is never under its parent's
            maker.join()
            runs.append(convert("random BERT of bert-base-chinese's shape", work / "chinese" / "model.pth", work, []))
    result = Conversions(machine, tuple(runs))
    harness.publish(arguments, markdown(result), result)


def convert(name: str, model: Path, work: Path, options: Sequence[str]) -> Run:
    """Runs ``edgekit convert --json`` in a process and measures it from outside."""
    print(f"converting {model} …", file=sys.stderr)
    command = [*COMMAND, "convert", str(model), "--out", str(work / f"{model.stem}.edgekit"), "--json", *options]
    messages = work / "stderr.txt"
    begin = time.perf_counter()
    with messages.open("wb") as stderr, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr) as process:
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.perf_counter() - begin
    unit = 1 if sys.platform == "darwin" else 1024
    said = messages.read_text(encoding="utf-8", errors="replace").strip().splitlines() or [""]
    return Run(
        name=name,
        wall_s=wall_s,
        peak_gib=usage.ru_maxrss * unit / 2**30,
        conversion=json.loads(printed) if process.returncode == 0 else None,
        error="" if process.returncode == 0 else said[-1],
    )


def make_chinese_bert(folder: Path) -> None:
    """Writes model.pth, random weights in the form that articles save (``bert``, ``fc``), and vocab.txt."""
    import torch
    from transformers import BertConfig, BertModel

    class Model(torch.nn.Module):
        def __init__(self, config: BertConfig) -> None:
            super().__init__()
            self.bert = BertModel(config)
            self.fc = torch.nn.Linear(config.hidden_size, 2)

    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(Model(BertConfig(vocab_size=CHINESE_PIECES)).state_dict(), folder / "model.pth")
    (folder / "vocab.txt").write_text("\n".join(chinese_pieces()) + "\n", encoding="utf-8")


def chinese_pieces() -> list[str]:
    """A WordPiece vocabulary of bert-base-chinese's size: special tokens at its places, ASCII, Chinese characters."""
    special = ["[PAD]", *(f"[unused{index}]" for index in range(1, 100)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    signs = string.digits + string.ascii_lowercase + string.punctuation + "，。！？、；：（）《》“”"
    pieces = [*special, *signs, *(f"##{sign}" for sign in string.digits + string.ascii_lowercase)]
    return [*pieces, *(chr(ord("一") + index) for index in range(CHINESE_PIECES - len(pieces)))]


def markdown(result: Conversions) -> str:
    """The table for people."""
    rows = []
    for run in result.runs:
        made = run.conversion
        size, agreement, accuracy = "–", "–", "–"
        if made is not None:
            report = made["verify"][0]
            size, agreement = f"{made['bytes'] / 1e6:.1f}", f"{report['agreement']:.2%}"
            if report["accuracy"] is not None:
                accuracy = f"{report['accuracy']:.2%} ({report['accuracy_original']:.2%})"
        rows.append([run.name, f"{run.wall_s:.1f}", f"{run.peak_gib:.2f}", size, agreement, accuracy])
    table = markdown_table(
        ["edgekit convert", "seconds", "peak GiB", "bundle MB", "agreement", "accuracy (original)"], rows
    )
    refused = [f"{run.name} was refused: {run.error}" for run in result.runs if run.conversion is None]
    return "\n\n".join([table, *refused, str(result.machine)])


if __name__ == "__main__":
    harness.run_benchmark(main)
