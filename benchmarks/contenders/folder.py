"""The model as the peers need it: a Hugging Face folder."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from export_folder import export_folder

CONFIG, TOKENIZER = "config.json", "tokenizer.json"


@dataclass(frozen=True)
class Folder:
    """A Hugging Face folder, and where texts are cut.

    Attributes:
        path: The folder; it has its own tokenizer.json.
        max_length: Tokens, the special ones included.
    """

    path: Path
    max_length: int

    @property
    def labels(self) -> tuple[str, ...]:
        """In the order of the classes."""
        stated = self._config().get("id2label") or {"0": "LABEL_0", "1": "LABEL_1"}
        return tuple(stated[key] for key in sorted(stated, key=int))

    def tokenizer(self, *, padded: bool = False) -> Tokenizer:
        """The tokenizer, which cuts at ``max_length`` and, if asked to, pads to it."""
        tokenizer = Tokenizer.from_file(str(self.path / TOKENIZER))
        tokenizer.enable_truncation(self.max_length)
        if padded:
            tokenizer.enable_padding(length=self.max_length, pad_id=self._config().get("pad_token_id") or 0)
        else:
            tokenizer.no_padding()
        return tokenizer

    def size_with(self, program: Path) -> int:
        """Bytes of a program and of the tokenizer that it needs."""
        return program.stat().st_size + (self.path / TOKENIZER).stat().st_size

    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = json.loads((self.path / CONFIG).read_text(encoding="utf-8"))
        return config


def hugging_face_folder(model: Path, out: Path) -> Path:
    """The model as it is if it is a whole Hugging Face folder, else exported to ``out``."""
    if (model / CONFIG).is_file() and (model / TOKENIZER).is_file():
        return model
    quiet_transformers()
    return export_folder(model, out)


def quiet_transformers() -> Any:
    """The transformers module, without its progress bars and without torch's remarks on torchao."""
    logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    return transformers


def transformers_logits(folder: Folder, *, attention: str | None = None) -> Any:
    """The folder's model in float32 as an ``nn.Module`` from ids and mask, (B, L) int64, to (B, classes) logits.

    Args:
        folder: The model.
        attention: transformers' name of how attention is computed; None takes its default.
    """
    transformers = quiet_transformers()
    import torch

    class Logits(torch.nn.Module):
        def __init__(self, module: torch.nn.Module) -> None:
            super().__init__()
            self.module = module

        def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.module(input_ids=ids, attention_mask=mask).logits
            return logits

    asked = {} if attention is None else {"attn_implementation": attention}
    kind = transformers.AutoModelForSequenceClassification
    return Logits(kind.from_pretrained(folder.path, dtype=torch.float32, **asked)).eval()
