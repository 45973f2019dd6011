"""``--compat tflite-runtime``, and the engine on tflite-runtime itself, in the real environment."""

from __future__ import annotations

import dataclasses
import functools
import json
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import interpreter

import edgekit_runtime as ek
from conftest import missing
from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
from edgekit_converters.combining.combine import write_average
from edgekit_converters.compat import OlderAnswers, check_same_labels
from edgekit_converters.data import DataOptions, read_labelled
from edgekit_converters.environments import TFLITE_RUNTIME, python_of
from edgekit_converters.packing import read_part
from edgekit_converters.pipeline import Conversion, convert
from edgekit_converters.quantspec import COMPATIBLE, QuantSpec, Sample
from edgekit_converters.recipe import Recipe
from edgekit_converters.targets import Lowered
from edgekit_converters.targets.litert import OUTPUT, LiteRtTarget
from edgekit_converters.targets.litert_quantize import quantize
from edgekit_converters.targets.tools import running
from edgekit_converters.verify import verify
from edgekit_runtime import open_bundle
from edgekit_runtime.errors import GateError, GoldenMismatchError, MissingExtraError, OptionError
from edgekit_runtime.golden import Golden, GoldenText, check_golden, golden_key
from edgekit_runtime.progress import LogListener

OLDER = "tflite-runtime"
RUNTIME = str(Path(ek.__file__).parents[1])
LENGTHS = (8, 16)


@pytest.fixture(scope="session")
def older_python() -> Path:
    """The Python that has tflite-runtime 2.14 and numpy 1."""
    try:
        return python_of(TFLITE_RUNTIME)
    except MissingExtraError as error:
        missing(str(error))
        raise


