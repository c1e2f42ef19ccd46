"""A real HTTP server that answers chat completions as it is told: well, badly, late, or not at all."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    """What goes over the wire."""

    status: int = 200
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    hang_up: bool = False


def completion(text: object, finish_reason: str = "stop") -> Reply:
    return Reply(body=json.dumps({"choices": [{"message": {"content": text}, "finish_reason": finish_reason}]}))


@dataclass
class ChatServer:
    """Requests as they came, and the address to ask."""

    base_url: str
    requests: list[dict[str, Any]]
    paths: list[str]
    headers: list[dict[str, str]]
    times: list[float]


@contextmanager
def serving(answer: Callable[[dict[str, Any], int], Reply]) -> Iterator[ChatServer]:
    """`answer` gets the JSON of a request and its number from 0."""
    seen = ChatServer("", [], [], [], [])
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                number = len(seen.requests)
                seen.requests.append(payload)
                seen.paths.append(self.path)
                seen.headers.append({key.lower(): value for key, value in self.headers.items()})
                seen.times.append(time.monotonic())
            reply = answer(payload, number)
            time.sleep(reply.delay_s)
            if reply.hang_up:
                self.close_connection = True
                return
            body = reply.body.encode()
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(body)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            with suppress(BrokenPipeError, ConnectionResetError):
                super().handle()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        seen.base_url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield seen
        finally:
            server.shutdown()
            thread.join()
