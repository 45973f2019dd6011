"""What the doctor finds: packages, device, sensors, and engines and targets that work, crash or are not there."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from importlib import metadata, resources
from pathlib import Path

import numpy as np
import pytest

import edgekit as edgekit_package
import edgekit_converters
import edgekit_runtime
from edgekit.packages import Package, installed_extras
from edgekit.trial import PROBE, engine_names, target_names, try_out
from edgekit_converters.targets import TARGETS
from edgekit_runtime import load, open_bundle
from edgekit_runtime.engines import ENGINES
from edgekit_runtime.golden import Golden
from edgekit_runtime.profiling.device import describe_device
from edgekit_runtime.profiling.energy.families import find_sensors
from edgekit_runtime.profiling.energy.sensor import Sensor
from sensors.replay import ordinary_user
from test_cli import edgekit
from test_layers import HEAVY

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
make_probe = importlib.import_module("make_probe")


def write_tree(root: Path, files: Mapping[str, object]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n", encoding="utf-8")
    return root


# --- packages ---------------------------------------------------------------------------------------------------------


def test_packages_are_those_of_the_metadata() -> None:
    extras = {extra.name: extra for extra in installed_extras()}
    assert list(extras) == ["base", *metadata.metadata("edgekit").get_all("Provides-Extra")]
    assert {package.name for package in extras["base"].packages} >= {"numpy", "tokenizers", "rich", "typer"}
    (litert,) = extras["litert"].packages
    assert litert == Package("ai-edge-litert", "<3,>=2.3", metadata.version("ai-edge-litert"), True)
    assert litert in extras["convert"].packages, "an extra has the packages of the extras within it"
    assert {extras[name].status for name in ("base", "litert", "convert")} == {"works"}
    assert extras["convert"].install == "pip install 'edgekit[convert]'"


def test_packages_that_are_missing_old_or_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    described = """Metadata-Version: 2.1
Name: patient
Version: 1
Provides-Extra: missing
Provides-Extra: old
Provides-Extra: local
Provides-Extra: broken
Provides-Extra: mixed
Requires-Dist: heart>=1
Requires-Dist: never; python_version < "3"
Requires-Dist: lung>=2,<3; extra == "missing"
Requires-Dist: heart>=2; extra == "old"
Requires-Dist: liver>=2.13,<2.15; extra == "local"
Requires-Dist: spleen>=1; extra == "broken"
Requires-Dist: lung>=2,<3; extra == "mixed"
Requires-Dist: heart>=2; extra == "mixed"
"""
    versions = {"heart": "1.5", "liver": "2.13.0+cpu", "spleen": "not a version"}
    write_tree(tmp_path, {"patient-1.dist-info/METADATA": described})
    for name, version in versions.items():
        head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"
        write_tree(tmp_path, {f"{name}-1.dist-info/METADATA": head})
    monkeypatch.syspath_prepend(tmp_path)
    found = {extra.name: extra for extra in installed_extras("patient")}
    assert {name: extra.status for name, extra in found.items()} == {
        "base": "works",
        "missing": "absent",
        "old": "wrong",
        "local": "works",
        "broken": "wrong",
        "mixed": "absent",
    }
    assert found["base"].packages == (Package("heart", ">=1", "1.5", True),)
    assert found["missing"].packages == (Package("lung", "<3,>=2", None, False),)
    assert found["old"].packages == (Package("heart", ">=2", "1.5", False),)
    assert found["missing"].install == "pip install 'patient[missing]'"


def test_a_distribution_that_is_not_installed() -> None:
    (base,) = installed_extras("no-such-thing")
    assert (base.name, base.status, base.install) == ("base", "absent", "pip install no-such-thing")


# --- device -----------------------------------------------------------------------------------------------------------


def test_a_raspberry_pi(tmp_path: Path) -> None:
    cpu = "processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd aes crc32 atomics fphp asimdhp asimdrdm asimddp"
    write_tree(tmp_path, {"proc/cpuinfo": cpu, "proc/meminfo": "MemTotal:        8241328 kB\nMemAvailable: 7000000 kB"})
    write_tree(tmp_path, {"proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0"})
    device = describe_device(tmp_path, "aarch64")
    assert device.processor == "Raspberry Pi 5 Model B Rev 1.0"
    assert device.features == {"asimddp": True, "i8mm": False, "sve": False}
    assert (device.memory_mib, device.available_mib) == (8048, 6835)
    assert device.system.endswith(" aarch64")


def test_a_server_with_amx(tmp_path: Path) -> None:
    core = "processor\t: {}\nmodel name\t: Intel(R) Xeon(R) Platinum 8481C\nflags\t\t: fpu avx2 avx512_vnni amx_int8\n"
    write_tree(tmp_path, {"proc/cpuinfo": core.format(0) + "\n" + core.format(1).replace("avx2", "")})
    device = describe_device(tmp_path, "x86_64")
    assert device.processor == "Intel(R) Xeon(R) Platinum 8481C"
    assert device.features == {"avx2": True, "avx_vnni": False, "avx512_vnni": True, "amx_int8": True}


def test_a_system_that_tells_nothing(tmp_path: Path) -> None:
    device = describe_device(tmp_path)
    assert device.features == {}
    assert device.memory_mib is None and device.available_mib is None
    assert device.processor and 1 <= device.usable_cores <= device.cores


# --- sensors ----------------------------------------------------------------------------------------------------------

RAPL = {
    "sys/class/powercap/intel-rapl:0/name": "package-0",
    "sys/class/powercap/intel-rapl:0/energy_uj": 52428800000,
    "sys/class/powercap/intel-rapl:0:0/name": "core",
    "sys/class/powercap/intel-rapl:0:0/energy_uj": 1000000,
    "sys/class/powercap/intel-rapl/enabled": 1,
}
JETSON = {
    "sys/class/hwmon/hwmon1/name": "ina3221",
    "sys/class/hwmon/hwmon1/in1_label": "VDD_GPU_SOC",
    "sys/class/hwmon/hwmon1/in1_input": 19120,
    "sys/class/hwmon/hwmon1/curr1_input": 208,
    "sys/class/hwmon/hwmon1/in2_input": 19120,
    "sys/class/hwmon/hwmon1/curr2_input": 64,
    "sys/class/hwmon/hwmon1/in4_input": 1,
    "sys/class/hwmon/hwmon0/name": "coretemp",
    "sys/class/hwmon/hwmon0/in0_input": 880,
    "sys/class/hwmon/hwmon0/temp1_input": 48000,
    "sys/class/hwmon/hwmon2/name": "amdgpu",
    "sys/class/hwmon/hwmon2/power1_label": "PPT",
    "sys/class/hwmon/hwmon2/power1_input": 7500000,
}
LAPTOP = {
    "sys/class/power_supply/AC/type": "Mains",
    "sys/class/power_supply/BAT0/type": "Battery",
    "sys/class/power_supply/BAT0/status": "Discharging",
    "sys/class/power_supply/BAT0/power_now": 6482000,
    "sys/class/power_supply/BAT1/type": "Battery",
    "sys/class/power_supply/BAT1/status": "Charging",
    "sys/class/power_supply/BAT1/current_now": 500000,
    "sys/class/power_supply/BAT1/voltage_now": 12000000,
    "sys/class/power_supply/hidpp_battery_0/type": "Battery",
    "sys/class/power_supply/hidpp_battery_0/scope": "Device",
}
PI_5 = """   3V7_WL_SW_A current(0)=0.10000000A
   VDD_CORE_A current(7)=0.80000000A
   3V7_WL_SW_V volt(8)=3.70000000V
   VDD_CORE_V volt(15)=0.75000000V
     EXT5V_V volt(24)=5.14700000V"""


def sensors(root: Path, files: Mapping[str, object]) -> list[tuple[str, str, str, float | None, str]]:
    return [(s.family, s.name, s.status, s.value, s.unit) for s in find_sensors(write_tree(root, files))]


def vcgencmd(root: Path, prints: str, code: int = 0) -> None:
    script = f"#!/bin/sh\n[ \"$1\" = pmic_read_adc ] || exit 9\ncat <<'END'\n{prints}\nEND\nexit {code}"
    write_tree(root, {"usr/bin/vcgencmd": script})
    (root / "usr/bin/vcgencmd").chmod(0o755)


def test_no_sensors(tmp_path: Path) -> None:
    assert find_sensors(tmp_path) == ()


def test_rapl(tmp_path: Path) -> None:
    assert sensors(tmp_path, RAPL) == [
        ("rapl", "package-0", "works", 52428.8, "J"),
        ("rapl", "core", "works", 1.0, "J"),
    ]


def test_power_monitors_on_the_board(tmp_path: Path) -> None:
    """Voltages without a current are no power."""
    found = sensors(tmp_path, JETSON)
    assert [(name, status, unit) for _, name, status, _, unit in found] == [
        ("ina3221 VDD_GPU_SOC", "works", "W"),
        ("ina3221 channel 2", "works", "W"),
        ("amdgpu PPT", "works", "W"),
    ]
    assert [value for *_, value, _ in found] == pytest.approx([19.12 * 0.208, 19.12 * 0.064, 7.5])


def test_batteries_but_not_that_of_a_mouse(tmp_path: Path) -> None:
    assert sensors(tmp_path, LAPTOP) == [
        ("battery", "BAT0", "works", 6.482, "W"),
        ("battery", "BAT1", "works", 6.0, "W"),
    ]
    assert [sensor.detail for sensor in find_sensors(tmp_path)] == ["discharging", "charging"]


def test_the_power_chip_of_a_raspberry_pi_5(tmp_path: Path) -> None:
    vcgencmd(tmp_path, PI_5)
    (sensor,) = find_sensors(tmp_path)
    assert (sensor.family, sensor.name, sensor.status, sensor.unit) == ("pmic", "2 rails", "works", "W")
    assert sensor.value == pytest.approx(3.7 * 0.1 + 0.75 * 0.8)


def test_a_raspberry_pi_without_that_chip(tmp_path: Path) -> None:
    vcgencmd(tmp_path, 'error=1 error_msg="Command not registered"')
    assert find_sensors(tmp_path) == ()


def test_a_user_who_may_not_ask_the_power_chip(tmp_path: Path) -> None:
    vcgencmd(tmp_path, "Can't open device file: /dev/vcio", code=1)
    (sensor,) = find_sensors(tmp_path)
    assert sensor.status == "denied"
    assert "usermod -aG video" in sensor.detail


@pytest.mark.parametrize("content", ["", "nonsense", "1.5"])
def test_a_sensor_that_gives_no_number(tmp_path: Path, content: str) -> None:
    (sensor,) = find_sensors(write_tree(tmp_path, {"sys/class/powercap/intel-rapl:0/energy_uj": content}))
    assert (sensor.name, sensor.status, sensor.value) == ("intel-rapl:0", "wrong", None)
    assert "it gives no number" in sensor.detail


def test_a_battery_that_tells_neither_power_nor_current(tmp_path: Path) -> None:
    (sensor,) = find_sensors(write_tree(tmp_path, {"sys/class/power_supply/BAT0/type": "Battery"}))
    assert (sensor.status, sensor.value) == ("wrong", None)
    assert "No such file" in sensor.detail


def test_a_counter_that_only_root_may_read(tmp_path: Path) -> None:
    write_tree(tmp_path, RAPL)
    closed = tmp_path / "sys/class/powercap/intel-rapl:0/energy_uj"
    closed.chmod(0)
    with ordinary_user(tmp_path):
        denied, core = find_sensors(tmp_path)
    hint = f"this user may not read it: sudo chmod a+r {closed} (until the next boot), or run as root"
    assert denied == Sensor("rapl", "package-0", str(closed), "denied", None, "J", hint)
    assert core.status == "works"


def test_a_folder_that_only_root_may_enter(tmp_path: Path) -> None:
    write_tree(tmp_path, RAPL | LAPTOP)
    closed = tmp_path / "sys/class/powercap"
    closed.chmod(0)
    with ordinary_user(tmp_path):
        denied, *batteries = find_sensors(tmp_path)
    closed.chmod(0o755)
    assert (denied.family, denied.status, denied.value) == ("rapl", "denied", None)
    assert str(closed) in denied.path
    assert [battery.status for battery in batteries] == ["works", "works"]


# --- the probe --------------------------------------------------------------------------------------------------------


def golden(path: Path) -> Golden:
    return Golden.from_bytes(open_bundle(path).read("golden.json"), "golden.json")


@pytest.fixture(scope="module")
def probe() -> Path:
    return Path(str(resources.files("edgekit_runtime") / PROBE))


def test_the_probe_has_a_program_for_every_target_and_answers(probe: Path) -> None:
    programs = open_bundle(probe).manifest.main.programs
    assert {program.engine for program in programs} == set(TARGETS), "run scripts/make_probe.py"
    for program in programs:
        load(probe, engine=program.engine).close()
    assert len({max(range(2), key=item.logits[programs[0].file].__getitem__) for item in golden(probe).texts}) == 2
    assert probe.stat().st_size < 30_000 * len(programs)


def test_the_script_makes_the_probe_that_is_here(probe: Path, tmp_path: Path) -> None:
    make_probe.main(tmp_path / PROBE)
    again, here = golden(tmp_path / PROBE).texts, golden(probe).texts
    assert [(item.text, item.ids) for item in again] == [(item.text, item.ids) for item in here]
    for ours, theirs in zip(again, here, strict=True):
        assert ours.logits.keys() == theirs.logits.keys()
        for file in ours.logits:
            assert np.allclose(ours.logits[file], theirs.logits[file], atol=0.01)


# --- engines and targets ----------------------------------------------------------------------------------------------

OUTSIDE = '''
import os

class Mismatched:
    """Its packages do not fit each other, which shows when they are imported."""
    @classmethod
    def unavailable(cls):
        raise TypeError("Descriptors cannot be created directly.\\nIf this call came from a _pb2.py file, ...")

class Crashing:
    @classmethod
    def unavailable(cls):
        print("about to crash", flush=True)
        os.abort()

class Leaving(Crashing):
    @classmethod
    def unavailable(cls):
        raise SystemExit("goodbye")

class NotInstalled(Crashing):
    @classmethod
    def unavailable(cls):
        return "the parts are missing: pip install parts"

class Chatty(Crashing):
    @classmethod
    def unavailable(cls):
        os.write(1, b"what a native library prints")

class CrashingTarget:
    name, schemes = "crashing", ("none",)
    def check(self, quant, architecture=None):
        assert quant.scheme == "none"
    def lower(self, network, buckets, quant, listener):
        os.abort()
'''
OUTSIDE_NAMES = {
    "mismatched": "Mismatched",
    "crashing": "Crashing",
    "leaving": "Leaving",
    "notinstalled": "NotInstalled",
    "chatty": "Chatty",
    "lost": "NoSuchClass",
}


def write_outside(site: Path, *engines: str) -> Path:
    """A package that brings engines and a target, most of them broken."""
    lines = ["[edgekit.engines]", *(f"{name} = outside_parts:{OUTSIDE_NAMES[name]}" for name in engines)]
    lines += ["[edgekit.targets]", "crashing = outside_parts:CrashingTarget"]
    return write_tree(
        site,
        {
            "outside_parts.py": OUTSIDE,
            "outside-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: outside\nVersion: 1.0",
            "outside-1.0.dist-info/entry_points.txt": "\n".join(lines),
        },
    )


def python_path(*folders: Path) -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join([*map(str, folders), *filter(None, [os.environ.get("PYTHONPATH")])])}


def test_engines_of_other_packages_are_tried_and_a_crash_is_a_finding(tmp_path: Path) -> None:
    outside = write_outside(tmp_path, *OUTSIDE_NAMES)
    done = edgekit("doctor", "--quick", "--json", environment=python_path(outside))
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    found = json.loads(done.stdout)
    assert list(found) == [
        *("works", "edgekit", "python", "device", "extras", "engines", "targets", "environments", "packed", "sensors")
    ]
    engines = {engine["name"]: engine for engine in found["engines"]}
    assert list(engines) == [*ENGINES, *OUTSIDE_NAMES]
    assert engines["litert"]["status"] == "works"
    assert metadata.version("ai-edge-litert") in engines["litert"]["detail"]
    assert engines["mismatched"]["status"] == engines["crashing"]["status"] == engines["leaving"]["status"] == "wrong"
    assert engines["mismatched"]["detail"].startswith("TypeError: Descriptors cannot be created directly.; compare")
    assert engines["mismatched"]["detail"].endswith("pip install --force-reinstall outside")
    assert "it crashed (SIGABRT)" in engines["crashing"]["detail"]
    assert "ended with 1 and no answer (goodbye)" in engines["leaving"]["detail"]
    assert engines["notinstalled"]["status"] == "absent"
    assert engines["notinstalled"]["detail"] == "the parts are missing: pip install parts"
    assert engines["chatty"]["status"] == "untried"
    assert engines["lost"]["status"] == "wrong" and "NoSuchClass" in engines["lost"]["detail"]
    assert {target["name"]: target["status"] for target in found["targets"]} == dict.fromkeys(
        [*ENGINES, "crashing"], "untried"
    )


def test_for_the_eye(tmp_path: Path) -> None:
    outside = write_outside(tmp_path, "crashing", "notinstalled")
    done = edgekit("doctor", "--quick", environment=python_path(outside))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"edgekit {metadata.version('edgekit')}, Python ")
    assert any(line.startswith("✓ engine   litert     ai-edge-litert ") for line in lines)
    assert any(line.startswith("✗ engine   crashing   it crashed (SIGABRT); ") for line in lines)
    assert any(line.startswith("– engine   notinstalled the parts are missing: ") for line in lines)
    assert any(line.startswith("✓ packages litert ") for line in lines)
    assert sum("ai-edge-litert " in line and "packages" in line for line in lines) == 1, "each version is listed once"
    assert lines[-1] == f"edgekit works here, with {', '.join(ENGINES)}"


def test_a_target_makes_a_program_that_its_engine_runs() -> None:
    trial = try_out("target", "litert")
    assert (trial.name, trial.status) == ("litert", "works"), trial
    assert trial.detail.endswith("int8, which litert runs rightly")
    assert trial.seconds > 0


def test_a_target_that_crashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(write_outside(tmp_path, "chatty"))
    assert target_names() == (*ENGINES, "crashing")
    assert engine_names() == (*ENGINES, "chatty")
    trial = try_out("target", "crashing")
    assert trial.status == "wrong", trial
    assert trial.detail.startswith("it crashed (SIGABRT); ")


def test_edgekits_targets_have_the_names_of_their_engines() -> None:
    assert set(TARGETS) <= set(ENGINES)


# --- other machines ---------------------------------------------------------------------------------------------------


RUNTIMES = ("ai_edge_litert", "edgekit_executorch", "executorch", "onnxruntime")


def site_without(folder: Path, *absent: str) -> Path:
    """This environment's packages, linked, but for some modules and what says that they are installed."""
    folder.mkdir()
    modules = {name.lower() for name in absent}
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        name = entry.name.split("-")[0].split(".")[0].lower()
        if name not in modules and entry.suffix != ".pth":
            (folder / entry.name).symlink_to(entry)
    return folder


