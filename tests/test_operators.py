"""Time by operator: the engines' own traces of a small BERT, and what is refused."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import edgekit_executorch
import numpy as np
import pytest

from edgekit_converters.pipeline import Conversion
from edgekit_converters.targets.tools import tools_kept_quiet
from edgekit_runtime.bundle import Bundle, open_bundle
from edgekit_runtime.errors import EdgekitError, EngineError, EngineUnavailableError, OptionError
from edgekit_runtime.filepart import FilePart
from edgekit_runtime.loading import load
from edgekit_runtime.manifest import Program
from edgekit_runtime.profiling.operators import TRACERS, OperatorTimes, executorch, litert, litert_c, measure_operators
from edgekit_runtime.profiling.operators.etdump import HOLDERS, WHOLE, inferences
from edgekit_runtime.profiling.operators.times import Inference, Traced, summarise

LAYERS = 2
RUNS = 30


@pytest.fixture(scope="module")
def bert(bert_on_both: Conversion) -> Bundle:
    return open_bundle(bert_on_both.bundle)


@pytest.fixture(scope="module")
def bundles(bert: Bundle, bert_on_onnx: Conversion) -> dict[str, Bundle]:
    """Engine to a bundle with a program for it, of one BERT."""
    return {"litert": bert, "executorch": bert, "onnx": open_bundle(bert_on_onnx.bundle)}


@pytest.fixture(scope="module")
def measured(bundles: dict[str, Bundle]) -> dict[tuple[str, int], OperatorTimes]:
    """Engine and tokens asked for to what was measured."""
    found = {}
    for engine in TRACERS:
        for tokens in (9, 1000):
            path = bundles[engine].path
            (found[engine, tokens],) = measure_operators(path, engine=engine, threads=1, tokens=tokens, runs=RUNS)
    return found


@pytest.fixture(scope="module")
def dump(bert: Bundle) -> bytes:
    """ExecuTorch's trace of three inferences."""
    part = bert.part(program(bert, "executorch").file)
    with edgekit_executorch.Program(part.path, offset=part.offset, size=part.size, trace=True) as traced:
        for _ in range(3):
            traced.run(np.arange(12).reshape(1, 12))
        return traced.etdump()


def program(bundle: Bundle, engine: str) -> Program:
    return next(each for each in bundle.manifest.main.programs if each.engine == engine)


# What is told


@pytest.mark.parametrize("engine", ["litert", "executorch"])
def test_the_operators_of_a_bert_are_told_by_name_and_add_up(
    measured: dict[tuple[str, int], OperatorTimes], engine: str
) -> None:
    found = measured[engine, 1000]
    assert (found.role, found.engine, found.runs) == ("main", engine, RUNS)
    calls = {each.name: each.calls for each in found.operators}
    assert len(calls) == len(found.operators), "a kind of operator is told once"
    assert not any("#" in name or name in HOLDERS for name in calls)
    (softmax,) = (count for name, count in calls.items() if name.startswith("Softmax"))
    (gelu,) = (count for name, count in calls.items() if name.startswith("GELU"))
    (products,) = (count for name, count in calls.items() if name.startswith("Batch Matrix Multiply"))
    assert (softmax, gelu, products) == (LAYERS, LAYERS, 2 * LAYERS)
    connected = sum(count for name, count in calls.items() if name.startswith("Fully Connected"))
    assert 4 * LAYERS + 2 <= connected <= 6 * LAYERS + 2, "query, key and value may be one; pooler and classifier"
    assert sum("embedding" in name.lower() for name in calls) == 1
    times = [each.ms for each in found.operators]
    assert times == sorted(times, reverse=True)
    assert 0 < sum(times) <= found.total_ms


