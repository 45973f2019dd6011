"""Proof that a network was read from an ONNX graph as it is: both answer the same texts, the graph by onnxruntime."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgekit_converters.architectures import Recognised
from edgekit_converters.model import LONGEST
from edgekit_converters.networks.bert import BertConfig, load_bert
from edgekit_converters.networks.cnn import CnnConfig, load_cnn
from edgekit_converters.weights.onnx_float32 import write_float32
from edgekit_converters.weights.onnx_graph import GraphInput, OnnxGraph
from edgekit_runtime.engines.onnx import telemetry_off
from edgekit_runtime.errors import CheckpointError, require
from edgekit_runtime.fresh import NoAnswerError, ask

LENGTHS = (2, 7, 16, 33, 64)
"""Of the texts, in tokens, as far as the network takes them."""

RELATIVE = 1e-3
"""Logits may differ by this share of how far they lie apart from text to text."""

STORED_ROUNDING = 4.0
"""And by this many times the rounding of float16 or bfloat16, in which such a graph has its factors too: attention's, say."""

ROUNDING = 1e-5
"""And by this share of the largest, which is what float32 may lose."""

LIMIT_S = 120.0
MOST_BATCH = 64
WORKING_BYTES = 1 << 30
"""Memory that onnxruntime may take beside four times the weights."""


@dataclass(frozen=True)
class Inputs:
    """What the inputs of a graph are for.

    Attributes:
        ids: The one with the token ids, (B, L).
        mask: The one that is 1 for tokens and 0 for padding, if there is one.
        types: The one with the token types, if there is one.
        positions: The one with the positions, if there is one.
        batch: The one number of texts that the graph takes; None if it takes any.
        length: The one length that it takes, in tokens; None if it takes any.
    """

    ids: GraphInput
    mask: GraphInput | None
    types: GraphInput | None
    positions: GraphInput | None
    batch: int | None
    length: int | None

    @classmethod
    def of(cls, graph: OnnxGraph, ids: str, types: str | None, *, masked: bool) -> Inputs:
        """Gives each input its role.

        Args:
            graph: The graph.
            ids: Name of the input with the token ids.
            types: Name of the one with the token types.
            masked: Whether the network takes a mask.

        Raises:
            CheckpointError: One has no role that is known, or no possible shape.
        """
        by_name = {each.name: each for each in graph.inputs}
        rest = [each for each in graph.inputs if each.name not in (ids, types)]
        positions = next((each for each in rest if masked and "position" in each.name), None)
        rest = [each for each in rest if each is not positions]
        strange = [each.name for each in rest] if not masked or len(rest) > 1 else []
        strange += [each.name for each in graph.inputs if len(each.shape) != 2]
        if strange or ids not in by_name:
            taken = ", ".join(by_name)
            raise CheckpointError(
                f"{graph.path} takes {taken}, where token ids of the form (texts, tokens) are expected, and for a BERT mask and "
                f"token types: {strange[0] if strange else ids} is none of these; export it without it"
            )
        batch, length = ({each.shape[axis] for each in graph.inputs} - {None} for axis in (0, 1))
        if len(batch) > 1 or len(length) > 1 or not all(1 <= (n or 0) <= MOST_BATCH for n in batch):
            raise CheckpointError(f"{graph.path} takes inputs whose shapes do not go together; export it again")
        if not all(1 <= (n or 0) <= LONGEST for n in length):
            raise CheckpointError(f"{graph.path} takes texts of {length.pop()} tokens; 1 to {LONGEST} are supported")
        return cls(
            by_name[ids],
            rest[0] if rest else None,
            by_name[types] if types else None,
            positions,
            next(iter(batch), None),
            next(iter(length), None),
        )


@dataclass(frozen=True)
class Proof:
    """How well the network agrees: the largest difference of a logit, on how many texts, and the largest logit."""

    texts: int
    difference: float
    largest: float


