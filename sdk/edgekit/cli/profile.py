"""``edgekit profile``."""

from __future__ import annotations

from typing import Annotated

import typer

from edgekit.cli.bundle_options import BundlePath, EngineName, Json, KeyFile, Threads, use_key_file
from edgekit.cli.options import BEST_SENSOR, UNSAID, with_data_options, with_energy_options
from edgekit.cli.profiled import profile_lines
from edgekit.cli.reports import Html, Markdown, Reports
from edgekit.cli.terminal import Terminal, print_json, print_pairs
from edgekit.report import profile_html, profile_markdown
from edgekit_converters.data import DataOptions, read_texts
from edgekit_converters.data.source import shown
from edgekit_runtime import open_bundle
from edgekit_runtime.errors import OptionError
from edgekit_runtime.profiling.energy.settings import EnergySettings
from edgekit_runtime.profiling.latency import SECONDS, check_pace
from edgekit_runtime.profiling.measure import profile_bundle


@with_data_options
@with_energy_options
def command(
    bundle: BundlePath,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="DATA", help="Texts to classify; default: the bundle's golden texts."),
    ] = None,
    data_options: DataOptions = UNSAID,
    engine: EngineName = None,
    threads: Threads = None,
    key_file: KeyFile = None,
    seconds: Annotated[
        float,
        typer.Option(
            "--seconds",
            help="How long the latency is measured; all takes some three times as long.",
        ),
    ] = SECONDS,
    pause: Annotated[
        float,
        typer.Option("--pause", metavar="MS", help="Rest before each of 200 calls: an app that is asked now and then."),
    ] = 0.0,
    energy: EnergySettings = BEST_SENSOR,
    html: Html = None,
    markdown: Markdown = None,
    json: Json = False,
) -> None:
    """Measure what a bundle costs on this device: latency, throughput, memory, energy.

    Every figure says how sure it is, and the conditions it was measured under are recorded with it.

    \b
    Example:
      $ edgekit profile model.edgekit --data dev.tsv --html profile.html
      $ edgekit profile model.edgekit --engine executorch --threads 1 --json
      $ edgekit profile model.edgekit --pause 500
    """
    if data is None and data_options != UNSAID:
        raise OptionError("what is said of columns, labels or encoding needs data: give it with --data")
    use_key_file(key_file)
    check_pace(seconds, pause)
    reports = Reports(html, markdown, bundle, data)
    with Terminal() as terminal:
        texts = None
        if data is not None:
            texts = read_texts(data, data_options, terminal.say, labels=open_bundle(bundle).manifest.labels)
        profile = profile_bundle(
            bundle,
            texts,
            source="" if data is None else shown(data),
            engine=engine,
            threads=threads,
            seconds=seconds,
            pause_ms=pause,
            energy=energy,
            listener=terminal,
        )
    if json:
        print_json(profile)
    else:
        print_pairs(profile_lines(profile))
    reports.write(profile, profile_html, profile_markdown)
