"""A teacher's answers to all texts that its student learns from: computed once, kept on disk, shared by the processes.

A shard is one .npy file of float32 logits, named by a digest of everything that decides what is in it and by one of its
data: a shard that is there and whole is right, whoever wrote it. An interrupted run goes on with the shards that are done,
and texts that come behind others (augmented ones) do not change the shards before them.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgekit_converters.model import TextModel
from edgekit_converters.original import run_batches
from edgekit_converters.training.examples import encode
from edgekit_converters.training.processes import rank, state, together, world_size
from edgekit_runtime import jsonio
from edgekit_runtime.bundle import replacing
from edgekit_runtime.errors import FileError
from edgekit_runtime.progress import Listener

SHARD_TEXTS = 10_000
FORMAT = "edgekit teacher logits 1"


class Teacher:
    """A model that labels texts by its logits.

    Args:
        model: The model.
        max_length: Longest text in tokens; longer ones are cut as on the device.
        bf16: Whether it computes in bfloat16 where that loses little (matrix products), instead of float32.
        cache: Folder that keeps its answers; None keeps none. It is made if it is missing.

    Raises:
        FileError: The folder cannot be made or written to.
    """

    def __init__(self, model: TextModel, *, max_length: int, bf16: bool, cache: Path | None = None) -> None:
        self.model = model
        self.max_length = max_length
        self._bf16 = bf16
        self._cache = None if cache is None else cache_folder(cache)
        self._network = model.network()
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._network.to(self._device)
        self._digest = "" if cache is None else _digest(self._parts())

    def logits(self, texts: Sequence[str], listener: Listener) -> NDArray[np.float32]:
        """Answers texts. Of several processes each computes its share; all of them must call this.

        Args:
            texts: The texts.
            listener: Told of progress.

        Returns:
            (texts, classes) logits, in order.

        Raises:
            FileError: The cache cannot be written; the shards that are in it stay.
        """
        done = [np.empty((0, self.model.config.classes), np.float32)]
        step = SHARD_TEXTS * world_size()
        for first in range(0, len(texts), step):  # the processes meet after each shard, so that none waits long
            begin = first + SHARD_TEXTS * rank()

            def progress(count: int, _: int, first: int = first) -> None:
                listener.progress(min(first + count * world_size(), len(texts)), len(texts))

            done += _gathered(self._shard(texts[begin : begin + SHARD_TEXTS], progress, listener.say))
            listener.progress(min(first + step, len(texts)), len(texts))
        return np.concatenate(done)

    def _shard(
        self, texts: Sequence[str], progress: Callable[[int, int], None], say: Callable[[str], None]
    ) -> NDArray[np.float32]:
        """The logits of some texts, from the cache if they are in it."""
        if not texts:
            return np.empty((0, self.model.config.classes), np.float32)
        if self._cache is None:
            return self._compute(texts, progress)
        key = _digest([self._digest.encode(), *(text.encode("utf-8", "surrogatepass") for text in texts)])
        for path in self._cache.glob(f"{key}-*.npy"):
            kept = _read(path, (len(texts), self.model.config.classes))
            if kept is not None:
                return kept
            say(f"{path} is damaged; what it held is computed again")
            with contextlib.suppress(OSError):
                path.unlink()
        made = self._compute(texts, progress)
        file = io.BytesIO()
        np.save(file, made, allow_pickle=False)
        with replacing(self._cache / f"{key}-{_checksum(file.getvalue())}.npy") as out:
            out.write(file.getvalue())
        return made

    def _compute(self, texts: Sequence[str], progress: Callable[[int, int], None]) -> NDArray[np.float32]:
        ids = encode(texts, self.model, self.max_length)
        return run_batches(
            ids,
            self._run,
            progress,
            pad_id=self.model.tokenizer.special_ids["pad"],
            min_length=self.model.min_length,
        )

    def _run(self, ids: Tensor, mask: Tensor) -> Tensor:
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16):
            logits: Tensor = self._network(ids.to(self._device), mask.to(self._device))
        return logits.cpu()

    def _parts(self) -> Iterable[bytes]:
        """Everything about the teacher that decides its answers."""
        model = self.model
        yield FORMAT.encode()
        yield json.dumps([self.max_length, self._bf16]).encode()
        yield jsonio.to_bytes(model.text_spec(self.max_length, (self.max_length,)))
        yield jsonio.to_bytes(model.config)
        yield model.tokenizer.json
        for name in sorted(model.weights):
            yield name.encode()
            yield model.weights[name].float().contiguous().numpy().tobytes()


def cache_folder(folder: Path) -> Path:
    """The folder, made where it is missing; asked before long work rather than after it.

    Raises:
        FileError: It cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot make the folder {folder}: {error.strerror}; choose another --cache") from error
    if not os.access(folder, os.W_OK):
        raise FileError(f"cannot write to {folder}; choose another --cache")
    return folder


def _gathered(mine: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """What each process has, in their order."""
    if world_size() == 1:
        return [mine]
    from accelerate.utils import gather_object

    state()
    with together():
        found: list[NDArray[np.float32]] = gather_object([mine])
    return found


def _digest(parts: Iterable[bytes]) -> str:
    """The same only for the same parts in the same order."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()[:40]


def _checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _read(path: Path, shape: tuple[int, int]) -> NDArray[np.float32] | None:
    """What a shard holds, or None if it is not as it was written."""
    try:
        data = path.read_bytes()
        if not path.stem.endswith(_checksum(data)):
            return None
        kept = np.load(io.BytesIO(data), allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return kept if kept.shape == shape and kept.dtype == np.float32 else None
