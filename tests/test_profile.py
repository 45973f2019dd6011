"""What a bundle costs on this device, measured for real on small models."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import edgekit_runtime as ek
from edgekit.cli.reports import Reports
from edgekit_converters.pipeline import Conversion
from edgekit_runtime.errors import EngineError, FileError, OptionError
from edgekit_runtime.fresh import NoAnswerError, ask
from edgekit_runtime.profiling.conditions import read_conditions
from edgekit_runtime.profiling.measure import profile_bundle
from edgekit_runtime.profiling.process import measure_process
from edgekit_runtime.profiling.stages import measure_stages
from edgekit_runtime.profiling.sweeps import beginning, by_batch, by_bucket, by_threads, by_workers, doublings
from edgekit_runtime.profiling.throughput import measure_throughput

TEXTS = ("the film was good", "what a terrible phone it was in the end", "电影很好")


def write_tree(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="utf-8")
    return root


def test_conditions_are_read_where_the_system_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 2})
    cpu = "sys/devices/system/cpu/cpu{}/cpufreq/{}"
    root = write_tree(
        tmp_path,
        {
            cpu.format(0, "scaling_governor"): "schedutil\n",
            cpu.format(0, "scaling_cur_freq"): "1000000\n",
            cpu.format(1, "scaling_governor"): "performance\n",
            cpu.format(2, "scaling_governor"): "powersave\n",
            cpu.format(2, "scaling_cur_freq"): "2000000\n",
            "sys/class/thermal/thermal_zone0/temp": "41500\n",
            "sys/class/thermal/thermal_zone1/temp": "67250\n",
            "sys/class/thermal/thermal_zone2/temp": "asleep\n",
            "sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n",
            "proc/loadavg": "0.42 0.30 0.20 1/200 4242\n",
        },
    )
    found = read_conditions(root)
    assert found.governor == "powersave, schedutil", "the second processor is not ours"
    assert (found.frequency_mhz, found.load_average, found.temperature_c) == (1500.0, 0.42, 67.25)
    assert found.throttled is True and found.affinity == (0, 2)


def test_what_a_system_does_not_tell_is_not_invented(tmp_path: Path) -> None:
    found = read_conditions(tmp_path)
    assert (found.governor, found.frequency_mhz, found.temperature_c, found.throttled) == (None,) * 4
    assert found.load_average is None
    past = write_tree(tmp_path, {"sys/devices/platform/soc/soc:firmware/get_throttled": "50000\n"})
    assert read_conditions(past).throttled is False, "it was throttled once, and is no more"


def test_a_fresh_process_tells_its_start_and_its_memory(cnn_conversion: Conversion) -> None:
    process = measure_process(cnn_conversion.bundle, threads=1, text=TEXTS[0], runs=2)
    start, memory = process.startup, process.memory
    parts = (start.python, start.imports, start.load, start.check, start.first)
    assert all(part > 0 for part in parts) and start.runs == 2
    assert 0.8 * start.total < sum(parts) < 1.2 * start.total, "the parts make the whole"
    assert memory.before_anon is not None and memory.rss_anon is not None and memory.peak_rss is not None
    assert 5 < memory.before_anon < memory.rss_anon < memory.peak_rss < 500


def test_the_text_is_of_any_length_and_not_among_the_arguments(cnn_conversion: Conversion) -> None:
    assert measure_process(cnn_conversion.bundle, threads=1, text="好" * 200_000, runs=1).startup.first > 0


def test_a_fresh_process_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="there is no file"):
        measure_process(tmp_path / "missing.edgekit", runs=1)
    with pytest.raises(NoAnswerError, match=r"it crashed \(SIGABRT\)"):
        ask("os:abort", {}, limit_s=60)
    with pytest.raises(
        NoAnswerError, match=r"ended with 1 and no answer \(ModuleNotFoundError: No module named 'nonsense'\)"
    ):
        ask("nonsense:nonsense", {}, limit_s=60)
    with pytest.raises(NoAnswerError, match=r"no answer within 0.01 s"):
        ask("os:getcwd", {}, limit_s=0.01)
    assert ask("os:getcwd", {}, limit_s=60).value == str(Path.cwd())


def test_the_steps_of_a_text_make_its_latency(cnn_conversion: Conversion) -> None:
    with ek.load(cnn_conversion.bundle, threads=1) as classify:
        stages = measure_stages(classify, TEXTS)
    assert all(0 < value < 5 for value in vars(stages).values())
    assert stages.engine > stages.postprocess


def test_longer_texts_take_longer(bert_on_both: Conversion) -> None:
    with ek.load(bert_on_both.bundle, engine="litert", threads=1) as classify:
        found = by_bucket(classify, TEXTS, ["the film was good"], 0.2)
        assert tuple(each.tokens for each in found) == classify.engine.lengths
    assert found[-1].latency_ms.p50 > found[0].latency_ms.p50


def test_texts_without_a_token_are_made_longer_by_golden_ones(cnn_conversion: Conversion) -> None:
    with ek.load(cnn_conversion.bundle, threads=1) as classify:
        found = by_bucket(classify, ["\u200b"], ["the film was good"], 0.01)
        assert tuple(each.tokens for each in found) == classify.engine.lengths


def test_a_text_of_so_many_tokens_is_cut_from_a_longer_one(bert_on_both: Conversion) -> None:
    with ek.load(bert_on_both.bundle) as classify:
        encoder = classify.encoder
        text = "the film was good 电影 wonderful"
        parts = [beginning(encoder, text, tokens) for tokens in range(2, 9)]
        assert [len(encoder.whole_ids_of([part])[0]) for part in parts] == list(range(2, 9))
        assert all(text.startswith(part) for part in parts)


def test_threads_batches_and_workers_are_each_measured(cnn_conversion: Conversion) -> None:
    def opened(threads: int) -> ek.Classifier:
        return ek.load(cnn_conversion.bundle, threads=threads, verify=False)

    assert [each.threads for each in by_threads(opened, (1, 2), TEXTS, 0.01)] == [1, 2]
    with opened(1) as classify:
        batches = by_batch(classify, TEXTS, 0.01)
    assert [each.texts for each in batches] == [1, 8, 32]
    assert all(0 < each.latency_ms.p50 < 50 for each in batches)
    workers = by_workers(opened, 2, TEXTS, 0.1)
    assert [each.workers for each in workers] == [1, 2] and all(each.texts_per_s > 20 for each in workers)
    assert [doublings(most) for most in (1, 2, 6, 8)] == [(1,), (1, 2), (1, 2, 4, 6), (1, 2, 4, 8)]


def test_a_worker_that_fails_ends_all(cnn_conversion: Conversion) -> None:
    def closed() -> ek.Classifier:
        classify = ek.load(cnn_conversion.bundle, threads=1)
        classify.close()
        return classify

    with pytest.raises(EngineError, match="closed"):
        measure_throughput(closed, TEXTS, 2, seconds=5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"texts": [], "source": "empty.csv"}, "no text in empty.csv"),
        ({"seconds": 0.0}, "--seconds"),
        ({"seconds": float("nan")}, "--seconds"),
        ({"pause_ms": -1.0}, "--pause"),
        ({"threads": 0}, "threads"),
    ],
)
def test_settings_that_make_no_sense_are_refused(cnn_conversion: Conversion, settings: dict, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        profile_bundle(cnn_conversion.bundle, **settings)


@pytest.mark.parametrize(
    ("place", "message"),
    [("missing/page.html", "no folder"), ("pipe", "no file but a device or a pipe"), ("link", "is read and would be")],
)
def test_a_page_that_cannot_be_written_is_refused_before_work(
    cnn_conversion: Conversion, tmp_path: Path, place: str, message: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(cnn_conversion.bundle)
    done = edgekit("profile", cnn_conversion.bundle, "--html", tmp_path / place)
    assert (done.returncode, done.stdout) == (1, "") and message in done.stderr and "--html" in done.stderr
    assert "Starting" not in done.stderr


def test_a_page_goes_where_a_link_leads(tmp_path: Path) -> None:
    (tmp_path / "latest.html").symlink_to(tmp_path / "today.html")
    Reports(tmp_path / "latest.html", None).write("it", str.upper, str.lower)
    assert (tmp_path / "today.html").read_text(encoding="utf-8") == "IT" and (tmp_path / "latest.html").is_symlink()


def edgekit(*arguments: object, **settings: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgekit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False, **settings)


def test_profile_on_the_command_line(cnn_conversion: Conversion, labelled_csv: Path, tmp_path: Path) -> None:
    page, tables = tmp_path / "profile.html", tmp_path / "profile.md"
    done = edgekit(
        *("profile", cnn_conversion.bundle, "--data", labelled_csv, "--seconds", 0.1, "--json"),
        *("--html", page, "--markdown", tables),
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {"device", "engine", "threads", "load_ms", "first_ms", "throughput_per_s", "by_bucket"} <= set(found)
    assert {"mean", "p50", "p90", "p95", "p99"} <= set(found["latency_ms"])
    assert {"rss_anon", "peak_rss"} <= set(found["memory_mib"])
    assert set(found["energy"]) >= {"status", "source", "mj_per_inference", "ci95", "reason"}
    assert found["texts"]["count"] == 80 and found["texts"]["source"].endswith("labelled.csv")
    assert len(found["samples_ms"]) == found["pacing"]["rounds"]
    assert found["operators"] and not found["operators_missing"]
    low, high = found["latency_ms"]["ci95"]["p50"]
    assert low <= found["latency_ms"]["p50"] <= high
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>") and "p50" in tables.read_text(
        encoding="utf-8"
    )