def doctor_on(site: Path, *arguments: str, warnings: str = "error") -> subprocess.CompletedProcess[str]:
    """The doctor where only what lies in ``site``, and edgekit's own code, is installed."""
    floors = [
        str(Path(module.__file__).parents[1]) for module in (edgekit_package, edgekit_converters, edgekit_runtime)
    ]
    environment = {
        **os.environ,
        "PYTHONWARNINGS": warnings,
        "PYTHONPATH": os.pathsep.join([*floors, str(site)]),
    }
    command = [sys.executable, "-S", "-c", "from edgekit.cli import main; main()", "doctor", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=120)


def test_a_device_without_torch(tmp_path: Path) -> None:
    done = doctor_on(site_without(tmp_path / "site", *HEAVY, "scikit_learn"), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["works"] is True
    assert {trial["name"]: trial["status"] for trial in found["targets"]} == dict.fromkeys(ENGINES, "absent")
    assert next(trial for trial in found["engines"] if trial["name"] == "litert")["status"] == "works"
    extras = {extra["name"]: extra for extra in found["extras"]}
    assert extras["base"]["status"] == extras["litert"]["status"] == "works"
    assert extras["convert"]["status"] == "absent"
    missing = {package["name"] for package in extras["convert"]["packages"] if package["installed"] is None}
    assert missing >= {"torch", "litert-torch", "safetensors", "transformers"}


def test_a_device_without_an_engine(tmp_path: Path) -> None:
    done = doctor_on(site_without(tmp_path / "site", *HEAVY, *RUNTIMES))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    lines = done.stdout.splitlines()
    assert any(line.startswith("– engine   litert     ai-edge-litert is not installed: pip install") for line in lines)
    assert "– packages litert     ai-edge-litert<3,>=2.3 is missing: pip install 'edgekit[litert]'" in lines
    assert lines[-1].startswith("edgekit does not work here")


def test_an_engine_whose_packages_do_not_fit(tmp_path: Path) -> None:
    site = site_without(tmp_path / "site", *HEAVY, *RUNTIMES)
    for entry in Path(sysconfig.get_path("purelib")).glob("ai_edge_litert-*"):
        (site / entry.name).symlink_to(entry)
    write_tree(
        site, {"ai_edge_litert/__init__.py": "", "ai_edge_litert/interpreter.py": "raise TypeError('no, numpy 1')"}
    )
    done = doctor_on(site, "--json")
    assert done.returncode == 1
    (litert,) = (trial for trial in json.loads(done.stdout)["engines"] if trial["name"] == "litert")
    assert litert["status"] == "wrong"
    assert litert["detail"].startswith("TypeError: no, numpy 1; compare its packages")
    assert litert["detail"].endswith("pip install --force-reinstall 'edgekit[litert]'")


def test_the_official_binding_is_named_where_it_alone_is_installed(tmp_path: Path) -> None:
    site = site_without(tmp_path / "site", "edgekit_executorch")
    done = doctor_on(site, "--quick", "--json", warnings="default")  # torch and the binding warn
    (found,) = (trial for trial in json.loads(done.stdout)["engines"] if trial["name"] == "executorch")
    assert found["status"] == "works"
    assert "(its own binding, with torch) answers its golden texts rightly" in found["detail"]
