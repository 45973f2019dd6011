"""What most people start with: ``transformers.pipeline``, as it is or compiled."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contenders.folder import Folder, quiet_transformers
from harness import Opened


@dataclass(frozen=True)
class TransformersPipeline:
    """``transformers.pipeline("text-classification")`` in float32 on the CPU, texts cut at the folder's ``max_length``."""

    folder: Folder
    name: str = "transformers.pipeline, float32"

    def size_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.folder.path.iterdir() if path.is_file())

    def open(self, threads: int) -> Opened:
        classify = self.pipeline(threads)
        length = self.folder.max_length
        return Opened(lambda text: classify(text, truncation=True, max_length=length)[0]["label"], self.folder.labels)

    def pipeline(self, threads: int) -> Any:
        """The pipeline, with so many threads a call."""
        transformers = quiet_transformers()
        import torch

        torch.set_num_threads(threads)
        return transformers.pipeline(
            "text-classification", model=str(self.folder.path), device="cpu", dtype=torch.float32
        )


@dataclass(frozen=True)
class CompiledPipeline(TransformersPipeline):
    """The same with its network compiled by ``torch.compile(dynamic=True)``, which takes a C++ compiler.

    It compiles while it is opened, on texts of several lengths. Afterwards a call that would compile again fails, so
    that no timed call can hide a compilation.

    Attributes:
        cache: Folder for what is compiled.
        backend: torch's name of what compiles the graphs; ``eager`` runs them as they were traced.
    """

    name: str = "transformers.pipeline, torch.compile"
    cache: Path = field(kw_only=True)
    backend: str = "inductor"

    def open(self, threads: int) -> Opened:
        opened = super().open(threads)
        for words in (1, 8, 32, self.folder.max_length):
            opened.classify("good " * words)
        import torch

        torch.compiler.set_stance("fail_on_recompile")
        return opened

    def pipeline(self, threads: int) -> Any:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(self.cache.absolute())
        classify = super().pipeline(threads)
        import torch

        classify.model.forward = torch.compile(classify.model.forward, dynamic=True, backend=self.backend)
        return classify
