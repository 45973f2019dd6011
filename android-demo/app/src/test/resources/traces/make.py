"""Makes the traces beside this file by arithmetic: none of them was recorded on a phone.

    $ python android-demo/app/src/test/resources/traces/make.py

Each file's header says what it imitates. Tests take the true figures from the constants below, written anew in the tests.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

IDLE_A, BUSY_A, LOAD_A = 0.300, 1.500, 0.800
IDLE_MV, LOAD_MV = 3900, 3800
TEXTS = 100
UNSUPPORTED = -(2**63)
CPU_W = {"idle": 0.050, "busy": 3.000, "load": 1.250}
DISPLAY_W = 0.400


@dataclass(frozen=True)
class Form:
    """How a phone tells what is true, and for how long it is watched."""

    imitates: str
    raw: Callable[[float, int], int] = lambda amperes, _: round(-1e6 * amperes)
    charge_step_uah: int = 0
    charge_factor: float = 1.0
    plugged: Callable[[int], bool] = lambda _: False
    thermal: Callable[[int], int] = lambda _: 0
    rails: tuple[str, ...] = ()
    reset_ms: int = 0
    update_ms: int = 250
    period_ms: int = 250
    settle_ms: int = 1000
    window_ms: int = 4000
    load_a: float = LOAD_A


def every(step: int) -> Callable[[float, int], int]:
    """A gauge with steps of so many µA, rounded to by a dither that is never twice the same."""
    return lambda amperes, now: step * round((-1e6 * amperes + 0.6 * step * math.sin(now)) / step)


FORMS = {
    "microampere": Form("Android's book: µA, negative while discharging, renewed at every reading"),
    "milliampere": Form("a phone that tells mA, positive while discharging", lambda a, _: round(1e3 * a)),
    "flipped": Form("a phone that tells µA, positive while discharging", lambda a, _: round(1e6 * a)),
    "constant": Form("a gauge that always says the same", lambda _, __: -450_000),
    "unsupported": Form("a phone without CURRENT_NOW: Long.MIN_VALUE at every reading", lambda _, __: UNSUPPORTED),
    "every-two-seconds": Form(
        "a gauge that is renewed every 2 s and read four times a second", update_ms=2000, settle_ms=4000, window_ms=8000
    ),
    "plugged": Form("a charger that is plugged in in the middle", plugged=lambda now: 40_000 <= now < 45_000),
    "throttled": Form("a phone that becomes too hot in the middle", thermal=lambda now: 3 if now > 50_000 else 1),
    "resolution": Form(
        "a gauge with steps of 100 mA, and texts that take 20 mA", every(100_000), load_a=IDLE_A + 0.020
    ),
    "charge-counter": Form("a charge counter with steps of 1 mAh", charge_step_uah=1000),
    "charge-contradiction": Form(
        "a charge counter that falls a tenth of what the current says", charge_step_uah=100, charge_factor=0.1
    ),
    "turned": Form(
        "a current that turns in a load window", lambda a, now: round(-1e6 * a * (-1 if 52_000 <= now < 53_000 else 1))
    ),
    "rails": Form(
        "API 35: two rails of the processor, one of the display, a consumer; the charger is in, which rails do not mind",
        plugged=lambda _: True,
        rails=("S4M_VDD_CPUCL0:1", "S2M_VDD_CPUCL2:1", "VSYS_PWR_DISPLAY:1", "CPU:0"),
    ),
    "rails-total": Form("API 35: rails whose names tell nothing", rails=("BUCK1:1", "BUCK2:1")),
    "rails-reset": Form(
        "API 35: a rail's counter that begins anew in the middle, and a gauge that works",
        rails=("S4M_VDD_CPUCL0:1", "S2M_VDD_CPUCL2:1"),
        reset_ms=48_000,
    ),
}


def schedule(form: Form) -> list[tuple[str, int, int]]:
    """Each activity with the begin of its settling and its end, ms."""
    names = ["idle", "busy", "idle"] + ["load", "idle"] * 6
    length = form.settle_ms + form.window_ms
    return [(name, number * length, (number + 1) * length) for number, name in enumerate(names)]


def lines(form: Form) -> list[str]:
    """The file: phases, thermal samples, readings."""
    plan = schedule(form)
    drawn = {"idle": IDLE_A, "busy": BUSY_A, "load": form.load_a}
    found = [
        "# Made by arithmetic (make.py beside this file), not recorded on a phone.",
        f"# Imitates: {form.imitates}.",
        "# phase,activity,begin_ms,end_ms,inferences",
        "# thermal,elapsed_ms,status,headroom",
        "# power,elapsed_ms,current_raw,charge_raw,voltage_mv,plugged,status[,rail:measured:energy_uws:timestamp_ms]...",
    ]
    for name, begin, end in plan:
        found.append(f"phase,{name},{begin + form.settle_ms},{end},{TEXTS if name == 'load' else 0}")
    total = plan[-1][2]
    found += [f"thermal,{now},{form.thermal(now)},{0.5 + now / total / 4:.2f}" for now in range(0, total, 1000)]
    taken_uah, energy_uws = 0.0, dict.fromkeys(form.rails, 0.0)
    told = 0
    for now in range(0, total + 1, form.period_ms):
        activity = next(name for name, begin, end in plan if begin <= now <= end)  # a gauge tells of the time before
        amperes = drawn[activity]
        if now % form.update_ms == 0:
            dither = 1 + 0.004 * (-1) ** (now // form.update_ms) + 0.001 * math.sin(now)
            told = form.raw(amperes * dither, now)
        row = ["power", str(now), str(told)]
        if form.charge_step_uah:
            left = 3_000_000 - int(taken_uah * form.charge_factor) // form.charge_step_uah * form.charge_step_uah
            row.append(str(left))
        else:
            row.append(str(UNSUPPORTED))
        plugged = form.plugged(now)
        millivolts = IDLE_MV if activity == "idle" else LOAD_MV
        row += [str(millivolts), "2" if plugged else "0", "2" if plugged else "3"]
        for rail, energy in energy_uws.items():
            since = energy - (3e6 if form.reset_ms and rail == form.rails[0] and now >= form.reset_ms else 0)
            row.append(f"{rail}:{round(7e6 + since)}:{now}")
            watts = DISPLAY_W if "DISPLAY" in rail else CPU_W[activity]
            energy_uws[rail] += watts * form.period_ms * 1e3
        taken_uah += amperes * form.period_ms / 3.6
        found.append(",".join(row))
    return found


def main() -> None:
    """Writes every file anew."""
    for name, form in FORMS.items():
        path = Path(__file__).with_name(f"{name}.csv")
        path.write_text("\n".join(lines(form)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
