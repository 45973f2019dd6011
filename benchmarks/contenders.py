"""The contenders: how each is made from one checkpoint, and how each is opened."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Sequence
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
    """The thin runtime on a bundle."""

    bundle: Path
    name: str

    def size_bytes(self) -> int:
        return self.bundle.stat().st_size

    def open(self, threads: int) -> Opened:
        classify = load(self.bundle, threads=threads)
        return Opened(lambda text: classify(text).label, classify.labels)


def bundle_name(bundle: Bundle) -> str:
    """What the tables call a bundle: its scheme and its buckets."""
    main = bundle.manifest.main
    return f"edgekit, {main.programs[0].scheme}, buckets {'/'.join(map(str, main.text.buckets))}"


def make_bundle(model: Path, out: Path, buckets: str | None = None) -> Path:
    """Runs ``edgekit convert``, with its default settings but for the buckets ("16,32,64,128").

    Raises:
        RuntimeError: It failed; its message is on stderr.
    """
    options = [] if buckets is None else ["--buckets", buckets]
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
