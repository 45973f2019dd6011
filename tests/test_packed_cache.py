"""Packed weights in the user's cache, and LiteRT by its C API beside its Interpreter."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import resource
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import edgekit as sdk
import edgekit_runtime as ek
from conftest import missing
from edgekit_runtime.bundle import open_bundle
from edgekit_runtime.classifier import Classifier
from edgekit_runtime.engines import litert, litert_c, packed_cache, packed_files
from edgekit_runtime.engines.litert_compiled import CompiledRunner
from edgekit_runtime.engines.litert_interpreter import InterpreterRunner
from edgekit_runtime.engines.packed_cache import describe_packed, packed_key
from edgekit_runtime.errors import EngineError
from edgekit_runtime.filepart import FilePart

TEXT = "i love this film"
MASTER = bytes(range(32))


@pytest.fixture(autouse=True)
def _known_library() -> None:
    if litert_c.library() is None:
        missing("ai-edge-litert 2.3 on Linux, whose C API is known")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache, of this test alone; a program of any size is worth it."""
    monkeypatch.setenv(packed_cache.SETTING, str(tmp_path / "packed"))
    monkeypatch.setattr(packed_cache, "LEAST_BYTES", 0)
    return tmp_path / "packed"


@contextlib.contextmanager
def loaded(bundle: Path) -> Iterator[Classifier]:
    with ek.load(bundle, engine="litert", threads=1) as classifier:
        assert isinstance(classifier, Classifier)
        yield classifier


def logits(classifier: Classifier) -> np.ndarray:
    return classifier.logits(classifier.encoder.ids(TEXT))


def answer(bundle: Path) -> np.ndarray:
    with loaded(bundle) as classifier:
        return logits(classifier)


