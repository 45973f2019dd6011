"""The roofline as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import markdown_table
from roofline_parts import GROUPS, MOVED, UNTOLD
from roofline_work import DEQUANTIZE, GELU, NORM, QUANTIZE, SOFTMAX

if TYPE_CHECKING:
    from roofline import Roofline

GOALS = {16: 1.5, 128: 2.5}
"""Length to how many times the roofline an engine's time may be."""


def markdown(result: Roofline) -> str:
    """The tables for people."""
    weights = result.work[0].weight_bytes / 1e6
    return "\n\n".join(
        [
            "What a text asks for, counted from the sizes of the network (the last layer computes one row but for its "
            f"keys and values). Other: softmax {SOFTMAX} operations a score, GELU {GELU} a neuron, layer norm {NORM} a "
            f"value, quantizing {QUANTIZE} a value and back {DEQUANTIZE}, sums one; an exponential counts as one. "
            "Megabytes: int8 weights with a scale and a bias an output, and the text's rows of both tables.",
            _work(result),
            "What the machine and the engines reach: the quickest call on one product of 1024 × 1024 × 1024, quantized as "
            "each engine's bundle is (float32 in, int8 inside, float32 out), and the same in float32.",
            _ceilings(result),
            f"Reading {weights:.1f} MB again and again, as the weights of one model are read, text after text: "
            f"{_reading(result, 'weights')}. From memory: {_reading(result, 'memory')}. The first is the limit below, the "
            "sharper one, since the weights stay in the cache from one text to the next; where other work drives "
            "them out, the second holds.",
            _peak(result),
            f"The engine alone at exactly each length, without a tokenizer: median of {result.rounds} rounds of "
            f"{result.calls} calls, all engines in turn, and how many times the roofline that is (of the quickest call, in "
            "brackets). The roofline is the longer of int8 operations ÷ the engine's own int8 rate and bytes ÷ reading; "
            f"{_bound(result)}.",
            _points(result),
            _goals(result),
            *_doubt(result),
            "With attention's products added to the limit, at the engine's float32 rate, since they need the same units "
            "of the core: the median is so many times that.",
            _tighter(result),
            "Where the time goes, with one thread, by the engines' own profilers (tracing on; calls shorter than a "
            "microsecond are told as nothing and show in the last row but one). The last row: the rate of the int8 "
            "products in there, in Gop/s.",
            _parts(result),
            str(result.machine),
        ]
    )


def _work(result: Roofline) -> str:
    return markdown_table(
        ["tokens", "int8 Mop", "attention Mop", "other Mop", "MB", "int8 operations a byte"],
        [
            [
                str(each.length),
                f"{each.int8_ops / 1e6:.0f}",
                f"{each.attention_ops / 1e6:.1f}",
                f"{each.other_ops / 1e6:.1f}",
                f"{each.bytes / 1e6:.2f}",
                f"{each.intensity:.0f}",
            ]
            for each in result.work
        ],
    )


def _ceilings(result: Roofline) -> str:
    return markdown_table(
        ["", "threads", "int8 Gop/s", "float32 Gop/s"],
        [[each.engine, str(each.threads), _giga(each.int8), _giga(each.float32)] for each in result.rates],
    )


def _reading(result: Roofline, kind: str) -> str:
    return ", ".join(f"{getattr(each, kind) / 1e9:.0f} GB/s with {_count(each.threads)}" for each in result.reading)


def _peak(result: Roofline) -> str:
    clock = "unknown" if result.clock_hz is None else f"{result.clock_hz / 1e9:.2f} GHz, by a chain of additions"
    if result.peak is None or result.peak_rate is None:
        return f"The hardware's peak: unknown for this processor. Its clock: {clock}."
    return (
        f"The hardware's peak is {_giga(result.peak_rate)} Gop/s a core: {result.peak.macs_a_cycle} multiply-adds a cycle by "
        f"{result.peak.instruction} ({result.peak.source}), at the measured clock of {clock}. Two threads have twice that "
        "only if the machine's cores are not halves of one."
    )


def _bound(result: Roofline) -> str:
    by_bytes = sorted({each.length for each in result.points if each.by_bytes})
    return f"reading is it at {', '.join(map(str, by_bytes))} tokens" if by_bytes else "reading is it nowhere here"


def _points(result: Roofline) -> str:
    rows = []
    for rate in result.rates:
        mine = [each for each in result.points if (each.engine, each.threads) == (rate.engine, rate.threads)]
        cells = [
            f"{each.median_ms:.3f} ms: {each.ratio:.2f} × ({each.quickest_ms / each.roofline_ms:.2f})" for each in mine
        ]
        rows.append([f"{rate.engine}, {_count(rate.threads)}", *cells])
    return markdown_table(["", *(f"{each.length} tokens" for each in result.work)], rows)


def _goals(result: Roofline) -> str:
    said = []
    for length, goal in GOALS.items():
        at = [each for each in result.points if each.length == length]
        named = {
            word: ", ".join(f"{each.engine} {each.ratio:.2f} × ({_count(each.threads)})" for each in found) or "none"
            for word, found in (
                ("within", [each for each in at if each.ratio <= goal]),
                ("beyond", [each for each in at if each.ratio > goal]),
            )
        }
        said.append(
            f"At {length} tokens, within {goal} × of the roofline: {named['within']}; beyond: {named['beyond']}."
        )
    return " ".join(said)


def _doubt(result: Roofline) -> list[str]:
    """Says so where a call was quicker than its limit: the limit was measured too low."""
    over = sum(each.quickest_ms < each.roofline_ms for each in result.points)
    if not over:
        return []
    return [
        f"At {over} of {len(result.points)} points a call was quicker than its limit: there the ceiling is too low. Either "
        "the machine was busy while the square product ran, or an engine is quicker on the smaller products of a text."
    ]


def _tighter(result: Roofline) -> str:
    rows = []
    for rate in result.rates:
        mine = [each for each in result.points if (each.engine, each.threads) == (rate.engine, rate.threads)]
        rows.append(
            [
                f"{rate.engine}, {_count(rate.threads)}",
                *(f"{each.median_ms / each.with_attention_ms:.2f} ×" for each in mine),
            ]
        )
    return markdown_table(["", *(f"{each.length} tokens" for each in result.work)], rows)


def _parts(result: Roofline) -> str:
    rows = [
        [group, *(f"{each.groups_ms[group] / each.total_ms:.0%}" for each in result.parts)]
        for group in (*GROUPS, MOVED, UNTOLD)
    ]
    rows.append(["int8 products, Gop/s", *(_giga(each.int8_rate) for each in result.parts)])
    return markdown_table(["", *(f"{each.engine}, {each.length}" for each in result.parts)], rows)


def _giga(rate: float) -> str:
    return f"{rate / 1e9:.0f}"


def _count(threads: int) -> str:
    return "1 thread" if threads == 1 else f"{threads} threads"
