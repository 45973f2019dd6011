"""Int8 ONNX files, form by form: why edgekit's is as it is (docs/onnx.md). On x86-64, with qemu-user-static installed.

Example:
    python benchmarks/onnx_forms.py --model demo-out/model.pt --data demo-out/dev.csv --fill docs/onnx.md
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import harness
from contenders.folder import Folder, hugging_face_folder
from contenders.onnx import export_onnx as export_plainly
from edgekit.cli.terminal import Terminal
from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
from edgekit_converters.data import read_labelled
from edgekit_converters.networks.unpadded import open_lengths, unpadded
from edgekit_converters.quantspec import QuantSpec
from edgekit_converters.recipe import Recipe
from edgekit_converters.targets.onnx import OnnxTarget, export_onnx, finished
from edgekit_converters.targets.onnx_quantize import Int8Table
from edgekit_converters.targets.tools import tools_kept_quiet
from edgekit_runtime.engines.onnx import telemetry_off
from edgekit_runtime.progress import Listener
from edgekit_runtime.text import TextEncoder
from harness import Block, Ratio, interleave, markdown_table, ratio_of_medians
from machine import Machine, describe_machine

DISTRIBUTIONS = ("edgekit", "onnxruntime", "onnx", "torch")
OTHER_PROCESSOR = "Haswell"
"""Has AVX2 without VNNI."""

MARK = "onnx_forms"


@dataclass(frozen=True)
class Row:
    """One form.

    Attributes:
        form: What it is called.
        bytes: Size of the file.
        accuracy: On all texts.
        agreement: Share of texts with the label of the float32 network.
        mean_difference: Of all logits from the float32 network's, their mean magnitude.
        elsewhere: Largest difference of a logit between this processor and the emulated one; None without an emulator.
        median_ms: Text in to label out.
        against_plain: Its median over the plain recipe's.
    """

    form: str
    bytes: int
    accuracy: float
    agreement: float
    mean_difference: float
    elsewhere: float | None
    median_ms: float
    against_plain: Ratio


@dataclass(frozen=True)
class Forms:
    """What the benchmark found."""

    machine: Machine
    texts: int
    emulated: int
    rows: tuple[Row, ...]


class OnnxFile:
    """A file on ONNX Runtime, one thread, each text in its own length; a Runner of the harness."""

    def __init__(self, path: Path, encoder: TextEncoder) -> None:
        telemetry_off()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        self.path = path
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._names = [each.name for each in self._session.get_inputs()]
        self._encoder = encoder

    def logits(self, text: str) -> NDArray[np.float32]:
        """(classes,) logits."""
        ids = np.array([self._encoder.ids(text)], dtype=np.int64)
        feed = dict(zip(self._names, (ids, np.ones_like(ids)), strict=False))
        return np.asarray(self._session.run(["logits"], feed)[0][0])

    def run(self, texts: Sequence[str], warmup: Sequence[str]) -> Block:
        for text in warmup:
            self.logits(text)
        milliseconds, classes = zip(*map(self._timed, texts), strict=True)
        return Block(milliseconds, classes)

    def _timed(self, text: str) -> tuple[float, int]:
        begin = time.perf_counter_ns()
        answer = int(self.logits(text).argmax())
        return (time.perf_counter_ns() - begin) / 1e6, answer


def main() -> None:
    """Parses, makes the forms, measures and reports."""
    parser = harness.parser(__doc__.splitlines()[0], MARK)
    for name in ("model", "data"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--texts", type=int, default=200, help="time this many of the first texts, with one thread")
    parser.add_argument(
        "--emulated", type=int, default=50, help="run this many of the first texts on the other processor"
    )
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    for name in ("model", "data"):
        harness.required(arguments, parser, name)
    machine = describe_machine(DISTRIBUTIONS)
    with Terminal() as terminal, harness.workspace(arguments.keep) as work:
        model = read_checkpoint(arguments.model, ReadOptions(), terminal.say)
        spec = Recipe().text_spec(model, terminal)
        encoder = TextEncoder(model.tokenizer.json, spec)
        data = read_labelled(arguments.data, model.labels)
        terminal.stage("Making the forms")
        folder = Folder(hugging_face_folder(arguments.model, work / "folder"), spec.max_length)
        files = make(model.network(), folder, spec.buckets, work, terminal)
        float32 = OnnxFile(files.pop("float32"), encoder)
        expected = np.stack([float32.logits(text) for text in data.texts])
        runners = {form: OnnxFile(path, encoder) for form, path in files.items()}
        terminal.stage(f"{arguments.rounds} rounds of {len(runners)} blocks")
        options = {"rounds": arguments.rounds, "warmup": 8, "pause_s": 0.1, "progress": terminal.progress}
        times = interleave(list(runners.values()), data.texts[: arguments.texts], **options)
        rows = []
        for (form, runner), found in zip(runners.items(), times, strict=True):
            terminal.stage(f"Comparing: {form}")
            logits = np.stack([runner.logits(text) for text in data.texts])
            answers = logits.argmax(axis=1)
            some = data.texts[: arguments.emulated]
            elsewhere = emulated(runner.path, [encoder.ids(text) for text in some])
            rows.append(
                Row(
                    form=form,
                    bytes=runner.path.stat().st_size,
                    accuracy=float(np.mean(answers == np.asarray(data.labels))),
                    agreement=float(np.mean(answers == expected.argmax(axis=1))),
                    mean_difference=float(np.abs(logits - expected).mean()),
                    elsewhere=None if elsewhere is None else float(np.abs(elsewhere - logits[: len(some)]).max()),
                    median_ms=float(np.median(found)),
                    against_plain=ratio_of_medians(found, times[0]),
                )
            )
    result = Forms(machine, len(data.texts), arguments.emulated, tuple(rows))
    harness.publish(arguments, markdown(result), result)


def make(network: object, folder: Folder, buckets: tuple[int, ...], work: Path, listener: Listener) -> dict[str, Path]:
    """Form to its file; the first one is the plain recipe, and ``float32`` what all are compared with."""
    telemetry_off()
    from onnxruntime.quantization import QuantType, quantize_dynamic

    target = OnnxTarget()
    files = {}
    with tools_kept_quiet():
        plain, files["plain recipe"] = export_plainly(folder, work)
        lengths = open_lengths(network, buckets[-1])
        form = unpadded(network, lengths[-1])
        form.words = Int8Table(form.words)
        ours = work / "ours-float32.onnx"
        ours.write_bytes(finished(export_onnx(form, lengths)))
        for name, source, bits in (
            ("plain recipe, 7 bits", plain, 7),
            ("edgekit's network, 8 bits", ours, 8),
            ("edgekit's network, 7 bits", ours, 7),
        ):
            files[name] = work / f"{len(files)}.onnx"
            options = {"weight_type": QuantType.QInt8, "per_channel": True, "reduce_range": bits == 7}
            products = {} if source == plain else {"op_types_to_quantize": ["MatMul", "Gemm"]}
            quantize_dynamic(source, files[name], **options, **products)
    for name, scheme in (("the same, tokens scaled: `--quantize int8`", "int8"), ("float32", "none")):
        files[name] = work / f"edgekit-{scheme}.onnx"
        files[name].write_bytes(target.lower(network, buckets, QuantSpec(scheme), listener).data)
    return files


ELSEWHERE = """
import json, os, sys
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import numpy as np, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads, options.log_severity_level = 1, 3
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
names = [each.name for each in session.get_inputs()]
for row in json.load(sys.stdin):
    ids = np.array([row], dtype=np.int64)
    feed = dict(zip(names, (ids, np.ones_like(ids))))
    print(json.dumps(session.run(["logits"], feed)[0][0].tolist()))
