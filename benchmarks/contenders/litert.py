"""LiteRT by the stock recipe: litert-torch and ai-edge-quantizer, one fixed length."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from contenders.folder import Folder, transformers_logits
from edgekit_converters.targets.tools import running
from harness import Opened


@dataclass(frozen=True)
class StockLiteRt:
    """ai-edge-litert on a program of one length; every text is padded to it."""

    program: Path
    folder: Folder
    name: str

    def size_bytes(self) -> int:
        return self.folder.size_with(self.program)

    def open(self, threads: int) -> Opened:
        import numpy as np
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_path=str(self.program), num_threads=threads)
        interpreter.allocate_tensors()
        places = {each["name"].rpartition("_")[2]: each["index"] for each in interpreter.get_input_details()}
        (logits,) = (each["index"] for each in interpreter.get_output_details())
        tokenizer, labels = self.folder.tokenizer(padded=True), self.folder.labels

        def classify(text: str) -> str:
            encoded = tokenizer.encode(text)
            interpreter.set_tensor(places["0"], np.array([encoded.ids], dtype=np.int32))
            interpreter.set_tensor(places["1"], np.array([encoded.attention_mask], dtype=np.int32))
            interpreter.invoke()
            return labels[int(interpreter.get_tensor(logits)[0].argmax())]

        return Opened(classify, labels)


def export_tflite(folder: Folder, work: Path) -> Path:
    """``litert_torch.convert`` on the transformers module as it is, then ai-edge-quantizer's ``dynamic_wi8_afp32``.

    Returns:
        The int8 program; its inputs are ids and mask, (1, max_length) int32, named ``…args_0`` and ``…args_1``.

    Raises:
        LoweringError: One of the two cannot.
    """
    plain, quantized = work / "stock-float32.tflite", work / "stock-int8.tflite"
    network = transformers_logits(folder)
    with running("litert-torch"):
        import litert_torch
        import torch
        from ai_edge_quantizer import quantizer, recipe

        shape = (1, folder.max_length)  # two tensors: one given twice would be taken for a single input
        example = torch.zeros(shape, dtype=torch.int64), torch.ones(shape, dtype=torch.int64)
        litert_torch.convert(network, example).export(str(plain))
        recipes = recipe.dynamic_wi8_afp32()
        quantizer.Quantizer(str(plain), recipes).quantize().export_model(str(quantized), overwrite=True)
    return quantized
