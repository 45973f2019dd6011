"""Reports: what they show is what was measured, and a page needs nothing but itself."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections import Counter
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from edgekit import report
from edgekit.comparison import Comparison, Row
from edgekit.report import comparison_html, comparison_markdown, profile_html, profile_markdown
from edgekit.report.charts import distribution
from edgekit.report.digits import significant, span, with_span
from edgekit.report.fronts import front, shorten, spread
from edgekit.report.svg import INK, page_style
from edgekit.report.table import one_after_another
from edgekit.report.ticks import LABEL, log_ticks
from edgekit.standing import wilson
from edgekit_runtime import load
from edgekit_runtime.errors import MissingExtraError
from edgekit_runtime.manifest import HistoryStep
from edgekit_runtime.profiling.conditions import Conditions
from edgekit_runtime.profiling.device import Device
from edgekit_runtime.profiling.energy import MODELLED, RAIL, UNAVAILABLE, Energy, Window
from edgekit_runtime.profiling.latency import Latency, Pacing, Round, summarise, time_in_turns
from edgekit_runtime.profiling.operators import OperatorTime, OperatorTimes
from edgekit_runtime.profiling.process import Memory, Startup
from edgekit_runtime.profiling.profile import Profile, Texts
from edgekit_runtime.profiling.stages import Stages
from edgekit_runtime.profiling.sweeps import BatchLatency, BucketLatency, ThreadLatency
from edgekit_runtime.profiling.throughput import Throughput

NO_SENSOR = Energy(
    UNAVAILABLE, "", None, None, "this machine has no power sensor that Linux shows: use --sensor with a meter"
)


def draw_rounds(
    rounds: int, median_ms: float, *, calls: int = 200, roles: tuple[str, ...] = ("main",), seed: int = 0
) -> list[Round]:
    """Times as a machine gives them: four lengths of text, a slow moment now and then, rare outliers."""
    random = np.random.default_rng(seed)
    found = []
    for number in range(rounds):
        kinds = random.choice(4, size=calls, p=(0.2, 0.5, 0.25, 0.05))
        times = median_ms * np.array((0.62, 1.0, 1.85, 3.6))[kinds] * random.lognormal(0, 0.035, calls)
        times *= 1 + 0.04 * np.sin(number) + 0.12 * (number == 7)
        times[random.random(calls) < 0.004] *= random.uniform(2, 9)
        found.append(Round(times, tuple(roles[kind % len(roles)] for kind in kinds)))
    return found


@cache
def latency(median_ms: float, *, rounds: int = 10, seed: int = 1) -> Latency:
    random = np.random.default_rng(seed)
    return summarise([Round(median_ms * random.lognormal(0, 0.04, 40), ("main",) * 40) for _ in range(rounds)])


def some_operators(role: str, engine: str, kinds: int, total_ms: float) -> OperatorTimes:
    names = (
        "FULLY_CONNECTED",
        "BATCH_MATMUL",
        "GELU",
        "SOFTMAX",
        "MEAN",
        "GATHER",
        "TRANSPOSE",
        "ADD",
        "MUL",
        "RESHAPE",
        "CAST",
    )
    shares = 0.55 ** np.arange(1, kinds + 1)
    times = (total_ms * 0.93 * shares / shares.sum()).tolist()
    listed = tuple(OperatorTime(names[index % len(names)], 3 + index, ms) for index, ms in enumerate(times))
    return OperatorTimes(role, engine, 32, 100, total_ms, listed)


def make_profile(*, rounds: int = 20, roles: tuple[str, ...] = ("main",), **changes: Any) -> Profile:
    timed = draw_rounds(rounds, 2.11, roles=roles)
    whole = summarise(timed)
    made = Profile(
        bundle="out/minilm-sst2.edgekit",
        name="minilm-sst2",
        bytes=24_594_432,
        labels=("negative", "positive"),
        date="2026-11-22T15:12:24+00:00",
        edgekit="0.6.0",
        device=Device(
            "Linux 6.1.0 x86_64",
            "AMD EPYC 9B14 96-Core Processor",
            {"avx2": True, "avx_vnni": False, "avx512_vnni": True, "amx_int8": False},
            2,
            2,
            7954,
            5120,
        ),
        conditions=(
            Conditions("performance", 2595.1, 0.12, 48.5, False, (0, 1)),
            Conditions("performance", 2593.0, 1.04, 55.0, False, (0, 1)),
        ),
        engine="litert",
        distribution="ai-edge-litert 2.3.0",
        scheme="int8",
        threads=2,
        texts=Texts("sst2-dev.tsv", 200, 25.0, 66, 0.0),
        pacing=Pacing(20, rounds, 200),
        load_ms=231.4,
        first_ms=3.4,
        startup=Startup(5, True, 18.2, 96.3, 141.8, 71.2, 3.4, 341.5),
        latency_ms=whole,
        samples_ms=tuple(tuple(each.milliseconds.tolist()) for each in timed),
        by_bucket=tuple(
            BucketLatency(tokens, latency(ms)) for tokens, ms in ((16, 1.31), (32, 2.11), (64, 3.94), (128, 7.58))
        ),
        by_threads=(ThreadLatency(1, latency(2.11)), ThreadLatency(2, latency(1.43))),
        by_batch=tuple(BatchLatency(texts, latency(ms)) for texts, ms in ((1, 2.11), (8, 2.02), (32, 1.98))),
        throughput_per_s=824.0,
        by_workers=(Throughput(1, 455.2), Throughput(2, 824.0), Throughput(4, 811.7)),
        stages_ms={"main": Stages(0.041, 0.009, 2.05, 0.018)},
        operators=(some_operators("main", "litert", 11, 2.34),),
        operators_missing="",
        memory_mib=Memory(61.2, 43.9, 123.4, 24.8),
        energy=NO_SENSOR,
        history=(
            HistoryStep(
                "read", {"file": "model.pt", "hidden": 384, "layers": 6, "heads": 12, "head": None}, {"torch": "2.13.0"}
            ),
            HistoryStep(
                "finetune",
                {
                    "epochs": 3,
                    "learning_rate": 3e-5,
                    "augment": {"copies": 4, "mask": 0.1},
                    "buckets": [16, 32, 64, 128],
                },
                {"torch": "2.13.0", "transformers": "5.23.0", "tokenizers": "0.23.3"},
            ),
            HistoryStep(
                "lower", {"target": "litert", "quantize": "int8", "max_drop": 0.01}, {"litert-torch": "0.10.0"}
            ),
        ),
    )
    return dataclasses.replace(made, **changes)


def rail_energy() -> Energy:
    random = np.random.default_rng(3)
    windows = tuple(Window(3.1 + random.normal(0, 0.04), 6.4 + random.normal(0, 0.1), 5.0, 5.0, 2360) for _ in range(6))
    per_text = [window.mj_per_inference for window in windows]
    return Energy(
        RAIL, "ina3221 VDD_CPU_GPU_CV", float(np.median(per_text)), (min(per_text), max(per_text)), "", windows
    )


def make_row(name: str, size: int, accuracy: float, p50: float, *, pareto: bool, **changes: Any) -> Row:
    right = round(872 * accuracy)
    row = Row(
        name, f"out/{name}.edgekit", size, "litert", "int8", right / 872, wilson(right, 872), latency(p50, seed=size),
        Memory(30 + size / 4e5, 40.0, 75 + size / 3e5, 24.0), NO_SENSOR, pareto,
    )  # fmt: skip
    return dataclasses.replace(row, **changes)


def make_comparison(**changes: Any) -> Comparison:
    profile = make_profile()
    rows = (
        make_row("teacher", 24_594_432, 0.893, 2.11, pareto=True),
        make_row("pruned", 19_100_000, 0.871, 1.52, pareto=True),
        make_row("teacher-fp16", 46_300_000, 0.8945, 6.4, pareto=True),
        make_row("teacher-int8-static", 24_600_000, 0.874, 2.4, pareto=False),
        make_row("cnn", 1_060_000, 0.857, 0.078, pareto=True),
        make_row("cascade-cnn-teacher", 25_600_000, 0.892, 0.61, pareto=True),
    )
    made = Comparison(profile.date, profile.device, profile.conditions, "sst2-dev.tsv", 872, 2, profile.pacing, rows)
    return dataclasses.replace(made, **changes)


VOID = ("meta", "br", "hr", "img", "input", "link", "source", "wbr")


class Page(HTMLParser):
    """What a page holds, read as a browser reads it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.words: list[str] = []
        self.styles = ""
        self._open: list[str] = []
        self._title, self._cells = "", [[""]]
        self.feed(text)
        self.close()
        assert self._open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self._title, self._cells = dict(attrs).get("aria-label") or "", []
        elif tag == "tr":
            self._cells.append([])
        elif tag in ("td", "th"):
            self._cells[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if tag == "table":
            rows = [[" ".join(cell.split()) for cell in row] for row in self._cells]
            self.tables[self._title] = [[*filter(None, row)] for row in rows]

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            self.styles += data
        elif "caption" in self._open:
            self._title += data
        elif self._open and {"td", "th"} & set(self._open):
            self._cells[-1][-1] += data
        self.words.append(data)


def charts(page: str) -> dict[str, ElementTree.Element]:
    """The charts of a page by what a screen reader says, each parsed as XML."""
    found = [ElementTree.fromstring(each) for each in re.findall("<svg.*?</svg>", page, re.DOTALL)]
    return {each.attrib["aria-label"]: each for each in found}


def texts_of(chart: ElementTree.Element) -> list[ElementTree.Element]:
    return list(chart.iter("{http://www.w3.org/2000/svg}text"))


def evil(value: Any) -> Any:
    """The same with markup in every text that comes from outside."""
    if isinstance(value, str):
        return f"{value}<script>alert(1)</script>|`*[x](javascript:1)\x00\udcff"
    if isinstance(value, HistoryStep):
        return HistoryStep(
            evil(value.stage), {evil(key): evil(each) for key, each in value.settings.items()}, {"a": evil("b")}
        )
    if isinstance(value, Energy):
        return dataclasses.replace(value, source=evil(value.source), reason=evil(value.reason))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return type(value)(**{each.name: evil(getattr(value, each.name)) for each in dataclasses.fields(value)})
    if isinstance(value, tuple):
        return tuple(map(evil, value))
    return value


CASCADE = {
    "roles": ("student", "main"),
    "stages_ms": {"student": Stages(0.02, 0.005, 0.19, 0.01), "main": Stages(0.04, 0.009, 2.05, 0.018)},
    "operators": (some_operators("student", "litert", 5, 0.2), some_operators("main", "executorch", 14, 2.3)),
    "labels": ("负面", "中性", "正面"),
    "name": "级联模型",
}
UNKNOWN = Conditions(None, None, None, None, None, ())
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "cascade": CASCADE,
    "rail": {"energy": rail_energy()},
    "modelled": {"energy": Energy(MODELLED, "processor time × 4 W", 8.4, None)},
    "undecided": {"energy": Energy(UNAVAILABLE, "BAT0", None, None, "the interval spans zero", rail_energy().windows)},
    "poor": {
        "rounds": 1,
        "operators": (),
        "operators_missing": "the engine does not tell",
        "by_bucket": (BucketLatency(64, latency(2.0, rounds=1)),),
        "conditions": (UNKNOWN, UNKNOWN),
        "memory_mib": Memory(None, None, None, None),
        "history": (),
    },
    "long": {"name": "a_very_long_name_" * 20, "bundle": f"/{'x' * 300}.edgekit"},
}


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    profiles = {name: profile_html(make_profile(**changes)) for name, changes in CASES.items()}
    many = tuple(make_row(f"级联模型-{place}-{'x' * 40}", 10**6, 0.85, 1.0, pareto=False) for place in range(20))
    comparison = make_comparison()
    return profiles | {
        "comparison": comparison_html(comparison),
        "many": comparison_html(make_comparison(rows=many)),
        "alone": comparison_html(make_comparison(rows=comparison.rows[:1])),
        "evil": profile_html(evil(make_profile(stages_ms={}, device=make_profile().device))),
    }


