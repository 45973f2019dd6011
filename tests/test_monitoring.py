"""Monitor: every text that is asked for is counted once, whichever way it is asked."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import bundles
from edgekit_converters.combining.fuse import combine_bundles
from edgekit_converters.data import read_labelled
from edgekit_converters.pipeline import convert
from edgekit_runtime import Classifier, load, open_bundle
from edgekit_runtime.errors import BundleError, EngineError, FileError, OptionError
from edgekit_runtime.manifest import Manifest
from edgekit_runtime.monitoring.drift import ALARM_PSI, WARNING_PSI
from edgekit_runtime.monitoring.histogram import LATENCY_MS, Histogram
from edgekit_runtime.monitoring.monitor import Monitor
from edgekit_runtime.monitoring.reference import Reference

ROOT = Path(__file__).parents[1]
TEXTS = ("i love this film", "i hate this room", "电影很好 ☂", "", "a terrible story " * 100)


@pytest.fixture
def classify(bundle: Path) -> Iterator[Classifier]:
    with load(bundle, monitor=True) as opened:
        yield opened


def observed(monitor: Monitor, label: str = "a", score: float = 0.9, milliseconds: float = 1.0) -> None:
    monitor.observe(label, score, milliseconds, tokens=5, pieces=3, unknown=1, cut=False)


def test_each_text_counts_once_whichever_way_it_is_asked(classify: Classifier) -> None:
    answers = [classify(TEXTS[0]), *classify.predict(TEXTS), classify.predict_ids(classify.encoder.ids(TEXTS[1]))]
    classify.explain(TEXTS[0])
    classify.logits(classify.encoder.ids(TEXTS[0]))
    classify.predict([])
    ids = [classify.encoder.ids(text) for text in (TEXTS[0], *TEXTS, TEXTS[1])]
    special = len(classify.encoder.ids(""))
    unknown = sum(each.count(classify.encoder.spec.special_ids["unk"]) for each in ids)
    found = classify.monitor.snapshot()
    assert (found.texts, found.failures) == (7, 0)
    assert {label: each.count for label, each in found.labels.items()} == {
        label: sum(answer.label == label for answer in answers) for label in classify.labels
    }
    assert sum(each.share or 0 for each in found.labels.values()) == pytest.approx(1)
    assert found.confidence.mean == pytest.approx(np.mean([answer.score for answer in answers]))
    assert found.tokens.mean == pytest.approx(np.mean([len(each) for each in ids]))
    assert found.tokens.cut_share == pytest.approx(1 / 7)
    assert found.pieces.count == sum(len(each) - special for each in ids)
    assert unknown > 0 and (found.pieces.unknown, found.pieces.unknown_share) == (unknown, unknown / found.pieces.count)
    assert found.latency_ms.count == 7 and 0 < found.latency_ms.sum < 1000
    assert found.latency_ms.p50 <= found.latency_ms.p95 <= found.latency_ms.p99  # type: ignore[operator]


def test_a_batch_counts_its_own_time_spread_over_its_texts(classify: Classifier) -> None:
    classify.predict(["good"] * 50)
    buckets = [bucket.count for bucket in classify.monitor.snapshot().latency_ms.buckets]
    assert set(buckets) == {0, 50}


def test_golden_texts_do_not_count(classify: Classifier) -> None:
    assert classify.monitor.snapshot().texts == 0


def test_answers_are_the_same_with_and_without(bundle: Path, classify: Classifier) -> None:
    with load(bundle) as bare:
        assert bare.predict(TEXTS) == classify.predict(TEXTS)
        assert [bare(text) for text in TEXTS] == [classify(text) for text in TEXTS]
        with pytest.raises(OptionError, match="monitor=True"):
            bare.monitor  # noqa: B018


def test_failures_count_and_are_raised(bundle: Path) -> None:
    classify = load(bundle, monitor=True)
    classify.close()
    with pytest.raises(EngineError):
        classify("good")
    with pytest.raises(EngineError):
        classify.predict(["good", "bad"])
    with pytest.raises(EngineError):
        classify.predict_ids([2, 3])
    with pytest.raises(TypeError):
        classify(1)  # type: ignore[arg-type]
    found = classify.monitor.snapshot()
    assert (found.texts, found.failures) == (0, 4)


@pytest.fixture(scope="module")
def fused(bundle: Path, labelled_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A cascade and an average of two CNNs."""
    from edgekit_converters.training.finetune import FinetuneSettings, finetune

    folder = tmp_path_factory.mktemp("fused")
    settings = FinetuneSettings(arch="cnn", epochs=12, batch_size=8, held_out=0.2, test=0.0, seed=7)
    finetune(labelled_csv, folder / "other.pt", settings)
    convert(folder / "other.pt", folder / "other.edgekit")
    pair = [folder / "other.edgekit", bundle]
    combine_bundles(pair, folder / "average.edgekit", labelled_csv)
    combine_bundles(pair, folder / "cascade.edgekit", labelled_csv, cascade=True, keep=0.6)
    combine_bundles(pair, folder / "unmeasured.edgekit")
    return {path.stem: path for path in folder.glob("*.edgekit")}


