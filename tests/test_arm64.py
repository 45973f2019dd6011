"""ARM64 under emulation: wheels as a device installs them, real programs, the answers of this machine."""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from bundles import entries, with_contents
from conftest import missing
from edgekit_converters.pipeline import Conversion, convert
from edgekit_converters.recipe import Recipe
from edgekit_converters.targets import TARGETS

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts" / "arm64"))
emulator: ModuleType = importlib.import_module("emulator")
prove: ModuleType = importlib.import_module("prove")
wheels: ModuleType = importlib.import_module("wheels")

ENGINES = tuple(TARGETS)
CLOSE = 5e-3
"""Largest difference of a logit on these small networks."""


@contextlib.contextmanager
def needing_tools() -> Iterator[None]:
    try:
        yield
    except emulator.MissingError as error:
        missing(str(error))


@pytest.fixture(scope="session")
def arm():
    """The emulator; what it needs is fetched into build/arm64 the first time."""
    if platform.machine() in ("aarch64", "arm64"):
        pytest.skip("this machine is ARM64 itself: the other tests prove it")
    with needing_tools():
        return emulator.prepare()


@pytest.fixture(scope="session")
def site(arm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """edgekit and its engine as a device has them, from wheels."""
    with needing_tools():
        return wheels.device_packages(tmp_path_factory.mktemp("arm64-wheels"))


@pytest.fixture(scope="session")
def arm_bundles(
    cnn_checkpoint: Path,
    bert_on_both: Conversion,
    bert_on_onnx: Conversion,
    labelled_csv: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> list[Path]:
    """A CNN and a BERT that know good from bad, with programs for every target; the BERT in two bundles."""
    out = tmp_path_factory.mktemp("arm64-bundles") / "cnn.edgekit"
    recipe = Recipe(targets=ENGINES, max_length=64, buckets=(16, 64))
    cnn = convert(cnn_checkpoint, out, recipe=recipe, eval_data=labelled_csv)
    return [Path(each.bundle) for each in (cnn, bert_on_both, bert_on_onnx)]


@pytest.fixture(scope="session")
def proof(arm, site: Path, arm_bundles: list[Path]):
    return prove.prove(arm, site, arm_bundles, prove.fifty_texts())


def test_arm64_answers_as_this_machine_on_every_engine(proof, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        sys.stdout.write(f"\n{prove.table(proof)}\n")
    assert "aarch64" in proof.device
    ran = [(Path(each.bundle).stem, each.engine.partition(" ")[0]) for each in proof.agreements]
    assert len(set(ran)) == len(ran) == 2 * len(ENGINES)
    for each in proof.agreements:
        assert each.texts == 50
        assert each.labels == {"negative", "positive"}, "texts that all get one label would prove little"
        assert each.equal == each.texts
        assert each.max_logit_diff <= CLOSE


def test_the_runtime_on_a_device_needs_its_engines_numpy_and_tokenizers(proof) -> None:
    engines = {each.engine.partition(" ")[0].replace("-", "_") for each in proof.agreements}
    assert "ai_edge_litert" in engines, "whose library is called, and of whose Python package nothing is imported"
    assert proof.imported == {"edgekit_runtime", "numpy", "tokenizers", *engines} - {"ai_edge_litert"}
    assert not proof.torch


def test_golden_texts_are_verified_on_arm64(arm, site: Path, arm_bundles: list[Path], tmp_path: Path) -> None:
    bundle = arm_bundles[0]
    golden = json.loads(entries(bundle)["golden.json"])
    golden["texts"][-1]["logits"]["model.tflite"][0] += 0.2
    bent = with_contents(bundle, tmp_path / "bent.edgekit", golden_json=json.dumps(golden).encode())
    with pytest.raises(emulator.Arm64Error, match=r"does not run .*bent.edgekit on litert: GoldenMismatchError: "):
        prove.prove(arm, site, [bent], ["ok"])


@pytest.mark.parametrize(
    ("equal", "difference", "right"), [(50, 0.05, True), (49, 0.0, False), (50, 0.051, False), (50, math.nan, False)]
)
def test_right_is_what_has_the_same_labels_and_nearly_the_same_logits(equal, difference, right) -> None:
    agreement = prove.Agreement("x.edgekit", "engine 1.0", 50, frozenset(("a", "b")), equal, difference, 1.0)
    assert agreement.right is right


def test_a_bundle_that_is_not_there_is_told_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match=r"^prove\.py: error: .*nowhere\.edgekit"):
        prove.main([str(tmp_path / "nowhere.edgekit")])


# --- the emulator -----------------------------------------------------------------------------------------------------


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that refuses every connection, for apt-get and for pip."""
    refusing = "http://127.0.0.1:9"
    (tmp_path / "apt.conf").write_text(f'Acquire::Retries "0";\nAcquire::http::Proxy "{refusing}";\n')
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    monkeypatch.setenv("PIP_PROXY", refusing)
    monkeypatch.setenv("PIP_RETRIES", "0")


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("make", "told"),
    [
        ("debian_root", "cannot fetch Debian's python3.* for arm64: .*; .*Could not connect"),
        ("index_packages", "cannot fetch wheels for aarch64: .*"),
    ],
)
def test_without_the_network_it_says_so_and_leaves_nothing(make: str, told: str, tmp_path: Path) -> None:
    if make == "debian_root" and shutil.which("apt-get") is None:
        missing("apt-get")
    with pytest.raises(emulator.MissingError, match=told) as caught:
        getattr(emulator, make)(tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.usefixtures("offline")
def test_what_was_fetched_is_used_again_until_another_version_is_pinned(
    arm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert emulator.prepare() == arm
    pins = tmp_path / "constraints.txt"
    pins.write_text(emulator.CONSTRAINTS.read_text(encoding="utf-8").replace("\nnumpy==", "\nnumpy==0.0."))
    monkeypatch.setattr(emulator, "CONSTRAINTS", pins)
    with pytest.raises(emulator.MissingError, match="cannot fetch wheels"):
        emulator.prepare()


def test_a_machine_without_the_tools_is_told_what_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(emulator.MissingError, match="needs Debian"):
        emulator.debian_root(tmp_path)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    with pytest.raises(emulator.MissingError, match="apt-get install qemu-user-static"):
        emulator.find_qemu()
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(emulator.MissingError, match=r"ARM64 itself.*make test"):
        emulator.find_qemu()


def test_a_program_that_fails_there_is_an_error_here(arm, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import sys; sys.exit('out of luck')")
    with pytest.raises(emulator.Arm64Error, match=r"program\.py under qemu ended with 1: out of luck"):
        arm.run(program, "", tmp_path)
