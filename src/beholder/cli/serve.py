"""`beholder serve`: the model behind an HTTP API and a page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from beholder.batch.workers import usable_cpus
from beholder.imaging.open import DEFAULT_MAX_PIXELS
from beholder.scoring.table import DEFAULT, resolve
from beholder.serve.run import serve as run_server
from beholder.serve.settings import Settings, read_key

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(
    model: Annotated[
        str, typer.Option(metavar="MODEL", help="A name, see: beholder models list; a folder; or tatar:FOLDER.")
    ] = DEFAULT,
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0 takes any free one.")] = 8000,
    api_key_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File with the key that clients must show.", show_default=False),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", help="Processes; one per CPU core if not given, or 1 for tatar.", show_default=False),
    ] = None,
    max_batch: Annotated[int, typer.Option(metavar="N", help="Pictures that a worker gets at once, at most.")] = 8,
    max_wait_ms: Annotated[
        float, typer.Option(metavar="MS", help="How long the first picture of a batch waits for others.")
    ] = 5.0,
    queue: Annotated[int, typer.Option(metavar="N", help="Pictures that may wait; with more, 429.")] = 128,
    max_mb: Annotated[float, typer.Option(metavar="MB", help="Largest request, in megabytes.")] = 64.0,
    max_pictures: Annotated[int, typer.Option(metavar="N", help="Pictures of one request.")] = 32,
    max_pixels: Annotated[
        int, typer.Option(metavar="N", help="A larger picture is refused before it is decoded.")
    ] = DEFAULT_MAX_PIXELS,
    timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", help="Time limit of one picture; 30 if not given, or 600 for tatar.", show_default=False
        ),
    ] = None,
    request_timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Time for a request to arrive, and again for its answer; 60 if not given, or twice --timeout if more.",
            show_default=False,
        ),
    ] = None,
    drain: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long requests under way may go on after SIGTERM.")
    ] = 30.0,
    url_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST[:PORT]",
            help="Fetch pictures from addresses of this host; may be repeated.",
            show_default=False,
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Have the model reason first, and keep its words; for tatar.")
    ] = False,
) -> None:
    """Serve scores over HTTP: POST /v1/score and /v1/compare, GET /v1/models, /healthz, /metrics, and a page at /.

    The API is described at /openapi.json. SIGTERM or Ctrl-C ends the server once what is under way is answered.
    """
    engine = resolve(model).engine
    timeout_s = engine.timeout_s if timeout is None else timeout
    settings = Settings(
        lanes=workers if workers is not None else 1 if engine.one_process else usable_cpus(),
        max_batch=max_batch,
        max_wait_ms=max_wait_ms,
        queue=queue,
        max_mb=max_mb,
        max_pictures=max_pictures,
        max_pixels=max_pixels,
        timeout_s=timeout_s,
        request_s=max(60.0, 2 * timeout_s) if request_timeout is None else request_timeout,
        drain_s=drain,
        key=None if api_key_file is None else read_key(api_key_file),
        url_hosts=frozenset(url_host or ()),
    )
    if settings.key is None and host not in LOOPBACK:
        print(f"beholder: anyone who reaches {host} can use this server. A key: --api-key-file", file=sys.stderr)
    run_server(model, settings, host=host, port=port, explain=explain)