def only(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def maps() -> str:
    return Path("/proc/self/maps").read_text()


def test_what_the_first_load_packed_the_next_one_maps(folder: Path, bundle: Path) -> None:
    with loaded(bundle) as classifier:
        first = logits(classifier)
        path = only(folder)
        assert str(path) not in maps(), "the first has it in memory: a file that is written can be cut"
    assert path.name.endswith(f"-{hashlib.sha256(path.read_bytes()).hexdigest()}{packed_files.SUFFIX}")
    assert (path.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
    os.utime(path, (1, 1))
    with loaded(bundle) as classifier:
        assert str(path) in maps()
        assert np.array_equal(logits(classifier), first)
    assert str(path) not in maps(), "closed"
    assert only(folder) == path
    assert path.stat().st_mtime > 1, "used now"
    found = describe_packed()
    assert (found.status, found.folder, found.files, found.bytes) == ("on", str(folder), 1, path.stat().st_size)


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "linked", "device"])
def test_a_packed_file_that_was_tampered_with_is_never_used(
    damage: str, folder: Path, bundle: Path, tmp_path: Path
) -> None:
    expected = answer(bundle)
    path = only(folder)
    right = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(right[: len(right) // 2])
    elif damage == "changed":
        path.write_bytes(right[:5000] + bytes(1000) + right[6000:])
    elif damage == "empty":
        path.touch()
    elif damage == "linked":
        (tmp_path / "elsewhere").write_bytes(right)
        path.symlink_to(tmp_path / "elsewhere")
    else:
        os.mkfifo(path)
    with loaded(bundle) as classifier:
        assert str(folder) not in maps()
        assert np.array_equal(logits(classifier), expected)
    assert only(folder).read_bytes() == right, "it was made anew"
    assert not only(folder).is_symlink()


def test_packed_weights_of_another_program_under_a_right_sum_do_not_change_the_answer(
    folder: Path, bundle: Path
) -> None:
    """As only the user could make it: XNNPACK's own fingerprints are the second line."""
    expected = answer(bundle)
    path = only(folder)
    with sdk_probe() as probe, ek.load(probe, engine="litert"):
        others = [each for each in folder.iterdir() if each != path]
    if not others:
        pytest.skip("the probe has no program for LiteRT")
    shutil.copy(others[0], folder / f"{path.name[:33]}{others[0].name[33:]}")
    path.unlink()
    assert np.array_equal(answer(bundle), expected)


@contextlib.contextmanager
def sdk_probe() -> Iterator[Path]:
    from edgekit_runtime import loading

    path = Path(loading.__file__).with_name("probe.edgekit")
    if "litert" not in {program.engine for program in open_bundle(path).manifest.main.programs}:
        pytest.skip("the probe has no program for LiteRT")
    yield path


def test_nothing_of_a_sealed_bundle_is_kept(folder: Path, bundle: Path, tmp_path: Path) -> None:
    sdk.seal_bundle(bundle, MASTER, tmp_path / "sealed.edgekit")
    with ek.load(tmp_path / "sealed.edgekit", engine="litert", key=MASTER) as classifier:
        assert isinstance(classifier.engine._runner, CompiledRunner)
        assert "edgekit-packed" in maps(), "in memory"
    assert not folder.exists()


def test_what_is_not_there_to_stay_is_not_kept(
    folder: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that convert verifies, a stranger's that is tried, one that is small; or with the cache off."""
    assert FilePart.write(tmp_path / "model.tflite", b"program").cache_key is None
    with ek.load(bundle, engine="litert", trial=True, verify=False) as classifier:
        assert only(folder)
        shutil.rmtree(folder)
    monkeypatch.setenv(packed_cache.SETTING, packed_cache.OFF)
    answer(bundle)
    assert describe_packed().status == "off"
    monkeypatch.setenv(packed_cache.SETTING, str(folder))
    monkeypatch.undo()
    monkeypatch.setenv(packed_cache.SETTING, str(folder))
    assert classifier.program.file and packed_cache.LEAST_BYTES == 4 << 20
    answer(bundle)
    assert not folder.exists()


def test_a_trial_leaves_nothing(tmp_path: Path, bundle: Path) -> None:
    code = """
        import os, sys
        from edgekit_runtime.engines import packed_cache
        from edgekit_runtime.bundle import open_bundle
        from edgekit_runtime import trial
        packed_cache.LEAST_BYTES = 0
        bundle = open_bundle(sys.argv[1])
        print(trial.tried(sys.argv[1], trial._sum(bundle), "main", "litert", 1, 1 << 30, None))
    """
    done = run(code, bundle, folder=tmp_path / "packed")
    assert "ai-edge-litert" in done
    assert not (tmp_path / "packed").exists()


def run(code: str, *arguments: object, folder: Path) -> str:
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    environment = {**os.environ, packed_cache.SETTING: str(folder)}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout


@pytest.mark.parametrize("place", ["a file", "others'", "a link"])
def test_a_folder_that_cannot_be_used_is_told_to_the_log_and_by_doctor(
    place: str, folder: Path, bundle: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if place == "a file":
        folder.touch()
    elif place == "others'":
        folder.mkdir(mode=0o755)
        folder.chmod(0o755)
    else:
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "elsewhere")
    with caplog.at_level(logging.INFO, "edgekit_runtime"):
        answer(bundle)
    assert f"packed weights are not kept in {folder}" in caplog.text
    found = describe_packed()
    assert found.status == "refused" and found.detail
    assert not folder.is_dir() or not any(folder.iterdir())


def test_a_full_disk_costs_nothing_but_the_cache(
    folder: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The limit comes once the weights are packed in memory, and lets no file on a disk grow."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    keep = packed_cache.keep_packed

    def within_limits(key: str, source: int) -> bool:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        try:
            return keep(key, source)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    monkeypatch.setattr(packed_cache, "keep_packed", within_limits)
    with caplog.at_level(logging.INFO, "edgekit_runtime"):
        answer(bundle)
    assert "packed weights are not kept" in caplog.text
    assert not any(folder.iterdir()), "nothing half-written"


def test_a_limit_on_the_size_of_files_does_not_end_the_process(folder: Path, bundle: Path) -> None:
    """XNNPACK aborts where its file cannot grow, in memory, too."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    expected = answer(bundle)
    shutil.rmtree(folder)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        assert np.allclose(answer(bundle), expected, atol=1e-5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_an_interruption_leaves_nothing_half_written(
    folder: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object, **more: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(os, "rename", interrupt)
        answer(bundle)
    assert not any(folder.iterdir())


def test_two_processes_at_once_keep_one_file(folder: Path, bundle: Path) -> None:
    code = """
        import json, sys
        from edgekit_runtime.engines import packed_cache
        import edgekit_runtime as ek
        packed_cache.LEAST_BYTES = 0
        with ek.load(sys.argv[1], engine="litert", threads=1) as classify:
            print(json.dumps(classify.logits(classify.encoder.ids(sys.argv[2])).tolist()))
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(bundle), TEXT]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in range(3)]
    answers = [json.loads(process.communicate()[0]) for process in started]
    assert answers[0] == answers[1] == answers[2]
    assert only(folder)


def test_the_oldest_go_and_so_does_what_was_left_half_written(
    folder: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(bundle)
    kept = only(folder)
    for age, name in ((3000, "old.packed"), (2000, "newer.packed"), (7200, "left.part"), (10, "writing.part")):
        (folder / name).write_bytes(bytes(1000))
        os.utime(folder / name, (time.time() - age,) * 2)
    monkeypatch.setattr(packed_cache, "MOST_BYTES", kept.stat().st_size + 1000)
    kept.unlink()
    answer(bundle)
    assert {path.name for path in folder.iterdir()} == {kept.name, "newer.packed", "writing.part"}


def test_the_key_tells_programs_builds_and_processors_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {packed_key("a", "x"), packed_key("b", "x"), packed_key("a", "y")}
    monkeypatch.setattr(packed_cache, "processor", lambda: "another")
    assert len({*keys, packed_key("a", "x")}) == 4


def test_where_it_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (packed_cache.SETTING, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert packed_cache.packed_folder() == Path.home() / ".cache/edgekit/packed"
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert packed_cache.packed_folder() == Path("/somewhere/edgekit/packed")


def test_both_ways_of_running_a_program_answer_alike(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with loaded(bundle) as classifier:
        assert isinstance(classifier.engine, litert.LiteRtEngine)
        monkeypatch.setattr(litert, "library", lambda: None)
        with loaded(bundle) as other:
            assert isinstance(other.engine, litert.LiteRtEngine)
            assert isinstance(classifier.engine._runner, CompiledRunner)
            assert isinstance(other.engine._runner, InterpreterRunner)
            assert classifier.engine.lengths == other.engine.lengths
            for length in classifier.engine.lengths or ():
                ids = np.arange(5, 5 + length, dtype=np.int32)[None] % 50
                mask = (np.arange(length)[None] < max(1, length - 3)).astype(np.float32)
                found, expected = (each.engine.run(ids, mask) for each in (classifier, other))
                assert np.abs(found - expected).max() < 1e-5


def test_logits_are_the_callers_and_inputs_are_checked(bundle: Path) -> None:
    with loaded(bundle) as classifier:
        engine = classifier.engine
        length = (engine.lengths or ())[0]
        ids, mask = np.ones((1, length), np.int32), np.ones((1, length), np.float32)
        first = engine.run(ids, mask)
        before = first.copy()
        engine.run(ids * 7, mask)
        assert np.array_equal(first, before)
        for wrong in ((ids.astype(np.int64), mask), (ids, mask.astype(np.float64)), (np.ones((2, length)), mask)):
            with pytest.raises(EngineError, match=f"LiteRT failed at length {length}"):
                engine.run(*wrong)
    with pytest.raises(EngineError, match="it was closed"):
        engine.run(ids, mask)


def test_another_version_runs_by_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    litert_c.library.cache_clear()
    monkeypatch.setattr(litert_c, "KNOWN", ("9.",))
    assert litert_c.library() is None
    litert_c.library.cache_clear()


def test_what_is_not_closed_is_freed(folder: Path, bundle: Path) -> None:
    answer(bundle)

    def load_and_forget() -> None:
        ek.load(bundle, engine="litert", threads=1)(TEXT)

    load_and_forget()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        load_and_forget()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert str(folder) not in maps()