@pytest.mark.parametrize("name", [*CASES, "comparison", "many", "alone", "evil"])
def test_a_page_needs_nothing_but_itself(pages: dict[str, str], name: str) -> None:
    text = pages[name]
    assert len(text.encode()) < 200_000
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "object", "embed", "form", "base", "image"} & set(page.tags)
    for attribute, value in page.attributes:
        assert not attribute.startswith("on") and attribute not in ("src", "srcset", "xlink:href")
        assert attribute != "href" or value.startswith("#")
        assert "url(" not in value or re.fullmatch(r"url\(#[\w-]+\)", value)
    assert "url(" not in page.styles and "@import" not in page.styles

    ids = Counter(value for attribute, value in page.attributes if attribute == "id")
    assert set(ids.values()) <= {1}, "charts do not share ids"
    used = {value.strip("url()#") for key, value in page.attributes if key in ("href", "clip-path")}
    assert used == set(ids)

    drawn = charts(text)
    assert len(drawn) == page.tags["svg"] - (1 if "distribution-420" in text else 0)  # two widths say the same
    for label, chart in drawn.items():
        assert len(label) > 20
        for element in chart.iter():
            assert "#" not in element.get("style", ""), "colours are the page's"
            assert "font-family" not in element.get("style", "")


def test_a_page_shows_what_the_profile_holds(pages: dict[str, str]) -> None:
    profile, tables = make_profile(energy=rail_energy()), Page(pages["rail"]).tables
    latency_ms = profile.latency_ms
    assert tables["Percentiles"][2] == [
        "p50",
        f"{latency_ms.p50:.2f}",
        "{:.2f} – {:.2f}".format(*latency_ms.ci95["p50"]),
    ]
    assert tables["Percentiles"][-1] == ["slowest", f"{latency_ms.max:.1f}", "–"]
    assert [row[0] for row in tables["By length"][1:]] == ["16", "32", "64", "128"]
    low, high = profile.by_bucket[1].latency_ms.ci95["p50"]
    assert tables["By length"][2][1] == f"{profile.by_bucket[1].latency_ms.p50:.2f} ({low:.2f} – {high:.2f})"
    assert tables["Stages"][1:] == [
        ["tokenize", "0.041", "1.9 %"],
        ["pad", "0.009", "0.4 %"],
        ["engine", "2.05", "96.8 %"],
        ["post-process", "0.018", "0.8 %"],
    ]
    assert tables["Cold start"][-1] == ["to the first answer", "342"]
    assert tables["Memory"][1:] == [
        ["own, before the bundle", "24.8"],
        ["own, for the bundle", "36.4"],
        ["pages of files", "43.9"],
        ["peak of both", "123"],
    ]
    assert [row[1] for row in tables["Workers at once"][1:]] == ["455", "824", "812"]
    window = profile.energy.windows[0]
    assert tables["Windows"][1] == [
        "1",
        f"{window.idle_w:.2f}",
        f"{window.load_w:.2f}",
        "2,360",
        f"{window.mj_per_inference:.2f}",
    ]
    assert "measured on a supply rail: ina3221 VDD_CPU_GPU_CV" in pages["rail"]
    assert any(label.startswith("Power in 6 windows") for label in charts(pages["rail"]))


