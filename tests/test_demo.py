"""The tour, taken as a new user would."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from edgekit_runtime import load


def test_quick_demo_makes_smaller_models(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("edgekit")
    command = [str(script), "demo", "--quick", "--students", "--json", "--out", str(tmp_path / "tour")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    tour = json.loads(done.stdout)
    before, after, *students = tour["table"]
    assert (before["name"], after["name"]) == ("float32", "int8")
    assert after["bytes"] < before["bytes"]
    assert after["accuracy"] > 0.65
    assert abs(after["accuracy"] - before["accuracy"]) < 0.02
    assert after["agreement"] > 0.98
    assert [student["name"] for student in students] == ["distilled: cnn-small", "pruned by half"]
    for student in students:
        assert student["bytes"] < after["bytes"]
        assert student["accuracy"] > 0.65
    with load(tour["bundle"]) as classify:
        for prediction in tour["predictions"]:
            assert classify(prediction["text"]).label == prediction["label"]
