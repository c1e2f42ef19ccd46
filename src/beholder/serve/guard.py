"""Around every request: its size and time are limited, and its end is counted and logged."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Any

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from beholder.serve.log import LOGGER
from beholder.serve.metrics import Metrics
from beholder.serve.settings import Settings

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
"""What a request's method is counted as; any other is `other`, since a client may make up as many as it likes."""


class Limited:
    """Refuses bodies that are too large, as announced or as they come (413), or that come too slowly (408)."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        n_left = self.settings.max_bytes
        due_s = time.monotonic() + self.settings.request_s
        complete = False

        async def limited_receive() -> Message:
            nonlocal n_left, complete
            if complete:  # now it is about the client's going away, which may take as long as it likes
                return await receive()
            if announced.isdigit() and int(announced) > self.settings.max_bytes:
                raise self._too_large()
            try:
                message = await asyncio.wait_for(receive(), max(0.0, due_s - time.monotonic()))
            except TimeoutError:
                raise HTTPException(
                    408, f"the request did not arrive within {self.settings.request_s:g} s", {"Connection": "close"}
                ) from None
            n_left -= len(message.get("body", b""))
            if n_left < 0:
                raise self._too_large()
            complete = not message.get("more_body", False)
            return message

        await self.app(scope, limited_receive, send)

    def _too_large(self) -> HTTPException:
        detail = f"the request is larger than {self.settings.max_mb:g} MB; send fewer or smaller pictures"
        return HTTPException(413, detail, {"Connection": "close"})


class Observed:
    """Counts requests and their time, and writes one log line for each."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start_s, code, name = time.monotonic(), 500, secrets.token_hex(6)
        state: dict[str, Any] = scope.setdefault("state", {})

        async def observed_send(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
                message["headers"] = [*message.get("headers", []), (b"x-request-id", name.encode())]
            await send(message)

        try:
            await self.app(scope, receive, observed_send)
        finally:
            seconds = time.monotonic() - start_s
            route = getattr(scope.get("route"), "path", "other")  # not the path: anyone can make up a million of those
            method = scope["method"] if scope["method"] in METHODS else "other"
            self.metrics.requests.labels(route, method, str(code)).inc()
            self.metrics.seconds.labels(route).observe(seconds)
            fields = {"request": name, "route": route, "method": method, "code": code}
            fields |= {"ms": round(1000 * seconds, 1)} | {key: state[key] for key in ("pictures",) if key in state}
            LOGGER.info("request", extra={"fields": fields})
