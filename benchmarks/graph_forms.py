"""The LiteRT graph of a BERT, form by form: why ``networks/bert.py`` is written as it is.

Forms that compute the same are candidates; the others leave an operator out, and so tell the most that a better form
of it could gain.

Example:
    python benchmarks/graph_forms.py --model demo-out/model.pt --fill docs/performance.md
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import harness
from edgekit.cli.terminal import Terminal
from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
from edgekit_converters.networks.bert import Bert, EncoderLayer, LayerNorm, SelfAttention
from edgekit_converters.quantspec import QuantSpec
from edgekit_converters.targets.litert import LiteRtTarget
from harness import Block, Ratio, Times, interleave, markdown_table, ratio_of_medians
from machine import Machine, describe_machine

DISTRIBUTIONS = ("edgekit", "ai-edge-litert", "ai-edge-quantizer", "litert-torch", "torch")
MARK = "graph_forms"
BASE = "edgekit's"
PADDED = 3
"""Tokens of padding in the texts by which the forms' logits are compared."""


@dataclass(frozen=True)
class Cell:
    """One form at one length and thread count; ``slower`` is its median over that of edgekit's form."""

    threads: int
    length: int
    median_ms: float
    slower: Ratio


@dataclass(frozen=True)
class Row:
    """One form.

    Attributes:
        form: What it is called.
        difference: Largest difference of a float32 logit from edgekit's form's, on ids drawn at random.
        cells: Its times.
    """

    form: str
    difference: float
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Forms:
    """What the benchmark found."""

    machine: Machine
    rounds: int
    calls: int
    rows: tuple[Row, ...]


