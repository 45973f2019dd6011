"""The three floors: imports go down only, and the device's floor needs no torch."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import edgekit
import edgekit_runtime

ROOT = Path(__file__).parents[1]
FLOORS = {
    "edgekit_runtime": ROOT / "runtime" / "edgekit_runtime",
    "edgekit_converters": ROOT / "converters" / "edgekit_converters",
    "edgekit": ROOT / "sdk" / "edgekit",
}
ABOVE = {
    "edgekit_runtime": {"edgekit_converters", "edgekit"},
    "edgekit_converters": {"edgekit"},
    "edgekit": set(),
}
HEAVY = {
    "torch",
    "transformers",
    "accelerate",
    "safetensors",
    "litert_torch",
    "pandas",
    "sklearn",
    "onnx",
    "datasets",
    "executorch",
}


def imported(source: str) -> set[str]:
    """Top-level names of all modules that a source imports, inside functions and strings of import_module too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are banned"
            names.add(node.module or "")
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in {"import_module", "__import__"}:
                names.add(str(node.args[0].value))
    return {name.partition(".")[0] for name in names}


def test_the_walk_sees_every_kind_of_import() -> None:
    source = """
        import a.b, c as d
        from e.f import g
        def h():
            import i
            importlib.import_module("j.k"); __import__("l")
    """
    assert imported(textwrap.dedent(source)) == {"a", "c", "e", "i", "j", "l"}


@pytest.mark.parametrize("floor", FLOORS)
def test_imports_go_down_only(floor: str) -> None:
    files = sorted(FLOORS[floor].rglob("*.py"))
    assert len(files) >= 8
    for path in files:
        upward = imported(path.read_text(encoding="utf-8")) & ABOVE[floor]
        assert not upward, f"{path.relative_to(ROOT)} imports {upward}"


def test_the_runtime_imports_nothing_heavy_anywhere() -> None:
    official = FLOORS["edgekit_runtime"] / "engines" / "official.py"
    for path in sorted(FLOORS["edgekit_runtime"].rglob("*.py")):
        allowed = {"torch", "executorch"} if path == official else set()
        assert imported(path.read_text(encoding="utf-8")) & HEAVY <= allowed, path


def run(code: str, *arguments: object) -> str:
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_runtime_and_the_commands_of_a_device_work_where_torch_is_not_installed(bundle: Path) -> None:
    code = f"""
        import sys
        for name in {sorted(HEAVY)}:
            sys.modules[name] = None
        import edgekit_runtime, edgekit, edgekit.cli
        print(edgekit_runtime.load(sys.argv[1])("the film was good").label)
        sys.argv = ["edgekit", "predict", sys.argv[1], "the film was bad"]
        edgekit.cli.main()
    """
    lines = run(code, bundle).splitlines()
    assert lines[0] == "positive"
    assert lines[1].startswith("negative\t")


def test_what_needs_torch_names_its_extra_where_torch_is_not_installed() -> None:
    code = """
        import sys
        sys.modules["torch"] = None
        import edgekit
        try:
            edgekit.convert
        except edgekit.EdgekitError as error:
            print(error)
    """
    assert run(code) == "edgekit.convert needs torch, which is not installed: pip install 'edgekit[convert]'\n"


@pytest.mark.parametrize("command", ["convert", "finetune", "demo"])
def test_commands_that_need_torch_name_their_extra_where_it_is_not_installed(command: str, tmp_path: Path) -> None:
    arguments = {"convert": ["x.pt"], "finetune": ["x.csv", "--out", "x.pt"], "demo": ["--out", str(tmp_path / "out")]}
    code = """
        import sys
        sys.modules["torch"] = None
        from edgekit.cli import main
        try:
            main()
        except SystemExit as done:
            print(done.code)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), command, *arguments[command]],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "1\n"
    assert done.stderr.startswith(f"edgekit: error: edgekit {command} needs torch, which is not installed: pip install")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("module", ["edgekit_runtime", "edgekit", "edgekit.cli"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    code = """
        import importlib, sys
        importlib.import_module(sys.argv[1])
        print(" ".join(sorted(sys.modules)))
    """
    loaded = set(run(code, module).split())
    assert module in loaded
    assert not loaded & HEAVY
    if module == "edgekit_runtime":
        assert not loaded & {"rich", "typer", "ai_edge_litert", "edgekit", "edgekit_converters"}
    assert not loaded & {"cryptography", "fastapi", "prometheus_client"}, "they come with extras"


def test_public_names_of_the_runtime() -> None:
    assert edgekit_runtime.__all__ == [
        "Bundle",
        "BundleError",
        "Classifier",
        "EdgekitError",
        "EngineError",
        "Explanation",
        "Prediction",
        "WordWeight",
        "load",
        "open_bundle",
    ]


def test_public_names_of_edgekit() -> None:
    assert edgekit.__all__ == [
        "Classifier",
        "Comparison",
        "Compression",
        "Conversion",
        "EdgekitError",
        "Evaluation",
        "FinetuneSettings",
        "Prediction",
        "Profile",
        "ReadOptions",
        "Recipe",
        "RecipeFile",
        "__version__",
        "compare",
        "convert",
        "evaluate",
        "finetune",
        "load",
        "profile_bundle",
        "recorded_recipe",
        "seal_bundle",
        "sign_bundle",
        "tune",
        "write_sealing_key",
        "write_signing_key",
    ]


@pytest.mark.parametrize("module", ["edgekit_runtime", "edgekit"])
def test_every_public_name_is_there(module: str) -> None:
    package = importlib.import_module(module)
    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        package.nonsense  # noqa: B018


def test_public_errors_are_one_tree_drawn_in_its_docstring() -> None:
    errors = importlib.import_module("edgekit_runtime.errors")
    kinds = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and name.endswith("Error")}
    assert len(kinds) >= 15
    for name, kind in kinds.items():
        assert issubclass(kind, errors.EdgekitError)
        assert f" {name}" in errors.__doc__
