"""A server from start to drain: load the model, listen, and on SIGTERM finish what is under way."""

from __future__ import annotations

import asyncio
import signal
import socket
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from beholder.batch.worker import Job
from beholder.errors import UserError
from beholder.scoring.asked import Asked
from beholder.scoring.model import tasks_of
from beholder.scoring.table import resolve
from beholder.serve.app import make_app
from beholder.serve.lanes import Lanes
from beholder.serve.log import LOGGER, start_log
from beholder.serve.metrics import Metrics
from beholder.serve.settings import Settings

MAX_CONNECTIONS = 1000
"""Open connections; a further one is answered 503."""

IDLE_S = 10.0
"""A connection that has not sent the head of a request for this long, or for as long as a request may take to arrive,
is closed, after twice this at the latest."""


KEEP_ALIVE_S = 75.0
"""A connection whose last request was answered is kept this long for the next: longer than clients keep theirs (5 to 15
seconds) and than `Retry-After` says, or a request would now and then meet a connection that is just being closed."""


class Impatient(H11Protocol):
    """Closes connections that are held open without asking for anything (slow loris); uvicorn waits for ever."""

    def __init__(self, *arguments: Any, idle_s: float, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._idle_s = idle_s

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Look after the new connection from time to time."""
        super().connection_made(transport)
        self._seen: object = self
        self._look()

    def _look(self) -> None:
        if self.transport.is_closing():
            return
        is_kept = self.timeout_keep_alive_task is not None  # answered, and not a byte since; uvicorn looks after it
        idle = not is_kept and (self.cycle is None or self.cycle.response_complete)
        if idle and self._seen is self.cycle:  # and not a single request since the last look
            self.transport.close()
            return
        self._seen = self.cycle if idle else self
        self.loop.call_later(self._idle_s, self._look)


def serve(model: str | Path, settings: Settings, *, host: str, port: int, explain: bool = False) -> None:
    """Serve until SIGTERM or Ctrl-C; then requests that are under way are answered, and new ones refused.

    Raises `UserError` where the model can't be loaded or the address can't be had.
    """
    checkpoint = resolve(model, Asked(explain))
    card = checkpoint.card()
    start_log()
    with tempfile.TemporaryDirectory(prefix="beholder-serve-") as folder:
        job = Job(checkpoint, tasks_of(card, "both"), settings.max_pixels)
        metrics = Metrics(lambda: lanes.n_waiting, settings.queue)
        lanes = Lanes(
            job,
            lanes=settings.lanes,
            max_batch=settings.max_batch,
            max_wait_s=settings.max_wait_ms / 1000,
            queue=settings.queue,
            timeout_s=settings.timeout_s,
            on_batch=metrics.on_batch,
        )
        config = uvicorn.Config(
            make_app(card, lanes, metrics, Path(folder), settings),
            host=host,
            port=port,
            http=partial(Impatient, idle_s=min(IDLE_S, settings.request_s)),  # type: ignore[arg-type]
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_keep_alive=round(KEEP_ALIVE_S),
            timeout_graceful_shutdown=max(1, round(settings.drain_s)),
        )
        listener = _bound(host, port)  # before the model is loaded: a port that is taken is told at once
        try:
            lanes.start(Path(folder))
            signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn raises it once more in the end; we are done then
            listener.listen()  # so that whoever reads the next line can connect
            url = f"http://{host}:{listener.getsockname()[1]}"
            LOGGER.info("listening", extra={"fields": {"url": url, "model": card.name, "workers": settings.lanes}})
            uvicorn.Server(config).run([listener])
            LOGGER.info("drained")
        finally:
            lanes.close()
            listener.close()


def _bound(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise UserError(
            f"can't listen at {host}, port {port}: {error.strerror}. Try another --port or --host"
        ) from None
    return listener
