"""``edgekit android`` against a replayed adb, and against the real one.

No phone was there when the transcripts in tests/adb were written: they are what adb and Android are documented to print.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import edgekit_runtime
from adb.wire import WirePhone
from bundles import write_hand_made
from conftest import missing
from edgekit.android import adb as adb_module
from edgekit.android import bench as bench_module
from edgekit.android.bench import bench, to_profile
from edgekit.android.install import check_apk, install
from edgekit.android.phone import find_phone
from edgekit.android.request import MOST_TEXTS, Request, check_bundle, read_key, texts_file
from edgekit.cli.profiled import profile_lines
from edgekit.report import profile_html, profile_markdown
from edgekit_runtime import jsonio
from edgekit_runtime.errors import DeviceError, EngineUnavailableError, FileError, OptionError, SealError
from edgekit_runtime.profiling.profile import Profile
from test_cli import SCRIPT, edgekit
from test_report import make_profile
from trusted_bundles import MASTER, seal_probe

TRANSCRIPTS = Path(__file__).parent / "adb"
ROOT = Path(__file__).parents[1]
PROBE = Path(edgekit_runtime.__file__).with_name("probe.edgekit")


def phone_profile() -> Profile:
    """With null or nothing where an app cannot tell."""
    made = make_profile(
        stages_ms={}, operators=(), operators_missing="the app does not trace", by_threads=(), by_batch=()
    )
    cold = replace(made.startup, runs=1, evicted=False, python=None, imports=None, check=None, total=None)
    return replace(made, by_workers=(), startup=cold, memory_mib=replace(made.memory_mib, before_anon=None))


class Ears:
    """A Listener that keeps what it hears."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.steps: list[tuple[int, int]] = []
        self.remarks: list[str] = []

    def stage(self, title: str) -> None:
        self.stages.append(title)

    def progress(self, done: int, total: int) -> None:
        self.steps.append((done, total))

    def say(self, message: str) -> None:
        self.remarks.append(message)


