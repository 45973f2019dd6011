"""The contenders: how each is made from one checkpoint, and how each is opened."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit_runtime import Bundle, load, open_bundle
from export_folder import export_folder
from harness import Opened

DISTRIBUTIONS = ("edgekit", "ai-edge-litert", "tokenizers", "numpy", "torch", "transformers", "onnx", "onnxruntime")
"""What their figures depend on."""

EDGEKIT = (sys.executable, "-c", "from edgekit.cli import main; main()")
"""The ``edgekit`` command of the Python that runs the benchmark."""

CONFIG, TOKENIZER = "config.json", "tokenizer.json"

Runner = Callable[[Sequence[Any]], Callable[[], Any]]
"""Binds a program to arrays, ids and mask, of which it takes what it wants; the call gives (1, classes) logits."""


@dataclass(frozen=True)
class TransformersPipeline:
    """``transformers.pipeline("text-classification")`` in float32 on the CPU, texts cut at ``max_length`` tokens."""

    folder: Path
    max_length: int
    name: str = "transformers.pipeline, float32"

    def size_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.folder.iterdir() if path.is_file())

    def open(self, threads: int) -> Opened:
        transformers = quiet_transformers()
        import torch

        torch.set_num_threads(threads)
        classify = transformers.pipeline(
            "text-classification", model=str(self.folder), device="cpu", dtype=torch.float32
        )
        labels = tuple(name for _, name in sorted(classify.model.config.id2label.items()))
        length = self.max_length
        return Opened(lambda text: classify(text, truncation=True, max_length=length)[0]["label"], labels)


@dataclass(frozen=True)
class OnnxRuntimeInt8:
    """ONNX Runtime on a dynamically quantized model, the same tokenizer, texts cut at ``max_length`` tokens."""

    model: Path
    folder: Path
    max_length: int
    name: str = "ONNX Runtime, int8 dynamic"

    def size_bytes(self) -> int:
        return self.model.stat().st_size + (self.folder / TOKENIZER).stat().st_size

    def open(self, threads: int) -> Opened:
        import numpy as np
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(str(self.model), options, providers=["CPUExecutionProvider"])
        tokenizer = Tokenizer.from_file(str(self.folder / TOKENIZER))
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.max_length)
        stated = json.loads((self.folder / CONFIG).read_text(encoding="utf-8")).get("id2label")
        labels = tuple((stated or {"0": "LABEL_0", "1": "LABEL_1"}).values())

        def classify(text: str) -> str:
            ids = np.array([tokenizer.encode(text).ids], dtype=np.int64)
            logits = session.run(None, {"ids": ids, "mask": np.ones_like(ids)})[0]
            return labels[int(logits[0].argmax())]

        return Opened(classify, labels)


@dataclass(frozen=True)
class EdgekitBundle:
    """The thin runtime on a bundle, with the engine of that name or else the one that it chooses."""

    bundle: Path
    name: str
    engine: str | None = None

    def size_bytes(self) -> int:
        return self.bundle.stat().st_size

    def open(self, threads: int) -> Opened:
        classify = load(self.bundle, engine=self.engine, threads=threads)
        return Opened(lambda text: classify(text).label, classify.labels)


@dataclass(frozen=True)
class PteProgram:
    """An ExecuTorch program on edgekit's engine, or on ExecuTorch's own binding: ids in, label out, no tokenizer.

    Attributes:
        name: What the tables call it.
        binding: ``edgekit`` or ``official``.
        files: Length in tokens to the program for it; the one under None is for every other length.
        inputs: What is classified: a text, or any other name, to its ids.
        labels: In the order of the logits.
    """

    name: str
    binding: str
    files: Mapping[int | None, Path]
    inputs: Mapping[str, tuple[int, ...]]
    labels: tuple[str, ...]

    def size_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.files.values())

    def open(self, threads: int) -> Opened:
        import numpy as np

        make = {"edgekit": _edgekit_runner, "official": _official_runner}[self.binding]
        runners = {length: make(path, threads) for length, path in self.files.items()}
        ready = {}
        for name, ids in self.inputs.items():
            if runner := runners.get(len(ids), runners.get(None)):
                ready[name] = runner((np.array([ids], dtype=np.int64), np.ones((1, len(ids)), dtype=np.float32)))
        return Opened(lambda name: self.labels[int(ready[name]()[0].argmax())], self.labels)


def _edgekit_runner(path: Path, threads: int) -> Runner:
    import edgekit_executorch

    program = edgekit_executorch.Program(path, threads=threads)
    wanted = len(program.inputs())
    return lambda arrays: lambda: program.run(*arrays[:wanted])[0]


def _official_runner(path: Path, threads: int) -> Runner:
    import torch
    from executorch.extension.pybindings import portable_lib
    from executorch.kernels import quantized  # noqa: F401  registers the kernel of int8 tables

    from edgekit_converters.targets.tools import tools_kept_quiet

    with tools_kept_quiet():  # it logs how it counts processors
        if portable_lib._threadpool_get_thread_count() != threads:  # never under a program that is loaded
            portable_lib._unsafe_reset_threadpool(threads)
    module = portable_lib._load_for_executorch(str(path))
    wanted = module.method_meta("forward").num_inputs()

    def bind(arrays: Sequence[Any]) -> Callable[[], Any]:
        tensors = [torch.from_numpy(array) for array in arrays[:wanted]]
        return lambda: module.forward(tensors)[0].numpy()

    return bind


def bundle_name(bundle: Bundle) -> str:
    """What the tables call a bundle: its scheme and its buckets."""
    main = bundle.manifest.main
    return f"edgekit, {main.programs[0].scheme}, buckets {'/'.join(map(str, main.text.buckets))}"


def make_bundle(model: Path, out: Path, *options: str) -> Path:
    """Runs ``edgekit convert``, with its default settings but for the options.

    Raises:
        RuntimeError: It failed; its message is on stderr.
    """
    made = subprocess.run([*EDGEKIT, "convert", str(model), "--out", str(out), *options], stdout=subprocess.DEVNULL)
    if made.returncode:
        raise RuntimeError(f"edgekit convert {model} failed with exit code {made.returncode}")
    return out


def make_contenders(
    model: Path, bundles: Sequence[Path], work: Path
) -> list[TransformersPipeline | OnnxRuntimeInt8 | EdgekitBundle]:
    """The peers, made from the checkpoint, and edgekit on each bundle.

    Raises:
        EdgekitError: The checkpoint or a bundle cannot be read.
        RuntimeError: The bundles cut texts at different lengths, or two have the same name in the tables.
    """
    opened = [open_bundle(path) for path in bundles]
    names = [bundle_name(bundle) for bundle in opened]
    lengths = {bundle.manifest.main.text.max_length for bundle in opened}
    if len(lengths) != 1:
        raise RuntimeError(f"the bundles cut texts at {sorted(lengths)} tokens; compare bundles of one max length")
    if len(set(names)) != len(names):
        names = [f"{name} ({path.name})" for name, path in zip(names, bundles, strict=True)]
    folder = hugging_face_folder(model, work / "folder")
    (max_length,) = lengths
    return [
        TransformersPipeline(folder, max_length),
        OnnxRuntimeInt8(export_onnx_int8(folder, work), folder, max_length),
        *(EdgekitBundle(path, name) for path, name in zip(bundles, names, strict=True)),
    ]


def hugging_face_folder(model: Path, out: Path) -> Path:
    """The model as the peers need it: as it is if it is a whole Hugging Face folder, else exported to ``out``."""
    if (model / CONFIG).is_file() and (model / TOKENIZER).is_file():
        return model
    return export_folder(model, out)


def export_onnx_int8(folder: Path, work: Path) -> Path:
    """The plain recipe: ``torch.onnx.export`` with dynamic axes, then ``quantize_dynamic`` to int8 weights.

    Of the plain variants this was the best for the peer: eager attention and opset 20 gave the leanest graph, and
    scales per channel, which edgekit has too, cost no time.

    Returns:
        The quantized model; its inputs are ids and mask, (batch, length) int64, its output logits.
    """
    transformers = quiet_transformers()
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic

    class Logits(torch.nn.Module):
        def __init__(self, module: torch.nn.Module) -> None:
            super().__init__()
            self.module = module

        def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.module(input_ids=ids, attention_mask=mask).logits
            return logits

    bert = transformers.BertForSequenceClassification.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    )
    axes = {0: "batch", 1: "length"}
    ones = torch.ones(2, 8, dtype=torch.int64)
    plain, quantized = work / "float32.onnx", work / "int8.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Logits(bert).eval(),
            (ones, ones),
            str(plain),
            dynamo=False,
            opset_version=20,
            input_names=["ids", "mask"],
            output_names=["logits"],
            dynamic_axes={"ids": axes, "mask": axes, "logits": {0: "batch"}},
        )
    quantize_dynamic(plain, quantized, weight_type=QuantType.QInt8, per_channel=True)
    return quantized


def quiet_transformers() -> Any:
    """The transformers module, without its progress bars and without torch's remarks on torchao."""
    logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    return transformers
