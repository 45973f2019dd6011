"""ExecuTorch programs: on edgekit's engine without a tokenizer, and by the stock recipe from text to label."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contenders.folder import Folder
from harness import Opened

Runner = Callable[[Sequence[Any]], Callable[[], Any]]
"""Binds a program to arrays, ids and mask, of which it takes what it wants; the call gives (1, classes) logits."""


@dataclass(frozen=True)
class StockExecuTorch:
    """A program of open length on ExecuTorch's own binding, each text in its own length."""

    program: Path
    folder: Folder
    name: str

    def size_bytes(self) -> int:
        return self.folder.size_with(self.program)

    def open(self, threads: int) -> Opened:
        import numpy as np

        bind = official_runner(self.program, threads)
        tokenizer, labels = self.folder.tokenizer(), self.folder.labels

        def classify(text: str) -> str:
            ids = np.array([tokenizer.encode(text).ids], dtype=np.int64)
            logits = bind((ids, np.ones(ids.shape, dtype=np.float32)))()
            return labels[int(logits[0].argmax())]

        return Opened(classify, labels)


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

        make = {"edgekit": edgekit_runner, "official": official_runner}[self.binding]
        runners = {length: make(path, threads) for length, path in self.files.items()}
        ready = {}
        for name, ids in self.inputs.items():
            if runner := runners.get(len(ids), runners.get(None)):
                ready[name] = runner((np.array([ids], dtype=np.int64), np.ones((1, len(ids)), dtype=np.float32)))
        return Opened(lambda name: self.labels[int(ready[name]()[0].argmax())], self.labels)


def edgekit_runner(path: Path, threads: int) -> Runner:
    """A program on edgekit's engine."""
    import edgekit_executorch

    program = edgekit_executorch.Program(path, threads=threads)
    wanted = len(program.inputs())
    return lambda arrays: lambda: program.run(*arrays[:wanted])[0]


def official_runner(path: Path, threads: int) -> Runner:
    """A program on ExecuTorch's own binding, which takes torch's tensors."""
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


def export_stock(checkpoint: Path, longest: int, out: Path) -> Path:
    """The recipe of stock_pte.py on the textbook form of the network, for 2 to ``longest`` tokens.

    Raises:
        LoweringError: ExecuTorch cannot.
    """
    import stock_pte
    from edgekit_converters.checkpoint import ReadOptions, read_checkpoint

    network = read_checkpoint(checkpoint, ReadOptions(), lambda remark: None).network()
    return stock_pte.export_open(stock_pte.textbook(network), longest, out)