def test_onnx_runtime_tells_its_own_fused_operators(measured: dict[tuple[str, int], OperatorTimes]) -> None:
    found = measured["onnx", 1000]
    assert (found.role, found.engine, found.runs) == ("main", "onnx", RUNS)
    calls = {each.name: each.calls for each in found.operators}
    assert (calls["Softmax"], calls["BiasGelu"], calls["FusedMatMul"]) == (LAYERS, LAYERS, 2 * LAYERS)
    assert calls["DynamicQuantizeMatMul"] + calls["MatMulIntegerToFloat"] == 6 * LAYERS + 2, "pooler and classifier too"
    times = [each.ms for each in found.operators]
    assert times == sorted(times, reverse=True)
    assert 0 < sum(times) <= found.total_ms


@pytest.mark.parametrize("engine", TRACERS)
def test_longer_inputs_take_longer(measured: dict[tuple[str, int], OperatorTimes], engine: str) -> None:
    short, long = measured[engine, 9], measured[engine, 1000]
    assert short.total_ms < long.total_ms
    assert [(each.name, each.calls) for each in sorted(short.operators, key=lambda operator: operator.name)] == [
        (each.name, each.calls) for each in sorted(long.operators, key=lambda operator: operator.name)
    ]


def test_the_input_is_cut_at_the_max_length_and_fills_its_bucket(
    measured: dict[tuple[str, int], OperatorTimes],
) -> None:
    assert {key: found.tokens for key, found in measured.items()} == {
        ("litert", 9): 16,
        ("litert", 1000): 64,
        ("executorch", 9): 9,
        ("executorch", 1000): 64,
        ("onnx", 9): 9,
        ("onnx", 1000): 64,
    }


@pytest.mark.parametrize("engine", TRACERS)
def test_a_traced_inference_takes_about_as_long_as_the_engines_own(
    bundles: dict[str, Bundle], measured: dict[tuple[str, int], OperatorTimes], engine: str
) -> None:
    with load(bundles[engine].path, engine=engine, threads=1) as classify:
        took = []
        for _ in range(50):
            begin = time.perf_counter()
            classify.logits([2] + [9] * 62 + [3])
            took.append(time.perf_counter() - begin)
    ratio = measured[engine, 1000].total_ms / (1000 * float(np.median(took)))
    assert 0.2 < ratio < 5, "they ran one after the other, on a machine that may be busy"


def test_no_engine_asked_for_is_the_one_that_load_takes(bert: Bundle) -> None:
    (found,) = measure_operators(bert.path, threads=1, tokens=5, runs=1)
    with load(bert.path) as classify:
        assert found.engine == classify.engine.name


def test_the_traces_are_read_as_executorchs_own_inspector_reads_them(dump: bytes, tmp_path: Path) -> None:
    (tmp_path / "runs.etdp").write_bytes(dump)
    with tools_kept_quiet():
        from executorch.devtools import Inspector

        inspector = Inspector(etdump_path=str(tmp_path / "runs.etdp"))
    blocks = [[event for event in block.events if event.perf_data] for block in inspector.event_blocks]
    (events,) = (events for events in blocks if WHOLE in {event.name for event in events})  # another is of the loading
    read = inferences(dump)
    assert len(read) == 3
    (whole,) = (event.perf_data.raw for event in events if event.name == WHOLE)
    assert [each.total_ms for each in read] == pytest.approx(whole)
    theirs = [event for event in events if event.name not in HOLDERS]
    for number, inference in enumerate(read):
        names, times = zip(*inference.calls, strict=True)
        assert list(names) == [event.name.partition(" #")[0].removeprefix("native_call_") for event in theirs]
        assert list(times) == pytest.approx([event.perf_data.raw[number] for event in theirs], abs=1e-9)


# What is refused


def test_numbers_below_one_are_refused(bert: Bundle) -> None:
    for wrong in ({"threads": 0}, {"tokens": 0}, {"runs": 0}):
        with pytest.raises(OptionError, match=f"{next(iter(wrong))} must be 1 or more, not 0"):
            measure_operators(bert.path, **{"threads": 1, "tokens": 8, **wrong})


