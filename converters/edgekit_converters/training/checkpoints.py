"""The folder of ``--checkpoints``: training goes on from the last whole one in it."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import pickle
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from edgekit_converters.training.curve import Record
from edgekit_converters.training.examples import Rows
from edgekit_converters.training.precision import bf16_wanted
from edgekit_converters.training.processes import world_size
from edgekit_converters.training.settings import TrainSettings
from edgekit_runtime import jsonio
from edgekit_runtime.errors import BundleError, CheckpointError, FileError, OptionError

NAME = re.compile(r"checkpoint-(\d+)")
UNFINISHED = ".unfinished"
NOTES = "edgekit.json"
WEIGHTS = "model.safetensors"
"""As transformers.Trainer names it, and so the optimiser, the schedule and its own state."""

OPTIMIZER, SCHEDULE, STATE = "optimizer.pt", "scheduler.pt", "trainer_state.json"
BEST = "best.safetensors"


@dataclass(frozen=True)
class Purpose:
    """What a run is: two runs with the same one go through the same weights.

    Attributes:
        settings: The settings, and the number of processes.
        data: Checksum of the examples.
        start: Checksum of the initial weights.
    """

    settings: dict[str, Any]
    data: str
    start: str

    def differs(self, other: Purpose) -> str | None:
        """How the other differs, or None."""
        for name in self.settings.keys() | other.settings.keys():
            mine, theirs = self.settings.get(name), other.settings.get(name)
            if mine != theirs:
                return f"{name.replace('_', '-')} {theirs}, not {mine}"
        if self.data != other.data:
            return "other examples"
        return "other initial weights" if self.start != other.start else None


@dataclass(frozen=True)
class Notes:
    """What lies beside the Trainer's files: whose they are, and what happened so far."""

    purpose: Purpose
    record: Record
    files: dict[str, str]


@dataclass(frozen=True)
class Checkpoint:
    """A whole one: its folder, and what happened until then."""

    folder: Path
    record: Record

    def best_weights(self) -> dict[str, Tensor]:
        """The weights after the best epoch so far."""
        name = BEST if (self.folder / BEST).is_file() else WEIGHTS
        return dict(load_file(self.folder / name))