@pytest.mark.parametrize("kind", ["average", "cascade"])
def test_a_text_that_several_models_answer_counts_once(kind: str, fused: dict[str, Path]) -> None:
    with load(fused[kind], monitor=True) as classify, load(fused[kind]) as bare:
        assert [classify(text) for text in TEXTS] == [bare(text) for text in TEXTS]
        assert classify.predict(TEXTS) == bare.predict(TEXTS)
        classify.explain(TEXTS[0])
        found = classify.monitor.snapshot()
        ids = classify.members[0].encoder.ids_of(TEXTS)
        assert found.texts == 2 * len(TEXTS)
        assert found.tokens.sum == 2 * sum(map(len, ids))
        classify.close()
        with pytest.raises(EngineError):
            classify.predict(TEXTS)
        assert classify.monitor.snapshot().failures == len(TEXTS)


@pytest.mark.parametrize("kind", ["average", "cascade", "cnn"])
def test_the_reference_is_what_the_bundle_answers_to_the_labelled_texts(
    kind: str, fused: dict[str, Path], bundle: Path, labelled_csv: Path
) -> None:
    with load(fused.get(kind, bundle), monitor=True) as classify:
        reference = classify.manifest.reference
        texts = read_labelled(labelled_csv, classify.labels).texts
        assert reference is not None and reference.texts == len(texts) == 80
        classify.predict(texts * 3)
        window = classify.monitor.reference_of_window()
        for mine, theirs in ((window.labels, reference.labels), *_counts(window, reference)):
            assert list(mine) == [3 * count for count in theirs]
        drift = classify.monitor.snapshot().drift
        assert drift.level == "none" and drift.psi.keys() == {"labels", "confidence", "tokens", "unknown"}


def _counts(one: Reference, other: Reference) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    assert one.unknown is not None and other.unknown is not None
    for mine, theirs in ((one.confidence, other.confidence), (one.tokens, other.tokens), (one.unknown, other.unknown)):
        assert mine.edges == theirs.edges
        yield mine.counts, theirs.counts


def test_without_labelled_texts_there_is_no_reference(fused: dict[str, Path]) -> None:
    for name in ("other", "unmeasured"):
        assert open_bundle(fused[name]).manifest.reference is None
        with load(fused[name], monitor=True) as classify:
            assert classify.monitor.snapshot().drift.level == "no reference"


def test_a_reference_survives_the_manifest_and_an_older_one_has_none(bundle: Path, tmp_path: Path) -> None:
    manifest = open_bundle(bundle).manifest
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest
    older = bundles.with_manifest(bundle, tmp_path / "older.edgekit", reference=...)
    assert open_bundle(older).manifest.reference is None