def test_markdown_shows_the_tables_of_the_page(pages: dict[str, str]) -> None:
    markdown = profile_markdown(make_profile(**CASCADE)) + comparison_markdown(make_comparison())
    lines = {line.replace("\\", "") for line in markdown.splitlines()}
    for name in ("cascade", "comparison"):
        for title, rows in Page(pages[name]).tables.items():
            for row in rows if title else []:  # the history is set otherwise on a page
                assert any([*filter(None, map(str.strip, line.split("|")))] == row for line in lines), row


def test_the_long_tail_of_operators_is_one_row(pages: dict[str, str]) -> None:
    student, main = (Page(pages["cascade"]).tables[f"Operators of {role}"] for role in ("student", "main"))
    times = CASCADE["operators"][1].operators
    assert main[9] == [
        "6 others",
        str(sum(each.calls for each in times[8:])),
        f"{sum(each.ms for each in times[8:]):.3f}",
        "0.8 %",
    ]
    assert [row[0] for row in student[1:]] == [each.name for each in CASCADE["operators"][0].operators] + [
        "between them"
    ]
    for rows in (student, main):
        assert sum(float(row[3].split()[0]) for row in rows[1:]) == pytest.approx(100, abs=0.4)


def test_what_is_not_known_is_said(pages: dict[str, str]) -> None:
    poor = Page(pages["poor"])
    said = " ".join(poor.words)
    assert "One round was timed" in said and "the engine does not tell" in said
    assert all(row[2] == "–" for row in poor.tables["Percentiles"][1:])
    assert all(row[1:] == ["–", "–"] for row in poor.tables["Conditions"][1:])
    assert all(row[1] == "–" for row in poor.tables["Memory"][1:])
    assert [label.split()[0] for label in charts(pages["poor"])] == ["Distribution"]
    assert f"Unavailable: {NO_SENSOR.reason}" in said
    assert "modelled, not measured: processor time × 4 W" in pages["modelled"]
    assert "Unavailable: the interval spans zero" in pages["undecided"] and "Power in 6 windows" in pages["undecided"]