def run_there(python: Path, code: str, *arguments: object) -> Any:
    """Runs code on that Python, where edgekit's runtime floor is visible, and reads the JSON that it prints."""
    program = f"import sys, json; sys.path.append({RUNTIME!r})\nimport edgekit_runtime as ek\n" + textwrap.dedent(code)
    command = [str(python), "-I", "-B", "-c", program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


ERROR_OF = """
    def error_of(function, *arguments, **options):
        try:
            function(*arguments, **options)
        except ek.EdgekitError as error:
            return [type(error).__name__, str(error)]
"""


@pytest.fixture(scope="session")
def cnn_on_older(
    older_python: Path, cnn_checkpoint: Path, labelled_csv: Path, tmp_path_factory: pytest.TempPathFactory
) -> Conversion:
    out = tmp_path_factory.mktemp("older") / "cnn.edgekit"
    recipe = Recipe(compat=OLDER, max_length=32, buckets=(16, 32))
    return convert(cnn_checkpoint, out, recipe=recipe, eval_data=labelled_csv)


@pytest.fixture(scope="session")
def bert_on_older(
    older_python: Path, bert_checkpoint: Path, labelled_csv: Path, tmp_path_factory: pytest.TempPathFactory
) -> Conversion:
    out = tmp_path_factory.mktemp("older") / "bert.edgekit"
    recipe = Recipe(compat=OLDER, max_length=32, buckets=(16, 32))
    return convert(bert_checkpoint, out, recipe=recipe, eval_data=labelled_csv)


# --- converting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", ["cnn_on_older", "bert_on_older"])
def test_both_runtimes_give_the_same_labels(
    made: str, older_python: Path, labelled_csv: Path, request: pytest.FixtureRequest
) -> None:
    conversion: Conversion = request.getfixturevalue(made)
    texts = [*read_labelled(labelled_csv, ("negative", "positive"), DataOptions()).texts, "", "good film " * 90]
    there = run_there(
        older_python,
        """
        with ek.load(sys.argv[1]) as classify:
            labels = [each.label for each in classify.predict(json.loads(sys.argv[2]))]
            print(json.dumps([classify.distributions, labels]))
        """,
        conversion.bundle,
        json.dumps(texts),
    )
    with ek.load(conversion.bundle) as classify:
        here = [each.label for each in classify.predict(texts)]
        assert classify.distributions.startswith("ai-edge-litert ")
    assert there == ["tflite-runtime 2.14.0", here]
    assert set(here) == {"negative", "positive"}


def test_what_the_bundle_says(cnn_on_older: Conversion) -> None:
    bundle = open_bundle(cnn_on_older.bundle)
    (program,) = bundle.manifest.main.programs
    assert (program.scheme, program.right_on) == ("int8-per-tensor", ("ai-edge-litert", OLDER))
    ran_on = [(report.engine, report.distribution.split()[0]) for report in cnn_on_older.verify]
    assert ran_on == [("litert", "ai-edge-litert"), ("litert", OLDER)]
    assert cnn_on_older.verify == bundle.manifest.verify
    first, second = cnn_on_older.verify
    assert first.max_abs_logit_diff != second.max_abs_logit_diff, "each runtime was measured"
    golden = Golden.from_bytes(bundle.read("golden.json"), "golden.json")
    for text in golden.texts:
        assert text.logits.keys() == {program.file, golden_key(program.file, OLDER)}
    assert any(len(set(text.logits.values())) == 2 for text in golden.texts), "each runtime rounds in its own way"


def test_a_program_that_is_made_for_no_older_runtime(cnn_conversion: Conversion) -> None:
    (program,) = open_bundle(cnn_conversion.bundle).manifest.main.programs
    assert program.right_on == ("ai-edge-litert",)
    (report,) = cnn_conversion.verify
    assert report.distribution.startswith("ai-edge-litert ")


def test_fused_bundles_are_right_on_both(
    cnn_on_older: Conversion, bert_on_older: Conversion, older_python: Path, tmp_path: Path
) -> None:
    members = [read_part(made.bundle) for made in (bert_on_older, cnn_on_older)]
    write_average(tmp_path / "fused.edgekit", members)
    here = ek.load(tmp_path / "fused.edgekit")("a great film , really great")
    there = run_there(
        older_python,
        "print(json.dumps(ek.load(sys.argv[1])('a great film , really great').label))",
        tmp_path / "fused.edgekit",
    )
    assert there == here.label == "positive"


def test_a_missing_environment_is_told_before_any_work(
    cnn_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("EDGEKIT_ENVIRONMENTS", str(tmp_path / "none"))
    with pytest.raises(MissingExtraError, match="edgekit doctor --install-tflite-runtime"):
        convert(cnn_checkpoint, tmp_path / "out.edgekit", recipe=Recipe(compat=OLDER))
    assert "Reading" not in caplog.text
    assert not list(tmp_path.iterdir())


def test_another_target_that_cannot_do_the_scheme(cnn_checkpoint: Path, tmp_path: Path) -> None:
    recipe = Recipe(targets=("litert", "executorch"), compat=OLDER)
    with pytest.raises(OptionError, match="drop --target executorch, or give --quantize none"):
        convert(cnn_checkpoint, tmp_path / "out.edgekit", recipe=recipe)
    with pytest.raises(OptionError, match="drop --route onnx, or give --quantize fp16"):
        convert(cnn_checkpoint, tmp_path / "out.edgekit", recipe=Recipe(route="onnx", compat=OLDER))


# --- gates ------------------------------------------------------------------------------------------------------------


def test_a_program_that_is_wrong_there_does_not_pass(
    older_python: Path, cnn_checkpoint: Path, cnn_conversion: Conversion, labelled_csv: Path
) -> None:
    model = read_checkpoint(cnn_checkpoint, ReadOptions(), print)
    part = read_part(cnn_conversion.bundle)
    per_channel = Lowered(part.programs[0], part.contents["model.tflite"], {})
    data = read_labelled(labelled_csv, model.labels, DataOptions())
    with pytest.raises(GateError, match=r"tflite-runtime 2\.14\.0 gives the label .* and 99% are needed; nothing was"):
        verify(model, model, part.text, (per_channel,), data, Recipe(compat=OLDER), LogListener())


def answers(texts: Sequence[Sequence[float]], golden: Sequence[float]) -> OlderAnswers:
    return OlderAnswers("old 1.0", np.array(texts, np.float32), np.array([golden], np.float32))


@pytest.mark.parametrize(("flipped", "passes"), [(0, True), (1, True), (2, False)])
def test_labels_must_agree_on_ninety_nine_in_a_hundred(flipped: int, passes: bool) -> None:
    here = np.array([[1.0, 0.0]] * 100, np.float32)
    there = [[0.0, 1.0]] * flipped + [[1.0, 0.0]] * (100 - flipped)
    golden = Golden((GoldenText("ok", (1,), {"file": (1.0, 0.0)}),))
    if passes:
        check_same_labels(answers(there, (1.0, 0.0)), here, golden, "file")
    else:
        with pytest.raises(GateError, match=r"to 98\.00% of 100 texts"):
            check_same_labels(answers(there, (1.0, 0.0)), here, golden, "file")


@pytest.mark.parametrize(("margin", "passes"), [(0.05, True), (0.5, False)])
def test_golden_labels_must_agree_where_they_are_clear(margin: float, passes: bool) -> None:
    here = np.array([[1.0, 0.0]], np.float32)
    golden = Golden((GoldenText("ok", (1,), {"file": (margin, 0.0)}),))
    if passes:
        check_same_labels(answers(here.tolist(), (0.0, 1.0)), here, golden, "file")
    else:
        with pytest.raises(GateError, match="to the golden text 'ok', and ai-edge-litert"):
            check_same_labels(answers(here.tolist(), (0.0, 1.0)), here, golden, "file")


LOGITS_OF = """
    import numpy as np
    def logits_of(module, path, rows):
        runner = module.Interpreter(model_path=path, num_threads=1).get_signature_runner("length_16")
        inputs = [{"ids": np.array(row, np.int32), "mask": np.ones((1, 16), np.float32)} for row in rows]
        try:
            return [runner(**each)["output_0"][0].tolist() for each in inputs]
        except RuntimeError as error:
            return str(error)
"""


@pytest.mark.parametrize("architecture", ["cnn", "bert"])
def test_the_schemes_that_are_called_compatible_are_those_that_are_right(
    architecture: str, older_python: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Each scheme's program on both runtimes, without edgekit's engine, which would refuse some."""
    model = read_checkpoint(request.getfixturevalue(f"{architecture}_checkpoint"), ReadOptions(), print)
    network, target = model.network(), LiteRtTarget()
    generator = np.random.default_rng(0)
    mask = np.ones((1, 16), np.float32)
    samples = tuple(Sample(generator.integers(4, 60, (1, 16)).astype(np.int32), mask) for _ in range(10))
    plain = target.lower(network, (16,), QuantSpec("none"), LogListener()).data
    programs = {"none": plain}
    with running("ai-edge-quantizer"):
        programs |= {scheme: quantize(plain, network, OUTPUT, QuantSpec(scheme)) for scheme in ("int8", "int4", "fp16")}
    part = read_part(request.getfixturevalue(f"{architecture}_on_older").bundle)
    programs["int8-per-tensor"] = part.contents["model.tflite"]
    if architecture == "cnn":
        static = QuantSpec("int8-static", samples)
        programs["int8-static"] = target.lower(network, (16,), static, LogListener()).data
    assert programs.keys() | {"int8-static"} == set(target.schemes)
    for scheme, data in programs.items():
        (tmp_path / scheme).write_bytes(data)

    rows = [sample.ids.tolist() for sample in samples]
    (tmp_path / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    here: dict[str, Any] = {}
    exec(textwrap.dedent(LOGITS_OF), here)
    expected = {scheme: here["logits_of"](interpreter, str(tmp_path / scheme), rows) for scheme in programs}
    found = run_there(
        older_python,
        f"""{LOGITS_OF}
    from tflite_runtime import interpreter
    folder, *schemes = sys.argv[1:]
    rows = json.load(open(folder + "/rows.json"))
    print(json.dumps({{scheme: logits_of(interpreter, folder + "/" + scheme, rows) for scheme in schemes}}))
    """,
        tmp_path,
        *programs,
    )
    right = {
        scheme
        for scheme in programs
        if not isinstance(found[scheme], str) and np.abs(np.subtract(expected[scheme], found[scheme])).max() < 0.05
    }
    assert right == set(COMPATIBLE[OLDER])
    assert "EMBEDDING_LOOKUP" in found["int4"], "it says at least that it cannot run int4"
    assert all(isinstance(found[scheme], list) for scheme in programs if scheme != "int4"), "the others run, and lie"


# --- the engine there -------------------------------------------------------------------------------------------------


def test_a_program_with_scales_per_channel_is_refused_before_it_runs(bundle: Path, older_python: Path) -> None:
    refusals = run_there(
        older_python,
        textwrap.dedent(ERROR_OF)
        + textwrap.dedent("""
        print(json.dumps([error_of(ek.load, sys.argv[1], verify=verify, fallback=fallback)
                          for verify in (True, False) for fallback in (True, False)]))
        """),
        bundle,
    )
    for kind, message in refusals:
        assert kind == "EngineError"
        assert message.startswith("model.tflite (int8) is not known to be right on tflite-runtime, which answers")
        assert message.endswith("edgekit convert --compat tflite-runtime, or pip install ai-edge-litert")
        assert "\n" not in message


def test_a_program_that_is_right_nowhere_is_refused_here(bundle: Path, tmp_path: Path) -> None:
    from bundles import with_manifest

    models = json.loads(open_bundle(bundle).manifest.to_bytes())["models"]
    models[0]["programs"][0]["right_on"] = ["tflite-runtime"]
    with pytest.raises(ek.EngineError, match="not known to be right on ai-edge-litert, but on tflite-runtime"):
        ek.load(with_manifest(bundle, tmp_path / "other.edgekit", models=models))


def test_signatures_threads_and_callers_do_not_disturb_each_other(
    bert_on_older: Conversion, older_python: Path
) -> None:
    same = run_there(
        older_python,
        """
        from concurrent.futures import ThreadPoolExecutor
        texts = ["good", "a great film , really great " * 4, "bad", "an awful room , really awful " * 5] * 10
        alone = ek.load(sys.argv[1], threads=1)
        expected = [alone.logits(alone.encoder.ids(text)) for text in texts]
        kept = [each.tolist() for each in expected]
        more = ek.load(sys.argv[1], threads=2)
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda text: more.logits(more.encoder.ids(text)).tolist(), texts))
        off = max(abs(a - b) for one, other in zip(found, kept) for a, b in zip(one, other))
        print(json.dumps([off, [each.tolist() for each in expected] == kept, alone.engine.lengths]))
        """,
        bert_on_older.bundle,
    )
    difference, unchanged, lengths = same
    assert difference < 1e-4
    assert unchanged, "later calls do not change the logits of earlier ones"
    assert lengths == [16, 32]


def test_no_times_by_operator_there(cnn_on_older: Conversion, older_python: Path) -> None:
    kind, message = run_there(
        older_python,
        textwrap.dedent(ERROR_OF)
        + textwrap.dedent("""
        from edgekit_runtime.profiling.operators.measure import trace_program
        tracer = "edgekit_runtime.profiling.operators.litert:trace"
        print(json.dumps(error_of(trace_program, sys.argv[1], "main", "model.tflite", tracer, 1, 16, 1)))
        """),
        cnn_on_older.bundle,
    )
    assert (kind, message) == (
        "EngineError",
        "tflite-runtime does not tell its time by operator; install ai-edge-litert 2.3",
    )


def test_numpy_2_is_seen_before_it_fails(cnn_on_older: Conversion, older_python: Path, tmp_path: Path) -> None:
    """This Python's numpy 2 with tflite-runtime, which is linked beside it, and without ai-edge-litert."""
    (packages,) = (older_python.parents[1] / "lib").glob("python3.*/site-packages")
    for entry in packages.glob("tflite_runtime*"):
        (tmp_path / entry.name).symlink_to(entry)
    code = """
        import importlib.machinery, sys
        sys.path.append(sys.argv[2])
        finder = importlib.machinery.PathFinder.find_spec
        def without_litert(name, path=None, target=None):
            return None if name.partition(".")[0] == "ai_edge_litert" else finder(name, path, target)
        importlib.machinery.PathFinder.find_spec = without_litert
        import edgekit_runtime as ek
        from edgekit_runtime.errors import EngineUnavailableError
        try:
            ek.load(sys.argv[1])
        except EngineUnavailableError as error:
            print(error)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), cnn_on_older.bundle, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"tflite-runtime 2.14.0 needs numpy 1, and numpy {np.__version__} is installed" in done.stdout
    assert done.stdout.rstrip().endswith("pip install 'numpy<2'")


@pytest.mark.parametrize(
    ("engine", "off", "passes"),
    [
        ("tflite-runtime 2.14.0", 0.14, True),
        ("tflite-runtime 2.14.0", 0.16, False),
        ("ai-edge-litert 2.3.0", 0.04, True),
        ("ai-edge-litert 2.3.0", 0.06, False),
    ],
)
def test_golden_logits_are_those_of_the_runtime(engine: str, off: float, passes: bool) -> None:
    """The older one was off by 0.1 at conversion, so it may be off by 0.15 elsewhere."""
    logits = {"file": (1.0, -1.0), golden_key("file", OLDER): (1.1, -1.0)}
    golden = Golden((GoldenText("ok", (1,), logits),))
    known = logits[golden_key("file", OLDER) if engine.startswith(OLDER) else "file"]
    found = np.array(known, np.float32) + np.array([off, 0.0], np.float32)
    check = functools.partial(check_golden, golden, "file", encode=lambda text: (1,), engine=engine)
    if passes:
        check(logits=lambda ids: found)
    else:
        with pytest.raises(GoldenMismatchError, match=engine):
            check(logits=lambda ids: found)


def test_bundles_of_before_have_no_distribution(bundle: Path, tmp_path: Path) -> None:
    from bundles import with_manifest

    reports = [dataclasses.asdict(report) for report in open_bundle(bundle).manifest.verify]
    for report in reports:
        del report["distribution"]
    old = open_bundle(with_manifest(bundle, tmp_path / "old.edgekit", verify=reports))
    assert [report.distribution for report in old.manifest.verify] == [""]
