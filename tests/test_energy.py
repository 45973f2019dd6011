"""Energy of an inference on replayed boards: each family's figure by hand, and each refusal with its reason."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgekit_runtime.errors import OptionError
from edgekit_runtime.profiling.energy import GAUGE, MODELLED, RAIL, UNAVAILABLE, Energy
from edgekit_runtime.profiling.energy.families import find_meters
from edgekit_runtime.profiling.energy.method import measure_energy
from edgekit_runtime.profiling.energy.modelled import modelled_meter
from edgekit_runtime.profiling.energy.recorder import Recorder, Timer
from edgekit_runtime.profiling.energy.settings import EnergySettings
from sensors.replay import HERE, Replay, change, lay_out, ordinary_user, put

S_A_TEXT = 0.02 / 4
"""The replayed board classifies four texts in 20 ms."""

Show = Callable[[Replay], None]


def measure(
    root: Path, replay: Replay, *, progress: Callable[[int, int], None] | None = None, **settings: object
) -> Energy:
    asked = EnergySettings(**settings)  # type: ignore[arg-type]
    return measure_energy(replay.classify_some, asked, root=root, timer=replay, progress=progress)


def files(root: Path, folder: str, **contents: Callable[[Replay], float]) -> Show:
    """Writes whole numbers into files of a folder; a file that is gone stays so."""

    def show(replay: Replay) -> None:
        for name, value in contents.items():
            change(root / folder / name, round(value(replay)))

    return show


def both(*shows: Show) -> Show:
    return lambda replay: [show(replay) for show in shows] and None


def refused(energy: Energy, *said: str) -> None:
    assert (energy.status, energy.mj_per_inference, energy.ci95) == (UNAVAILABLE, None, None), energy
    assert "\n" not in energy.reason
    for part in said:
        assert part in energy.reason


# --- RAPL -------------------------------------------------------------------------------------------------------------


def counter(root: Path, zone: str, idle: float, load: float) -> Show:
    """A counter that begins where the tree has it and wraps at its range."""
    folder = root / "sys/class/powercap" / zone
    begin, limit = (int((folder / name).read_text()) for name in ("energy_uj", "max_energy_range_uj"))
    return files(
        root, f"sys/class/powercap/{zone}", energy_uj=lambda replay: (begin + 1e6 * replay.joules(idle, load)) % limit
    )


def two_packages(root: Path) -> Replay:
    lay_out("intel-two-packages", root)
    watts = {
        "intel-rapl:0": (14, 39),
        "intel-rapl:0:0": (6, 30),
        "intel-rapl:0:1": (0.5, 0.5),
        "intel-rapl:0:2": (3, 4.5),
        "intel-rapl:1": (11, 12),
        "intel-rapl:1:0": (4, 5),
        "intel-rapl:1:1": (0.5, 0.5),
        "intel-rapl:1:2": (2.5, 2.5),
    }
    return Replay(both(*(counter(root, zone, *pair) for zone, pair in watts.items())))


def test_two_packages_and_their_memory_with_a_wrap_around(tmp_path: Path) -> None:
    replay = two_packages(tmp_path)
    energy = measure(tmp_path, replay)
    by_hand = 1000 * ((39 - 14) + (12 - 11) + (4.5 - 3) + (2.5 - 2.5)) * S_A_TEXT
    assert by_hand == pytest.approx(137.5)
    assert energy.status == RAIL
    assert energy.mj_per_inference == pytest.approx(by_hand, rel=0.01)
    assert energy.ci95 == pytest.approx((by_hand, by_hand), rel=0.01)
    assert "package-0 + dram + package-1 + dram (intel-rapl:0, intel-rapl:0:2, intel-rapl:1" in energy.source
    left = int((tmp_path / "sys/class/powercap/intel-rapl:0/energy_uj").read_text())
    assert left < 262098328850, "the counter has wrapped around, or this test shows nothing"
    assert len(energy.windows) == 6
    for window in energy.windows:
        assert (window.idle_w, window.load_w) == pytest.approx((14 + 3 + 11 + 2.5, 39 + 4.5 + 12 + 2.5), rel=0.01)
        assert (window.idle_s, window.load_s, window.inferences) == (
            pytest.approx(2),
            pytest.approx(1, abs=0.021),
            pytest.approx(200, abs=4),
        )


def test_a_package_that_is_told_twice_counts_once_and_psys_only_by_name(tmp_path: Path) -> None:
    lay_out("intel-laptop", tmp_path)
    shows = [counter(tmp_path, zone, 4, 16) for zone in ("intel-rapl:0", "intel-rapl-mmio:0")]
    replay = Replay(both(*shows, counter(tmp_path, "intel-rapl:1", 9, 25)))
    energy = measure(tmp_path, replay)
    assert energy.mj_per_inference == pytest.approx(1000 * (16 - 4) * S_A_TEXT, rel=0.01)
    assert energy.source == "RAPL package-0 (intel-rapl:0)"
    platform = measure(tmp_path, replay, sensor="rapl:psys")
    assert platform.mj_per_inference == pytest.approx(1000 * (25 - 9) * S_A_TEXT, rel=0.01)
    assert platform.source == "RAPL psys (intel-rapl:1)"


def test_amd(tmp_path: Path) -> None:
    lay_out("amd-zen", tmp_path)
    energy = measure(
        tmp_path, Replay(both(counter(tmp_path, "intel-rapl:0", 21, 48), counter(tmp_path, "intel-rapl:0:0", 2, 25)))
    )
    assert energy.mj_per_inference == pytest.approx(1000 * (48 - 21) * S_A_TEXT, rel=0.01)


def test_what_drifts_slowly_falls_out(tmp_path: Path) -> None:
    """The board warms: each second it takes 0.5 W more, which idle windows before alone would take for load."""
    root = lay_out("amd-zen", tmp_path)
    begin = 40319772521

    def show(replay: Replay) -> None:
        drift = 0.5 * replay.now() ** 2 / 2
        change(root / "sys/class/powercap/intel-rapl:0/energy_uj", round(begin + 1e6 * (replay.joules(20, 30) + drift)))

    energy = measure(root, Replay(show))
    assert energy.windows[-1].idle_w > energy.windows[0].idle_w + 5
    assert energy.mj_per_inference == pytest.approx(1000 * (30 - 20) * S_A_TEXT, rel=0.01)


def test_a_counter_that_goes_backwards_without_wrapping(tmp_path: Path) -> None:
    replay = two_packages(tmp_path)
    package_1 = tmp_path / "sys/class/powercap/intel-rapl:1/energy_uj"
    honest = replay.show
    replay.events.append((4.0, lambda: setattr(replay, "show", lambda now: (honest(now), change(package_1, 12345)))))
    energy = measure(tmp_path, replay)
    refused(energy, "intel-rapl:1/energy_uj went back from 982", "to 12345 µJ, which is no wrap-around")
    assert "RAPL package-0" in energy.source
    assert len(energy.windows) == 1, "what was measured before stays"


def test_a_counter_without_a_range_cannot_wrap(tmp_path: Path) -> None:
    replay = two_packages(tmp_path)
    (tmp_path / "sys/class/powercap/intel-rapl:0/max_energy_range_uj").unlink()
    refused(measure(tmp_path, replay), "which is no wrap-around")


def test_a_counter_that_may_not_be_read(tmp_path: Path) -> None:
    replay = two_packages(tmp_path)
    for file in tmp_path.glob("sys/class/powercap/*/energy_uj"):
        file.chmod(0)
    with ordinary_user(tmp_path):
        energy = measure(tmp_path, replay)
    refused(energy, "rapl: this user may not read it: sudo chmod a+r", "/sys/class/powercap/*/energy_uj", "run as root")


def test_a_folder_that_may_not_be_listed(tmp_path: Path) -> None:
    lay_out("intel-two-packages", tmp_path)
    folder = tmp_path / "sys/class/powercap"
    folder.chmod(0)
    with ordinary_user(tmp_path):
        energy = measure(tmp_path, Replay(lambda replay: None))
    folder.chmod(0o755)
    refused(energy, "rapl: this user may not look: run as root")


@pytest.mark.parametrize("content", ["", "nonsense", "1.5", "0x10"])
def test_a_counter_that_says_garbage_in_the_middle(tmp_path: Path, content: str) -> None:
    replay = two_packages(tmp_path)
    garbled = tmp_path / "sys/class/powercap/intel-rapl:0:2/energy_uj"
    honest = replay.show
    replay.events.append((3.0, lambda: setattr(replay, "show", lambda now: (honest(now), change(garbled, content)))))
    refused(measure(tmp_path, replay), "it gives no number")


@pytest.mark.parametrize("at", [0.5, 1.5, 4.0])
def test_a_sensor_that_vanishes_in_the_middle(tmp_path: Path, at: float) -> None:
    replay = two_packages(tmp_path)
    replay.events.append((at, lambda: shutil.rmtree(tmp_path / "sys/class/powercap/intel-rapl:1")))
    refused(measure(tmp_path, replay), "No such file")
    assert replay.now() < at + 1.5, "it does not go on for long"


def test_a_counter_whose_steps_are_too_coarse(tmp_path: Path) -> None:
    """Steps of 5 J at 40 W: eight a second."""
    root = lay_out("amd-zen", tmp_path)

    def show(replay: Replay) -> None:
        joules = replay.joules(20, 40)
        change(root / "sys/class/powercap/intel-rapl:0/energy_uj", 40319772521 + round(1e6 * (joules - joules % 5)))

    refused(measure(root, Replay(show)), "changed 8 times in a load window of 1 s, 20 are needed", "about 3 s")
    energy = measure(root, Replay(show), window_s=10)
    assert energy.mj_per_inference == pytest.approx(1000 * (40 - 20) * S_A_TEXT, rel=0.05)


def test_a_counter_that_stands_still(tmp_path: Path) -> None:
    lay_out("amd-zen", tmp_path)
    refused(measure(tmp_path, Replay(lambda replay: None)), "changed 0 times", "another sensor")


# --- hwmon ------------------------------------------------------------------------------------------------------------


def ina3221(root: Path, hwmon: str, **amperes: tuple[int, int]) -> Show:
    """Milliamperes of channels, idle and load."""
    return files(
        root,
        f"sys/class/hwmon/{hwmon}",
        **{name: lambda replay, pair=pair: replay.watts(*pair) for name, pair in amperes.items()},
    )


def test_a_jetsons_whole_supply_is_taken_and_its_parts_only_by_name(tmp_path: Path) -> None:
    lay_out("jetson-orin-nano", tmp_path)
    rails = {"curr1_input": (872, 1464), "curr2_input": (120, 560), "curr3_input": (264, 320), "curr4_input": (9, 9)}
    replay = Replay(ina3221(tmp_path, "hwmon1", **rails))
    energy = measure(tmp_path, replay)
    by_hand = 5.072 * (1.464 - 0.872) * S_A_TEXT * 1000
    assert (energy.status, energy.source) == (RAIL, "hwmon ina3221 VDD_IN")
    assert energy.mj_per_inference == pytest.approx(by_hand, rel=0.01)
    part = measure(tmp_path, replay, sensor="hwmon:ina3221:VDD_CPU_GPU_CV")
    assert part.mj_per_inference == pytest.approx(5.072 * (0.560 - 0.120) * S_A_TEXT * 1000, rel=0.01)
    names = [meter.name for meter in find_meters(tmp_path)]
    assert names == ["hwmon", *(f"hwmon:ina3221:{rail}" for rail in ("VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"))]


def test_rails_that_add_up_where_a_board_has_no_total(tmp_path: Path) -> None:
    lay_out("jetson-agx-orin", tmp_path)
    replay = Replay(
        both(
            ina3221(tmp_path, "hwmon3", curr1_input=(208, 210), curr2_input=(42, 210), curr3_input=(705, 800)),
            ina3221(tmp_path, "hwmon4", curr2_input=(128, 300)),
        )
    )
    energy = measure(tmp_path, replay)
    by_hand = (19.120 * (0.210 - 0.208) + 19.120 * (0.210 - 0.042) + 4.952 * (0.800 - 0.705)) * S_A_TEXT * 1000
    assert energy.mj_per_inference == pytest.approx(by_hand, rel=0.01)
    assert energy.source == "hwmon ina3221 VDD_GPU_SOC + ina3221 VDD_CPU_CV + ina3221 VIN_SYS_5V0"
    assert not [meter.name for meter in find_meters(tmp_path) if "NC" in meter.name], "not connected"


def test_a_rail_that_goes_missing(tmp_path: Path) -> None:
    lay_out("jetson-agx-orin", tmp_path)
    replay = Replay(ina3221(tmp_path, "hwmon3", curr1_input=(208, 210), curr2_input=(42, 210)))
    replay.events.append((9.0, (tmp_path / "sys/class/hwmon/hwmon3/curr2_input").unlink))
    refused(measure(tmp_path, replay), "No such file")


def test_an_ina226_tells_power_itself(tmp_path: Path) -> None:
    lay_out("ina226", tmp_path)
    replay = Replay(files(tmp_path, "sys/class/hwmon/hwmon2", power1_input=lambda now: now.watts(4_975_000, 7_525_000)))
    energy = measure(tmp_path, replay)
    assert energy.mj_per_inference == pytest.approx((7.525 - 4.975) * S_A_TEXT * 1000, rel=0.01)
    assert energy.source == "hwmon ina226 power1"


def test_rails_of_which_nothing_says_what_they_supply(tmp_path: Path) -> None:
    lay_out("ina219-two", tmp_path)
    replay = Replay(files(tmp_path, "sys/class/hwmon/hwmon1", power1_input=lambda now: now.watts(3.12e6, 4.84e6)))
    energy = measure(tmp_path, replay)
    refused(energy, "only by name: hwmon:amdgpu:PPT, hwmon:ina219:power1@hwmon1, hwmon:ina219:power1@hwmon2")
    chosen = measure(tmp_path, replay, sensor="hwmon:ina219:power1@hwmon1")
    assert chosen.mj_per_inference == pytest.approx((4.84 - 3.12) * S_A_TEXT * 1000, rel=0.01)


# --- the Raspberry Pi 5 -----------------------------------------------------------------------------------------------


def raspberry(root: Path) -> Replay:
    printed = root / "printed.txt"
    program = root / "usr/bin/vcgencmd"
    put(program, f'#!/bin/sh\n[ "$1" = pmic_read_adc ] || exit 9\nexec cat {printed}')
    program.chmod(0o755)
    template = (HERE / "raspberry-pi-5.txt").read_text(encoding="utf-8")

    def show(replay: Replay) -> None:
        values = {"core_a": replay.watts(0.8, 3.1), "core_v": replay.watts(0.72, 0.88)}
        change(printed, template.format(**values))

    put(printed, "")
    return Replay(show)


def test_the_power_chip_of_a_raspberry_pi_5(tmp_path: Path) -> None:
    energy = measure(tmp_path, raspberry(tmp_path), windows=5, window_s=0.4)
    assert (energy.status, energy.source) == (RAIL, "vcgencmd pmic_read_adc, 12 rails")
    assert energy.mj_per_inference == pytest.approx((3.1 * 0.88 - 0.8 * 0.72) * S_A_TEXT * 1000, rel=0.01)
    rest = (3.7 * 0.056 + 3.3 * 0.062 + 1.8 * 0.134 + 1.1 * 0.022 + 0.6 * 0 + 1.1 * 0.19 + 0.8 * 0.33) + (
        3.3 * 0.00006105 + 3.3 * 0.00054945 + 0.8 * 0.0052 + 5.07 * 0.0216
    )
    assert energy.windows[0].idle_w == pytest.approx(0.8 * 0.72 + rest, rel=0.01)


def test_a_rail_that_the_power_chip_no_longer_tells(tmp_path: Path) -> None:
    replay = raspberry(tmp_path)
    fewer = "VDD_CORE_V volt(15)=0.72000000V"
    replay.events.append((1.0, lambda: setattr(replay, "show", lambda now: change(tmp_path / "printed.txt", fewer))))
    energy = measure(tmp_path, replay, windows=5, window_s=0.4)
    refused(energy, "vcgencmd no longer tells of", "VDD_CORE")


def test_a_user_who_may_not_ask_the_power_chip(tmp_path: Path) -> None:
    replay = raspberry(tmp_path)
    put(tmp_path / "printed.txt", "Can't open device file: /dev/vcio")
    refused(measure(tmp_path, replay), "pmic: this user may not ask it: sudo usermod -aG video $USER")


def test_a_pi_that_is_throttled(tmp_path: Path) -> None:
    replay = raspberry(tmp_path)
    told = tmp_path / "sys/devices/platform/soc/soc:firmware/get_throttled"
    put(told, "0")
    replay.events.append((1.0, lambda: put(told, "4")))
    refused(measure(tmp_path, replay, windows=5, window_s=0.4), "throttled", "cool it")


# --- batteries --------------------------------------------------------------------------------------------------------


def battery(root: Path, name: str, **contents: Callable[[Replay], float]) -> Show:
    return files(root, f"sys/class/power_supply/{name}", **contents)


def unsteady(replay: Replay, idle: float, load: float) -> float:
    """A gauge's reading is never the same twice; the mean is."""
    return replay.watts(idle, load) * (1 + 0.002 * (-1) ** replay.readings)


