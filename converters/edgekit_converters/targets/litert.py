"""LiteRT (TFLite): litert-torch lowers, ai-edge-quantizer quantizes the finished flatbuffer.

One signature a length bucket; the signatures share their weights.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from importlib import metadata
from types import FrameType
from typing import Any, ClassVar

import torch
from torch import nn

from edgekit_converters.progress import Listener
from edgekit_converters.quantspec import QuantSpec
from edgekit_converters.targets import Lowered
from edgekit_converters.targets.litert_quantize import quantize
from edgekit_runtime.engines.litert import DISTRIBUTION, SIGNATURE_PREFIX
from edgekit_runtime.errors import LoweringError, OptionError, require
from edgekit_runtime.manifest import Program, TensorSpec

FILE = "model.tflite"
TOOLS = ("litert-torch", "litert-converter", "ai-edge-quantizer", "ai-edge-litert", "torch")
OUTPUT = "output_0"
PURPOSE = "lowering to litert"

REFUSED: dict[tuple[str, str | None], str] = {
    ("int8-static", "bert"): (
        "with all activations in int8 it got 71 % of SST-2 right instead of 89 %, and with only the products in int8 it "
        "was larger than int8, no faster and less right (docs/precisions.md): use --quantize int8"
    ),
}
"""Scheme and architecture to what was measured."""


class LiteRtTarget:
    """Lowers to a .tflite program."""

    name: ClassVar[str] = "litert"
    schemes: ClassVar[tuple[str, ...]] = ("int8", "int8-per-tensor", "int8-static", "int4", "fp16", "none")

    def check(self, quant: QuantSpec, architecture: str | None = None) -> None:
        if quant.scheme not in self.schemes:
            raise OptionError(f"litert cannot do {quant.scheme}; it can do {', '.join(self.schemes)}")
        if reason := REFUSED.get((quant.scheme, architecture)):
            raise OptionError(f"litert does not support {quant.scheme} for {architecture}, because {reason}")
        for tool in TOOLS:
            try:
                metadata.version(tool)
            except metadata.PackageNotFoundError:
                require(tool.replace("-", "_"), extra="convert", purpose=PURPOSE)

    def lower(self, network: nn.Module, buckets: tuple[int, ...], quant: QuantSpec, listener: Listener) -> Lowered:
        classes = int(network(torch.zeros(1, buckets[-1], dtype=torch.int32), torch.ones(1, buckets[-1])).shape[1])
        with _interrupts_deferred(), tools_kept_quiet() as log:
            try:
                data = _convert(network, buckets)
                if quant.scheme != "none":
                    data = quantize(data, network, OUTPUT, quant)
            except Exception as error:  # the tools raise whatever comes up; all of it means the same here
                raise LoweringError(
                    f"litert-torch could not lower the network ({type(error).__name__}: {_first_line(error)}); "
                    "run again with --debug for its own messages"
                ) from _with_log(error, log)
        tools = {tool: metadata.version(tool) for tool in TOOLS}
        program = Program(
            engine=self.name,
            file=FILE,
            scheme=quant.scheme,
            min_engine=f"{DISTRIBUTION} {tools[DISTRIBUTION]}",
            right_on=(DISTRIBUTION,),
            inputs=(TensorSpec("ids", "ids", "int32", (1, "L")), TensorSpec("mask", "mask", "float32", (1, "L"))),
            outputs=(TensorSpec(OUTPUT, "logits", "float32", (1, classes)),),
        )
        return Lowered(program, data, tools)


def _convert(network: nn.Module, buckets: tuple[int, ...]) -> bytes:
    import litert_torch

    converter = litert_torch.Converter()
    for length in buckets:
        sample = {"ids": torch.zeros(1, length, dtype=torch.int32), "mask": torch.ones(1, length)}
        converter.add_signature(f"{SIGNATURE_PREFIX}{length}", network, sample_kwargs=sample)
    content: bytes = converter.convert().model_content()
    return content


@contextlib.contextmanager
def _interrupts_deferred() -> Iterator[None]:
    """Keeps Ctrl-C until the block ends: raised inside the tools' C++ code it aborts the process, or is lost."""
    ordinary = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(ordinary):
        yield
        return
    kept: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda number, frame: kept.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, ordinary)
    if kept:
        ordinary(*kept[0])


@contextlib.contextmanager
def tools_kept_quiet() -> Iterator[Any]:
    """Sends what the tools print, from Python and from C++, to a temporary file, which is given.

    ``sys.stderr`` itself stays: a library that sets up its logging meanwhile would keep a stream that is closed later.
    """
    with tempfile.TemporaryFile() as log, contextlib.ExitStack() as stack:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor in (1, 2):
            saved = os.dup(descriptor)
            stack.callback(os.close, saved)
            stack.callback(os.dup2, saved, descriptor)
            os.dup2(log.fileno(), descriptor)
        printed = stack.enter_context(os.fdopen(os.dup(log.fileno()), "w", buffering=1))
        stack.enter_context(contextlib.redirect_stdout(printed))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        yield log


def _with_log(error: Exception, log: Any) -> Exception:
    """Adds the end of the tools' output to the error, for a traceback."""
    log.seek(0)
    error.add_note(log.read()[-4000:].decode(errors="replace")) if hasattr(error, "add_note") else None
    return error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "no message")[:200]
