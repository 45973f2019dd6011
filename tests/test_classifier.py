"""Text in, label out, through the real engine."""

from __future__ import annotations

import csv
import dataclasses
import os
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

import edgekit_runtime as ek
from bundles import PROGRAM, entries, make_contents, make_manifest, with_contents, with_manifest
from conftest import missing
from edgekit_runtime import jsonio
from edgekit_runtime.bundle import MANIFEST, open_bundle, write_bundle_file
from edgekit_runtime.engines import ENGINES, Engine, engine_class
from edgekit_runtime.errors import (
    BundleError,
    BundleIntegrityError,
    EngineError,
    EngineUnavailableError,
    GoldenMismatchError,
    OptionError,
)
from edgekit_runtime.filepart import FilePart
from edgekit_runtime.golden import Golden
from edgekit_runtime.loading import default_threads
from edgekit_runtime.manifest import Manifest, Program

FIXED = dataclasses.replace(PROGRAM, engine="fixed", file="model.fixed")


class FixedEngine:
    """Gives the same logits to every text; its program is those logits in decimal."""

    name: ClassVar[str] = "fixed"
    distribution = "fixed 1.0"
    lengths: tuple[int, ...] | None = None

    def __init__(self, logits: NDArray[np.float32]) -> None:
        self._logits: NDArray[np.float32] | None = logits

    @classmethod
    def unavailable(cls) -> str | None:
        return None

    @classmethod
    def load(cls, program: Program, contents: FilePart, threads: int) -> FixedEngine:
        return cls(np.asarray(contents.read().decode().split(), dtype=np.float32))

    def run(self, ids: NDArray[np.int32], mask: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._logits is None:
            raise EngineError("it was closed")
        return self._logits.copy()

    def close(self) -> None:
        self._logits = None


class AbsentEngine(FixedEngine):
    """An engine whose package is not installed."""

    name: ClassVar[str] = "absent"

    @classmethod
    def unavailable(cls) -> str | None:
        return "absent is not installed: pip install 'edgekit[absent]'"


@pytest.fixture
def engines() -> Iterator[dict[str, str]]:
    """The table of engines with ``fixed`` and ``absent`` at its end; a test may change it."""
    before = dict(ENGINES)
    ENGINES.update(fixed=f"{__name__}:FixedEngine", absent=f"{__name__}:AbsentEngine")
    yield ENGINES
    ENGINES.clear()
    ENGINES.update(before)


@pytest.fixture(scope="module")
def classify(bundle: Path) -> Iterator[ek.Classifier]:
    with ek.load(bundle) as classifier:
        yield classifier


@pytest.fixture(scope="module")
def sentences(labelled_csv: Path) -> list[tuple[str, str]]:
    """Text and label of every row."""
    with labelled_csv.open(encoding="utf-8", newline="") as file:
        return [(row["text"], ("negative", "positive")[int(row["label"])]) for row in csv.DictReader(file)]


def golden_of(path: Path) -> Golden:
    return Golden.from_bytes(entries(path)["golden.json"], "golden.json")


def with_golden_off_by(path: Path, out: Path, difference: float) -> Path:
    """The bundle with the first golden logit moved and valid checksums."""
    first, *rest = golden_of(path).texts
    moved = {name: (logits[0] + difference, *logits[1:]) for name, logits in first.logits.items()}
    golden = Golden((dataclasses.replace(first, logits=moved), *rest))
    return with_contents(path, out, golden_json=jsonio.to_bytes(golden))


def with_second_program(path: Path, out: Path, program: Program, *, logits: tuple[float, ...] = (1.0, -1.0)) -> Path:
    """The bundle with one more program, which answers ``logits`` to everything and rightly so."""
    contents = entries(path)
    manifest = Manifest.from_bytes(contents.pop(MANIFEST))
    entry = dataclasses.replace(manifest.main, programs=(*manifest.main.programs, program))
    texts = [dataclasses.replace(item, logits=item.logits | {program.file: logits}) for item in golden_of(path).texts]
    contents["golden.json"] = jsonio.to_bytes(Golden(tuple(texts)))
    contents[program.file] = " ".join(map(str, logits)).encode()
    return write_bundle_file(out, dataclasses.replace(manifest, models=(entry,)), contents)


def fixed_bundle(path: Path, logits: tuple[float, ...], labels: tuple[str, ...] = ("negative", "positive")) -> Path:
    """A hand-made bundle whose one program answers ``logits`` to everything."""
    output = dataclasses.replace(FIXED.outputs[0], shape=(1, len(labels)))
    programs = (dataclasses.replace(FIXED, outputs=(output,)),)
    contents = make_contents(programs, logits) | {FIXED.file: " ".join(map(str, logits)).encode()}
    return write_bundle_file(path, make_manifest(programs, labels=labels), contents)


def test_labels_are_right(classify: ek.Classifier, sentences: list[tuple[str, str]]) -> None:
    right = sum(classify(text).label == label for text, label in sentences)
    assert right >= 0.95 * len(sentences)


def test_the_label_is_that_of_the_highest_score_and_scores_sum_to_one(
    classify: ek.Classifier, sentences: list[tuple[str, str]]
) -> None:
    for text, _ in sentences[:20]:
        answer = classify(text)
        assert list(answer.scores) == ["negative", "positive"]
        assert sum(answer.scores.values()) == pytest.approx(1.0)
        assert answer.score == max(answer.scores.values()) == answer.scores[answer.label]


def test_scores_are_the_softmax_of_the_logits(classify: ek.Classifier) -> None:
    text = "the film was good"
    weights = np.exp(classify.logits(classify.encoder.ids(text)).astype(float))
    assert list(classify(text).scores.values()) == pytest.approx(list(weights / weights.sum()))


def test_predict_keeps_the_order_and_equals_single_calls(
    classify: ek.Classifier, sentences: list[tuple[str, str]]
) -> None:
    texts = [text for text, _ in sentences] + ["", "good " * 300, "😀", "\ud800"]
    assert classify.predict(texts) == [classify(text) for text in texts]
    assert classify.predict([]) == []


def test_texts_must_be_strings(classify: ek.Classifier) -> None:
    with pytest.raises(TypeError, match="predict takes a list of strings"):
        classify.predict("a film")
    with pytest.raises(TypeError, match="a text must be a string, not int"):
        classify.predict(["a film", 1])  # type: ignore[list-item]
    for wrong in (None, 1, b"bytes", ["a film"]):
        with pytest.raises(TypeError, match=f"a text must be a string, not {type(wrong).__name__}; for several texts"):
            classify(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", " ", "\0", "😀", "👩‍👩‍👧", "\ud800", "नमस्ते", "نص", "x" * 100_000, "好" * 5000])
def test_any_text_gets_an_answer(classify: ek.Classifier, text: str) -> None:
    answer = classify(text)
    assert answer.label in classify.labels
    assert 0.5 <= answer.score <= 1.0


def test_every_bucket_gives_the_same_answer(classify: ek.Classifier) -> None:
    """Lengths around every edge; the padding of the longer buckets must not matter."""
    buckets = classify.encoder.spec.buckets
    assert classify.engine.lengths == buckets == (16, 32, 64, 128)
    for words in sorted({edge + step for edge in buckets for step in (-3, -2, -1)}):
        ids = classify.encoder.ids("film " + "really " * (words - 2) + "good")
        assert len(ids) == min(words + 2, 128)
        expected = classify.logits(ids)
        for length in (length for length in buckets if length >= len(ids)):
            padded, mask = classify.encoder.pad(ids, (length,))
            assert np.abs(classify.engine.run(padded, mask) - expected).max() < 0.05


def test_the_end_of_a_text_past_max_length_does_not_count(classify: ek.Classifier) -> None:
    head = "the film was good " + "film " * 200
    assert classify(head) == classify(head + "awful terrible bad " * 50)


def test_three_classes(engines: dict[str, str], tmp_path: Path) -> None:
    path = fixed_bundle(tmp_path / "x.edgekit", (1.0, 3.0, 2.0), ("bad", "so so", "good"))
    with ek.load(path) as classify:
        answer = classify("a good film")
    weights = np.exp([1.0, 3.0, 2.0])
    assert answer.label == "so so"
    assert answer.scores == pytest.approx(dict(zip(("bad", "so so", "good"), weights / weights.sum(), strict=True)))


def test_logits_that_overflow_a_naive_softmax(engines: dict[str, str], tmp_path: Path) -> None:
    with ek.load(fixed_bundle(tmp_path / "x.edgekit", (-1e4, 1e4))) as classify:
        assert classify("film") == ek.Prediction("positive", 1.0, {"negative": 0.0, "positive": 1.0})


def test_threads_of_the_caller_get_the_same_answers(classify: ek.Classifier, sentences: list[tuple[str, str]]) -> None:
    texts = [text * repeat for text, _ in sentences[:16] for repeat in (1, 4, 9)]
    expected = [classify(text) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: [classify(text) for text in texts], range(8)):
            assert found == expected


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_the_number_of_threads_does_not_change_answers(
    bundle: Path, classify: ek.Classifier, threads: int, sentences: list[tuple[str, str]]
) -> None:
    with ek.load(bundle, threads=threads) as other:
        assert other.engine.threads == min(threads, os.cpu_count() or 1)  # type: ignore[attr-defined]
        for text, _ in sentences[:10]:
            found, expected = (c.logits(c.encoder.ids(text)) for c in (other, classify))
            assert np.abs(found - expected).max() < 1e-4


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_are_an_upper_bound(bundle: Path, threads: int) -> None:
    """The threads that the process has once it has classified a long text, beside those that were there before."""
    tasks = Path("/proc/self/task")
    if not tasks.is_dir():
        missing("/proc, which counts the threads of a process")
    code = """
        import os, sys
        import edgekit_runtime as ek
        from ai_edge_litert.interpreter import Interpreter
        before = len(os.listdir("/proc/self/task"))
        classify = ek.load(sys.argv[1], threads=int(sys.argv[2]))
        classify("good film " * 200)
        print(len(os.listdir("/proc/self/task")) - before)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), bundle, str(threads)]
    more = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert more <= threads - 1
    assert (more > 0) is (threads > 1)


def test_threads_by_default_are_the_processors_up_to_four(classify: ek.Classifier) -> None:
    assert classify.engine.threads == default_threads()  # type: ignore[attr-defined]
    assert 1 <= default_threads() <= 4


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_below_one(bundle: Path, threads: int) -> None:
    with pytest.raises(OptionError, match=f"threads must be a whole number of 1 or more, not {threads}"):
        ek.load(bundle, threads=threads)


def test_a_closed_classifier(bundle: Path) -> None:
    with ek.load(bundle) as classify:
        classify("film")
    for _ in range(2):
        with pytest.raises(EngineError, match="it was closed"):
            classify("film")
        with pytest.raises(EngineError, match="it was closed"):
            classify.predict(["film"])
        classify.close()


def test_an_engine_that_does_not_exist(bundle: Path) -> None:
    with pytest.raises(EngineUnavailableError, match="no engine 'warp'; it has litert"):
        ek.load(bundle, engine="warp")


def test_an_engine_that_the_bundle_has_no_program_for(engines: dict[str, str], bundle: Path) -> None:
    with pytest.raises(EngineUnavailableError, match="has no program for fixed, only for litert: convert it with"):
        ek.load(bundle, engine="fixed")


def test_an_engine_that_is_not_installed(bundle: Path) -> None:
    code = """
        import importlib.machinery, sys
        finder = importlib.machinery.PathFinder.find_spec
        def without_litert(name, path=None, target=None):
            return None if name.partition(".")[0] == "ai_edge_litert" else finder(name, path, target)
        importlib.machinery.PathFinder.find_spec = without_litert
        import edgekit_runtime as ek
        from edgekit_runtime.errors import EngineUnavailableError
        for engine in (None, "litert"):
            try:
                ek.load(sys.argv[1], engine=engine)
            except EngineUnavailableError as error:
                print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), bundle], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert "ai-edge-litert is not installed: pip install 'edgekit[litert]'" in line