def prove(graph: OnnxGraph, logits: str, inputs: Inputs, found: Recognised) -> Proof:
    """Runs graph and network on the same random tokens, in a process of its own, where the graph may do its worst.

    Args:
        graph: The graph.
        logits: Name of the value that has the logits.
        inputs: What its inputs are for.
        found: The network.

    Raises:
        CheckpointError: onnxruntime does not run the graph, or it answers otherwise than the network.
        MissingExtraError: onnxruntime is not installed.
    """
    telemetry_off()
    require("onnxruntime", extra="convert", purpose="reading ONNX")
    if inputs.length is not None and isinstance(found.config, CnnConfig) and inputs.length < found.config.min_length:
        raise CheckpointError(
            f"{graph.path} takes texts of {inputs.length} tokens, which its widest kernel cannot read"
        )
    rows = _rows(inputs, found)
    calls = [(row, length) for row in rows for length in _lengths(row, rows, inputs)]
    theirs = _run(graph, logits, [_feed(inputs, row, length) for row, length in calls])
    config, weights = found.config, found.weights
    network = load_bert(config, weights) if isinstance(config, BertConfig) else load_cnn(config, weights)
    with torch.inference_mode():
        ours = torch.cat([network(torch.tensor([row]), torch.ones(1, len(row))) for row, _ in calls]).numpy()
    if theirs.shape != ours.shape or not np.isfinite(theirs).all():
        raise CheckpointError(
            f"{graph.path} answers a text with other than {ours.shape[1]} finite numbers; export a classifier of texts that "
            "gives logits"
        )
    difference, largest = float(np.abs(theirs - ours).max()), float(np.abs(theirs).max())
    spread = float(np.ptp(theirs, axis=0).max())
    if difference > (RELATIVE + STORED_ROUNDING * graph.epsilon) * spread + ROUNDING * largest:
        raise CheckpointError(
            f"{graph.path} was recognised, and yet its logits, which reach {largest:.3g}, differ by up to {difference:.3g} from "
            "those of the network read from it: the graph does something that was not recognised; give the checkpoint itself"
        )
    return Proof(len(calls), difference, largest)


def _rows(inputs: Inputs, found: Recognised) -> list[list[int]]:
    """Random token ids of several lengths that both can take unpadded, or padded under a mask."""
    config = found.config
    shortest, longest = (1, config.positions) if isinstance(config, BertConfig) else (config.min_length, LONGEST)
    longest = min(longest, inputs.length or LONGEST)
    if inputs.length is not None and inputs.mask is None:
        lengths = [inputs.length] * len(LENGTHS)
    else:
        lengths = sorted({max(shortest, min(length, longest)) for length in LENGTHS})
    numbers = np.random.default_rng(0)
    return [numbers.integers(0, config.vocab_size, length).tolist() for length in lengths]


def _lengths(row: list[int], rows: list[list[int]], inputs: Inputs) -> Iterator[int]:
    """To how many tokens a text is padded: to none, and where there is a mask, to the longest too."""
    if inputs.length is not None:
        yield inputs.length
        return
    yield len(row)
    if inputs.mask is not None and len(row) < len(rows[-1]):
        yield len(rows[-1])


def _feed(inputs: Inputs, row: list[int], length: int) -> dict[str, Any]:
    """The text in every place of the batch, as lists by the name of the input."""
    padding, batch = [0] * (length - len(row)), inputs.batch or 1
    columns = {
        inputs.ids: row + padding,
        inputs.mask: [1] * len(row) + padding,
        inputs.types: [0] * length,
        inputs.positions: list(range(length)),
    }
    return {
        each.name: {
            "dtype": each.dtype if each.dtype not in ("float16", "float64") else "float32",
            "rows": [column] * batch,
        }
        for each, column in columns.items()
        if each is not None
    }


def _run(graph: OnnxGraph, logits: str, feeds: list[dict[str, Any]]) -> NDArray[np.float32]:
    """(calls, classes) logits by onnxruntime; no classes where their number is not always the same."""
    try:
        with tempfile.TemporaryDirectory(prefix="edgekit-") as folder:
            path, weights_bytes = write_float32(graph, logits, Path(folder))
            options = {"path": str(path), "feeds": feeds, "most_bytes": WORKING_BYTES + 4 * weights_bytes}
            answers = ask("edgekit_converters.weights.onnx_run:run", options, limit_s=LIMIT_S).value
    except NoAnswerError as error:
        raise CheckpointError(f"onnxruntime cannot run {graph.path}: {error}; export it again") from error
    except OSError as error:
        raise CheckpointError(
            f"{graph.path} cannot be tried: {error.strerror}; make room in {tempfile.gettempdir()}"
        ) from error
    if "refused" in answers:
        raise CheckpointError(f"onnxruntime cannot run {graph.path}: {answers['refused']}; export it again")
    widths = {len(each) for each in answers["logits"]}
    return np.asarray(answers["logits"], np.float32) if len(widths) == 1 else np.empty((len(feeds), 0), np.float32)
