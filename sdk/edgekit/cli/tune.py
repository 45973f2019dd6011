"""``edgekit tune``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from edgekit.cli.bundle_options import Json
from edgekit.cli.options import UNREAD, UNSAID, with_data_options, with_read_options
from edgekit.cli.terminal import Terminal, print_json, print_result
from edgekit_converters.budget import Budget
from edgekit_converters.data import DataOptions
from edgekit_runtime.errors import DeviceError, EdgekitError, GateError, OptionError, require

ADB = "adb"
PHONE_THREADS = (1, 4)
"""Tried on a phone unless told: one core, and the big ones of most."""


@with_data_options
@with_read_options
def command(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="Checkpoint file or Hugging Face folder.", show_default=False)
    ],
    eval_data: Annotated[
        Path,
        typer.Option("--eval", metavar="DATA", help="Labelled text, for accuracy and latency.", show_default=False),
    ],
    budget: Annotated[
        str,
        typer.Option(
            "--budget",
            metavar="LIMITS",
            help="Such as 'p95<=2ms,bytes<=4MB,drop<=0.02'; also p50, p99 and rss.",
            show_default=False,
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DATA", help="Labelled text to learn from; default: students are not tried."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Folder of the search, which goes on in it; default: MODEL-tune."),
    ] = None,
    unlabelled: Annotated[
        Path | None, typer.Option("--unlabelled", metavar="FILE", help="More texts to learn from.")
    ] = None,
    student: Annotated[
        list[str] | None,
        typer.Option(
            "--student",
            metavar="NAME",
            help="A student, a FILE.toml, or a trained FILE.pt; repeatable; default: all that suit.",
        ),
    ] = None,
    prune: Annotated[
        list[float] | None,
        typer.Option(
            "--prune",
            metavar="R",
            help="Try the model with this share of it gone; repeatable; default: 0.5; 0 is none.",
        ),
    ] = None,
    quantize: Annotated[
        list[str] | None,
        typer.Option("--quantize", metavar="S", help="A precision; repeatable; default: int8, int4, fp16, none."),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option("--target", metavar="T", help="An engine; repeatable; default: all that are installed."),
    ] = None,
    buckets: Annotated[
        list[str] | None,
        typer.Option("--buckets", metavar="B", help="default, auto, or lengths such as 16,32,128; repeatable."),
    ] = None,
    threads: Annotated[
        list[int] | None, typer.Option("--threads", metavar="N", help="Threads of a call; repeatable.")
    ] = None,
    trials: Annotated[int | None, typer.Option("--trials", metavar="N", help="Most trials of this call.")] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", metavar="M", help="Begin no trial after so many minutes.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", help="Passes in each training; default: what suits.")
    ] = None,
    seconds: Annotated[float, typer.Option("--seconds", help="How long each bundle is timed, about.")] = 3.0,
    storage: Annotated[
        str | None,
        typer.Option("--storage", metavar="URL", help="Database that several machines share; default: a file in DIR."),
    ] = None,
    study: Annotated[str, typer.Option("--study", metavar="NAME", help="Name of the study in it.")] = "edgekit",
    cache: Annotated[
        Path | None,
        typer.Option("--cache", metavar="DIR", help="Keep the teacher's answers and students there; default: in DIR."),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            "--device", metavar="D", help="adb, or adb:SERIAL: measure the latency on that phone, in the app."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of everything random.")] = 42,
    read: Mapping[str, Any] = UNREAD,
    data_options: DataOptions = UNSAID,
    json: Json = False,
) -> None:
    """Search for the bundle that suits a budget: students, precisions, engines, lengths and threads, by measurement.

    The same command goes on where it was stopped. DIR gets front.md, front.svg, front.json and the bundles that no other beats.

    \b
    Example:
      $ edgekit tune model.pt --data train.tsv --eval dev.tsv --budget "p95<=2ms,bytes<=4MB" --minutes 30
      $ edgekit tune model.pt --eval dev.tsv --budget "drop<=0.01" --target litert --threads 1 --threads 2
      $ edgekit tune model.pt --eval dev.tsv --budget "p95<=10ms" --device adb --trials 8
    """
    require("torch", extra="tune", purpose="edgekit tune")
    require("optuna", extra="tune", purpose="edgekit tune")
    require("matplotlib", extra="tune", purpose="the chart of edgekit tune")
    from edgekit.report import tuned
    from edgekit.tuning_files import CHART, FOLDER, MARKDOWN, as_json, write_front
    from edgekit_converters.checkpoint import ReadOptions
    from edgekit_converters.tuning.tune import tune

    Budget.parse(budget).check(labelled=True)
    serial = _serial(device)
    folder = out or model.with_name(
        f"{model.stem if model.is_file() else model.name}-tune{'-adb' * (device is not None)}"
    )
    with Terminal() as terminal:
        measure, measured_on = None, None
        engines, counts = target or None, threads or None
        if device is not None:
            measure, measured_on = _phone(serial, eval_data, data_options, seconds, terminal)
            engines, counts = _of_app(engines), counts or list(PHONE_THREADS)
        found = _searched(
            lambda: tune(
                model,
                folder,
                data=data,
                eval_data=eval_data,
                budget=budget,
                unlabelled=unlabelled,
                students=student or None,
                prune=prune or None,
                schemes=quantize or None,
                engines=engines,
                buckets=buckets or None,
                threads=counts,
                trials=trials,
                minutes=minutes,
                storage=storage,
                study=study,
                cache=cache,
                read=ReadOptions(**read),
                data_options=data_options,
                seed=seed,
                epochs=epochs,
                seconds=seconds,
                measure=measure,
                measured_on=measured_on or "",
                listener=terminal,
            )
        )
        bundles = write_front(found, folder, measured_on)
    if json:
        print_json(as_json(found, bundles, measured_on))
    else:
        table = tuned.front_table(found)
        for line in _columns([table.columns, *table.rows], table.left) if table.rows else ():
            print_result(line)
        placed = {number: str(folder / name) for number, name in bundles.items()}
        remarks = (*tuned.about(found, measured_on), *(tuned.outcome(found, placed) if found.best is not None else ()))
        written = f"{folder / MARKDOWN}, {CHART} and {FOLDER}/ have the rest"
        for remark in (*remarks, written):
            print_result(remark)
    if found.best is None:
        raise GateError(f"{_nothing(found)}; {folder / MARKDOWN} has every trial")


def _nothing(found: Any) -> str:
    """That nothing keeps to the budget, what came nearest, and what to do."""
    from edgekit.report import tuned

    if found.nearest is None:
        return f"nothing keeps to {found.budget}, and no trial could be measured: its reasons tell why"
    go_on = "allow more" if found.exhausted else "allow more, or go on with the same command"
    learn = "" if any(trial.choice.source != "model" for trial in found.trials) else ", or try students with --data"
    return f"{tuned.nearest(found)}: {go_on}{learn}"


def _columns(rows: list[tuple[str, ...]], left: int) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _serial(device: str | None) -> str | None:
    kind, colon, serial = (device or ADB).partition(":")
    if kind != ADB or (colon and not serial):
        raise OptionError(f"--device takes adb, or adb:SERIAL for one of several phones, not {device!r}")
    return serial or None


def _of_app(engines: list[str] | None) -> list[str]:
    """The engines that are tried on a phone: those asked for, or those of the app whose tools are here."""
    from edgekit.android.request import ENGINES, Request
    from edgekit_converters.quantspec import QuantSpec
    from edgekit_converters.targets import find_target
    from edgekit_runtime.engines import engine_class

    for name in engines or ():
        Request(name)  # which refuses what the app has not
    if engines:
        return engines
    found = []
    for name in ENGINES:
        try:
            find_target(name).check(QuantSpec("none"))
        except EdgekitError:
            continue
        if engine_class(name).unavailable() is None:
            found.append(name)
    if not found:
        raise OptionError(
            f"the app has {' and '.join(ENGINES)}, whose tools are not here: pip install 'edgekit[convert]'"
        )
    return found


def _phone(serial: str | None, data: Path, options: DataOptions, seconds: float, terminal: Terminal) -> tuple[Any, str]:
    """What measures on the phone, and which phone that is."""
    from edgekit.android.measuring import PhoneMeasure
    from edgekit.android.phone import find_phone
    from edgekit.android.request import Request
    from edgekit_converters.data import read_texts
    from edgekit_converters.tuning.tune import TIMED_TEXTS
    from edgekit_runtime.profiling.latency import spread

    Request(seconds=seconds)
    texts = spread(read_texts(str(data), options, terminal.say), TIMED_TEXTS)
    phone = find_phone(serial)
    if not phone.has_app():
        raise DeviceError(f"the demo app is not on the phone {phone.serial}: edgekit android install puts it there")
    return PhoneMeasure(phone, texts, seconds, terminal), f"{phone.name} ({phone.serial})"


def _searched(search: Any) -> Any:
    """Runs the search; a phone that goes away ends it, to be gone on with."""
    from edgekit.android.measuring import PhoneLostError

    try:
        return search()
    except PhoneLostError as error:
        raise DeviceError(f"{error}; what was tried is kept: the same command goes on") from error