def laptop(root: Path) -> Replay:
    lay_out("laptop-power", root)
    return Replay(battery(root, "BAT0", power_now=lambda now: unsteady(now, 6.482e6, 14.982e6)))


def test_a_laptop_on_its_battery(tmp_path: Path) -> None:
    energy = measure(tmp_path, laptop(tmp_path))
    assert (energy.status, energy.source) == (GAUGE, "battery BAT0, power_now")
    assert energy.mj_per_inference == pytest.approx((14.982 - 6.482) * S_A_TEXT * 1000, rel=0.01)


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_current_of_either_sign(tmp_path: Path, sign: int) -> None:
    lay_out("laptop-current", tmp_path)
    replay = Replay(battery(tmp_path, "BAT1", current_now=lambda now: sign * unsteady(now, 412_000, 962_000)))
    energy = measure(tmp_path, replay)
    assert energy.mj_per_inference == pytest.approx(15.48 * (0.962 - 0.412) * S_A_TEXT * 1000, rel=0.01)
    assert energy.source == "battery BAT1, current_now x voltage_now"


def test_a_current_that_turns(tmp_path: Path) -> None:
    lay_out("laptop-current", tmp_path)
    replay = Replay(battery(tmp_path, "BAT1", current_now=lambda now: -412_000 if now.now() < 10 else 900_000))
    refused(measure(tmp_path, replay), "the current of BAT1 changed its direction")


