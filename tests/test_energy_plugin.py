"""Meters of other packages: the example of docs/energy.md, and those that do not work."""

from __future__ import annotations

import os
import re
import sys
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekit_runtime.profiling.energy import GAUGE, UNAVAILABLE
from edgekit_runtime.profiling.energy.families import find_sensors
from edgekit_runtime.profiling.energy.method import measure_energy
from edgekit_runtime.profiling.energy.settings import EnergySettings
from sensors.replay import CALL_S, TEXTS, Replay, put

DOCUMENT = (Path(__file__).parents[1] / "docs" / "energy.md").read_text(encoding="utf-8")
(EXAMPLE,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
((NAME, CLASS),) = re.findall(r'\[project.entry-points."edgekit.meters"\]\n([\w-]+) = "([\w:]+)"', DOCUMENT)


def install(site: Path, monkeypatch: pytest.MonkeyPatch, module: str, code: str, *points: str) -> None:
    put(site / f"{module}.py", code)
    put(site / f"{module}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0")
    put(site / f"{module}-1.0.dist-info/entry_points.txt", "\n".join(["[edgekit.meters]", *points]))
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, module, raising=False)


@pytest.fixture
def serial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Replay]:
    """A meter on a serial line that answers as the document says, between a charger of 5.1 V and the board."""
    master, slave = os.openpty()
    tty.setraw(slave)
    replay = Replay(lambda now: None)

    def answer() -> None:
        while os.read(master, 1) == b"?":
            os.write(master, f"5.100 {replay.watts(0.612, 1.034):.3f}\n".encode())

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    monkeypatch.setenv("METER_PORT", os.ttyname(slave))
    module, _, _ = CLASS.partition(":")
    install(tmp_path / "site", monkeypatch, module, EXAMPLE, f"{NAME} = {CLASS}")
    yield replay
    os.write(slave, b".")
    thread.join(timeout=10)
    os.close(master)
    os.close(slave)


def test_the_example_measures(serial: Replay, tmp_path: Path) -> None:
    energy = measure_energy(serial.classify_some, root=tmp_path, timer=serial)
    by_hand = 1000 * 5.1 * (1.034 - 0.612) * CALL_S / TEXTS
    assert energy.status == GAUGE, energy
    assert energy.source == f"{NAME}, a meter in the USB supply"
    assert energy.mj_per_inference == pytest.approx(by_hand, rel=0.01)
    named = measure_energy(
        serial.classify_some, EnergySettings(sensor=NAME, windows=5, window_s=2), root=tmp_path, timer=serial
    )
    assert named.mj_per_inference == pytest.approx(by_hand, rel=0.01)


def test_the_doctor_reads_the_example(serial: Replay, tmp_path: Path) -> None:
    (sensor,) = find_sensors(tmp_path)
    assert (sensor.family, sensor.name, sensor.path, sensor.status, sensor.unit) == (
        "plugin",
        NAME,
        CLASS,
        "works",
        "W",
    )
    assert sensor.value == pytest.approx(5.1 * 0.612)


BROKEN = """
import time

class Unplugged:
    unit = "W"
    def __init__(self):
        raise FileNotFoundError("[Errno 2] could not open port\\n/dev/ttyACM0")

class Unitless:
    def read(self):
        return 1.0

class Garbled:
    unit = "W"
    closed = 0
    def read(self):
        return "three"
    def close(self):
        Garbled.closed += 1

class Lost:
    unit = "J"
    count = 0
    closed = 0
    def read(self):
        self.count += 1
        if self.count > 100:
            raise OSError("device reports readiness to read but returned no data")
        return float(self.count)
    def close(self):
        Lost.closed += 1
        raise OSError("already gone")

class Backwards(Lost):
    def read(self):
        return -super().read()

class Nowhere:
    unit = "W"
    def read(self):
        return float("nan")
"""


@pytest.mark.parametrize(
    ("point", "said"),
    [
        ("broken:Unplugged", "FileNotFoundError: [Errno 2] could not open port /dev/ttyACM0"),
        ("broken:Unitless", "its unit is None and must be 'J' or 'W'"),
        ("broken:Garbled", "ValueError: could not convert string to float"),
        ("broken:Missing", "AttributeError: module 'broken' has no attribute 'Missing'"),
        ("absent:Meter", "ModuleNotFoundError: No module named 'absent'"),
        ("broken:Lost", "OSError: device reports readiness to read but returned no data"),
        ("broken:Backwards", "the counter went back from -"),
        ("broken:Nowhere", "the sensor said nan"),
    ],
)
def test_meters_that_do_not_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, said: str) -> None:
    install(tmp_path / "site", monkeypatch, "broken", BROKEN, f"mine = {point}")
    replay = Replay(lambda now: None)
    energy = measure_energy(replay.classify_some, root=tmp_path, timer=replay)
    assert (energy.status, energy.mj_per_inference) == (UNAVAILABLE, None)
    assert said in energy.reason and "\n" not in energy.reason
    if point in ("broken:Lost", "broken:Garbled"):
        assert getattr(sys.modules["broken"], point.partition(":")[2]).closed == 1


def test_the_doctor_tells_of_meters_that_do_not_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "site", monkeypatch, "broken", BROKEN, "mine = broken:Unplugged", "lost = broken:Lost")
    unplugged, lost = find_sensors(tmp_path)
    assert (unplugged.name, unplugged.status, unplugged.value) == ("mine", "wrong", None)
    assert "could not open port" in unplugged.detail
    assert (lost.name, lost.status, lost.value, lost.unit) == ("lost", "works", 1.0, "J")
    assert sys.modules["broken"].Lost.closed == 1