class Norm(nn.Module):
    """A layer norm without bias, in one of several forms."""

    def __init__(self, norm: LayerNorm, form: str) -> None:
        super().__init__()
        self.weight, self.eps, self.form = norm.weight, norm.eps, form

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, width) to the same shape."""
        if self.form == "operator":
            return F.layer_norm(x, self.weight.shape, self.weight, None, self.eps)
        if self.form == "none":
            return x * self.weight
        mean = x.mean(dim=-1, keepdim=True)
        squares = (x * x).mean(dim=-1, keepdim=True)
        if self.form == "moments":
            return (x - mean) * torch.rsqrt(squares - mean * mean + self.eps) * self.weight
        return x * torch.rsqrt(squares + self.eps) * self.weight


class Attention(nn.Module):
    """Attention of one text, in one of several forms."""

    def __init__(self, attention: SelfAttention, form: str) -> None:
        super().__init__()
        self.inner, self.form = attention, form
        if form == "three products":
            self.query, self.key, self.value = attention.apart()

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """(1, L, hidden) and (1, 1, L) to (1, L or 1, hidden)."""
        inner = self.inner
        readers = x[:, :1] if inner.first_only else x
        if self.form == "three products":
            query, key, value = self.query(readers), self.key(x), self.value(x)
        elif inner.first_only:
            query, (key, value) = inner.query(readers), inner.key_value(x).chunk(2, dim=-1)
        else:
            query, key, value = inner.query_key_value(x).chunk(3, dim=-1)
        rows = query.shape[1]
        if self.form == "none":
            mixed = value[:, :rows]
        else:
            split = (inner.heads, inner.head_width)
            dims = (1,) if self.form == "4-D" else ()
            query, key, value = (
                each.reshape(*dims, each.shape[1], *split).transpose(-3, -2) for each in (query, key, value)
            )
            scores = torch.matmul(query, key.transpose(-2, -1))
            weights = torch.softmax(scores if self.form == "no mask" else scores + bias, dim=-1)
            mixed = torch.matmul(weights, value).transpose(-3, -2).reshape(1, rows, inner.heads * inner.head_width)
        result: Tensor = inner.output(mixed)
        return result


def _norms(form: str) -> Callable[[Bert], None]:
    def change(network: Bert) -> None:
        network.embedding_norm = Norm(network.embedding_norm, form)  # type: ignore[assignment]
        for layer in _layers(network):
            layer.attention_norm = Norm(layer.attention_norm, form)  # type: ignore[assignment]
            layer.output_norm = Norm(layer.output_norm, form)  # type: ignore[assignment]

    return change


def _attentions(form: str) -> Callable[[Bert], None]:
    def change(network: Bert) -> None:
        for layer in _layers(network):
            layer.attention = Attention(layer.attention, form)  # type: ignore[assignment]

    return change


def _activations(name: str) -> Callable[[Bert], None]:
    def change(network: Bert) -> None:
        for layer in _layers(network):
            layer.activation = name

    return change


def _layers(network: Bert) -> list[EncoderLayer]:
    return [layer for layer in network.layers if isinstance(layer, EncoderLayer)]


FORMS: Mapping[str, Callable[[Bert], None]] = {
    BASE: lambda network: None,
    "the same once more": lambda network: None,
    "layer norm: torch's operator": _norms("operator"),
    "layer norm: mean of the squares less square of the mean": _norms("moments"),
    "layer norm: no mean": _norms("no mean"),
    "layer norm: none": _norms("none"),
    "attention: sliced before the heads are split": _attentions("sliced"),
    "attention: the same in 4-D": _attentions("4-D"),
    "attention: query, key and value by three products": _attentions("three products"),
    "attention: no mask": _attentions("no mask"),
    "attention: none, values alone": _attentions("none"),
    "GELU by tanh": _activations("gelu_new"),
    "ReLU for GELU": _activations("relu"),
}
"""What each form changes in a copy of the network."""


class Signature:
    """A form at one length; a Runner of the harness, whose "texts" are calls."""

    def __init__(self, program: bytes, length: int, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_content=program, num_threads=threads)
        self._run = self._interpreter.get_signature_runner(f"length_{length}")
        ids, mask = _inputs(length, 0)
        self._feed = {"ids": ids.numpy(), "mask": mask.numpy()}

    def run(self, texts: Sequence[str], warmup: Sequence[str]) -> Block:
        for _ in warmup:
            self._timed()
        return Block(tuple(self._timed() for _ in texts), (0,) * len(texts))

    def _timed(self) -> float:
        begin = time.perf_counter_ns()
        self._run(**self._feed)
        return (time.perf_counter_ns() - begin) / 1e6


def main() -> None:
    """Parses, lowers the forms, measures and reports."""
    parser = harness.parser(__doc__.splitlines()[0], MARK)
    parser.add_argument("--model", type=Path, help="BERT checkpoint or Hugging Face folder")
    parser.add_argument("--form", action="append", choices=FORMS, help="only these beside edgekit's; repeatable")
    parser.add_argument("--length", type=int, action="append", help="in tokens; repeatable; default: 16, 32 and 128")
    parser.add_argument("--threads", type=int, action="append", help="repeatable; default: 1 and 2")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--calls", type=int, default=8, help="timed calls of a form in a round")
    arguments = parser.parse_args()
    harness.required(arguments, parser, "model")
    lengths, counts = tuple(arguments.length or (16, 32, 128)), tuple(arguments.threads or (1, 2))
    machine = describe_machine(DISTRIBUTIONS)
    with Terminal() as terminal, harness.workspace(arguments.keep) as work:
        network = read_checkpoint(arguments.model, ReadOptions(), terminal.say).network()
        if not isinstance(network, Bert):
            raise RuntimeError("the forms are those of a BERT, which the model is not")
        made = {form: changed(network, form) for form in dict.fromkeys([BASE, *(arguments.form or FORMS)])}
        programs = {}
        for index, (form, each) in enumerate(made.items()):
            terminal.stage(f"Lowering: {form}")
            programs[form] = LiteRtTarget().lower(each, lengths, QuantSpec("int8"), terminal).data
            (work / f"{index}.tflite").write_bytes(programs[form])
        cells: dict[str, list[Cell]] = {form: [] for form in programs}
        for threads in counts:
            for length in lengths:
                terminal.stage(
                    f"{length} tokens, {threads} threads: {arguments.rounds} rounds of {len(programs)} forms"
                )
                runners = [Signature(program, length, threads) for program in programs.values()]
                options = {"rounds": arguments.rounds, "warmup": 2, "pause_s": 0.0, "progress": terminal.progress}
                found: list[Times] = interleave(runners, ["a call"] * arguments.calls, **options)
                for form, times in zip(programs, found, strict=True):
                    slower = ratio_of_medians(times, found[0])
                    cells[form].append(Cell(threads, length, float(np.median(times)), slower))
    rows = tuple(Row(form, difference(network, each), tuple(cells[form])) for form, each in made.items())
    result = Forms(machine, arguments.rounds, arguments.calls, rows)
    harness.publish(arguments, markdown(result), result)


def changed(network: Bert, form: str) -> Bert:
    """A copy of the network in one of FORMS."""
    made = copy.deepcopy(network)
    FORMS[form](made)
    return made


def difference(network: Bert, other: Bert) -> float:
    """Largest difference of a logit between two forms."""
    length = min(32, network.config.positions)
    inputs = _inputs(length, min(PADDED, length - 1), network.config.vocab_size)
    with torch.no_grad():
        return float((network(*inputs) - other(*inputs)).abs().max())


def _inputs(length: int, padded: int, vocab_size: int = 1000) -> tuple[Tensor, Tensor]:
    """(1, L) ids drawn at random, and their mask."""
    drawn = np.random.default_rng(0).integers(vocab_size, size=(1, length)).astype(np.int32)
    mask = torch.ones(1, length)
    mask[:, length - padded :] = 0
    return torch.from_numpy(drawn), mask


def markdown(result: Forms) -> str:
    """The table for people."""
    cells = result.rows[0].cells
    columns = ["", "logits off", *(f"{each.length} tokens, {_count(each.threads)}" for each in cells)]
    rows = [
        [
            row.form,
            f"{row.difference:.0e}",
            *(f"{each.median_ms:.3f} ms" if row.form == BASE else str(each.slower) for each in row.cells),
        ]
        for row in result.rows
    ]
    said = (
        f"Int8 programs on LiteRT, the engine alone, {result.rounds} rounds of {result.calls} calls: the first row's "
        "medians, and the others' over them. The same once more: by how much two copies of one program differ. Forms "
        "whose logits are off by more than 1e-5 compute something else: they show the most that a better form of that "
        f"part could gain. Ratios: {harness.COMPARED}."
    )
    return "\n\n".join([markdown_table(columns, rows), said, str(result.machine)])


def _count(threads: int) -> str:
    return "1 thread" if threads == 1 else f"{threads} threads"


if __name__ == "__main__":
    harness.run_benchmark(main)
