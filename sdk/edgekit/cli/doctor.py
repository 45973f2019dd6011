"""``edgekit doctor``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from edgekit.cli.bundle_options import Json
from edgekit.cli.terminal import Terminal, print_json, print_result, print_styled
from edgekit.doctor import Diagnosis, diagnose
from edgekit.packages import BASE, Extra, Package
from edgekit_converters.environments import ENVIRONMENTS, ONNX_TF, TFLITE_RUNTIME, install_environment
from edgekit_runtime.profiling.device import Device
from edgekit_runtime.profiling.energy.families import FAMILIES
from edgekit_runtime.profiling.energy.sensor import Sensor

MARKS = {
    **dict.fromkeys(("works", "installed", "on"), ("✓", "green")),
    **dict.fromkeys(("wrong", "denied", "refused"), ("✗", "red")),
}
NOT_HERE = ("–", "dim")
"""For what is not installed, not there or was not tried."""


def command(
    quick: Annotated[bool, typer.Option("--quick", help="Leave out the targets, which import torch.")] = False,
    install_onnx_tf: Annotated[
        bool,
        typer.Option(
            "--install-onnx-tf",
            help=f"First install what convert --route onnx needs, in an environment of its own ({ONNX_TF.size}).",
        ),
    ] = False,
    install_tflite_runtime: Annotated[
        bool,
        typer.Option(
            "--install-tflite-runtime",
            help=f"The same for what convert --compat tflite-runtime needs ({TFLITE_RUNTIME.size}).",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Say what is installed and what works here, each part actually tried.

    Installs and downloads nothing unless told to, and then into the cache: ~/.cache/edgekit/environments, or the folder
    that EDGEKIT_ENVIRONMENTS names.

    Ends with 0 where the base is complete and at least one engine answers rightly, else with 1.

    \b
    Example:
      $ edgekit doctor
      $ edgekit doctor --quick --json
      $ edgekit doctor --quick --install-onnx-tf
    """
    with Terminal() as terminal:
        for environment, wanted in ((ONNX_TF, install_onnx_tf), (TFLITE_RUNTIME, install_tflite_runtime)):
            if wanted:
                install_environment(environment, terminal)
        diagnosis = diagnose(quick=quick, listener=terminal)
    if json:
        print_json(diagnosis)
    else:
        _print(diagnosis)
    if not diagnosis.works:
        raise typer.Exit(1)


def _print(diagnosis: Diagnosis) -> None:
    print_result(f"edgekit {diagnosis.edgekit}, Python {diagnosis.python}, {diagnosis.device.system}")
    print_result(_device(diagnosis.device))
    listed: set[Package] = set()
    for extra in sorted(diagnosis.extras, key=lambda extra: (extra.name != BASE, len(extra.packages))):
        _line(extra.status, "packages", extra.name, _packages(extra, listed))
        listed.update(extra.packages)
    for part, trials in (("engine", diagnosis.engines), ("target", diagnosis.targets)):
        for trial in trials:
            took = f" ({trial.seconds:.1f} s)" if trial.status == "works" else ""
            _line(trial.status, part, trial.name, trial.detail + took)
    for python in diagnosis.environments:
        size = ENVIRONMENTS[python.name].size
        here = python.folder or f"for {python.purpose}: {python.install} ({size})"
        _line(python.status, "venv", python.name, here)
    packed = diagnosis.packed
    held = f"{packed.folder}: {packed.files} programs, {packed.bytes / 1e6:.0f} MB"
    _line(packed.status, "cache", "packed", held if packed.status == "on" else packed.detail)
    for sensor in diagnosis.sensors:
        _line(sensor.status, "sensor", sensor.family, f"{sensor.name}  {_reading(sensor)}")
    if not diagnosis.sensors:
        _line("absent", "sensor", "none", f"no {', '.join(FAMILIES)}: energy cannot be measured here")
    working = ", ".join(engine.name for engine in diagnosis.engines if engine.status == "works")
    print_result(f"edgekit works here, with {working}" if diagnosis.works else "edgekit does not work here: see above")


def _line(status: str, part: str, name: str, detail: str) -> None:
    mark, style = MARKS.get(status, NOT_HERE)
    print_styled(Text.assemble((mark, style), f" {part:<8} {name:<10} {detail}"))


def _device(device: Device) -> str:
    parts = [device.processor]
    if device.features:
        parts.append(", ".join(f"{'' if has else 'no '}{name}" for name, has in device.features.items()))
    parts.append(f"{device.usable_cores} of {device.cores} cores")
    if device.memory_mib is not None and device.available_mib is not None:
        parts.append(f"{device.memory_mib} MiB, {device.available_mib} available")
    return "; ".join(parts)


def _packages(extra: Extra, listed: set[Package]) -> str:
    """Versions, if all are well; else what is missing or lies outside its range. Nothing that was listed before."""
    new = [package for package in extra.packages if package not in listed]
    if extra.status == "works":
        return ", ".join(f"{package.name} {package.installed}" for package in new) or "all of it is listed above"
    faults = [
        f"{package.name}{package.known_good} is missing"
        if package.installed is None
        else f"{package.name} {package.installed} is not {package.known_good}"
        for package in new
        if not package.fits
    ]
    if any(not package.fits for package in extra.packages if package in listed):
        faults.append("more of it as above")
    return f"{', '.join(faults)}: {extra.install}"


def _reading(sensor: Sensor) -> str:
    if sensor.value is None:
        return sensor.detail
    return f"{sensor.value:.3f} {sensor.unit}{f', {sensor.detail}' if sensor.detail else ''}"
