"""ONNX Runtime on the plain export of the transformers module, float32 and int8."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

from contenders.folder import Folder, transformers_logits
from edgekit_runtime.engines.onnx import telemetry_off
from harness import Opened


@dataclass(frozen=True)
class OnnxRuntime:
    """ONNX Runtime on a model whose inputs are ids and mask, each text in its own length."""

    model: Path
    folder: Folder
    name: str

    def size_bytes(self) -> int:
        return self.folder.size_with(self.model)

    def open(self, threads: int) -> Opened:
        import numpy as np

        telemetry_off()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(str(self.model), options, providers=["CPUExecutionProvider"])
        tokenizer, labels = self.folder.tokenizer(), self.folder.labels

        def classify(text: str) -> str:
            ids = np.array([tokenizer.encode(text).ids], dtype=np.int64)
            logits = session.run(None, {"ids": ids, "mask": np.ones_like(ids)})[0]
            return labels[int(logits[0].argmax())]

        return Opened(classify, labels)


def export_onnx(folder: Folder, work: Path) -> tuple[Path, Path]:
    """The plain recipe: ``torch.onnx.export`` with dynamic axes, then ``quantize_dynamic`` to int8 weights.

    Of the plain variants this was the best for the peer: eager attention and opset 20 gave the leanest graph, and
    scales per channel, which edgekit has too, cost no time.

    Returns:
        The float32 and the int8 model; their inputs are ids and mask, (batch, length) int64, their output logits.
    """
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic

    axes = {0: "batch", 1: "length"}
    ones = torch.ones(2, 8, dtype=torch.int64)
    plain, quantized = work / "float32.onnx", work / "int8.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            transformers_logits(folder, attention="eager"),
            (ones, ones),
            str(plain),
            dynamo=False,
            opset_version=20,
            input_names=["ids", "mask"],
            output_names=["logits"],
            dynamic_axes={"ids": axes, "mask": axes, "logits": {0: "batch"}},
        )
    quantize_dynamic(plain, quantized, weight_type=QuantType.QInt8, per_channel=True)
    return plain, quantized
