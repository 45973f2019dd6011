"""The runtime as others will install it: a wheel, an empty environment, one engine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import missing

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = """
import importlib.util, json, pathlib, sys, sysconfig
import edgekit_runtime
classify = edgekit_runtime.load(sys.argv[1])
site = pathlib.Path(sysconfig.get_path("purelib"))
sizes = sum(f.stat().st_size for f in site.rglob("*") if f.is_file() and not f.relative_to(site).parts[0].startswith("pip"))
print(json.dumps({
    "labels": [classify(text).label for text in sys.argv[2:]],
    "megabytes": sizes / 1e6,
    "present": [name for name in ("torch", "transformers", "pandas") if importlib.util.find_spec(name)],
}))
"""


def run(*command: str | Path) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300)
    if done.returncode != 0 and "No matching distribution" in done.stderr + done.stdout:
        missing("the package index cannot be reached, and an empty environment needs it")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_wheel_runs_a_bundle_in_an_empty_environment(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, ROOT)
    (wheel,) = tmp_path.glob("*.whl")
    run(sys.executable, "-m", "venv", tmp_path / "empty")
    python = tmp_path / "empty" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", f"{wheel}[litert]")
    result = json.loads(run(python, "-c", PROGRAM, bundle, "i love this film", "i hate this film"))
    assert result["labels"] == ["positive", "negative"]
    assert result["present"] == []
    edgekit = tmp_path / "empty" / "bin" / "edgekit"
    assert run(edgekit, "predict", bundle, "i love this film").startswith("positive")
    assert json.loads(run(edgekit, "doctor", "--json"))["works"] is True  # the probe has come along
    with capsys.disabled():
        sys.stdout.write(f"\nedgekit[litert] installs {result['megabytes']:.0f} MB\n")


def test_commands_that_need_torch_name_the_extra(bundle: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; from edgekit.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "convert", "x.pt"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "pip install 'edgekit[convert]'" in done.stderr