def test_of_two_batteries_the_one_that_discharges(tmp_path: Path) -> None:
    lay_out("laptop-two-batteries", tmp_path)
    replay = Replay(battery(tmp_path, "BAT1", power_now=lambda now: unsteady(now, 7.21e6, 12.21e6)))
    energy = measure(tmp_path, replay)
    assert energy.mj_per_inference == pytest.approx((12.21 - 7.21) * S_A_TEXT * 1000, rel=0.01)
    assert energy.source == "battery BAT0 + BAT1, power_now"


def test_milliamperes_are_no_microamperes(tmp_path: Path) -> None:
    lay_out("phone-milliamperes", tmp_path)
    replay = Replay(battery(tmp_path, "battery", current_now=lambda now: unsteady(now, 976, 1800)))
    refused(measure(tmp_path, replay), "battery: it gives 0.00373 W, which cannot be", "other units")


def test_a_tablet_that_tells_only_its_charge(tmp_path: Path) -> None:
    lay_out("tablet-charge", tmp_path)

    def charge(replay: Replay) -> float:
        left = 4_210_000 - replay.joules(2.0, 5.0) / 3.8 / 3600 * 1e6
        return left - left % 250

    replay = Replay(battery(tmp_path, "bq27541-0", charge_now=charge))
    refused(measure(tmp_path, replay), "only by name: battery")
    energy = measure(tmp_path, replay, sensor="battery", windows=5)
    assert (energy.status, energy.source) == (GAUGE, "battery bq27541-0, charge_now x voltage_now")
    assert energy.mj_per_inference == pytest.approx((5.0 - 2.0) * S_A_TEXT * 1000, rel=0.01)
    refused(measure(tmp_path, replay, sensor="battery", windows=5, window_s=10), "20 are needed: give windows of about")