@pytest.mark.parametrize(
    "change",
    [
        {"texts": 0},
        {"texts": 79},
        {"texts": 10**30},
        {"labels": [80]},
        {"labels": [81, -1]},
        {"confidence": {"edges": [0.5], "counts": [80]}},
        {"confidence": {"edges": [], "counts": [80]}},
        {"tokens": {"edges": [2.0, 1.0], "counts": [80, 0, 0]}},
        {"tokens": {"edges": [float("nan")], "counts": [80, 0]}},
        {"unknown": {"edges": [float("inf")], "counts": [80, 0]}},
        {"unknown": {"edges": list(range(2000)), "counts": [80] + [0] * 2000}},
        {"confidence": None},
    ],
)
def test_a_reference_that_makes_no_sense_is_refused(change: dict[str, object], bundle: Path, tmp_path: Path) -> None:
    raw = json.loads(open_bundle(bundle).manifest.reference.to_json())  # type: ignore[union-attr]
    broken = bundles.with_manifest(bundle, tmp_path / "broken.edgekit", reference=raw | change)
    with pytest.raises(BundleError, match="reference"):
        open_bundle(broken)


def test_a_reference_of_live_texts_is_kept_as_json(classify: Classifier) -> None:
    with pytest.raises(OptionError, match="200"):
        classify.monitor.reference_of_window()
    classify.predict(["i love this film", "bad"] * 120)
    reference = classify.monitor.reference_of_window()
    assert reference.texts == 240 and Reference.from_json(reference.to_json()) == reference
    for text in ("{", "[]", reference.to_json().replace("240", "241", 1)):
        with pytest.raises(BundleError, match="reference"):
            Reference.from_json(text)


def test_the_snapshot_is_the_json_that_the_page_shows(classify: Classifier) -> None:
    classify.predict(TEXTS)
    found = json.loads(classify.monitor.snapshot().to_json())
    page = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    shown = json.loads(re.search(r"```json\n(.*?)```", page, re.DOTALL)[1])  # type: ignore[index]
    assert _shape(found) == _shape(shown)
    last = found["latency_ms"]["buckets"][-1]
    assert last == {"le": None, "count": 5}
    assert json.dumps(found, allow_nan=False)


def _shape(value: object) -> object:
    """The keys, however deep, but for those of labels and drift, which go by the bundle."""
    if isinstance(value, dict):
        return {key: key in ("labels", "psi", "limits") or _shape(item) for key, item in value.items()}
    return _shape(value[0]) if isinstance(value, list) else None


def test_before_the_first_text_there_are_no_means() -> None:
    found = Monitor(("a", "b")).snapshot()
    assert (found.texts, found.latency_ms.p99, found.latency_ms.mean, found.labels["a"].share) == (0, None, None, None)
    assert (found.pieces.unknown, found.tokens.cut_share, found.drift.level) == (None, None, "no reference")