def test_nothing_here_runs_the_bundle(engines: dict[str, str], tmp_path: Path) -> None:
    programs = tuple(
        dataclasses.replace(PROGRAM, engine=name, file=f"model.{name}") for name in ("absent", "from_the_future")
    )
    path = write_bundle_file(tmp_path / "x.edgekit", make_manifest(programs), make_contents(programs))
    with pytest.raises(EngineUnavailableError, match=r"nothing here runs .* absent is not installed.*from_the_future"):
        ek.load(path)
    with pytest.raises(EngineUnavailableError, match=r"pip install 'edgekit\[absent\]'"):
        ek.load(path, engine="absent")


@pytest.mark.parametrize("difference", [0.06, -0.06, 5.0, float("nan")])
def test_an_engine_that_answers_otherwise_than_at_conversion(bundle: Path, tmp_path: Path, difference: float) -> None:
    altered = with_golden_off_by(bundle, tmp_path / "x.edgekit", difference)
    with pytest.raises(GoldenMismatchError, match=r"ai-edge-litert [\d.]+ answers .* runs model\.tflite wrongly"):
        ek.load(altered)
    with ek.load(altered, verify=False) as classify, ek.load(bundle) as right:
        assert classify("the film was good") == right("the film was good")


def test_rounding_is_no_wrong_answer(bundle: Path, tmp_path: Path) -> None:
    ek.load(with_golden_off_by(bundle, tmp_path / "x.edgekit", 0.03)).close()