def test_a_battery_that_tells_energy(tmp_path: Path) -> None:
    lay_out("laptop-power", tmp_path)
    (tmp_path / "sys/class/power_supply/BAT0/power_now").unlink()

    def energy_uwh(replay: Replay) -> float:
        left = 20_710_000 - replay.joules(6.0, 18.0) / 3600 * 1e6
        return left - left % 1000

    replay = Replay(battery(tmp_path, "BAT0", energy_now=energy_uwh))
    energy = measure(tmp_path, replay, sensor="battery", windows=5)
    assert energy.mj_per_inference == pytest.approx((18.0 - 6.0) * S_A_TEXT * 1000, rel=0.01)


def test_a_gauge_that_is_set_anew(tmp_path: Path) -> None:
    lay_out("tablet-charge", tmp_path)
    replay = Replay(battery(tmp_path, "bq27541-0", charge_now=lambda now: 4_210_000 if now.now() < 20 else 4_300_000))
    refused(measure(tmp_path, replay, sensor="battery"), "bq27541-0 became fuller while it discharged")


def test_millivolts_are_no_microvolts(tmp_path: Path) -> None:
    lay_out("tablet-charge", tmp_path)
    put(tmp_path / "sys/class/power_supply/bq27541-0/voltage_now", 3800)
    energy = measure(tmp_path, Replay(lambda now: None), sensor="battery")
    refused(energy, "battery: bq27541-0 has 0.0038 V, which cannot be: its driver has other units")


