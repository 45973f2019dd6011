"""Graphs of lengths that were never lowered are those that lowering gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter

from edgekit_converters.networks.bert import Bert, BertConfig
from edgekit_converters.networks.cnn import Cnn, CnnConfig
from edgekit_converters.targets import litert
from edgekit_converters.targets.litert_lengths import UnlikeError, references, with_lengths
from edgekit_converters.targets.litert_shared import content_of, written
from edgekit_converters.targets.tools import running

ROWS, LONGEST, MADE = 50, 40, (6, 11, 30, 40)


@pytest.fixture(scope="module", params=["bert", "cnn"])
def lowered(request: pytest.FixtureRequest) -> tuple[torch.nn.Module, bytes]:
    """A network, and its file with two lengths of those in MADE and one that is not."""
    torch.manual_seed(0)
    if request.param == "bert":
        network = Bert(BertConfig(ROWS, hidden=24, layers=2, heads=3, intermediate=48, positions=LONGEST, classes=2))
    else:
        network = Cnn(CnnConfig(ROWS, 8, (2, 3), (4, 4), 2))
    network.eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.normal_(std=0.3)
    with running("litert-torch"):
        return network, litert._convert_each(network, (11, 21, LONGEST))


def without(model: bytes, length: int) -> bytes:
    """The file without one of its signatures."""
    content = content_of(model)
    content.signatureDefs = [each for each in content.signatureDefs if each.signatureKey != f"length_{length}".encode()]
    content.subgraphs = [content.subgraphs[each.subgraphIndex] for each in content.signatureDefs]
    for index, each in enumerate(content.signatureDefs):
        each.subgraphIndex = index
    return written(content)


def answer(model: bytes, ids: torch.Tensor, mask: torch.Tensor) -> np.ndarray:
    run = Interpreter(model_content=model).get_signature_runner(f"length_{ids.shape[1]}")
    return run(ids=ids.numpy(), mask=mask.numpy())["output_0"]


def test_every_length_answers_as_the_network_and_as_if_it_had_been_lowered(lowered):
    network, each = lowered
    made = with_lengths(without(each, 11), MADE)
    assert list(Interpreter(model_content=made).get_signature_list()) == [f"length_{length}" for length in MADE]
    for length in MADE:
        ids = torch.randint(ROWS, (1, length), dtype=torch.int32)
        mask = (torch.arange(length)[None] < length - 2).float()
        found = answer(made, ids, mask)
        assert np.abs(found - network(ids, mask).numpy()).max() < 1e-5
        if length in (11, LONGEST):
            assert np.array_equal(found, answer(each, ids, mask))


def test_weights_are_stored_once(lowered):
    _, each = lowered
    two = without(each, 11)
    more = with_lengths(two, (5, 6, *range(10, LONGEST + 1, 10)))
    weights = sum(parameter.numel() * 4 for parameter in lowered[0].parameters())
    assert weights < len(two) < len(more) < 2 * weights + 12 * (len(two) - weights)
    names = [tensor.name for graph in content_of(more).subgraphs for tensor in graph.tensors]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("spoil", ["operator", "shape", "constant", "options", "count"])
def test_graphs_that_differ_in_more_than_numbers_are_refused(lowered, spoil):
    content = content_of(without(lowered[1], 11))
    graph = content.subgraphs[0]
    if spoil == "operator":
        graph.operators[3].opcodeIndex += 1
    elif spoil == "shape":
        graph.tensors[0].shape = np.array([1, 20], np.int32)  # 20 to 40 in 19 steps is no whole number a step
    elif spoil == "constant":
        table = next(
            tensor
            for tensor in graph.tensors
            if tensor.type == 0 and content.buffers[tensor.buffer].data is not None and len(tensor.shape) == 2
        )
        content.buffers.append(type(content.buffers[0])())
        content.buffers[-1].data = np.ones_like(content.buffers[table.buffer].data)
        table.buffer = len(content.buffers) - 1
    elif spoil == "options":
        options = next(each.builtinOptions for each in graph.operators if hasattr(each.builtinOptions, "keepNumDims"))
        options.keepNumDims = not options.keepNumDims
    else:
        del graph.operators[-1]
    with pytest.raises(UnlikeError):
        with_lengths(written(content), MADE)


def test_two_lengths_are_lowered_where_more_are_asked_for(monkeypatch):
    assert references((16, 32, 64, 128)) == (65, 128)
    assert references((10, 20, 30)) == (15, 30)
    assert references((16, 128)) is references((100, 120, 128)) is references((1, 2, 3)[:1]) is None

    def converted(network: object, lengths: tuple[int, ...]) -> bytes:
        asked.append(lengths)
        return b""

    def unlike(model: bytes, lengths: tuple[int, ...]) -> bytes:
        raise UnlikeError

    asked: list[tuple[int, ...]] = []
    monkeypatch.setattr(litert, "_convert_each", converted)
    monkeypatch.setattr(litert, "with_lengths", unlike)
    litert._convert(torch.nn.Identity(), (8, 16, 32))
    assert asked == [(17, 32), (8, 16, 32)]
