"""Small real programs of ExecuTorch for the tests of its engine, exported once a session."""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

LONGEST = 32
WORDS = 50
WIDTH = 128


@dataclass(frozen=True)
class Programs:
    """A folder with the programs, and what the network of the first two answers.

    Attributes:
        folder: float.pte and int8.pte (word ids and a mask of 2 to LONGEST places in; two logits and the hidden states
            out), slow.pte (128 products of matrices up to 512 × 512: about a second), largest.pte (the largest of 6
            to LONGEST numbers but the first four), forms.pte (arguments and results whose memory the caller brings, and
            methods that give a number), turned.pte (an output that is not laid out row by row).
        network: The network itself.
    """

    folder: Path
    network: nn.Module

    def inputs(self, length: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        numbers = np.random.default_rng(length)
        ids = numbers.integers(0, WORDS, (1, length))
        return ids, (numbers.random((1, length)) > 0.2).astype(np.float32)

    def expected(self, length: int) -> list[np.ndarray[Any, Any]]:
        with torch.no_grad():
            return [tensor.numpy() for tensor in self.network(*map(torch.from_numpy, self.inputs(length)))]


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.hidden = nn.Linear(WIDTH, WIDTH)
        self.classes = nn.Linear(WIDTH, 2)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = torch.relu(self.hidden(self.words(ids) * mask.unsqueeze(-1)))
        return self.classes(hidden.mean(1)), hidden


class Products(nn.Module):
    def forward(self, matrix: torch.Tensor) -> torch.Tensor:
        product = matrix
        for _ in range(128):
            product = torch.bmm(product, matrix)
        return product


class Largest(nn.Module):
    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        return numbers[:, 4:].amax(1)


class Sum(nn.Module):
    def forward(self, one: torch.Tensor, other: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return one + other, one


class Turned(nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return (image * 2).contiguous(memory_format=torch.channels_last)


@functools.cache
def export(folder: Path) -> Programs:
    """Writes the programs into a new folder, the first time."""
    folder.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch and ExecuTorch deprecate each other's ways
        return _export(folder)


def _export(folder: Path) -> Programs:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from executorch.exir import ExecutorchBackendConfig, to_edge_transform_and_lower
    from executorch.exir.passes import MemoryPlanningPass
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    torch.manual_seed(0)
    network = Network().eval()
    length = torch.export.Dim("length", min=2, max=LONGEST)
    shapes = ({1: length}, {1: length})
    example = (torch.ones(1, 12, dtype=torch.int64), torch.ones(1, 12))
    exported = torch.export.export(network, example, dynamic_shapes=shapes)
    lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
    (folder / "float.pte").write_bytes(lowered.to_executorch().buffer)

    settings = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=True)
    prepared = prepare_pt2e(exported.module(), XNNPACKQuantizer().set_global(settings))
    prepared(*example)
    exported = torch.export.export(convert_pt2e(prepared), example, dynamic_shapes=shapes)
    lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
    (folder / "int8.pte").write_bytes(lowered.to_executorch().buffer)

    size = torch.export.Dim("size", min=2, max=512)
    exported = torch.export.export(Products(), (torch.eye(8)[None],), dynamic_shapes=({1: size, 2: size},))
    (folder / "slow.pte").write_bytes(to_edge_transform_and_lower(exported).to_executorch().buffer)

    length = torch.export.Dim("length", min=6, max=LONGEST)
    exported = torch.export.export(Largest(), (torch.ones(1, 12),), dynamic_shapes=({1: length},))
    (folder / "largest.pte").write_bytes(to_edge_transform_and_lower(exported).to_executorch().buffer)

    exported = torch.export.export(Sum(), (torch.ones(3), torch.ones(3)))
    constants = {"labels": 7, "margin": 0.5, "cased": True}
    brought = MemoryPlanningPass(alloc_graph_input=False, alloc_graph_output=False)
    lowered = to_edge_transform_and_lower({"forward": exported}, constant_methods=constants)
    program = lowered.to_executorch(ExecutorchBackendConfig(memory_planning_pass=brought))
    (folder / "forms.pte").write_bytes(program.buffer)

    exported = torch.export.export(Turned(), (torch.ones(1, 2, 3, 4),))
    (folder / "turned.pte").write_bytes(to_edge_transform_and_lower(exported).to_executorch().buffer)
    return Programs(folder, network)