def test_whatever_the_system_raises_is_a_reason(tmp_path: Path) -> None:
    replay = laptop(tmp_path)
    folder = tmp_path / "sys/class/power_supply"
    replay.show = lambda now: None
    replay.events.append((5.0, lambda: (shutil.rmtree(folder), put(folder, "no folder"))))
    refused(measure(tmp_path, replay), "it cannot be read (Not a directory): use another sensor")


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("BAT0/status", "Charging", "BAT0 is charging: unplug the charger"),
        ("BAT0/status", "Full", "no battery is discharging (BAT0 is full)"),
        ("BAT0/status", "Not charging", "no battery is discharging (BAT0 is not charging)"),
        ("AC/online", "1", "AC supplies the device, too: unplug it"),
        ("ucsi-source-psy-USBC000:001/online", "1", "ucsi-source-psy-USBC000:001 supplies the device"),
    ],
)
@pytest.mark.parametrize("at", [None, 45.0])
def test_a_charger_at_the_beginning_or_in_the_middle(
    tmp_path: Path, file: str, content: str, said: str, at: float | None
) -> None:
    replay = laptop(tmp_path)
    path = tmp_path / "sys/class/power_supply" / file
    if at is None:
        put(path, content)
    else:
        replay.events.append((at, lambda: put(path, content)))
    energy = measure(tmp_path, replay)
    refused(energy, said)
    assert len(energy.windows) == (0 if at is None else 1)