def test_a_busy_or_slowed_machine_is_remarked_on() -> None:
    quiet = make_profile()
    assert "<ul" not in profile_html(quiet)
    before, after = quiet.conditions
    busy = dataclasses.replace(before, load_average=1.2)
    slowed = dataclasses.replace(after, throttled=True)
    text = profile_markdown(dataclasses.replace(quiet, conditions=(busy, slowed)))
    assert "busy before it began (load average 1.2)" in text and "slowed by heat" in text


def test_an_outlier_stays_visible() -> None:
    def strokes(samples_ms: tuple[tuple[float, ...], ...]) -> int:
        chart = distribution(make_profile().latency_ms, samples_ms, 620)
        return max(path.count("M ") for path in re.findall(r' d="([^"]*)"', chart))

    assert strokes(((1.0, 1.1), (1.2, 1000.0))) == 4
    assert strokes(((1.0,) * 5000, (1.0, 1000.0))) == 2
    assert strokes(((2.0, 2.0), (2.0, 2.0))) == 1
    assert strokes(((0.0, 2.0),)) == 2  # a clock that did not move


def test_the_same_profile_gives_the_same_page(pages: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib

    monkeypatch.setitem(matplotlib.rcParams, "xtick.major.size", 9)  # as a user's own settings have it
    assert profile_html(make_profile()) == pages["plain"]
    assert comparison_html(make_comparison()) == pages["comparison"]


def test_markup_from_outside_is_text(pages: dict[str, str]) -> None:
    assert "<script" not in pages["evil"] and "&lt;script&gt;alert(1)" in pages["evil"]
    row = make_comparison().rows[0]
    comparison = make_comparison(rows=(evil(row),), data=evil("data"))
    profile = evil(make_profile(stages_ms={}))
    for text in (comparison_html(comparison), comparison_markdown(comparison), profile_markdown(profile)):
        assert "<script" not in text and "\x00" not in text
        assert "[x](" not in text or text.startswith("<!doctype html>")
        text.encode()
    columns = Counter(
        line.replace(r"\|", "").count("|") for line in comparison_markdown(comparison).splitlines() if "◆ |" in line
    )
    assert columns == {11: 1}


def test_real_measurements_give_a_report(bundle: Path) -> None:
    with load(bundle) as classify:
        (timed,) = time_in_turns([classify], ["i love this film", "the room was bad"], seconds=0.05)
    samples = tuple(tuple(each.milliseconds.tolist()) for each in timed.rounds)
    profile = make_profile(latency_ms=timed.latency, samples_ms=samples, pacing=timed.pacing)
    row = Page(profile_html(profile)).tables["Percentiles"][2]
    assert float(row[1]) == pytest.approx(timed.latency.p50, rel=0.01, abs=0.0005), "whole microseconds are shown"
    assert f"{timed.latency.count:,} calls, none left out" in profile_html(profile)


@pytest.mark.parametrize("module", ["jinja2", "matplotlib"])
def test_a_page_without_its_extra_is_a_clear_error(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"^a page needs {module}.*pip install 'edgekit\[report\]'$"):
        profile_html(make_profile())
    with pytest.raises(MissingExtraError, match=module):
        comparison_html(make_comparison())
    assert profile_markdown(make_profile()) and comparison_markdown(make_comparison())


@pytest.mark.parametrize("name", ["comparison", "many", "alone"])
def test_names_in_the_chart_neither_overlap_nor_are_cut(pages: dict[str, str], name: str) -> None:
    for chart in charts(pages[name]).values():
        *_, width, height = map(float, chart.attrib["viewBox"].split())
        names = [each for each in texts_of(chart) if re.match(r"\d+  \S", each.text or "")]
        assert len(names) == {"comparison": 6, "many": 20, "alone": 1}[name]
        assert len({each.attrib["x"] for each in names}) == 1
        places = sorted(float(each.attrib["y"]) for each in names)
        assert all(below - above > 14 for above, below in pairwise(places))
        assert places[0] > 8 and places[-1] < height
        letters = max(sum(1.0 if ord(letter) > 0x2E80 else 0.55 for letter in each.text or "") for each in names)
        assert float(names[0].attrib["x"]) + 11.5 * letters < width + 4


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0783, "0.078"), (2.114, "2.11"), (9.996, "10.0"), (128.4, "128"), (1234.5, "1,234"), (0.0, "0"),
        (0.00042, "0.0004"), (None, "–"), (-2.5, "-2.50"), (0.9999, "1.00"),
    ],
)  # fmt: skip
def test_digits(value: float | None, shown: str) -> None:
    assert significant(value) == shown