def test_save_replaces_the_file_as_a_whole(classify: Classifier, tmp_path: Path) -> None:
    classify("good")
    (tmp_path / "snapshot.json").write_text("old" * 10_000)
    classify.monitor.save(tmp_path / "snapshot.json")
    assert json.loads((tmp_path / "snapshot.json").read_text(encoding="utf-8"))["texts"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["snapshot.json"]
    with pytest.raises(FileError):
        classify.monitor.save(tmp_path / "missing" / "snapshot.json")


def test_threads_lose_no_text_and_sums_never_fall() -> None:
    monitor = Monitor(("a", "b"), window=300)
    sums: list[float] = []
    done = threading.Event()

    def work() -> None:
        for _ in range(5000):
            observed(monitor, milliseconds=0.1)
        monitor.failed()

    def look() -> None:
        while not done.is_set():
            found = monitor.snapshot()
            sums.append(found.latency_ms.sum)
            assert found.texts == found.latency_ms.count == found.labels["a"].count

    threads = [threading.Thread(target=work) for _ in range(8)]
    watcher = threading.Thread(target=look)
    watcher.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    watcher.join()
    found = monitor.snapshot()
    assert (found.texts, found.failures, found.pieces.unknown) == (40_000, 8, 40_000)
    assert sums == sorted(sums)


def test_memory_does_not_grow() -> None:
    monitor = Monitor(("a", "b"), window=300)
    for _ in range(10_000):
        observed(monitor)
    assert len(monitor._waiting) < 256 and monitor._ring.shape == (300, 4)
    assert monitor.snapshot().drift.window == 300


def test_one_monitor_for_several_classifiers_of_the_same_labels(bundle: Path) -> None:
    manifest = open_bundle(bundle).manifest
    shared = Monitor(manifest.labels, manifest.reference)
    with load(bundle, monitor=shared) as one, load(bundle, monitor=shared) as other:
        one("good")
        other.predict(["bad", "good"])
        assert one.monitor is other.monitor is shared and shared.snapshot().texts == 3
    with pytest.raises(OptionError, match="labels"):
        load(bundle, monitor=Monitor(("a", "b")))


def test_numbers_that_are_none_leave_the_sums_and_the_json_sound() -> None:
    monitor = Monitor(("a", "b"))
    for value in (float("nan"), float("inf"), float("-inf")):
        for _ in range(200):
            observed(monitor, score=value)
            observed(monitor, milliseconds=value)
    found = monitor.snapshot()
    assert (found.texts, found.confidence.sum) == (1200, pytest.approx(600 * 0.9))
    assert found.latency_ms.sum == pytest.approx(600)
    assert json.loads(found.to_json(), parse_constant=pytest.fail)["texts"] == 1200


def test_what_no_monitor_can_be() -> None:
    for window in (100, True, float("nan"), "many"):
        with pytest.raises(OptionError, match="window"):
            Monitor(("a", "b"), window=window)  # type: ignore[arg-type]
    two = Monitor(("a", "b"))
    for _ in range(200):
        observed(two)
    with pytest.raises(OptionError, match="labels"):
        Monitor(("a", "b", "c"), two.reference_of_window())
    with pytest.raises(OptionError, match="no label 'c'"):
        observed(two, "c")


def test_where_unknown_words_are_dropped_their_share_is_not_known(classify: Classifier) -> None:
    spec = dataclasses.replace(classify.encoder.spec, dropped=99)
    classify.encoder.spec = spec
    reference = classify.manifest.reference
    classify.watch(Monitor(classify.labels, reference))
    classify.predict(["good"] * 250)
    found = classify.monitor.snapshot()
    assert (found.pieces.count, found.pieces.unknown, found.pieces.unknown_share) == (250, None, None)
    assert found.drift.psi["unknown"] is None and found.drift.psi["labels"] is not None
    assert classify.monitor.reference_of_window().unknown is None


@given(st.lists(st.floats(0.011, 9_999), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_is_off_by_no_more_than_a_range(values: list[float], share: float) -> None:
    histogram = Histogram(LATENCY_MS)
    histogram.add(np.array(values))
    exact = sorted(values)[max(0, int(np.ceil(share * len(values))) - 1)]
    assert exact / 1.29 <= histogram.quantile(share) <= exact * 1.29  # type: ignore[operator]


def test_what_lies_beyond_the_ranges_is_counted() -> None:
    histogram = Histogram(LATENCY_MS)
    histogram.add(np.array([60_000.0, 70_000.0, 10_000.0]))
    assert histogram.buckets()[-2:] == (
        type(histogram.buckets()[0])(10_000.0, 1),
        type(histogram.buckets()[0])(None, 3),
    )
    assert histogram.quantile(0.99) == 10_000.0


# What reads the service's metrics

METRICS = {
    "edgekit_texts_total",
    "edgekit_text_failures_total",
    "edgekit_pieces_total",
    "edgekit_unknown_pieces_total",
    "edgekit_drift_psi",
    "edgekit_drift_level",
    "edgekit_requests_total",
    "edgekit_queued",
    "edgekit_running",
    "edgekit_refused_total",
    "edgekit_reloads_total",
    "edgekit_bundle_info",
    "edgekit_ready",
    "process_resident_memory_bytes",
} | {
    f"edgekit_{name}_{part}"
    for name in ("text_seconds", "confidence", "tokens", "request_seconds")
    for part in ("bucket", "sum", "count")
}
"""Every series that the service gives Prometheus and a dashboard may ask for."""

DASHBOARD = ROOT / "docs" / "grafana-edgekit.json"
ALERTS = ROOT / "docs" / "prometheus-alerts.yml"


def asked_for(expression: str) -> set[str]:
    """The metrics in a PromQL expression."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", bare)
    bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", bare)
    names = re.findall(r"[A-Za-z_:][\w:]*(?!\w*\s*\()", re.sub(r"\b[\d.]+(e\d+)?\b", "", bare))
    return set(names) - {"and", "or", "unless", "bool", "offset"}


def test_metrics_are_found_in_promql() -> None:
    expression = (
        'sum by (le, x) (rate(a_total{b=~"c(d)",e="f"}[5m])) / ignoring (g) group_left () i > 2e8 and on (j) k:l'
    )
    assert asked_for(expression) == {"a_total", "i", "k:l"}


def panels() -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return found


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    asked = set()
    for panel in panels():
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        for target in panel["targets"]:  # type: ignore[attr-defined]
            found = asked_for(target["expr"])
            assert found and found <= METRICS, target["expr"]
            asked |= found
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in METRICS}
    assert {re.sub("_(bucket|sum|count)$", "", name) for name in asked} == families, "and shows each of them"
    variables = {each["name"] for each in json.loads(DASHBOARD.read_text(encoding="utf-8"))["templating"]["list"]}
    assert (
        set(re.findall(r"\$\{?(\w+)", DASHBOARD.read_text(encoding="utf-8"))) - {"__rate_interval", "__all"}
        <= variables
    )


def test_the_dashboard_has_ids_and_places_of_their_own() -> None:
    numbers = [panel["id"] for panel in panels()]
    assert len(set(numbers)) == len(numbers) >= 12
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        assert isinstance(place, dict) and place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_dashboard_draws_the_levels_of_drift() -> None:
    (panel,) = (panel for panel in panels() if "PSI" in str(panel["title"]))
    defaults: dict[str, dict[str, object]] = panel["fieldConfig"]["defaults"]  # type: ignore[index]
    assert [step["value"] for step in defaults["thresholds"]["steps"]] == [None, WARNING_PSI, ALARM_PSI]  # type: ignore[attr-defined]
    assert defaults["custom"]["thresholdsStyle"] == {"mode": "line"}


def test_the_alerts_ask_for_metrics_that_there_are() -> None:
    (group,) = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    names = [rule["alert"] for rule in group["rules"]]
    assert len(set(names)) == len(names) >= 8
    for rule in group["rules"]:
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert asked_for(rule["expr"]) and asked_for(rule["expr"]) <= METRICS, rule["expr"]
        assert rule["annotations"]["summary"] and re.fullmatch(r"\d+[mh]", rule.get("for", "1m"))


def test_the_service_gives_every_metric_that_they_ask_for(bundle: Path) -> None:
    pytest.importorskip("edgekit.cli.serve")
    arguments = [str(Path(sys.executable).with_name("edgekit")), "serve", str(bundle), "--port", "0"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            for start in range(0, 256, 64):
                texts = [f"the film was good {number}" for number in range(start, start + 64)]
                body = json.dumps({"texts": texts}).encode()
                headers = {"Content-Type": "application/json"}
                urllib.request.urlopen(urllib.request.Request(f"{url}/v1/predict", body, headers)).close()
            with contextlib.suppress(urllib.error.HTTPError):
                urllib.request.urlopen(urllib.request.Request(f"{url}/predict", b"{", headers)).close()
            with urllib.request.urlopen(f"{url}/metrics") as answer:
                page = answer.read().decode()
        finally:
            process.terminate()
    given = set(re.findall(r"^([A-Za-z_:][\w:]*)[{ ]", page, re.MULTILINE))
    declared = set(re.findall(r"^# TYPE (\S+)", page, re.MULTILINE))
    assert METRICS - given <= {"edgekit_refused_total"} & declared, (
        "what has a label has no line before its first event"
    )