class Checkpoints:
    """The folder with the checkpoints of one run.

    Args:
        folder: Is made where it is missing.

    Raises:
        FileError: It is no folder, or cannot be made or written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = writable_folder(folder)

    def last(self, purpose: Purpose) -> Checkpoint | None:
        """The last whole checkpoint, or None if there is none yet.

        Raises:
            OptionError: The folder holds those of another run.
            CheckpointError: The last one is damaged.
        """
        found = self._steps()
        if not found:
            return None
        folder = self.folder / f"checkpoint-{found[-1]}"
        try:
            notes: Notes = jsonio.decode(Notes, json.loads((folder / NOTES).read_bytes()), str(folder))
        except FileNotFoundError:
            raise OptionError(f"{folder} is of another program: give --checkpoints a folder of its own") from None
        except (OSError, ValueError, RecursionError, BundleError) as error:
            raise self._damaged(folder, str(error)) from error
        if difference := purpose.differs(notes.purpose):
            raise OptionError(
                f"{self.folder} holds the checkpoints of another run ({difference}): give the same command again, "
                "or another --checkpoints"
            )
        for name, checksum in notes.files.items():
            try:
                if Path(name).name != name or file_checksum(folder / name) != checksum:
                    raise self._damaged(folder, f"{name} has another checksum")
            except OSError as error:
                raise self._damaged(folder, f"{name}: {error.strerror}") from error
        return Checkpoint(folder, notes.record)

    def save(
        self,
        step: int,
        purpose: Purpose,
        record: Record,
        weights: Mapping[str, Tensor],
        best: Mapping[str, Tensor] | None,
        states: Mapping[str, Any],
        trainer_state: Mapping[str, Any],
    ) -> None:
        """Writes a checkpoint and removes the earlier ones; half a one is never taken for whole.

        Args:
            step: Steps behind us.
            purpose: Of the run.
            record: What happened so far.
            weights: State dict of the module.
            best: That of the best epoch; None if that is this one.
            states: State dicts of optimiser and schedule by file name.
            trainer_state: Of transformers' Trainer.

        Raises:
            FileError: The disk is full, or cannot be written to; the earlier checkpoint is still there.
        """
        earlier, part = self._steps(), self.folder / UNFINISHED
        try:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            save_file({name: tensor.contiguous() for name, tensor in weights.items()}, part / WEIGHTS)
            if best is not None:
                save_file({name: tensor.contiguous() for name, tensor in best.items()}, part / BEST)
            for name, content in states.items():
                torch.save(content, part / name)
            (part / STATE).write_text(json.dumps(trainer_state), encoding="utf-8")
            files = {path.name: file_checksum(path) for path in sorted(part.iterdir())}
            notes = Notes(purpose, record, files)
            (part / NOTES).write_text(json.dumps(jsonio.encode(notes)), encoding="utf-8")
            for path in part.iterdir():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
            part.rename(self.folder / f"checkpoint-{step}")
        except (OSError, RuntimeError, SafetensorError) as error:  # torch and safetensors say so when a write fails
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            left = f"; that of step {earlier[-1]} is whole, and the same command goes on from it" if earlier else ""
            raise FileError(
                f"cannot write a checkpoint to {self.folder} ({reason}): free some space there{left}"
            ) from error
        finally:
            shutil.rmtree(part, ignore_errors=True)
        for old in earlier:
            if old != step:
                shutil.rmtree(self.folder / f"checkpoint-{old}", ignore_errors=True)

    def _steps(self) -> list[int]:
        """Steps of the whole checkpoints, ascending."""
        try:
            names = [path.name for path in self.folder.iterdir()]
        except OSError as error:
            raise FileError(f"cannot read the folder {self.folder}: {error.strerror}") from error
        return sorted(int(match.group(1)) for name in names if (match := NAME.fullmatch(name)))

    def _damaged(self, folder: Path, reason: str) -> CheckpointError:
        return CheckpointError(f"{folder} is damaged ({reason}): remove {self.folder} and begin anew")


def writable_folder(folder: Path) -> Path:
    """The folder, made where it is missing; asked before long work rather than after it.

    Raises:
        FileError: It is no folder, or cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise FileError(f"{folder} is a file; --checkpoints takes a folder") from None
    except OSError as error:
        raise FileError(f"cannot make the folder {folder}: {error.strerror}; choose another --checkpoints") from error
    if not os.access(folder, os.W_OK):
        raise FileError(f"cannot write to {folder}; choose another --checkpoints")
    return folder


def purpose_of(module: nn.Module, parts: Sequence[Rows], settings: TrainSettings, learning_rate: float) -> Purpose:
    """What a run with these is."""
    said = {**dataclasses.asdict(settings), "learning_rate": learning_rate, "bf16": bf16_wanted(settings)}
    said["processes"] = world_size()
    data, start = hashlib.sha256(), hashlib.sha256()
    for part in parts:
        for array in part.arrays():
            data.update(f"{array.dtype}{array.shape}".encode())
            data.update(array.data)
    for name, tensor in module.state_dict().items():
        start.update(f"{name}{tuple(tensor.shape)}".encode())
        start.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return Purpose(json.loads(json.dumps(said, default=str)), data.hexdigest(), start.hexdigest())


def file_checksum(path: Path) -> str:
    """sha256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def damage_named(folder: str) -> Iterator[None]:
    """Turns what torch says of a file that it cannot or will not read into one clear error."""
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, EOFError, pickle.UnpicklingError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:120]
        raise CheckpointError(
            f"{folder} cannot be read ({reason}): remove {Path(folder).parent} and begin anew"
        ) from error