def test_a_gauge_that_is_renewed_too_seldom(tmp_path: Path) -> None:
    lay_out("laptop-power", tmp_path)
    replay = Replay(battery(tmp_path, "BAT0", power_now=lambda now: 6.4e6 + 1000 * (now.now() // 6)))
    refused(
        measure(tmp_path, replay),
        "changed 2 times in a load window of 8.02 s, 3 are needed: give windows of about 12 s",
    )


def test_a_gauge_that_lags(tmp_path: Path) -> None:
    """It tells what was three seconds ago; the windows begin later."""
    lay_out("laptop-power", tmp_path)
    told = [6e6] * 12

    def power(replay: Replay) -> float:
        told.append(unsteady(replay, 6e6, 14e6))
        return told[-13]

    energy = measure(tmp_path, Replay(battery(tmp_path, "BAT0", power_now=power)))
    assert energy.mj_per_inference == pytest.approx((14 - 6) * S_A_TEXT * 1000, rel=0.01)


def test_a_battery_that_tells_nothing(tmp_path: Path) -> None:
    put(tmp_path / "sys/class/power_supply/BAT0/type", "Battery")
    refused(measure(tmp_path, Replay(lambda now: None)), "battery: it tells neither power, current and voltage")


# --- which sensor -----------------------------------------------------------------------------------------------------


def test_a_rail_comes_before_a_gauge_and_a_gauge_is_said_to_be_second_choice(tmp_path: Path) -> None:
    replay = laptop(tmp_path)
    lay_out("amd-zen", tmp_path)
    assert [meter.name for meter in find_meters(tmp_path)] == ["rapl", "battery"]
    put(tmp_path / "sys/class/powercap/intel-rapl:0/energy_uj", "nonsense")
    energy = measure(tmp_path, replay)
    assert energy.status == GAUGE
    assert energy.source.startswith("battery BAT0, power_now; not rapl: it gives no number")


def test_every_reason_is_told(tmp_path: Path) -> None:
    replay = laptop(tmp_path)
    lay_out("amd-zen", tmp_path)
    put(tmp_path / "sys/class/powercap/intel-rapl:0/energy_uj", "nonsense")
    put(tmp_path / "sys/class/power_supply/BAT0/status", "Charging")
    refused(measure(tmp_path, replay), "rapl: it gives no number", "battery: BAT0 is charging")


def test_a_sensor_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no sensor is called 'rapl'; there are none here"):
        measure(tmp_path, Replay(lambda now: None), sensor="rapl")
    replay = two_packages(tmp_path)
    lay_out("jetson-orin-nano", tmp_path)
    with pytest.raises(OptionError, match="'ina'; there are: rapl, hwmon, hwmon:ina3221:VDD_IN, hwmon:ina3221:VDD_CPU"):
        measure(tmp_path, replay, sensor="ina")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"windows": 4}, "4 windows are too few"),
        ({"window_s": 0.0}, "over 0, not 0"),
        ({"window_s": float("nan")}, "over 0, not nan"),
        ({"watts": -1.0}, "over 0, not -1"),
        ({"watts": float("inf")}, "over 0, not inf"),
        ({"watts": 3.0, "sensor": "rapl"}, "give one of them"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, object], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        EnergySettings(**settings)  # type: ignore[arg-type]


# --- the method -------------------------------------------------------------------------------------------------------


def test_load_that_cannot_be_told_from_idling(tmp_path: Path) -> None:
    """Somebody else's work comes in every other load window, so that some seem to take less than idling."""
    lay_out("ina226", tmp_path)

    def power(replay: Replay) -> float:
        return replay.watts(5e6, (8e6, 3e6)[int(replay.busy_s // 3.02) % 2])

    energy = measure(tmp_path, Replay(files(tmp_path, "sys/class/hwmon/hwmon2", power1_input=power)))
    refused(energy, "load cannot be told from idling: between -", " and 1", "close what else is running")
    assert len(energy.windows) == 6


def test_the_interval_is_as_wide_as_the_windows_differ(tmp_path: Path) -> None:
    lay_out("ina226", tmp_path)
    loads = iter(np.linspace(7e6, 9e6, 7).repeat(400))
    replay = Replay(
        files(tmp_path, "sys/class/hwmon/hwmon2", power1_input=lambda now: now.watts(4e6, 0) or next(loads))
    )
    energy = measure(tmp_path, replay)
    assert energy.ci95 is not None and energy.mj_per_inference is not None
    per_text = sorted(window.mj_per_inference for window in energy.windows)
    assert energy.mj_per_inference == pytest.approx(np.median(per_text))
    assert per_text[0] <= energy.ci95[0] < energy.mj_per_inference < energy.ci95[1] <= per_text[-1]


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    measure(tmp_path, two_packages(tmp_path), windows=5, progress=lambda done, of: told.append((done, of)))
    assert told == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


def test_what_the_classifier_raises_is_raised(tmp_path: Path) -> None:
    def fails() -> int:
        raise RuntimeError("the engine failed")

    with pytest.raises(RuntimeError, match="the engine failed"):
        measure_energy(fails, root=tmp_path, timer=two_packages(tmp_path))


def test_modelled_only_on_request(tmp_path: Path) -> None:
    replay = two_packages(tmp_path)
    energy = measure(tmp_path, replay, watts=3.5)
    assert (energy.status, energy.ci95) == (MODELLED, None)
    assert energy.source == "process CPU time x 3.5 W per busy core, as stated"
    assert energy.mj_per_inference == pytest.approx(3.5 * S_A_TEXT * 1000, rel=0.01)


# --- this machine, by its own clock and thread ------------------------------------------------------------------------


def test_a_machine_without_sensors(tmp_path: Path) -> None:
    energy = measure_energy(lambda: pytest.fail("there is nothing to measure"), root=tmp_path)
    refused(energy, "neither rapl, hwmon, pmic, plugin, battery", "virtual machines have none", "--watts")
    assert (energy.source, energy.windows) == ("", ())


def test_a_thread_records_while_the_process_works() -> None:
    timer = Timer()
    recorder = Recorder(modelled_meter(2.0, timer.cpu), timer)
    with timer.every(0.01, recorder.sample):
        begin, cpu = timer.now(), timer.cpu()
        while timer.cpu() - cpu < 0.3:
            sum(range(1000))
        end, cpu = timer.now(), timer.cpu() - cpu
        timer.sleep(0.1)
        rested = timer.now()
    working, resting = recorder.stretch(begin, end), recorder.stretch(end, rested)
    assert working.watts == pytest.approx(2.0 * cpu / (end - begin), rel=0.3)
    assert resting.watts < working.watts / 2
    assert working.moves > 3
    assert "edgekit-energy" not in {thread.name for thread in threading.enumerate()}