def test_an_engine_that_does_not_tell_says_so(bert: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(TRACERS, "litert")
    with pytest.raises(
        EngineError, match="litert does not tell its time by operator; another --engine may: executorch"
    ):
        measure_operators(bert.path, engine="litert", threads=1, tokens=8)


TRACER = """
import os, signal
from edgekit_runtime.errors import EngineUnavailableError
def crashes(*arguments):
    os.kill(os.getpid(), signal.SIGSEGV)
def fails(*arguments):
    raise RuntimeError("no such thing")
def refuses(*arguments):
    raise EngineUnavailableError("not here")
"""


@pytest.mark.parametrize(
    ("function", "kind", "said"),
    [
        ("crashes", EngineError, r"litert gave no times by operator.* it crashed \(SIGSEGV\)"),
        ("fails", EngineError, r"it ended with 1 and no answer \(RuntimeError: no such thing\)"),
        ("refuses", EngineUnavailableError, "^not here$"),
    ],
)
def test_what_goes_wrong_in_the_process_is_one_clear_error(
    bert: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, kind: type[EdgekitError], said: str
) -> None:
    (tmp_path / "a_tracer.py").write_text(TRACER)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(TRACERS, "litert", f"a_tracer:{function}")
    with pytest.raises(kind, match=said):
        measure_operators(bert.path, engine="litert", threads=1, tokens=8)


def test_without_edgekit_executorch_the_error_names_it(bert: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "edgekit_executorch", None)
    found = program(bert, "executorch")
    with pytest.raises(EngineUnavailableError, match=r"pip install 'edgekit\[executorch\]'"):
        executorch.trace(found, bert.part(found.file), 1, [2, 3], 1)


def test_a_litert_without_a_function_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(litert_c.FUNCTIONS, "LiteRtNoSuchThing", ())
    with pytest.raises(EngineError, match=r"ai-edge-litert .* does not tell .*LiteRtNoSuchThing"):
        litert_c.Library()


def test_a_program_that_litert_refuses_is_an_error(tmp_path: Path, bert: Bundle) -> None:
    part = FilePart.write(tmp_path / "model.tflite", b"no program at all" * 10)
    with pytest.raises(EngineError, match="LiteRtCreateModelFromBuffer gave status"):
        litert.trace(program(bert, "litert"), part, 1, [2, 3], 1)


def test_a_damaged_trace_is_refused_or_read_but_never_a_crash(dump: bytes) -> None:
    for broken in (b"", b"ED00", dump[:8] + b"ED99" + dump[12:], dump[: len(dump) // 2]):
        with pytest.raises(EngineError, match="trace cannot be read"):
            inferences(broken)
    chance = random.Random(0)
    refused = 0
    for _ in range(100):
        spoilt = bytearray(dump)
        for _ in range(20):
            spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        try:
            inferences(bytes(spoilt))
        except EngineError:
            refused += 1
    assert refused > 20


def test_an_inference_that_was_interrupted_does_not_count() -> None:
    quick, slow = Inference(1.0, (("Add", 0.5), ("Mul", 0.25))), Inference(9.0, (("Add", 0.5), ("Mul", 8.0)))
    found = summarise(Traced(8, (quick, slow, quick)), "main", "litert")
    assert [(each.name, each.ms) for each in found.operators] == [("Add", 0.5), ("Mul", 0.25)]
    assert (found.total_ms, found.runs) == (1.0, 3)


def test_operators_that_do_not_add_up_are_refused() -> None:
    whole = Inference(1.0, (("Add", 0.4), ("Add", 0.5)))
    assert summarise(Traced(8, (whole,)), "main", "litert").operators[0].ms == pytest.approx(0.9)
    for other, said in (
        (Inference(1.0, (("Add", 0.8), ("Add", 0.5))), "does not add up: its operators took 1.300 ms"),
        (Inference(1.0, (("Add", 0.4),)), "or others each time"),
    ):
        with pytest.raises(EngineError, match=said):
            summarise(Traced(8, (whole, other)), "main", "litert")
    with pytest.raises(EngineError, match="names no operators"):
        summarise(Traced(8, (Inference(1.0, ()),)), "main", "litert")