def test_golden_ids_are_compared_too(bundle: Path, tmp_path: Path) -> None:
    first, *rest = golden_of(bundle).texts
    golden = Golden((dataclasses.replace(first, ids=(*first.ids[:-1], first.ids[-1] + 1)), *rest))
    altered = with_contents(bundle, tmp_path / "x.edgekit", golden_json=jsonio.to_bytes(golden))
    with pytest.raises(GoldenMismatchError, match="the tokenizer here splits"):
        ek.load(altered)


def test_golden_texts_cover_every_bucket(bundle: Path, classify: ek.Classifier) -> None:
    lengths = [classify.encoder.pad(item.ids, classify.engine.lengths)[0].shape[1] for item in golden_of(bundle).texts]
    assert set(lengths) == set(classify.encoder.spec.buckets)


def test_checksums_are_compared_even_without_the_self_test(bundle: Path, tmp_path: Path) -> None:
    opened, data = open_bundle(bundle), bytearray(bundle.read_bytes())
    data[opened.part("model.tflite").offset + 1000] ^= 1
    damaged = tmp_path / "x.edgekit"
    damaged.write_bytes(data)
    for fallback in (False, True):
        with pytest.raises(BundleIntegrityError, match=r"model\.tflite .* differs from its checksum"):
            ek.load(damaged, verify=False, fallback=fallback)