def test_intervals_in_words() -> None:
    assert with_span(2.1, {"p50": (2.05, 2.18)}, "p50") == "2.10 (2.05 – 2.18)"
    assert with_span(2.1, {}, "p50") == "2.10" and span(None) == ""


@pytest.mark.parametrize(("low", "high"), [(2.0, 2.3), (0.07, 90.0), (1e-6, 1e5), (1.9, 2.1), (0.9, 44.0)])
def test_logarithmic_ticks_are_few_and_inside(low: float, high: float) -> None:
    for pixels in (200, 600):
        ticks = log_ticks(low, high, pixels)
        assert 2 <= len(ticks) <= pixels / LABEL + 1
        assert ticks == sorted(ticks) and low <= ticks[0] and ticks[-1] <= high


def test_front_and_places() -> None:
    assert front([(2.0, 90.0), (1.0, 80.0), (3.0, 85.0), (1.0, 79.0)]) == [(1.0, 80.0), (2.0, 90.0)]
    assert spread([10, 11, 12, 95], 10, 0, 100) == [10, 20, 30, 95]
    assert spread([90, 95, 99], 10, 0, 100) == [80, 90, 100]
    assert shorten("teacher", 19) == "teacher" and shorten("a" * 10 + "b" * 30, 5) == "aa…bb"
    assert len(shorten("级联模型" * 9, 9)) == 5
    bars = one_after_another((1.0, 2.0, -0.1), 4.0)
    assert [(bar.start, bar.length) for bar in bars] == [(0.0, 0.25), (0.25, 0.5), (0.75, 0.0), (0.0, 1.0)]


@pytest.mark.parametrize(
    "font", ["font: 10px 'DejaVu Sans', 'Arial', sans-serif", "font-size: 10px; font-family: 'DejaVu Sans', 'Arial'"]
)
def test_a_chart_takes_its_colours_and_its_font_from_the_page(font: str) -> None:
    assert (
        page_style(f"{font}; text-anchor: end; fill: {INK}").replace(";;", ";")
        == "font-size:10px;text-anchor:end;fill:var(--ink)"
    )


def test_words_stand_out_from_the_paper() -> None:
    css = (Path(report.__file__).parent / "templates" / "page.css").read_text(encoding="utf-8")
    schemes = [dict(re.findall(r"--(\w+): (#\w+)", block)) for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL)]
    assert len(schemes) == 3, "light, dark and print"
    for colours in schemes:
        for words in ("ink", "muted", "accent", "second"):
            ratio = (luminance(colours[words]) + 0.05) / (luminance(colours["paper"]) + 0.05)
            assert max(ratio, 1 / ratio) >= 4.5, "WCAG 2.2, 1.4.3"


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    shares = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
