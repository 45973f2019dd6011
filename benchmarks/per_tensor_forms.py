"""One scale a tensor, form by form: why ``--quantize int8-per-tensor`` is as it is (docs/tflite-runtime.md).

Example:
    python benchmarks/per_tensor_forms.py --model demo-out/model.pt --data demo-out/dev.csv --fill docs/tflite-runtime.md
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

from torch import nn

import harness
from conversion import DISTRIBUTIONS
from edgekit.cli.terminal import Terminal
from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
from edgekit_converters.data import read_labelled
from edgekit_converters.networks.bert import EncoderLayer
from edgekit_converters.networks.row_scaled import RowScaled
from edgekit_converters.quantspec import QuantSpec
from edgekit_converters.recipe import Recipe
from edgekit_converters.targets.litert import OUTPUT, LiteRtTarget
from edgekit_converters.targets.litert_quantize import quantize
from edgekit_converters.targets.tools import tools_kept_quiet
from edgekit_runtime.text import TextEncoder
from machine import Machine, describe_machine
from static_forms import Row, add_timing, compare, table

MARK = "per_tensor_forms"


@dataclass(frozen=True)
class Forms:
    """What the benchmark found."""

    machine: Machine
    rows: tuple[Row, ...]


def main() -> None:
    """Parses, makes the forms, measures and reports."""
    parser = harness.parser(__doc__.splitlines()[0], MARK)
    for name in ("model", "data"):
        parser.add_argument(f"--{name}", type=Path)
    add_timing(parser)
    arguments = parser.parse_args()
    for name in ("model", "data"):
        harness.required(arguments, parser, name)
    machine = describe_machine(DISTRIBUTIONS)
    with Terminal() as terminal:
        model = read_checkpoint(arguments.model, ReadOptions(), terminal.say)
        encoder = TextEncoder(model.tokenizer.json, Recipe().text_spec(model, terminal))
        data = read_labelled(arguments.data, model.labels)
        network, buckets, target = model.network(), encoder.spec.buckets, LiteRtTarget()
        terminal.stage("Making the forms")

        def lowered(form: nn.Module, scheme: str) -> bytes:
            return target.lower(form, buckets, QuantSpec(scheme), terminal).data

        def one_scale(form: nn.Module) -> bytes:
            floats = lowered(form, "none")
            with tools_kept_quiet():
                return quantize(floats, form, OUTPUT, QuantSpec("int8-per-tensor"))

        programs = {
            "a scale a channel: `int8`": lowered(network, "int8"),
            "a scale a tensor, as the tools make it": one_scale(network),
            "and a factor for each row of the second feed-forward layers": one_scale(with_factors_behind(network)),
            "and a factor for each row of every layer: `int8-per-tensor`": lowered(network, "int8-per-tensor"),
        }
        floats = target.lower(network, buckets, QuantSpec("none"), terminal)
        rows = compare(programs, floats, encoder, data, arguments, terminal)
    result = Forms(machine, rows)
    harness.publish(arguments, markdown(result), result)


def with_factors_behind(network: nn.Module) -> nn.Module:
    """The network with row factors in its second feed-forward layers alone."""
    changed = copy.deepcopy(network)
    for module in changed.modules():
        if isinstance(module, EncoderLayer):
            module.down = RowScaled(module.down)
    return changed


def markdown(result: Forms) -> str:
    """The table for people."""
    return "\n\n".join([table(result.rows, "weights"), f"Times: {harness.COMPARED}.", str(result.machine)])


if __name__ == "__main__":
    harness.run_benchmark(main)
