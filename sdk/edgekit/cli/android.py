"""``edgekit android``: the demo app on a phone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekit.android.bench import LIMIT_S, to_profile
from edgekit.android.bench import bench as run_bench
from edgekit.android.checkout import build as build_app
from edgekit.android.checkout import built_apk
from edgekit.android.install import check_apk
from edgekit.android.install import install as install_app
from edgekit.android.phone import find_phone
from edgekit.android.request import Request, check_bundle, check_limit, read_key
from edgekit.cli.bundle_options import Json
from edgekit.cli.options import UNSAID, with_data_options
from edgekit.cli.profiled import profile_lines
from edgekit.cli.reports import Html, Markdown, Reports
from edgekit.cli.terminal import Terminal, megabytes, print_json, print_pairs, print_result
from edgekit.report import profile_html, profile_markdown
from edgekit_converters.data import DataOptions, read_texts
from edgekit_runtime.errors import OptionError

HELP = """Build the demo app, put it on a phone, and measure bundles there; see docs/android.md.

\b
Example:
  $ edgekit android build
  $ edgekit android install
  $ edgekit android bench --bundle model.edgekit
"""

Serial = Annotated[
    str | None,
    typer.Option("--serial", metavar="S", help="Which phone, where adb sees several; default: ANDROID_SERIAL's."),
]


def build(
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", metavar="FILE", help="Goes into the app in place of the small CNN of the demo."),
    ] = None,
    executorch: Annotated[
        Path | None,
        typer.Option("--executorch", metavar="AAR", help="Take ExecuTorch for Android from this file."),
    ] = None,
    trusted_key: Annotated[
        list[Path] | None,
        typer.Option(
            "--trusted-key",
            metavar="FILE",
            help="Have the app take only bundles that are signed with this key or another that is named; repeatable.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Build the app's APK from a checkout of edgekit; no Android SDK is needed.

    \b
    Example:
      $ edgekit android build
      $ edgekit android build --bundle model.edgekit
      $ edgekit android build --bundle model.edgekit --trusted-key release.pub
    """
    if bundle is not None:
        check_bundle(bundle, None)
    with Terminal() as terminal:
        apk = build_app(terminal, bundle=bundle, executorch=executorch, trusted_keys=trusted_key or ())
    size = apk.stat().st_size
    if json:
        print_json({"apk": str(apk), "bytes": size})
    else:
        print_result(f"{apk}\t{megabytes(size)}")


def install(
    apk: Annotated[
        Path | None, typer.Option("--apk", metavar="FILE", help="An APK; default: what edgekit android build made.")
    ] = None,
    serial: Serial = None,
    json: Json = False,
) -> None:
    """Put the app on a phone, over an older one whose settings stay.

    \b
    Example:
      $ edgekit android install
      $ edgekit android install --apk edgekit-demo.apk --serial emulator-5554
    """
    apk = apk or built_apk()
    check_apk(apk)
    with Terminal() as terminal:
        phone = find_phone(serial)
        name = phone.name
        terminal.stage(f"Installing {apk.name} on {name}")
        install_app(phone, apk)
    if json:
        print_json({"apk": str(apk), "serial": phone.serial, "phone": name})
    else:
        print_result(f"{apk.name} is on {name}")


@with_data_options
def bench(
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", metavar="BUNDLE", help="The .edgekit file; default: the one that is in the app."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="DATA", help="Texts to classify; default: the bundle's golden texts."),
    ] = None,
    data_options: DataOptions = UNSAID,
    engine: Annotated[
        str | None, typer.Option("--engine", help="litert or executorch; default: the first that app and bundle have.")
    ] = None,
    threads: Annotated[int | None, typer.Option("--threads", help="Threads of the engine; default: the app's.")] = None,
    runs: Annotated[int | None, typer.Option("--runs", help="Timed calls; default: the app's.")] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", help="How long they may take; with --runs, whichever comes first.")
    ] = None,
    energy: Annotated[
        bool,
        typer.Option(
            "--energy/--no-energy",
            help="Measure energy, too, which takes minutes and a phone that is not charging: use adb over Wi-Fi.",
        ),
    ] = False,
    key_file: Annotated[
        Path | None,
        typer.Option(
            "--key-file",
            metavar="FILE",
            help="Opens a sealed bundle; the app wipes it, and keeps the key for this run.",
        ),
    ] = None,
    serial: Serial = None,
    limit: Annotated[
        float, typer.Option("--limit", metavar="S", help="Seconds after which the run is given up.")
    ] = LIMIT_S,
    html: Html = None,
    markdown: Markdown = None,
    json: Json = False,
) -> None:
    """Measure what a bundle costs on a phone, in the app; what comes back is as from ``edgekit profile``.

    \b
    Example:
      $ edgekit android bench
      $ edgekit android bench --bundle model.edgekit --engine executorch --threads 4 --html phone.html
      $ edgekit android bench --bundle model.edgekit --data dev.tsv --seconds 30 --energy --json
      $ edgekit android bench --bundle sealed.edgekit --key-file seal.key
    """
    if data is None and data_options != UNSAID:
        raise OptionError("what is said of columns, labels or encoding needs data: give it with --data")
    request = Request(engine, threads, runs, seconds, energy)
    check_limit(limit, request)
    key = None if key_file is None else read_key(key_file)
    reports = Reports(html, markdown, bundle, data)
    with Terminal() as terminal:
        labels = () if bundle is None else check_bundle(bundle, engine).manifest.labels
        texts = None if data is None else read_texts(data, data_options, terminal.say, labels=labels)
        found = run_bench(find_phone(serial), request, terminal, bundle=bundle, texts=texts, key=key, limit_s=limit)
    profile = to_profile(found)
    if json:
        print_json(found)
    else:
        print_pairs(profile_lines(profile))
    reports.write(profile, profile_html, profile_markdown)
