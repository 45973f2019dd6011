"""What a LiteRT file repeats is stored once, and nothing else about it changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edgekit_converters.networks.cnn import Cnn, CnnConfig
from edgekit_converters.quantspec import QuantSpec
from edgekit_converters.targets import litert
from edgekit_converters.targets.litert_shared import BUFFER_ALIGNMENT, with_shared_vectors
from edgekit_runtime.progress import LogListener

ROWS = 500
BUCKETS = (8, 16, 32)


@pytest.fixture(scope="module")
def repeating() -> bytes:
    """A quantized CNN as the tools wrote it."""
    torch.manual_seed(0)
    network = Cnn(CnnConfig(ROWS, 16, (2, 3), (8, 8), 2)).eval().requires_grad_(False)
    kept: list[bytes] = []

    def keep(model: bytes) -> bytes:
        kept.append(model)
        return model

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(litert, "with_shared_vectors", keep)
        litert.LiteRtTarget().lower(network, BUCKETS, QuantSpec("int8"), LogListener())
    return kept[0]


def test_the_tables_scales_are_stored_once(repeating):
    shared = with_shared_vectors(repeating)
    a_graph = ROWS * (4 + 8)  # float32 scale and int64 zero point of each row
    assert len(repeating) - len(shared) > (len(BUCKETS) - 1) * a_graph
    assert tables_places(repeating) == len(BUCKETS)
    assert tables_places(shared) == 1


def test_every_answer_is_the_same_to_the_bit(repeating):
    before, after = (Interpreter(model_content=model) for model in (repeating, with_shared_vectors(repeating)))
    generator = np.random.default_rng(0)
    assert before.get_signature_list() == after.get_signature_list()
    for length in BUCKETS:
        inputs = {
            "ids": generator.integers(0, ROWS, (1, length)).astype(np.int32),
            "mask": (np.arange(length)[None] < length - 3).astype(np.float32),
        }
        first, second = (each.get_signature_runner(f"length_{length}")(**inputs) for each in (before, after))
        assert first.keys() == second.keys()
        assert all(np.array_equal(first[name], second[name]) for name in first)


def test_sharing_again_changes_nothing(repeating):
    shared = with_shared_vectors(repeating)
    assert with_shared_vectors(shared) == shared


def test_constants_are_aligned_as_the_schema_asks(repeating):
    model = schema.Model.GetRootAs(with_shared_vectors(repeating), 0)
    buffers = [model.Buffers(index) for index in range(model.BuffersLength())]
    places = [buffer._tab.Vector(buffer._tab.Offset(4)) for buffer in buffers if buffer.DataLength()]
    assert len(places) > 5
    assert all(place % BUFFER_ALIGNMENT == 0 for place in places)


def tables_places(content: bytes) -> int:
    """In how many places the scales of the word table's rows are stored."""
    model = schema.Model.GetRootAs(content, 0)
    graphs = [model.Subgraphs(index) for index in range(model.SubgraphsLength())]
    found = set()
    for graph in graphs:
        for index in range(graph.TensorsLength()):
            scales = graph.Tensors(index).Quantization()
            if scales is not None and scales.ScaleLength() == ROWS:
                found.add(scales._tab.Vector(scales._tab.Offset(8)))
    return len(found)