def test_the_preferred_engine_comes_first(engines: dict[str, str], bundle: Path, tmp_path: Path) -> None:
    both = with_second_program(bundle, tmp_path / "x.edgekit", FIXED)
    with ek.load(both) as classify:
        assert classify.engine.name == "litert"
    with ek.load(both, engine="fixed") as classify:
        assert classify.engine.name == "fixed"
    engines["litert"] = engines.pop("litert")  # now the last one
    with ek.load(both) as classify:
        assert classify.engine.name == "fixed"


def test_an_absent_engine_is_passed_over_without_fallback(
    engines: dict[str, str], bundle: Path, tmp_path: Path
) -> None:
    absent = dataclasses.replace(FIXED, engine="absent")
    engines["litert"] = engines.pop("litert")  # so that absent is preferred
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with ek.load(with_second_program(bundle, tmp_path / "x.edgekit", absent)) as classify:
            assert classify.engine.name == "litert"


def test_fallback_goes_on_to_the_next_engine_with_a_warning(
    engines: dict[str, str], bundle: Path, tmp_path: Path
) -> None:
    both = with_second_program(with_golden_off_by(bundle, tmp_path / "off.edgekit", 1.0), tmp_path / "x.edgekit", FIXED)
    with pytest.raises(GoldenMismatchError):
        ek.load(both)
    with pytest.warns(RuntimeWarning, match=r"engine litert is passed over: ai-edge-litert .* answers"):
        classify = ek.load(both, fallback=True)
    assert classify.engine.name == "fixed"
    assert classify("anything").label == "negative"