class Replay:
    """An ``adb`` on PATH that plays a transcript."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "log"
        self._calls: list[dict[str, Any]] = []
        self.profile = {
            **jsonio.encode(phone_profile()),
            "android": {"model": "Pixel 8", "soc": "Tensor G3", "version": "15"},
        }
        self.variables = {
            "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "EDGEKIT_ADB_TRANSCRIPT": str(folder / "transcript.json"),
            "EDGEKIT_ADB_PROFILE": str(folder / "profile.json"),
            "EDGEKIT_ADB_LOG": str(self._log),
        }
        program = folder / "bin" / "adb"
        program.parent.mkdir()
        source = (TRANSCRIPTS / "replay.py").read_text(encoding="utf-8")
        program.write_text(f"#!{sys.executable} -IS\n{source}", encoding="utf-8")
        program.chmod(0o755)
        (folder / "profile.json").write_text(json.dumps(self.profile), encoding="utf-8")

    def play(self, name: str) -> None:
        """Chooses the transcript."""
        transcript = json.loads((TRANSCRIPTS / f"{name}.json").read_text(encoding="utf-8"))
        assert "not recorded on a phone" in transcript["about"]
        first = transcript.get("begins_with")
        before = json.loads((TRANSCRIPTS / f"{first}.json").read_text(encoding="utf-8"))["calls"] if first else []
        self._calls = [*before, *transcript["calls"]]
        (self._folder / "transcript.json").write_text(json.dumps(self._calls), encoding="utf-8")

    @property
    def called(self) -> list[dict[str, Any]]:
        """The calls so far."""
        if not self._log.exists():
            return []
        return [json.loads(line) for line in self._log.read_text(encoding="utf-8").splitlines()]

    def check(self) -> None:
        """Every call of the transcript was made, and no other."""
        wrong = self._log.with_suffix(".wrong")
        assert not wrong.exists(), wrong.read_text(encoding="utf-8")
        assert len(self.called) == len(self._calls)


@pytest.fixture
def replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Replay]:
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)
    monkeypatch.setattr(bench_module, "FIRST_LOOK_S", 0.01)
    monkeypatch.setattr(bench_module, "LOOK_S", 0.01)
    folder = tmp_path / "replay"
    folder.mkdir()
    made = Replay(folder)
    for name, value in made.variables.items():
        monkeypatch.setenv(name, value)
    yield made
    made.check()


def test_a_run_from_the_command_line(replay: Replay, tmp_path: Path) -> None:
    replay.play("command_line")
    bundle = tmp_path / "my model.edgekit"
    shutil.copy(PROBE, bundle)
    data = tmp_path / "texts.txt"
    data.write_text("a fine film\n一部好电影 😀\n", encoding="utf-8")
    page, table = tmp_path / "p.html", tmp_path / "p.md"
    done = edgekit(
        *("android", "bench", "--bundle", bundle, "--data", data, "--engine", "litert", "--threads", 2, "--runs", 200),
        *("--json", "--html", page, "--markdown", table),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == replay.profile
    note, *stages = done.stderr.splitlines()
    assert note.endswith("texts.txt is read as plain text, one text a line")
    assert [line.removesuffix(" …") for line in stages] == [
        "Waking Google Pixel 8, Android 15",
        "Copying the texts",
        "Copying my model.edgekit, 0.1 MB",
        "Starting the app",
        "The phone measures: latency",
    ]
    assert phone_profile().device.processor in table.read_text(encoding="utf-8")
    assert "<svg" in page.read_text(encoding="utf-8")
    sent = [each["stdin"] for each in replay.called if "cat >" in each["arguments"][-1]]
    assert [json.loads(line) for line in sent[0].splitlines()] == ["a fine film", "一部好电影 😀"]
    assert sent[1] == bundle.read_bytes().decode(errors="replace")


def test_the_key_of_a_sealed_bundle_goes_with_it(replay: Replay, tmp_path: Path) -> None:
    replay.play("sealed")
    bundle, key = tmp_path / "sealed.edgekit", tmp_path / "my.key"
    seal_probe().write(bundle)
    key.write_bytes(base64.b64encode(MASTER))
    key.chmod(0o600)
    done = edgekit("android", "bench", "--bundle", bundle, "--key-file", key, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == replay.profile
    sent = [each["stdin"] for each in replay.called if "cat > seal.key" in each["arguments"][-1]]
    assert sent == [base64.b64encode(MASTER).decode() + "\n"]
    said = json.dumps([each["arguments"] for each in replay.called]) + done.stderr + done.stdout
    assert base64.b64encode(MASTER).decode() not in said


def test_what_is_no_key_is_refused_before_a_phone_is_asked(tmp_path: Path) -> None:
    key = tmp_path / "my.key"
    with pytest.raises(FileError, match="there is no key"):
        read_key(key)
    key.write_text("A" * 40)
    with pytest.raises(FileError, match="chmod 600"):
        read_key(key)
    key.chmod(0o600)
    with pytest.raises(SealError, match="no sealing key of 32 bytes"):
        read_key(key)


def test_people_see_what_profile_prints(replay: Replay) -> None:
    replay.play("locked")
    done = edgekit("android", "bench")
    assert done.returncode == 0, done.stderr
    for _, said in profile_lines(phone_profile()):
        assert said in done.stdout
    assert "the phone is locked: unlock it" in done.stderr


def test_a_profile_of_a_phone_is_shown_without_what_no_phone_tells() -> None:
    printed = dict(profile_lines(phone_profile()))
    assert not {"by threads", "by batch", "throughput", "stages"} & set(printed)
    assert printed["cold start"] == "load 142, first text 3.4 ms; the bundle was in the cache of files"
    assert printed["memory"] == "61 MiB of its own, 44 MiB of files, peak 123 MiB"
    for text in (profile_markdown(phone_profile()), profile_html(phone_profile())):
        assert "golden texts among it" in text and "Of the app after every length" in text
        assert not [title for title in ("Threads a text", "Texts a call", "Workers at once", "None") if title in text]
    for text in (profile_markdown(make_profile()), profile_html(make_profile())):
        assert "Texts a call" in text and "Of a fresh process after" in text


@pytest.mark.parametrize("name", ["happy", "ends_in_a_look", "lost_for_a_moment"])
def test_the_answer_is_waited_for(replay: Replay, name: str, tmp_path: Path) -> None:
    replay.play(name)
    ears = Ears()
    request, bundle, texts = Request(), None, None
    if name == "happy":
        bundle = tmp_path / "my;model.edgekit"
        bundle.write_bytes(bytes(range(256)) * 300)
        request, texts = Request("litert", 2, 200), ["a"]
    found = bench(find_phone(), request, ears, bundle=bundle, texts=texts)
    assert found == replay.profile
    assert to_profile(found) == phone_profile()
    assert not ears.remarks
    assert ears.steps == ([(50, 200)] * 2 if name == "happy" else [])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none", "adb sees no phone: plug one in with USB debugging on"),
        ("unauthorized", "the phone R5CT1 has not allowed this computer yet: unlock it, confirm"),
        ("offline", "the phone R5CT1 is offline"),
        ("no_permissions", "android-sdk-platform-tools-common"),
        ("recovery", "is in the state recovery: adb -s R5CT1 reboot"),
        ("two", r"several phones: R5CT1 \(device\), emulator-5554 \(device\); choose with --serial"),
        ("no_server", "no connection to the phone: error: cannot connect to daemon"),
        ("app_missing", "is not on the phone R5CT1: edgekit android install"),
        ("phone_error", r"the phone says: the APK has no bundle of its own; .* \(BundleException\)"),
        ("app_dies", "the app died on the phone"),
        ("too_slow", r"not finished within 0.1 s .*\"done\": 1.*: give a longer --limit"),
        ("cut_off", "is no JSON"),
        ("lost_for_good", "no connection to the phone: error: device 'R5CT1' not found"),
        ("no_such_activity", r"cannot be started \(Error: Activity class .* does not exist"),
        ("release_build", r"no access to the app's files \(run-as: package not debuggable: dev.edgekit.demo\)"),
    ],
)
def test_what_can_go_wrong_is_said_with_the_next_step(
    replay: Replay, name: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay.play(name)
    monkeypatch.setattr(bench_module, "LOST_S", 0.0)
    ears = Ears()
    with pytest.raises(DeviceError, match=said) as caught:
        bench(find_phone(), Request(), ears, limit_s=0.1 if name == "too_slow" else 60)
    assert "\n" not in str(caught.value)
    if name == "lost_for_good":
        assert "may still be running on the phone" in ears.remarks[0]
        assert "may still be there" in ears.remarks[1]


def test_a_full_phone_is_said_before_anything_starts(replay: Replay, tmp_path: Path) -> None:
    replay.play("phone_full")
    bundle = tmp_path / "my model.edgekit"
    bundle.write_bytes(bytes(500_000))
    with pytest.raises(DeviceError, match=r"my_model.edgekit, 0.5 MB, could not be copied .*No space left on device"):
        bench(find_phone(), Request(), Ears(), bundle=bundle)


def test_an_answer_that_is_no_profile(replay: Replay) -> None:
    replay.play("no_profile")
    with pytest.raises(DeviceError, match=r"do not fit together \(the app's profile has no 'name'"):
        to_profile(bench(find_phone(), Request(), Ears()))


def test_one_phone_that_is_ready_is_taken_and_a_named_one_must_be(
    replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay.play("one_of_two_ready")
    assert find_phone().serial == "R5CT1"
    (replay._folder / "log").unlink()
    with pytest.raises(DeviceError, match="the phone emulator-5554 is offline"):
        find_phone("emulator-5554")
    (replay._folder / "log").unlink()
    monkeypatch.setenv("ANDROID_SERIAL", "other")
    with pytest.raises(DeviceError, match=r"no phone other, only R5CT1 \(device\), emulator-5554 \(offline\)"):
        find_phone()


def test_ctrl_c_stops_the_app_and_takes_away_what_was_copied(replay: Replay) -> None:
    replay.play("interrupted")
    with subprocess.Popen([SCRIPT, "android", "bench"], stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        deadline = time.monotonic() + 30
        while len(replay.called) < len(replay._calls) - 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert out == b""
    assert b"interrupted" in said and b"Traceback" not in said


def test_adb_that_hangs_is_given_up(replay: Replay, monkeypatch: pytest.MonkeyPatch) -> None:
    replay.play("none")
    (call,) = replay._calls
    (replay._folder / "transcript.json").write_text(json.dumps([{**call, "seconds": 30}]), encoding="utf-8")
    with pytest.raises(DeviceError, match=r"adb devices got no answer within 0.5 s"):
        adb_module.Adb().run("devices", limit_s=0.5)


@pytest.fixture
def apk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("app.apk", "w") as file:
        file.writestr("AndroidManifest.xml", b"\x03\x00")
    return Path("app.apk")


def test_install(replay: Replay, apk: Path) -> None:
    replay.play("install")
    done = edgekit("android", "install", "--apk", apk)
    assert (done.returncode, done.stdout) == (0, "app.apk is on Google Pixel 8, Android 15\n"), done.stderr


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("other_key", "signed with another key, of another computer say: adb uninstall dev.edgekit.demo"),
        ("downgrade", "the app on it is newer: adb uninstall"),
        ("abi", "its processor is none that the APK is built for"),
        ("full", "too little free storage: make room"),
        ("unknown", "Android says INSTALL_FAILED_DEXOPT: something new; adb uninstall"),
        ("old_adb", "needs Android 8.0 or newer"),
        ("cut", "failed to read response from device"),
    ],
)
def test_why_an_install_failed(replay: Replay, apk: Path, name: str, said: str) -> None:
    replay.play(f"install_{name}")
    phone = find_phone()
    assert phone.name == "Google Pixel 8, Android 15"
    with pytest.raises(DeviceError, match=said):
        install(phone, apk)


def test_a_transcript_refuses_other_calls(replay: Replay) -> None:
    replay.play("none")
    assert adb_module.Adb().run("version").exit == 97
    with pytest.raises(AssertionError, match=r"call 0 is .*version"):
        replay.check()
    (replay._folder / "log.wrong").unlink()


def test_what_is_no_apk_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="edgekit android build makes the APK"):
        check_apk(tmp_path / "no.apk")
    (tmp_path / "text.apk").write_text("no", encoding="utf-8")
    with pytest.raises(FileError, match="is no APK"):
        check_apk(tmp_path / "text.apk")
    shutil.copy(PROBE, tmp_path / "zip.apk")
    with pytest.raises(FileError, match="is no APK"):
        check_apk(tmp_path / "zip.apk")


def test_an_apk_of_another_name_is_refused_as_adb_would(apk: Path) -> None:
    with pytest.raises(FileError, match=r"app.zip must be named \*.apk, or adb does not take it: rename it"):
        check_apk(apk.rename("app.zip"))


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("my model.edgekit", "my_model.edgekit"),
        ("-x.edgekit", "-x.edgekit"),
        ("../é.v2", "_____v2.edgekit"),
        (".edgekit", "bundle.edgekit"),
        ("x" * 200, "x" * 100 + ".edgekit"),
    ],
)
def test_a_bundles_name_becomes_one_that_the_app_takes(name: str, sent: str) -> None:
    assert bench_module._plain(name) == sent
    source = ROOT / "android-demo/app/src/main/kotlin/dev/edgekit/demo/PlainName.kt"
    (allowed,) = re.findall(r'ALLOWED = Regex\("(.*)"\)', source.read_text(encoding="utf-8"))
    assert re.fullmatch(allowed, sent)


def test_progress_that_cannot_be_read_for_a_moment_is_not_told() -> None:
    ears = Ears()
    bench_module._tell({}, {"stage": "latency"}, ears)
    assert not ears.stages and not ears.steps


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Request(engine="onnx"), "no engine 'onnx': give one of litert, executorch"),
        (lambda: Request(threads=0), "--threads must be 1 or more"),
        (lambda: Request(runs=0), "--runs must lie between 1 and 100000"),
        (lambda: Request(seconds=float("nan")), "--seconds must lie between 1 and 3600"),
        (lambda: texts_file(["x" * 5_000_000]), "take 5.0 MB, and the app reads up to 4"),
    ],
)
def test_settings_are_checked_before_a_phone_is_asked(make: Callable[[], object], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        make()


def test_a_limit_must_leave_time_to_measure() -> None:
    done = edgekit("android", "bench", "--seconds", 60, "--limit", 30)
    assert done.returncode == 1
    assert "--limit 30 is over before --seconds 60 are" in done.stderr


def test_texts_of_any_kind_are_a_line_each_and_not_too_many() -> None:
    texts = ["two\nlines\u2028", "", "\ud800", "😀"]
    assert [json.loads(line) for line in texts_file(texts).split(b"\n")[:-1]] == texts
    assert len(texts_file([str(number) for number in range(30_000)]).splitlines()) == MOST_TEXTS


def test_a_bundle_must_have_a_program_that_the_app_runs(tmp_path: Path) -> None:
    assert check_bundle(PROBE, "executorch").manifest.models
    bundle = write_hand_made(tmp_path / "made.edgekit")
    assert check_bundle(bundle, None).manifest.models
    with pytest.raises(EngineUnavailableError, match="has no program for executorch: convert with --target executorch"):
        check_bundle(bundle, "executorch")


def test_build_is_passed_on_and_needs_a_checkout(tmp_path: Path) -> None:
    """A checkout of its own, whose build is a few lines."""
    root = tmp_path / "checkout"
    shutil.copytree(Path(edgekit_runtime.__file__).parents[2] / "sdk", root / "sdk")
    (root / "android-demo").mkdir()
    environment = {"PYTHONPATH": str(root / "sdk")}
    done = edgekit("android", "build", environment=environment)
    assert done.returncode == 1
    assert "clone that, pip install -e . in it" in done.stderr

    script = root / "scripts" / "apk" / "__main__.py"
    script.parent.mkdir(parents=True)
    script.write_text(
        "import pathlib, sys\nprint('compiling')\nprint('signing', file=sys.stderr)\n"
        "assert sys.argv[1] == 'build', sys.argv\n"
        "if '--trusted-key' in sys.argv:\n    print(*sys.argv[2:])\n"
        "if len(sys.argv) > 2:\n    sys.exit('error: no aapt2: apt install aapt')\n"
        "out = pathlib.Path(__file__).parents[2] / 'android-demo' / 'build'\nout.mkdir()\n"
        "(out / 'edgekit-demo.apk').write_bytes(bytes(1234567))\n",
        encoding="utf-8",
    )
    done = edgekit("android", "build", "--bundle", PROBE, environment=environment)
    assert done.stderr.splitlines()[-1] == "edgekit: error: the app was not built: no aapt2: apt install aapt"
    keys = [tmp_path / "a.pub", tmp_path / "b.pub"]
    done = edgekit("android", "build", "--trusted-key", keys[0], environment=environment)
    assert done.stderr.splitlines()[-1] == f"edgekit: error: there is no file {keys[0]}; give another --trusted-key"
    for key in keys:
        key.write_text("a key")
    done = edgekit("android", "build", "--trusted-key", keys[0], "--trusted-key", keys[1], environment=environment)
    assert f"--trusted-key {keys[0]} --trusted-key {keys[1]} …" in done.stderr.splitlines()
    done = edgekit("android", "build", environment=environment)
    assert done.stderr == "compiling …\nsigning …\n"
    assert done.stdout == f"{root}/android-demo/build/edgekit-demo.apk\t1.2 MB\n"

    script.write_text(
        "import time, pathlib\n"
        "left = pathlib.Path(__file__).parent / 'half'\nleft.touch()\n"
        "try:\n    print('compiling', flush=True)\n    time.sleep(60)\nfinally:\n    left.unlink()\n",
        encoding="utf-8",
    )
    command = [SCRIPT, "android", "build"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, **environment}) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "compiling …\n".encode()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 130
    assert not (script.parent / "half").exists()


def test_without_adb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError, match=r"there is no adb on PATH.*apt install adb"):
        find_phone()


PHONE_PROGRAMS = {
    "run-as": '[ "$1" = dev.edgekit.demo ] || { echo "run-as: unknown package: $1" >&2; exit 1; }\n'
    'shift; cd "$PHONE/app" && exec "$@"',
    "pm": "echo package:/data/app/base.apk",
    "getprop": "echo Fake",
    "input": "exit 0",
    "wm": "exit 0",
    "dumpsys": "echo showing=false",
    "pidof": "echo 4711",
    "cmd": 'eval "size=\\${$#}"; head -c $size > "$PHONE/installed.apk"; echo Success',
    "am": 'if [ "$1" = force-stop ]; then touch "$PHONE/stopped"; exit; fi\n'
    'while [ $# -gt 0 ]; do\n  if [ "$1" = --es ]; then eval "$2=\\$3"; fi\n  shift\ndone\n'
    'run="$PHONE/app/files/bench/$id"; cp -r "$run" "$PHONE/received"; echo "Status: ok"\n'
    'if [ "$engine" != executorch ]; then cp "$PHONE/profile.json" "$run/.r"; mv "$run/.r" "$run/result.json"; fi',
}
"""The commands of a phone that edgekit uses, and an app that knows its answer at once; with ExecuTorch it never ends."""


class WithRealAdb:
    """The real adb with a server of its own, and a phone in this process."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        programs = folder / "programs"
        programs.mkdir()
        (folder / "app").mkdir()
        for name, script in PHONE_PROGRAMS.items():
            (programs / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
            (programs / name).chmod(0o755)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        for name, value in (("ANDROID_ADB_SERVER_PORT", port), ("HOME", folder), ("PHONE", folder)):
            monkeypatch.setenv(name, str(value))
        monkeypatch.delenv("ANDROID_SERIAL", raising=False)
        self.phone = WirePhone(programs)

    def adb(self, *arguments: str) -> str:
        return subprocess.run(["adb", *arguments], capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WithRealAdb]:
    if shutil.which("adb") is None:
        missing("adb is not installed: apt install adb")
    folder = tmp_path / "real"
    folder.mkdir()
    made = WithRealAdb(folder, monkeypatch)
    yield made
    made.adb("kill-server")
    made.phone.close()


def test_the_real_adb_without_a_phone(real: WithRealAdb, apk: Path) -> None:
    done = edgekit("android", "install", "--apk", apk)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("edgekit: error: adb sees no phone: plug one in")


def test_the_real_adb_carries_all_of_it(real: WithRealAdb, apk: Path, tmp_path: Path) -> None:
    """Quoting, binary files, exit codes and an APK, through Debian's client to a phone that speaks adb's protocol."""
    assert "connected to" in real.adb("connect", real.phone.address)
    profile = jsonio.encode(phone_profile())
    (real.folder / "profile.json").write_text(json.dumps(profile), encoding="utf-8")
    phone = find_phone()
    assert phone.serial == real.phone.address
    quoted = phone.shell("printf", "%s|", "it's; $HOME", 'a "b"', "", "*", "两", "a\nb")
    assert quoted.out == 'it\'s; $HOME|a "b"||*|两|a\nb|'.encode()
    odd = phone.shell("sh", "-c", r"printf '\377\000\r\n\001'; echo said >&2; exit 37")
    assert (odd.exit, odd.out, odd.said) == (37, b"\xff\0\r\n\x01", "said\n")

    apk.write_bytes(apk.read_bytes() + os.urandom(700_000))
    install(phone, apk)
    assert (real.folder / "installed.apk").read_bytes() == apk.read_bytes()

    bundle = tmp_path / "odd 'name' $x.edgekit"
    bundle.write_bytes(os.urandom(1_500_000))
    found = bench(phone, Request(), Ears(), bundle=bundle, texts=["it's\n😀"])
    assert found == profile
    received = real.folder / "received"
    assert (received / "odd__name___x.edgekit").read_bytes() == bundle.read_bytes()
    assert json.loads((received / "texts.txt").read_text(encoding="utf-8")) == "it's\n😀"
    assert not list((real.folder / "app/files/bench").iterdir())
    assert not (real.folder / "stopped").exists()


def test_ctrl_c_reaches_the_phone_through_the_real_adb(real: WithRealAdb) -> None:
    real.adb("connect", real.phone.address)
    command = [SCRIPT, "android", "bench", "--bundle", PROBE, "--engine", "executorch"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        deadline = time.monotonic() + 30
        while "pidof dev.edgekit.demo" not in real.phone.commands and time.monotonic() < deadline:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it: to adb, too
        _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said.endswith("edgekit: interrupted; nothing half-written was left behind\n")
    assert (real.folder / "stopped").exists()
    assert (real.folder / "received/probe.edgekit").read_bytes() == PROBE.read_bytes()
    assert not list((real.folder / "app/files/bench").iterdir())
