"""``edgekit serve``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.bundle_options import BundlePath, EngineName, Json, KeyFile, TrustedKeys
from edgekit.cli.terminal import native_output_hidden, print_json, print_result
from edgekit_runtime.errors import require


def command(
    bundle: BundlePath,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; others than this machine need keys.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port; 0 takes a free one.")] = 8000,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Texts classified at the same time; default: one a processor.")
    ] = None,
    threads: Annotated[int, typer.Option("--threads", help="Threads of one text.")] = 1,
    engine: EngineName = None,
    queue: Annotated[int, typer.Option("--queue", help="Texts that may wait; more are answered 429.")] = 256,
    timeout_s: Annotated[float, typer.Option("--timeout-s", help="Seconds until a request is given up: 504.")] = 10.0,
    max_body_bytes: Annotated[int, typer.Option("--max-body-bytes", help="Bytes of a request.")] = 1_000_000,
    max_batch: Annotated[int, typer.Option("--max-batch", help="Texts of a request.")] = 64,
    max_characters: Annotated[int, typer.Option("--max-characters", help="Characters of a text.")] = 20_000,
    max_connections: Annotated[int, typer.Option("--max-connections", help="Connections open at a time.")] = 512,
    api_keys: Annotated[
        Path | None, typer.Option("--api-keys", metavar="FILE", help="Lines of NAME KEY; then every call needs a key.")
    ] = None,
    allow_anonymous: Annotated[
        bool, typer.Option("--allow-anonymous", help="Let other machines call without a key.")
    ] = False,
    trusted_key: TrustedKeys = None,
    key_file: KeyFile = None,
    watch_s: Annotated[
        float, typer.Option("--watch-s", help="Seconds between looks at the bundle for a new one; 0: only at SIGHUP.")
    ] = 1.0,
    drain_s: Annotated[
        float, typer.Option("--drain-s", help="Seconds that requests under way have at the end.")
    ] = 20.0,
    access_log: Annotated[bool, typer.Option("--access-log", help="Print a line a request on stderr.")] = False,
    json: Json = False,
) -> None:
    """Answer over HTTP. Prints the address when it is ready; ends at SIGTERM, loads the bundle anew at SIGHUP.

    \b
    Example:
      $ edgekit serve model.edgekit
      $ edgekit serve model.edgekit --host 0.0.0.0 --api-keys keys.txt
    """
    for module in ("fastapi", "uvicorn", "httptools", "prometheus_client", "swagger_ui_bundle"):
        require(module, extra="serve", purpose="edgekit serve")
    from edgekit.serve.generation import Generation
    from edgekit.serve.server import BundleServer
    from edgekit.serve.settings import ServeSettings

    def ready(url: str, generation: Generation) -> None:
        if json:
            print_json({"url": url, "pid": os.getpid(), "bundle": generation.about}, one_line=True)
        else:
            print_result(url)

    settings = ServeSettings(
        bundle=bundle,
        host=host,
        port=port,
        workers=workers,
        threads=threads,
        engine=engine,
        queue=queue,
        timeout_s=timeout_s,
        max_body_bytes=max_body_bytes,
        max_batch=max_batch,
        max_characters=max_characters,
        max_connections=max_connections,
        api_keys=api_keys,
        allow_anonymous=allow_anonymous,
        trusted_keys=tuple(trusted_key or ()),
        key=key_file,
        watch_s=watch_s,
        drain_s=drain_s,
        access_log=access_log,
    )
    with native_output_hidden():
        server = BundleServer(settings)
    server.run(ready)