"""


def emulated(path: Path, rows: Sequence[Sequence[int]]) -> NDArray[np.float32] | None:
    """(texts, classes) logits of a file on the other processor; None without an emulator."""
    emulator = shutil.which("qemu-x86_64-static")
    if emulator is None:
        return None
    command = [emulator, "-cpu", OTHER_PROCESSOR, sys.executable, "-c", ELSEWHERE, str(path)]
    done = subprocess.run(command, input=json.dumps([list(row) for row in rows]), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the emulated processor failed:\n{done.stderr}")
    return np.array([json.loads(line) for line in done.stdout.splitlines()], dtype=np.float32)


def markdown(result: Forms) -> str:
    """The table for people."""
    columns = [
        "",
        "MB",
        "accuracy",
        "agreement",
        "mean difference",
        f"on a {OTHER_PROCESSOR}",
        "ms, 1 thread",
        "÷ plain",
    ]
    rows = [
        [
            row.form,
            f"{row.bytes / 1e6:.2f}",
            f"{row.accuracy:.2%}",
            f"{row.agreement:.2%}",
            f"{row.mean_difference:.3f}",
            "–" if row.elsewhere is None else f"{row.elsewhere:.3f}",
            f"{row.median_ms:.2f}",
            str(row.against_plain),
        ]
        for row in result.rows
    ]
    said = (
        f"Accuracy, agreement and mean difference of a logit from the float32 network: {result.texts} texts. On a "
        f"{OTHER_PROCESSOR}: largest difference of a logit between this processor and that one, emulated, "
        f"{result.emulated} texts. Times: {harness.COMPARED}."
    )
    return "\n\n".join([markdown_table(columns, rows), said, str(result.machine)])


if __name__ == "__main__":
    harness.run_benchmark(main)
