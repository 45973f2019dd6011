"""The profile that the Android app writes is one that Python reads and draws.

The Kotlin tests hold ``phone-profile.json`` equal to what the app's benchmark gives, and the figures of ``latency.json`` equal to
theirs; this file holds both to Python.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.report import profile_html, profile_markdown
from edgekit_runtime import jsonio
from edgekit_runtime.profiling.energy import GAUGE, UNAVAILABLE
from edgekit_runtime.profiling.latency import Round, summarise
from edgekit_runtime.profiling.profile import Profile

RESOURCES = Path(__file__).parents[1] / "android-demo/app/src/test/resources"


def written() -> dict[str, Any]:
    data = json.loads((RESOURCES / "phone-profile.json").read_text(encoding="utf-8"))
    assert isinstance(data, dict)
    return data


def read(data: dict[str, Any]) -> Profile:
    return jsonio.decode(Profile, data, "phone-profile.json")


def alike(found: Any, expected: Any) -> None:
    """Equal, but for the last digits of what is summed in another order."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            alike(found[key], value)
    else:
        assert found == pytest.approx(expected, rel=1e-9)


def test_python_reads_the_profile_of_a_phone_without_losing_anything() -> None:
    data = written()
    assert set(data.pop("android")) >= {"manufacturer", "model", "soc", "calibration", "settings", "power", "thermal"}
    assert jsonio.encode(read(data)) == data


def test_its_figures_are_those_of_its_samples() -> None:
    profile = read(written())
    milliseconds = np.concatenate([np.asarray(row) for row in profile.samples_ms])
    latency = summarise([Round(np.asarray(row), ("main",) * len(row)) for row in profile.samples_ms])
    alike(jsonio.encode(profile.latency_ms), jsonio.encode(latency))
    assert len(milliseconds) == profile.latency_ms.count == 240
    assert profile.throughput_per_s == pytest.approx(1000 / milliseconds.mean())


def test_its_energy_is_that_of_its_windows_and_of_its_raw_readings() -> None:
    data = written()
    profile, phone = read(data), data["android"]
    energy = profile.energy
    assert energy.status == GAUGE
    assert energy.mj_per_inference == pytest.approx(np.median([window.mj_per_inference for window in energy.windows]))
    columns = {name: index for index, name in enumerate(phone["power"]["columns"])}
    assert (phone["calibration"]["unit"], phone["calibration"]["sign"]) == ("µA", "negative while discharging")
    loads = [phase for phase in phone["phases"] if phase["activity"] == "load"]
    for window, phase in zip(energy.windows, loads, strict=True):
        rows = [
            row for row in phone["power"]["rows"] if phase["begin_ms"] <= row[columns["elapsed_ms"]] <= phase["end_ms"]
        ]
        watts = [-row[columns["current_raw"]] * row[columns["voltage_mv"]] / 1e9 for row in rows]
        assert window.load_w == pytest.approx(float(np.mean(watts)), rel=0.01)


def test_both_reports_are_drawn_of_it() -> None:
    profile = read(written())
    for report in (profile_html(profile), profile_markdown(profile)):
        for part in (
            "Example Model One, Maker Chip 3",
            "Android 15 (API 35) aarch64",
            "7.15",
            "BATTERY",
            "p95",
            "tensorflow-lite 2.16.1",
        ):
            assert part in report
        for absent in ("Python starts", "None", "Workers at once", "Texts a call"):
            assert absent not in report, "a phone does not tell it"
    assert "<svg" in profile_html(profile)


def test_a_phone_that_refuses_a_figure_is_reported_with_the_reason() -> None:
    data = written()
    reason = "a charger is plugged in: unplug it and measure again (adb works over Wi-Fi, too)"
    data["energy"] = {
        "status": UNAVAILABLE,
        "source": "",
        "mj_per_inference": None,
        "ci95": None,
        "reason": reason,
        "windows": [],
    }
    profile = read(data)
    assert reason in profile_html(profile) and "a charger is plugged in" in profile_markdown(profile)


def test_the_figures_that_the_app_is_held_to_are_those_of_python() -> None:
    cases = json.loads((RESOURCES / "latency.json").read_text(encoding="utf-8"))
    assert len(cases) == 5
    for case in cases:
        rounds = [Round(np.asarray(each["milliseconds"]), tuple(each["models"])) for each in case["rounds"]]
        alike(jsonio.encode(summarise(rounds)), case["latency_ms"])