def test_fallback_raises_where_the_last_engine_fails(engines: dict[str, str], bundle: Path, tmp_path: Path) -> None:
    off = with_golden_off_by(bundle, tmp_path / "off.edgekit", 1.0)
    with pytest.raises(GoldenMismatchError):
        ek.load(off, fallback=True)
    with pytest.raises(GoldenMismatchError):
        ek.load(with_second_program(off, tmp_path / "x.edgekit", FIXED), engine="litert", fallback=True)


@pytest.mark.parametrize("program", [b"", b"TFL3", b"no flatbuffer at all " * 50])
def test_a_program_that_the_engine_refuses(bundle: Path, tmp_path: Path, program: bytes) -> None:
    path = with_contents(bundle, tmp_path / "x.edgekit", model_tflite=program)
    with pytest.raises(EngineError, match=r"LiteRT refuses model\.tflite"):
        ek.load(path)


def test_a_program_whose_tensors_the_manifest_does_not_name(bundle: Path, tmp_path: Path) -> None:
    contents = entries(bundle)
    manifest = Manifest.from_bytes(contents.pop(MANIFEST))
    program = dataclasses.replace(manifest.main.programs[0], inputs=manifest.main.programs[0].inputs[:1])
    entry = dataclasses.replace(manifest.main, programs=(program,))
    path = write_bundle_file(tmp_path / "x.edgekit", dataclasses.replace(manifest, models=(entry,)), contents)
    with pytest.raises(EngineError, match=r"the manifest names no mask of model\.tflite"):
        ek.load(path)


def test_a_bundle_that_promises_longer_texts_than_its_program_takes(bundle: Path, tmp_path: Path) -> None:
    models = [jsonio.encode(open_bundle(bundle).manifest.main)]
    models[0]["text"] |= {"max_length": 256, "buckets": [16, 32, 64, 128, 256]}
    with ek.load(with_manifest(bundle, tmp_path / "x.edgekit", models=models), verify=False) as classify:
        assert classify("the film was good").label == "positive"
        with pytest.raises(BundleError, match="a text of 256 tokens fits none of the lengths"):
            classify("good " * 300)


def test_an_outside_package_adds_an_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    (site / "outside-1.0.dist-info").mkdir(parents=True)
    (site / "outside-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n")
    (site / "outside-1.0.dist-info" / "entry_points.txt").write_text(
        f"[edgekit.engines]\nfixed = {__name__}:FixedEngine\n"
    )
    monkeypatch.syspath_prepend(site)
    found: type[Engine] = engine_class("fixed")
    assert found is FixedEngine
    with ek.load(fixed_bundle(tmp_path / "x.edgekit", (1.0, -1.0))) as classify:
        assert classify("film").label == "negative"
    with pytest.raises(EngineUnavailableError, match="it has litert, executorch, onnx, fixed"):
        engine_class("warp")
