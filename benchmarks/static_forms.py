"""Activations in int8, form by form: why ``--quantize int8-static`` is as it is, and what it is refused for.

Example:
    python benchmarks/static_forms.py --model demo-out/model.pt --data demo-out/dev.csv --calibrate demo-out/train.csv
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import harness
from conversion import DISTRIBUTIONS
from edgekit.cli.terminal import Terminal
from edgekit_converters.calibration import choose_samples
from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
from edgekit_converters.data import LabelledText, read_labelled, read_rows
from edgekit_converters.loaded import loaded
from edgekit_converters.quantspec import QuantSpec
from edgekit_converters.recipe import Recipe
from edgekit_converters.targets import Lowered
from edgekit_converters.targets.litert import LiteRtTarget
from edgekit_converters.targets.litert_quantize import quantize_by
from edgekit_converters.targets.tools import tools_kept_quiet
from edgekit_runtime.engines import Engine
from edgekit_runtime.text import TextEncoder
from harness import Block, Ratio, Times, interleave, markdown_table, ratio_of_medians
from machine import Machine, describe_machine


@dataclass(frozen=True)
class Row:
    """One form; ``slower`` is its median time over that of the first row's."""

    form: str
    bytes: int
    accuracy: float
    agreement: float
    median_ms: float
    slower: Ratio


@dataclass(frozen=True)
class Forms:
    """What the benchmark found."""

    machine: Machine
    samples: int
    rows: tuple[Row, ...]


def recipes() -> dict[str, Any]:
    """The forms, as recipes of ai-edge-quantizer."""
    from ai_edge_quantizer import algorithm_manager, qtyping, recipe_manager

    operator = qtyping.TFLOperationName
    products = (operator.FULLY_CONNECTED, operator.CONV_2D)
    made = {}
    for form in ("int8, ranges at run time", "all in int8", "only products in int8", "the same without Linear_down"):
        recipe = made[form] = recipe_manager.RecipeManager()
        if form == "all in int8":
            recipe.add_static_config(".*", operator.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8)
            for border in (
                operator.INPUT,
                operator.OUTPUT,
            ):  # ids and mask come, and logits go, as they do in all forms
                recipe.add_quantization_config(".*", border, algorithm_key=algorithm_manager.AlgorithmName.NO_QUANTIZE)
            recipe.add_dynamic_config(".*", operator.EMBEDDING_LOOKUP, num_bits=8)
            continue
        recipe.add_dynamic_config(".*", operator.ALL_SUPPORTED, num_bits=8)
        for product in products if "only" in form or "same" in form else ():
            recipe.add_static_config(".*", product, activation_num_bits=8, weight_num_bits=8)
        if "without" in form:
            recipe.add_dynamic_config("Linear_down", operator.FULLY_CONNECTED, num_bits=8)
    return made


class InProcess:
    """A program and its encoder; a Runner of the harness."""

    def __init__(self, engine: Engine, encoder: TextEncoder) -> None:
        self._engine = engine
        self._encoder = encoder

    def run(self, texts: Sequence[str], warmup: Sequence[str]) -> Block:
        for text in warmup:
            self._timed(text)
        milliseconds, classes = zip(*map(self._timed, texts), strict=True)
        return Block(milliseconds, classes)

    def _timed(self, text: str) -> tuple[float, int]:
        begin = time.perf_counter_ns()
        ids, mask = self._encoder.pad(self._encoder.ids(text), self._engine.lengths)
        answer = int(self._engine.run(ids, mask).argmax())
        return (time.perf_counter_ns() - begin) / 1e6, answer


def main() -> None:
    """Parses, quantizes, measures and reports."""
    parser = harness.parser(__doc__.splitlines()[0])
    for name in ("model", "data", "calibrate"):
        parser.add_argument(f"--{name}", type=Path)
    add_timing(parser)
    arguments = parser.parse_args()
    for name in ("model", "data", "calibrate"):
        harness.required(arguments, parser, name)
    machine = describe_machine(DISTRIBUTIONS)
    with Terminal() as terminal:
        model = read_checkpoint(arguments.model, ReadOptions(), terminal.say)
        encoder = TextEncoder(model.tokenizer.json, Recipe().text_spec(model, terminal))
        data = read_labelled(arguments.data, model.labels)
        texts = [row.text for row in read_rows(arguments.calibrate, labels=model.labels)]
        samples = choose_samples(encoder, texts)
        terminal.stage(f"Lowering, and calibrating on {len(samples)} texts")
        lowered = LiteRtTarget().lower(model.network(), encoder.spec.buckets, QuantSpec("none"), terminal)
        with tools_kept_quiet():
            programs = {form: quantize_by(recipe, lowered.data, samples) for form, recipe in recipes().items()}
        rows = compare(programs, lowered, encoder, data, arguments, terminal)
    result = Forms(machine, len(samples), rows)
    harness.publish(arguments, markdown(result), result)


def add_timing(parser: argparse.ArgumentParser) -> None:
    """The options of :func:`compare`."""
    parser.add_argument("--texts", type=int, default=200, help="time this many of the first texts, with one thread")
    parser.add_argument("--rounds", type=int, default=10)


def compare(
    programs: Mapping[str, bytes],
    lowered: Lowered,
    encoder: TextEncoder,
    data: LabelledText,
    arguments: argparse.Namespace,
    terminal: Terminal,
) -> tuple[Row, ...]:
    """Runs LiteRT programs in turn, one thread.

    Args:
        programs: Form to program.
        lowered: The float32 program, whose labels they should give.
        encoder: Makes their ids.
        data: Labelled texts.
        arguments: Of :func:`add_timing`.
        terminal: Told of progress.
    """
    with contextlib.ExitStack() as engines:
        runners = {
            form: InProcess(engines.enter_context(loaded(lowered.program, program, 1)), encoder)
            for form, program in programs.items()
        }
        with loaded(lowered.program, lowered.data, 1) as engine:
            expected = InProcess(engine, encoder).run(data.texts, ()).classes
        terminal.stage(f"{arguments.rounds} rounds of {len(runners)} blocks")
        timed = data.texts[: arguments.texts]
        options = {"rounds": arguments.rounds, "warmup": 8, "pause_s": 0.1, "progress": terminal.progress}
        times: list[Times] = interleave(list(runners.values()), timed, **options)
        rows = []
        for (form, runner), found in zip(runners.items(), times, strict=True):
            answers = runner.run(data.texts, ()).classes
            rows.append(
                Row(
                    form=form,
                    bytes=len(programs[form]),
                    accuracy=float(np.mean(np.equal(answers, data.labels))),
                    agreement=float(np.mean(np.equal(answers, expected))),
                    median_ms=float(np.median(found)),
                    slower=ratio_of_medians(found, times[0]),
                )
            )
    return tuple(rows)


def markdown(result: Forms) -> str:
    """The table for people."""
    said = f"Ranges from {result.samples} texts. Times: {harness.COMPARED}."
    return "\n\n".join([said, table(result.rows, "activations"), str(result.machine)])


def table(rows: Sequence[Row], varied: str) -> str:
    """The forms in a table; ``varied`` says in which they differ."""
    return markdown_table(
        [varied, "program MB", "accuracy", "agreement", "ms, 1 thread", "÷ the first"],
        [
            [
                row.form,
                f"{row.bytes / 1e6:.2f}",
                f"{row.accuracy:.2%}",
                f"{row.agreement:.2%}",
                f"{row.median_ms:.3f}",
                str(row.slower),
            ]
            for row in rows
        ],
    )


if __name__ == "__main__":
    harness.run_benchmark(main)
