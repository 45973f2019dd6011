"""The processes that train one model together: one, unless torchrun or ``accelerate launch`` started several."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import torch

from edgekit_runtime.errors import TrainingError

TIMEOUT_S = 600
"""How long a process waits for the others. One that dies is noticed at once; this is for a machine that falls silent."""


def rank() -> int:
    """Number of this process, from 0."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main() -> bool:
    """Whether this process prints and writes files."""
    return rank() == 0


def barrier() -> None:
    """Waits until every process is here.

    Raises:
        TrainingError: One of them has ended.
    """
    if world_size() > 1:
        with together():
            state().wait_for_everyone()


def agreed(value: Any) -> Any:
    """What the first process has: every process calls this and gets the first one's value.

    Raises:
        TrainingError: One of them has ended.
    """
    if world_size() == 1:
        return value
    from accelerate.utils import broadcast_object_list

    state()
    box = [value]
    with together():
        broadcast_object_list(box)
    return box[0]


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Names what it means when the other processes cannot be reached.

    Raises:
        TrainingError: One of them has ended.
    """
    try:
        yield
    except RuntimeError as error:  # gloo raises no narrower one
        if world_size() == 1 or not (isinstance(error, torch.distributed.DistError) or "gloo" in str(error).lower()):
            raise
        raise TrainingError(
            "another process of this run has ended, so that this one ends too; its own message says why"
        ) from error


def backend() -> str | None:
    """What connects processes that train on processors; None leaves it to accelerate, which takes nccl on GPUs."""
    return "gloo" if world_size() > 1 and not torch.accelerator.is_available() else None


def state() -> Any:
    """Accelerate's ``PartialState``; connects the processes the first time."""
    from accelerate import PartialState

    settings = {"backend": backend(), "timeout": timedelta(seconds=TIMEOUT_S)} if world_size() > 1 else {}
    return PartialState(cpu=not torch.accelerator.is_available(), **settings)
